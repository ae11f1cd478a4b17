"""The benchmark: latency, throughput, size and memory of each form of a model."""
