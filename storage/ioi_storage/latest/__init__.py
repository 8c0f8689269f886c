"""The latest values by key, which follow behind the commits."""
