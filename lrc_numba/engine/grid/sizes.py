r"""How large a grid: the trade between a wide window on a small grid and a narrow one on a large grid.

A grid of n nodes per axis for modes up to K has κ = K/n, and a window of the Kaiser–Bessel family then has

    alias ≈ C e^{−πw√(1−2κ)}          ψ̂(κ)/ψ̂(0) ≈ e^{−πw(1 − κ − √(1−2κ))}

with C ≈ 30, read off the aliases that ``python -m validation.windows`` prints. The first gives the width that an eps
needs, the second how much rounding in the grid grows when modes are divided by ψ̂: along each axis by the root mean
square of ψ̂(0)/ψ̂(κ), a ninth of which is left, as ψ̂ has taken away as much of the noise. The model adds up the time of
spreading and interpolating N points with that width and of the transforms, in nanoseconds on one core, and the cheapest
grid is taken: few points on many modes get a small grid and a wide window, many points a large grid and a narrow one.
A width that is wrong by one can mean longer vectors, so for the cheapest few the windows themselves decide.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, log, pi, prod

import numpy as np

from ...machine.cpu.lanes import vector_lanes
from ..window.choose import expected_width

__all__ = ["AT_ONCE", "LONGEST_LINE", "choose_sizes", "good_size", "highest_ratio"]

OVERSAMPLINGS = (*(1.25 + 0.05 * i for i in range(15)), *(2.0 + 0.125 * i for i in range(17)))
# Orders of magnitude seen on one AVX-512 core, which decide between grids and promise nothing; what a machine really
# takes is printed by ``python -m validation.stages``.
PER_NODE = 6.0  # ns: clear, fold, transform there and back, fill
# ns per row of a window and pass, by lanes
PER_ROW = {4: 0.6, 8: 0.6, 12: 0.95, 16: 1.35, 20: 1.8, 24: 2.1}
AT_ONCE = 8  # channels on the grid; measured: 256 at once take twice as long, 4 as long as 8
LONGEST_LINE = 4096  # nodes: of a longer line alone, seven lanes of eight without work cost more than calling a library
TRIED = 5  # grids for which the width is found out
WIDEST = 24  # nodes; beyond that a larger grid always pays
ROUNDINGS = 16  # units of rounding in a mode of the grid, before the window's correction makes them grow
PER_LANE = 0.5  # ns per axis, pass and lane: window polynomials
PER_POINT = 10.0  # ns: gather, scatter; what does not depend on the grid is left out


def good_size(minimum: int) -> int:
    """The smallest even number ≥ ``minimum`` with no prime factor above 5, which the transforms are fast for."""
    best = 2 ** max(1, ceil(log(max(minimum, 2), 2)))
    five = 1
    while five < best:
        three = five
        while three < best:
            candidate = three * 2 ** max(1, (-(-minimum // three) - 1).bit_length())
            best = min(best, candidate) if candidate >= minimum else best
            three *= 3
        five *= 5
    return best


def _growth(width: int, n: tuple[int, ...], kept: tuple[int, ...]) -> float:
    """By how much rounding grows, all axes together."""
    band = np.array([top / nodes for top, nodes in zip(kept, n, strict=True)])[:, None] * np.linspace(0.0, 1.0, 33)
    factors = np.exp(pi * width * (1 - band - np.sqrt(np.maximum(1 - 2 * band, 1e-3))))
    return max(1.0, float(np.prod(np.sqrt((factors**2).mean(axis=1)) / 9)))


def highest_ratio(kept: tuple[int, ...], n: tuple[int, ...]) -> float:
    """Highest kept mode over grid nodes, the worst axis, rounded up to a thousandth."""
    return round(max(max(top, 0.5) / nodes for top, nodes in zip(kept, n, strict=True)) + 5e-4, 3)


def _cost(n: tuple[int, ...], kept: tuple[int, ...], width: int, eps: float, points: int, machine: float) -> float:
    """Nanoseconds of the model; infinite where the window would be too wide or rounding too large."""
    if width > WIDEST or ROUNDINGS * machine * _growth(width, n, kept) > eps:
        return float("inf")
    dim, lanes, rows = len(n), vector_lanes(width), width ** (len(n) - 1)
    return points * (PER_POINT + 2 * (dim * lanes * PER_LANE + rows * PER_ROW[lanes])) + prod(n) * PER_NODE


@lru_cache(maxsize=256)
def choose_sizes(
    kept: tuple[int, ...], eps: float, points: int, dtype: str, width_of: Callable[[float, float], int]
) -> tuple[int, ...]:
    """Grid nodes per axis.

    Parameters
    ----------
    kept : tuple of int
        Highest mode K along each axis.
    eps : float
        Relative ℓ² error asked for.
    points : int
        Points per snapshot.
    dtype : {"float32", "float64"}
        Of the grid.
    width_of : function
        Takes eps and ``highest_ratio`` to the width of the narrowest window; ValueError where there is none.

    Returns
    -------
    tuple of int
        Products of 2, 3 and 5; oversampling 2 where nothing else will do.
    """
    machine = float(np.finfo(dtype).eps)
    candidates = [tuple(good_size(ceil(s * (2 * top + 1))) for top in kept) for s in OVERSAMPLINGS]
    best, lowest = candidates[OVERSAMPLINGS.index(2.0)], float("inf")

    def expected(n: tuple[int, ...]) -> float:
        """The cost by the law."""
        return _cost(n, kept, expected_width(eps, highest_ratio(kept, n)), eps, points, machine)

    for n in sorted(dict.fromkeys(candidates), key=expected)[:TRIED]:
        try:
            cost = _cost(n, kept, width_of(eps, highest_ratio(kept, n)), eps, points, machine)
        except ValueError:
            continue
        if cost < lowest:
            best, lowest = n, cost
    return best
