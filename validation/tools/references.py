"""The slow sums that everything is compared with, on all points or at a few of them, and a compiled pair sum as rival.

``lrc_numba.direct`` holds the sums themselves; here they are called at a subset of the targets, also where a kernel is
infinite at zero and the point itself has to stay out.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from lrc_numba import ExponentialKernel, Gaussian, Multiplier, Yukawa, direct
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet

__all__ = ["KERNELS", "cancellation", "compiled_pairs", "fourier_reference", "is_singular", "kernel", "pair_reference"]

KERNELS = ("exponential", "yukawa", "gaussian")


def kernel(name: str, length: float) -> Multiplier:
    """A kernel whose range suits a box of side ``length``.

    exp(−μr) and the screened Coulomb kernel with μ = λ = 20 / length: e⁻¹⁰ at half a box. Their φ̂ decays so slowly that
    leaving modes out dominates the error against a pair sum. The Gaussian with σ = length / 10 has no such error.
    """
    if name == "exponential":
        return ExponentialKernel(20.0 / length)
    if name == "yukawa":
        return Yukawa(1.0, 20.0 / length)
    return Gaussian(sigma=length / 10)


def is_singular(name: str, dim: int) -> bool:
    """Whether φ(0) is infinite, so that the pair sum has to leave out the point itself."""
    return name == "yukawa" and dim > 1


def _without_zero(multiplier: Multiplier, dim: int):
    """φ(r) with φ(0) = 0."""

    def phi(r):
        return np.where(r > 0, multiplier.kernel(np.where(r > 0, r, 1.0), dim), 0.0)

    return phi


def fourier_reference(points, values, multiplier, *, box, modes, rows=None, exclude_self=False) -> np.ndarray:
    """The sum over the same modes, O(N · modes), at ``points[rows]`` or at all of them."""
    if rows is None:
        return direct.convolve(points, values, multiplier, box=box, modes=modes, exclude_self=exclude_self)
    out = direct.convolve(points, values, multiplier, box=box, modes=modes, targets=points[rows])
    if exclude_self:
        origin = np.zeros((1, points.shape[-1]))
        out -= values[rows] * direct.convolve(origin, np.ones(1), multiplier, box=box, modes=modes)[0]
    return out


def cancellation(values: np.ndarray, multiplier: Multiplier, box, modes: int, dim: int, u: np.ndarray) -> float:
    """How much smaller u is than for points spread at random: ‖u‖ if |F(k)|² were Σ f² in every mode, over ‖u‖.

    About 1 or less as a rule. It is large when the charges of a cluster cancel: then u is small in every kept mode,
    what aliases into it is not, and errors relative to u are as many times larger with any window.
    """
    mode_set = ModeSet(Cell(box, dim), (modes,) * dim)
    power = float((mode_set.weights * np.abs(multiplier.values(mode_set)) ** 2).sum())
    random = np.sqrt(values.size * float((values.astype(np.float64) ** 2).sum()) * power) / mode_set.cell.volume
    return float(random / np.linalg.norm(u))


def pair_reference(points, values, multiplier, *, box, rows=None, exclude_self=False) -> np.ndarray:
    """The sum over pairs and images, O(N²), at ``points[rows]`` or at all of them."""
    if rows is None:
        return direct.convolve(points, values, multiplier, box=box, exclude_self=exclude_self)
    if not exclude_self:
        return direct.convolve(points, values, multiplier, box=box, targets=points[rows])
    phi, origin = _without_zero(multiplier, points.shape[-1]), np.zeros((1, points.shape[-1]))
    out = direct.convolve(points, values, phi, box=box, targets=points[rows])
    return out - values[rows] * direct.convolve(origin, np.ones(1), phi, box=box, targets=origin)[0]


@njit(parallel=True, cache=True, fastmath={"contract", "reassoc"})
def _compiled_pairs(points, values, box, decay, divide, out):
    count, dim = points.shape
    for i in prange(len(out)):
        total = 0.0
        for j in range(count):
            square = 0.0
            for a in range(dim):
                step = points[i, a] - points[j, a]
                step -= box * np.rint(step / box)
                square += step * step
            r = np.sqrt(square)
            term = np.exp(-decay * r)
            if divide:
                term = term / r if r > 0 else 0.0
            total += values[j] * term
        out[i] = total


def compiled_pairs(name: str, points: np.ndarray, values: np.ndarray, box: float, rows: int) -> np.ndarray | None:
    """A pair sum as one would write it for speed: compiled, on all processors, nearest image only.

    It is there for its time. ``rows`` targets are summed, the first ones. None for the screened Coulomb kernel in two
    dimensions, a Bessel function, and for the Gaussian.
    """
    dim = points.shape[-1]
    if name == "gaussian" or (name == "yukawa" and dim == 2):
        return None
    out = np.empty(rows)
    _compiled_pairs(points, values, box, 20.0 / box, name == "yukawa" and dim == 3, out)
    return out
