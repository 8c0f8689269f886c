"""What was measured: a result and its figures, medians with their intervals, and what two results differ in."""
