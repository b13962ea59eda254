"""The policy on label traces: simulated scores, baselines, figures (``polymorph bench policy``)."""
