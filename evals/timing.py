"""Measured times and memory."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


def percentiles(times: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and count of some times, in their own unit."""
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "p99": round(float(p99), 2), "n": len(times)}


@dataclass
class Stages:
    """Seconds and highest memory of each stage of a run."""

    told: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        yield
        self.told.append({"stage": name, "seconds": round(time.perf_counter() - start, 1), "peak_mb": peak_mb()})


def peak_mb() -> int:
    """The highest memory of this process since it was last forgotten; since its start where the system cannot forget."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
