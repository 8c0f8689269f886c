"""The HTTP server of a node: its tables of routes, and who may ask."""
