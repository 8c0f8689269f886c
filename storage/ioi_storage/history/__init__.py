"""Versions: looking at one, going back to one, forgetting old ones, and what changed between two."""
