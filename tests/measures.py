"""How the tests measure: relative errors with a denominator that cannot vanish, and central differences."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from strategies import Problem

from lrc_numba import direct
from lrc_numba.geometry.neighbours import Pairs, find_pairs

MACHINE = float(np.finfo(np.float64).eps)

# The steps of a central difference, relative to the size of what is moved: truncation ~ h² on the left, rounding ~ 1/h
# on the right. The best of them is what a derivative is compared with.
STEPS = 10.0 ** np.arange(-1.5, -7.1, -0.5)


def relative(found: np.ndarray, wanted: np.ndarray, scale: float = 0.0) -> float:
    """‖found − wanted‖ / max(‖wanted‖, scale); 0 where both are empty or zero."""
    assert np.shape(found) == np.shape(wanted), f"shapes {np.shape(found)} and {np.shape(wanted)} differ"
    difference, size = np.linalg.norm(np.ravel(found - wanted)), max(float(np.linalg.norm(np.ravel(wanted))), scale)
    return float(difference / size) if difference > 0 else 0.0


def rounding(terms: int) -> float:
    """Relative rounding error allowed in double precision where ``terms`` numbers are added up.

    A sum of n terms in any order loses about √n units; 64 stands for the operations that each term goes through
    (window polynomials, two transforms, two divisions by a ψ̂ that is some ten times smaller at the band's edge).
    """
    return 64 * MACHINE * np.sqrt(max(terms, 1))


def typical_size(problem: Problem) -> float:
    """The size of u if nothing in it cancelled: the larger of √T ‖f‖ ‖φ̂‖₂ / V and, without targets, ‖f‖ ‖φ̂‖₁ / V.

    The first is the ℓ² norm of u when the phases e^{ik·x} are independent of each other and of f, the second that of
    the points' own terms φ(0) f. The error of a convolution is eps times this even where u itself cancels (opposite
    values at one place, mixed channels, a self-term taken off), so it is the denominator then.
    """
    phi, weights = np.abs(problem.multiplier.values(problem.mode_set)), problem.mode_set.weights
    places = problem.points if problem.targets is None else problem.targets
    size = np.sqrt(places.shape[-2] * np.max(phi**2 @ weights))
    if problem.targets is None:
        size = max(size, float(np.max(phi @ weights)))
    return float(size * np.linalg.norm(np.ravel(problem.given)) / problem.cell.volume)


def truth(problem: Problem) -> np.ndarray:
    """The Fourier sum, mode by mode."""
    return direct.convolve(
        problem.points,
        problem.values,
        problem.multiplier,
        box=problem.box,
        modes=problem.modes,
        targets=problem.targets,
        exclude_self=problem.exclude_self,
    )


def best_difference(function: Callable[[float], float | np.ndarray], wanted, size: float, steps=STEPS) -> float:
    """Smallest error over steps h of [function(h) − function(−h)]/2h against ``wanted``, in units of ``size``."""
    errors = []
    for h in steps:
        slope = (np.asarray(function(h)) - np.asarray(function(-h))) / (2 * h)
        errors.append(float(np.linalg.norm(np.ravel(slope - wanted))))
    return min(errors) / size if min(errors) > 0 else 0.0


def numerical_gradient(function: Callable[[np.ndarray], float], x: np.ndarray, step: float) -> np.ndarray:
    """Central differences of a scalar function with one step for every component."""
    gradient = np.empty(x.size)
    for i in range(x.size):
        moved = np.zeros(x.size)
        moved[i] = step
        moved = moved.reshape(x.shape)
        gradient[i] = (function(x + moved) - function(x - moved)) / (2 * step)
    return gradient.reshape(x.shape)


def best_gradient_error(
    function: Callable[[np.ndarray], float], x: np.ndarray, wanted: np.ndarray, scale: float
) -> float:
    """Relative ℓ² error of ``wanted`` against central differences, the best over a sweep of steps times ``scale``.

    Both the plain differences and, for functions smooth enough, Richardson's extrapolation of two of them.
    """
    plain = [numerical_gradient(function, x, h * scale) for h in STEPS]
    better = [(10 * fine - coarse) / 9 for coarse, fine in pairwise(plain)]  # steps differ by √10
    return min(relative(wanted, found) for found in plain + better)


def pairs_of_snapshots(points: np.ndarray, box, cutoff: float) -> Pairs:
    """Pairs of snapshots (B, N, d) in one box, numbered through."""
    batch, count, dim = points.shape
    return find_pairs(points.reshape(-1, dim), cutoff, box, offsets=np.arange(batch + 1) * count)
