"""The node's seals and its key's custody, compiled, with a model of the part that keeps the key."""
