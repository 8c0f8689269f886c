"""How things are written down: numbers and tables, state keys, policies, and the files that other commands read."""
