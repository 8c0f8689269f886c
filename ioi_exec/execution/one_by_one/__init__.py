"""One by one in a worker process, under a worker's settings: its engine's side (executor) and its own (process)."""
