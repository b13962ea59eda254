"""The policy on label traces: simulated scores, other policies, metrics."""
