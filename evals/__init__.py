"""Is it any good? Protocols, metrics and benchmarks."""
