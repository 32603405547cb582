"""Summaries of measured times."""

import numpy as np


def percentiles(times: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and count of some times, in their own unit."""
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "p99": round(float(p99), 2), "n": len(times)}
