"""Who executes a block: one seam (executor.py), and behind it one by one, native, or in parallel workers."""
