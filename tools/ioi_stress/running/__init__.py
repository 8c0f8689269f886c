"""Executing a workload: measured, verified, recorded, watched; and a block that differed made small."""
