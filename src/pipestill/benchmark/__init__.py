"""The benchmark: latency, throughput, size and memory of each variant of a model."""
