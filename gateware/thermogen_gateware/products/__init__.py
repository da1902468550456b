"""The two products, as they are flashed: a core on its board."""
