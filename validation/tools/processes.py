"""Measurements that need a process of their own: memory, import time, first call. Used by ``promises``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

__all__ = ["compiling_beforehand", "first_calls", "import_times", "peak_memory"]

_IMPORT = """
import json, time
start = time.perf_counter()
import lrc_numba
print(json.dumps({"import": time.perf_counter() - start}))
"""

_FIRST = """
import json, time
import numpy as np
start = time.perf_counter()
from lrc_numba import LRCPlan, Yukawa
imported = time.perf_counter()
dim, modes, threads = __ARGUMENTS__
points = np.random.default_rng(0).random((1000, dim))
kernel, values = Yukawa(1.0, 5.0), np.ones(1000)
begin = time.perf_counter()
plan = LRCPlan(1.0, modes, threads=threads, dim=dim).set_points(points)
plan.convolve(values, kernel)
first = time.perf_counter() - begin
plan.vjp(values, kernel, values)
plan.jvp(values, kernel, points, values)
print(json.dumps({"call": first, "all": time.perf_counter() - begin, "import": imported - start}))
"""

_MEMORY = """
import json, time
import numpy as np
from lrc_numba import Yukawa, lrc_convolve

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024

count, modes, eps, threads = __ARGUMENTS__
rng = np.random.default_rng(0)
points, values = rng.random((count, 3)), rng.standard_normal(count)
kernel = Yukawa(1.0, 5.0)
lrc_convolve(points[:100], values[:100], kernel, box=1.0, modes=5, eps=eps, threads=threads)
try:
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the high-water mark starts again from what is held now
    cleared = True
except OSError:
    cleared = False
before, mark = status("VmRSS:"), status("VmHWM:")
start = time.perf_counter()
u = lrc_convolve(points, values, kernel, box=1.0, modes=modes, eps=eps, threads=threads)
taken = time.perf_counter() - start
print(json.dumps({
    "peak_above_inputs": status("VmHWM:") - before, "held_before": before, "mark_before": mark,
    "mark_cleared": cleared, "result": u.nbytes, "inputs": points.nbytes + values.nbytes, "seconds": taken,
}))
"""


def _run(source: str, values: tuple | None = None, **environment: str) -> dict:
    """Run a program in a fresh interpreter and read the JSON in the last line it prints."""
    program = source if values is None else source.replace("__ARGUMENTS__", repr(values))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"a measuring process failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def import_times(repeats: int) -> list[float]:
    """Seconds of ``import lrc_numba`` in fresh processes, NumPy and Numba included; after one run that fills caches."""
    return [_run(_IMPORT)["import"] for _ in range(repeats + 1)][1:]


def first_calls(dim: int, modes: int, threads: int | None, repeats: int) -> dict[str, list[float]]:
    """Seconds of the first calls of a process, with an empty cache of compiled code and with a filled one.

    A convolution; and all of them: a plan, convolve, vjp and jvp.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = [_run(_FIRST, (dim, modes, threads), NUMBA_CACHE_DIR=folder) for _ in range(repeats + 1)]
    states = {"cold": runs[:1], "warm": runs[1:]}
    return {
        f"{what} {state}": [run[what] for run in calls] for state, calls in states.items() for what in ("call", "all")
    }


def compiling_beforehand(dim: int, modes: int, threads: int | None) -> float:
    """Seconds of a process that compiles what ``first_calls`` needs, ``lrc_numba.warm``, with an empty cache."""
    command = [sys.executable, "-m", "lrc_numba.warm", "--dim", str(dim), "--modes", str(modes), "--points", "1000"]
    command += [] if threads is None else ["--threads", str(threads)]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(command, env=os.environ | {"NUMBA_CACHE_DIR": folder}, capture_output=True, check=True)
        return time.perf_counter() - start


def peak_memory(count: int, modes: int, eps: float, threads: int) -> dict:
    """Bytes resident at the peak of one lrc_convolve in 3-D above those held with inputs and compiled code loaded.

    Run twice, the second time nothing is compiled: that takes memory, and leaves some behind for the call to hide in.
    """
    _run(_MEMORY, (count, modes, eps, threads))
    return _run(_MEMORY, (count, modes, eps, threads))
