"""The policy on label traces: simulated scores, rivals, figures (``polymorph bench policy``)."""
