"""What a block stands on: the committed state, its identity, its past, and the staging of what a block wrote."""
