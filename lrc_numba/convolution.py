r"""The convolution in one call.

    u_i = Σ_j f_j φ(x_i − x_j)   over all periodic images, φ band-limited to the kept modes

as points → grid → modes → × multiplier → grid → points: ``engine.operator.Operator`` is that chain, and
``plan.LRCPlan`` its public face for repeated calls and derivatives.
"""

from __future__ import annotations

import numpy as np

from . import arguments
from .machine import backends
from .multipliers.multiplier import Multiplier
from .plan import LRCPlan

__all__ = ["lrc_convolve"]


def lrc_convolve(
    points,
    values,
    multiplier: Multiplier,
    *,
    box,
    modes,
    eps: float = 1e-6,
    window: str = "kaiser_bessel",
    targets=None,
    exclude_self: bool = False,
    threads: int | None = None,
    backend: str = "cpu",
) -> np.ndarray:
    r"""u_i = Σ_j φ(x_i − x_j) f_j over a periodic box, in nearly linear time.

    Parameters
    ----------
    points : (N, d) or (B, N, d) array
        Positions in 1, 2 or 3 dimensions, anywhere in space; B independent snapshots. float32 or float64.
    values : (N,), (N, C), with B in front for snapshots, or None
        f; None is ones. Complex values are two convolutions, and the result is complex.
    multiplier : Multiplier
        φ̂(k), such as ``Yukawa(beta, lam)``; its shape (), (C_out,) or (C_out, C_in) says what it does with channels.
    box : float, (d,) or (d, d) array
        Box length(s), or a lattice whose rows are the lattice vectors.
    modes : int or d ints
        Fourier modes per axis.
    eps : float
        Relative ℓ² error allowed against the direct Fourier sum (relative to its terms, where those cancel); float32
        needs 1e-5 or more.
    window : {"kaiser_bessel", "gaussian", "gaussian_paper"}
        How points are put on the grid.
    targets : (T, d) or (B, T, d) array, optional
        Where u is wanted; at the points by default.
    exclude_self : bool
        Leave out the image of i itself.
    threads : int, optional
        At most so many; all processors by default.
    backend : {"cpu", "cuda"}
        Where to compute, see ``LRCPlan``.

    Returns
    -------
    (N,) or (N, C_out) ndarray, (T, …) with targets, B in front for snapshots

    Raises
    ------
    ValueError, TypeError, MemoryError : naming the argument, what came and what was expected.

    Notes
    -----
    Cost: O(N w^d + M^d log M). For repeated calls, and for derivatives, use ``LRCPlan``.
    """
    dtype = arguments.common_dtype(points=points, values=values, targets=targets)
    arrays = backends.load(arguments.as_choice("backend", backend, backends.BACKENDS)).arrays
    dim = arguments.points_shape("points", points, None, arrays)[-1]
    plan = LRCPlan(box, modes, eps=eps, window=window, dtype=dtype, threads=threads, backend=backend, dim=dim)
    return plan.set_points(points, targets).convolve(values, multiplier, exclude_self=exclude_self)
