"""Errors over eps, dimension, kind of points, window and dtype: used by ``direct_sum`` and ``promises``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lrc_numba import ExponentialKernel, Multiplier, Table, lrc_convolve

from .common import DISTRIBUTIONS, draw_points, relative_error
from .references import cancellation, fourier_reference, is_singular, kernel, pair_reference

__all__ = ["BOX", "EPS", "MODES", "QUICK_EPS", "QUICK_MODES", "Problem", "errors", "problems"]

BOX = 10.0
MODES = {1: 501, 2: 63, 3: 31}
QUICK_MODES = {1: 501, 2: 63, 3: 15}
EPS = {"float64": [10.0**-p for p in range(1, 13)], "float32": [10.0**-p for p in range(1, 6)]}
QUICK_EPS = {"float64": [1e-2, 1e-4, 1e-6, 1e-8, 1e-12], "float32": [1e-2, 1e-4]}  # a kernel is compiled for each


@dataclass
class Problem:
    """Points, values and a kernel, with the sums they are compared with.

    Attributes
    ----------
    kernel_name, distribution, charges : str
        What was drawn; ``charges`` is "normal" (standard normal numbers) or "ones".
    dtype : str
        Of points and values. The references take the same rounded numbers and compute in float64.
    cancellation : float
        See ``references.cancellation``.
    """

    kernel_name: str
    distribution: str
    charges: str
    dtype: str
    dim: int
    modes: int
    points: np.ndarray
    values: np.ndarray
    multiplier: Multiplier
    fourier: np.ndarray
    pairs: np.ndarray | None
    exclude_self: bool
    cancellation: float


def _multiplier(name: str, dim: int, modes: int) -> Multiplier:
    """A named kernel, or "flat": φ̂ = 1 on all modes, which weights the worst of them, the highest, most."""
    if name != "flat":
        return kernel(name, BOX)
    top = (modes - 1) // 2
    return Table(np.ones((2 * top + 1,) * (dim - 1) + (top + 1,)), dim)


def problems(
    kernels: Sequence[str],
    modes: dict[int, int],
    count: int,
    *,
    charges: Sequence[str] = ("normal",),
    dtypes: Sequence[str] = ("float64", "float32"),
    pairs: bool = True,
) -> Iterator[Problem]:
    """All combinations, in an order that depends on nothing; random numbers start from one seed for each."""
    for dim, m in modes.items():
        for name in kernels:
            for distribution in DISTRIBUTIONS:
                for charge in charges:
                    for dtype in dtypes:
                        yield _problem(name, distribution, charge, dtype, dim, m, count, pairs)


def _problem(name, distribution, charge, dtype, dim, modes, count, pairs) -> Problem:
    rng = np.random.default_rng([dim, DISTRIBUTIONS.index(distribution)])
    points = draw_points(distribution, count, dim, BOX, rng).astype(dtype)
    values = (np.ones(len(points)) if charge == "ones" else rng.standard_normal(len(points))).astype(dtype)
    multiplier = _multiplier(name, dim, modes)
    exclude = is_singular(name, dim)
    wide, f = points.astype(np.float64), values.astype(np.float64)
    pair_sum = pair_reference(wide, f, multiplier, box=BOX, exclude_self=exclude) if pairs and name != "flat" else None
    fourier = fourier_reference(wide, f, multiplier, box=BOX, modes=modes)
    cancels = cancellation(values, multiplier, BOX, modes, dim, fourier)
    return Problem(
        name, distribution, charge, dtype, dim, modes, points, values, multiplier, fourier, pair_sum, exclude, cancels
    )


def errors(
    problem: Problem, *, window: str = "kaiser_bessel", threads: int | None = None, sweep: dict = EPS
) -> Iterator[dict]:
    """One row per eps of the ``sweep``: asked and measured errors, or the message with which an eps was refused."""
    p = problem
    pairs = p.pairs
    for eps in sweep[p.dtype]:
        row = {
            "kernel": p.kernel_name,
            "dim": p.dim,
            "modes": p.modes,
            "points": len(p.points),
            "distribution": p.distribution,
            "charges": p.charges,
            "dtype": p.dtype,
            "window": window,
            "eps": eps,
            "cancellation": p.cancellation,
        }
        options = {"box": BOX, "modes": p.modes, "eps": eps, "window": window, "threads": threads}
        try:
            u = lrc_convolve(p.points, p.values, p.multiplier, **options)
        except ValueError as refusal:
            yield row | {"refused": str(refusal), "error_fourier": None, "error_pairs": None}
            continue
        against_pairs = None
        if pairs is not None:
            v = lrc_convolve(p.points, p.values, p.multiplier, **options, exclude_self=True) if p.exclude_self else u
            against_pairs = relative_error(v, pairs)
        yield row | {"error_fourier": relative_error(u, p.fourier), "error_pairs": against_pairs}


def truncation(dim: int, mode_counts: Sequence[int], count: int = 200) -> list[dict]:
    """Error against the pair sum as modes are added: that of leaving out the others, which falls as φ̂ says it must.

    For exp(−μr), at eps 1e-8, on uniform points with standard normal values.
    """
    rng = np.random.default_rng(dim)
    points, values = BOX * rng.random((count, dim)), rng.standard_normal(count)
    multiplier = ExponentialKernel(20.0 / BOX)
    truth = pair_reference(points, values, multiplier, box=BOX)
    rows = []
    for m in mode_counts:
        u = lrc_convolve(points, values, multiplier, box=BOX, modes=m, eps=1e-8)
        rows.append({"dim": dim, "modes": m, "error_pairs": relative_error(u, truth)})
    return rows
