"""The workloads that come with ioi-stress."""
