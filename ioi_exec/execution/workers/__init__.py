"""Worker processes: how they are started and told what to do (pool, control), and what runs in them (process, run, view)."""
