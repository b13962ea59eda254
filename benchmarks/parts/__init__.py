"""What the benchmarks are made of: the processes around the node, the measurements, the metrics."""
