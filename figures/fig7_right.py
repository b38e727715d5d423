"""Fig. 7 of the LRC paper, right: time of a long-range convolution against that of direct sums over all pairs.

Two points for every cell of length 1, drawn uniformly, in one and three dimensions; u_i = Σ_j φ(x_i − x_j) of a
screened Coulomb kernel, λ = 1. The convolution has 25 modes for every length of 3, as in ``figures.table6``, and a
relative error of 1e-6 asked for; points are new in every call. Direct sums are compiled loops that take every pair
once, for both of its points, and no exponentials that are below rounding; of nearest images alone, which is less than
they would have to do. One thread; medians of calls, warm. Sizes are ours.

"Error of the sum over modes" is against the same convolution with 1e-8 asked for. What it is not is the difference of
both ways, in the next column: the modes leave out the kernel's short waves, near its singularity in three dimensions,
which in the networks the short range is for, and direct sums the other images, which small boxes have near. The term of
a point with itself is taken off there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import exp, sqrt
from pathlib import Path

import numpy as np
from numba import njit

from lrc_numba import LRCPlan, Yukawa

from .experiments.figure import Figure
from .experiments.presets import Preset
from .experiments.style import MARKS, figure, save
from .experiments.tasks import System

__all__ = ["FIGURE", "direct_sum"]

LAM, EPS, FINE, PER_LENGTH = 1.0, 1e-6, 1e-8, 25 / 3
CELLS = {1: (10, 100, 1000, 10_000, 100_000, 1_000_000), 3: (3, 6, 9, 12, 18, 24)}
MOST = {"quick": {1: 1000, 3: 6}, "reduced": {1: 100_000, 3: 12}, "paper": {1: 1_000_000, 3: 24}}
MOST_DIRECT = 30_000  # points
FAR = 40.0  # λr beyond which e^{−λr}, 4e-18 and less, is lost beside what neighbours add
CALLS, LEAST = 5, 0.3  # calls that are timed, and seconds of them at least


@njit(cache=True)
def direct_sum(points: np.ndarray, box: float, lam: float, out: np.ndarray) -> None:
    """u of the screened Coulomb kernel, e^{−λr}/r in three dimensions and 2π e^{−λr}/λ in one, without i itself.

    Every pair is taken once, at its nearest image; in three dimensions none of points in one place. Pairs with λr > 40
    are left out: what they add is below rounding, and underflowing exponentials would take most of the time in one
    dimension.

    Parameters
    ----------
    points : (N, d) float64
        From 0 to ``box`` in each direction.
    box : float
        Length of its sides.
    lam : float
        λ.
    out : (N,) float64
        Written.
    """
    count, dim = points.shape
    places, distances, far = points.T.copy(), np.empty(count), FAR / lam
    least = 0.0 if dim == 3 else -1.0  # points in one place have no 1/r
    out[:] = 0.0
    for i in range(count):
        distances[:i] = 0.0  # in loops of their own, which the compiler makes vectors of, unlike exponentials
        for a in range(dim):
            along = places[a]
            for j in range(i):
                apart = abs(along[i] - along[j])
                apart = min(apart, box - apart)
                distances[j] += apart * apart
        for j in range(i):
            distances[j] = sqrt(distances[j])
        total = 0.0
        for j in range(i):
            r = distances[j]
            if least < r < far:
                value = exp(-lam * r) / r if dim == 3 else exp(-lam * r)
                total += value
                out[j] += value
        out[i] += total
    if dim != 3:
        out *= 2.0 * np.pi / lam


def median_time(call: Callable[[], object]) -> float:
    """Seconds of a call, after one to warm up.

    Parameters
    ----------
    call : function
        Of no arguments.
    """
    call()
    times, begin = [], time.perf_counter()
    while len(times) < CALLS or (time.perf_counter() - begin < LEAST and len(times) < 100):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        if time.perf_counter() - begin > 60.0:
            break
    return float(np.median(times))


def measure(dim: int, cells: int, seed: int) -> dict:
    """Times for one number of points.

    Parameters
    ----------
    dim : int
        d.
    cells : int
        Along each axis.
    seed : int
        Of the points.
    """
    system, rng = System("screened_coulomb", (cells,) * dim, (LAM,), (1.0,)), np.random.default_rng(seed)
    points = cells * rng.random((system.points, dim))
    modes = 2 * round(PER_LENGTH * cells / 2) + 1
    plan, fine = (LRCPlan(float(cells), modes, eps=eps, dim=dim, threads=1) for eps in (EPS, FINE))
    kernel = Yukawa(1.0, LAM)
    made = {"dim": dim, "points": system.points, "modes": modes, "seed": seed}
    exact = fine.set_points(points).convolve(None, kernel)
    error = plan.set_points(points).convolve(None, kernel) - exact
    made["error"] = float(np.linalg.norm(error) / np.linalg.norm(exact))
    made["convolution"] = median_time(lambda: plan.set_points(points).convolve(None, kernel))
    if system.points <= MOST_DIRECT:
        out = np.empty(len(points))
        made["direct"] = median_time(lambda: direct_sum(points, float(cells), LAM, out))
        own = fine.set_points(points[:1]).convolve(None, kernel)[0]
        made["difference"] = float(np.linalg.norm(exact - own - out) / np.linalg.norm(out))
    return made


def compute(preset: Preset, seeds: Sequence[int]) -> dict:
    """All sizes, with the first seed.

    Parameters
    ----------
    preset : Preset
        How large.
    seeds : sequence of int
        Of the points; the first is used, as times hardly depend on it.
    """
    sizes = [(dim, cells) for dim, several in CELLS.items() for cells in several if cells <= MOST[preset.name][dim]]
    return {"runs": [measure(dim, cells, seeds[0]) for dim, cells in sizes]}


def draw(record: dict, path: Path) -> None:
    """Times against the number of points.

    Parameters
    ----------
    record : dict
        All measurements.
    path : Path
        Without its ending.
    """
    made, (axes,) = figure()
    for number, dim in enumerate(CELLS):
        for way, face in (("convolution", None), ("direct", "white")):
            runs = [run for run in record["runs"] if run["dim"] == dim and way in run]
            counts, times = (np.array([run[name] for run in runs]) for name in ("points", way))
            colour, marker, _ = MARKS[number]
            line = "-" if way == "convolution" else "--"
            options = {"color": colour, "marker": marker, "ls": line, "mfc": face or colour}
            rate = f", at the end {counts[-1] / times[-1]:.1e} points/s" if way == "convolution" and len(runs) else ""
            axes.loglog(counts, times, label=f"{way}, {dim}-D{rate}", **options)
    axes.set(xlabel="points", ylabel="seconds, one thread")
    axes.set_ylim(top=1e4)
    axes.legend(frameon=False, loc="upper left")
    save(made, path)


FIGURE = Figure("fig7_right", __doc__ or "", draw, compute=compute)

if __name__ == "__main__":
    FIGURE.main()
