"""Is a VM deterministic? Each transaction again, in fresh processes: its engine's side (check) and theirs (process)."""
