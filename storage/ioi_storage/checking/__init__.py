"""Finding all that is wrong with a state, in a process of its own."""
