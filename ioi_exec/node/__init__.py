"""A node of a chain: the engine as the application of a consensus engine (docs/node.md)."""
