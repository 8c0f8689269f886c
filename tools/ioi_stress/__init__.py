"""ioi-stress: workloads for ioi-exec, measured, verified, broken on purpose and drawn.

The command line `ioi-stress` and this library are the same thing. Names are imported when they are first used.
"""
