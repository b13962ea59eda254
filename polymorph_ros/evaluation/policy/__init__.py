"""The policy on label traces: simulated scores, baselines, metrics (``polymorph bench policy``)."""
