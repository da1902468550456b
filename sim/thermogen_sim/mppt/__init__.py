"""How much of the available energy the tracker harvests, and how much others do: `make bench-mppt`."""
