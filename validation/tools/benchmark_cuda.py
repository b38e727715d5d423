"""The benchmark on an NVIDIA GPU: ``python -m validation.benchmark --backend cuda``.

The problems of the CPU's benchmark, arrays on the device before the clock starts and results left there, medians of at
least five; and ten million points in float32. Beside the times: points per second; the bytes that a convolution has to
bring from memory and back, every array once, per second, as a part of what a copy of a large array was seen to do; and
the time and the error of cuFINUFFT (type 1, multiply, type 2, plans reused) where it is there, in the same dtype, at an
eps of a tenth of the target, in float32 of the target. Ours is never asked for less than it promises: in float32 that
is 1e-5 (``window.choose.accuracy_floor``), also where the target is 1e-6; the measured error tells what came of it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.engine.window.choose import accuracy_floor

from .common import environment, print_table, relative_error, save_json, seconds
from .libraries import Problem, reference

__all__ = ["main"]

KERNEL = Yukawa(1.0, 2.0)
EPS = {1e-3: 1e-2, 1e-6: 1e-5, 1e-10: 1e-9}  # what ours is asked for; the measured error stands beside the time
LARGE = (10_000_000, 127)


def _median(call: Callable[[], object], least: int = 5, budget: float = 1.0) -> float:
    """Median seconds of a call until the device has finished."""
    import cupy

    call()
    taken: list[float] = []
    while len(taken) < least or (sum(taken) < budget and len(taken) < 50):
        cupy.cuda.Device().synchronize()
        start = time.perf_counter()
        call()
        cupy.cuda.Device().synchronize()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def copy_bandwidth() -> float:
    """Bytes per second, read and written, of a copy far larger than the caches."""
    import cupy

    source = cupy.zeros(1 << 27)
    target = cupy.empty_like(source)
    return 2 * source.nbytes / _median(lambda: cupy.copyto(target, source))


def _bytes(plan: LRCPlan, count: int, channels: int) -> int:
    """What ``convolve`` moves.

    Coordinates and the order are read twice, values are put in order and u is brought back; the grid is cleared,
    written, transformed twice, filled and read; modes twice.
    """
    grid, size = plan.grid, plan.dtype.itemsize
    points = count * (2 * 8 * grid.dim + 2 * 4 + channels * 6 * size)
    return points + channels * (8 * prod(grid.layout.padded) * size + 4 * 2 * size * grid.mode_set.size)


def _rounded(problem: Problem, dtype) -> Problem:
    """The problem with points and values as ``dtype`` holds them: the errors are then those of the computation."""
    seen = replace(problem)
    vars(seen).update({name: getattr(problem, name).astype(dtype).astype(np.float64) for name in ("points", "values")})
    return seen


def _cufinufft(problem: Problem, target: float, dtype) -> Callable | None:
    """Type 1, multiply, type 2 in ``dtype``, or None where the library is not there."""
    try:
        import cufinufft
        import cupy
    except ImportError:
        return None
    shape = (problem.modes,) * problem.dim
    single = dtype == np.float32
    kind, eps = ("complex64", target) if single else ("complex128", target / 10)
    angles = 2 * np.pi * cupy.asarray(problem.points)
    angles -= 2 * np.pi * cupy.round(angles / (2 * np.pi))
    axes = [cupy.ascontiguousarray(angles[:, a], dtype=dtype) for a in range(problem.dim)]
    forward = cufinufft.Plan(1, shape, eps=eps, isign=-1, dtype=kind)
    back = cufinufft.Plan(2, shape, eps=eps, isign=1, dtype=kind)
    values = cupy.asarray(problem.values[0].astype(kind))
    phi = cupy.asarray(problem.phi.reshape(shape), dtype=dtype)

    def call():
        forward.setpts(*axes)
        back.setpts(*axes)
        return back.execute(forward.execute(values) * phi)

    return call


def _cell(problem: Problem, target: float, copy: float, dtype=np.float64) -> dict:
    """One convolution and its gradient."""
    import cupy

    problem = _rounded(problem, dtype)
    eps = max(EPS[target], accuracy_floor(np.dtype(dtype), (problem.modes,) * problem.dim))
    plan = LRCPlan(1.0, problem.modes, eps=eps, dim=problem.dim, dtype=dtype, backend="cuda")
    points, values = cupy.asarray(problem.points, dtype=dtype), cupy.asarray(problem.values[0], dtype=dtype)

    def new():
        return plan.set_points(points).convolve(values, KERNEL)

    result = cupy.asnumpy(new()).astype(np.float64)
    row = {"dim": problem.dim, "count": problem.count, "modes": problem.modes, "target": target, "eps": eps}
    row |= {"distribution": problem.distribution, "dtype": np.dtype(dtype).name}
    truth = reference(problem, 16)[0]
    row["error"] = relative_error(result, truth)
    row["new"], row["kept"] = _median(new), _median(lambda: plan.convolve(values, KERNEL))
    row["gradient"] = _median(lambda: plan.vjp(values, KERNEL, values, wrt=("points",)))
    row["points_per_second"] = problem.count / row["new"]
    row["of_copy"] = _bytes(plan, problem.count, 1) / row["kept"] / copy
    theirs = _cufinufft(problem, target, dtype)
    row["cufinufft"] = _median(theirs) if theirs else None
    row["cufinufft_error"] = relative_error(cupy.asnumpy(theirs().real), truth) if theirs else None
    return row


def main(args: argparse.Namespace, problems: list[Problem], targets: tuple[float, ...]) -> None:
    """Measure, print and write.

    Parameters
    ----------
    args : Namespace
        Of ``benchmark``.
    problems : list of Problem
        Convolutions.
    targets : tuple of float
        Errors.
    """
    try:
        LRCPlan(1.0, 5, dim=1, backend="cuda")
        import cupy
    except (ImportError, RuntimeError) as missing:
        print(f"SKIPPED: not measured on hardware ({missing})")
        return
    copy = copy_bandwidth()
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    rows = [_cell(problem, target, copy) for problem in problems for target in targets]
    rows.append(_cell(Problem("convolution", 3, *LARGE, "uniform"), 1e-6, copy, np.float32))
    header = ["d", "N", "modes", "target", "points", "dtype", "new", "kept", "gradient", "error", "eps", "points/s"]
    lines = []
    for r in rows:
        line = [r["dim"], f"{r['count']:.0e}", f"{r['modes']}^{r['dim']}", f"{r['target']:.0e}", r["distribution"][:7]]
        line += [r["dtype"], seconds(r["new"]), seconds(r["kept"]), seconds(r["gradient"]), r["error"], r["eps"]]
        line += [f"{r['points_per_second']:.1e}", f"{r['of_copy']:.0%}"]
        lines.append([*line, seconds(r["cufinufft"]), r["cufinufft_error"]])
    print_table(f"{name}, copy {copy / 1e9:.0f} GB/s", [*header, "of copy", "cuFINUFFT new", "error"], lines)
    record = {"environment": environment(1) | {"gpu": name}, "copy": copy, "cells": rows}
    save_json(args.output / "benchmark_cuda.json", record)
