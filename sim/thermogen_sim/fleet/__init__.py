"""A fleet of sites, modelled: nodes that seal and draw, sites that measure, and those who vouch for them."""
