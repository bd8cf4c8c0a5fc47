"""Benchmarks: Foveal, its peers and the machine's peak, checked against each other and timed in one run."""
