"""The node's secret key, where it is kept and what makes it."""
