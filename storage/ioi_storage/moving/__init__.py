"""States that are made: from a genesis, from a dump, from a snapshot of another."""
