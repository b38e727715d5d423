r"""Grid ↔ modes: the two transforms, real on one side, with only the kept modes on the other.

Both are linear; ``analyse`` carries the sign −, ``synthesise`` the sign + and the sum over *all* modes, so that the
composition of spreading, ``analyse``, a Hermitian multiplier, ``synthesise`` and interpolation is real and its
transpose is the same chain backwards with the conjugate transpose of the multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..context import Context
from ..deconvolution import ModeProduct, MultiplierTable, multiply

__all__ = ["analyse", "gives_powers", "synthesise", "through"]


def analyse(context: Context, values: np.ndarray, reached: np.ndarray, channels: int) -> np.ndarray:
    """Modes of grids, Σ_node s(node) e^{−2πi n·node/nodes}: (B, C, *layout.padded) real to (B, C, *modes) complex.

    Parameters
    ----------
    context : Context
        Sizes, threads, memory.
    values : real array
        Spread values, padding folded in.
    reached : (B, ·, ·) bool
        ``SortedPoints.reached``, some row of every snapshot: others are taken to be zero, whatever is in them, but
        where a library or ``fft.lines`` transforms; there all are reached.
    channels : int
        C.

    Returns
    -------
    complex array
        In the workspace: valid until the next call.
    """
    out = context.space.take("modes", (len(values), channels, *context.grid.stored), context.grid.complex_dtype)
    return context.loops(__package__).analyse(context, values, reached, out)


def synthesise(context: Context, modes: np.ndarray, reached: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Grids of modes, Σ_n modes(n) e^{+2πi n·node/nodes} over all modes: (B, C, *modes) to (B, C, *layout.padded).

    Parameters
    ----------
    context : Context
        Sizes, threads, memory.
    modes : complex array
        The stored half.
    reached : (B, ·, ·) bool
        As for ``analyse``: other rows need not be written.
    out : real array
        Written, but for the padding.
    """
    return context.loops(__package__).synthesise(context, modes, reached, out)


def gives_powers(context: Context) -> bool:
    """Whether ``through`` can tell the squares of the modes, which it need not write down.

    Parameters
    ----------
    context : Context
        Sizes.
    """
    return context.ranks is None and context.loops(__package__).multiplies_planes(context.grid)


def through(
    context: Context,
    values: np.ndarray,
    reached: tuple[np.ndarray, np.ndarray],
    table: MultiplierTable,
    products: Sequence[ModeProduct],
    out: np.ndarray,
    powers: np.ndarray | None = None,
) -> np.ndarray:
    """Grids to grids: transformed, multiplied and transformed back; the modes are not returned.

    Parameters
    ----------
    context : Context
        Sizes, threads, memory.
    values : real array
        As for ``analyse``; there may be channels that no product reads.
    reached : two (B, ·, ·) bool arrays
        As for ``analyse``, and as for ``synthesise``.
    table : MultiplierTable
        φ̂.
    products : sequence of ModeProduct
        Which channels of ``values`` are multiplied into which channels of ``out``.
    out : real array
        As for ``synthesise``; may have the memory of ``values``.
    powers : (B, *modes) real array, optional
        Written: the squares of the modes before they are multiplied, all channels together. Only where
        ``gives_powers``, and with one multiplier for all channels.
    """
    grid, loops = context.grid, context.loops(__package__)
    if gives_powers(context):  # several ranks have to see the modes
        return loops.through_planes(context, values, reached, table, products, out, powers)
    modes = analyse(context, values, reached[0], values.shape[1] * grid.interleaved(values.shape))
    modes = context.over_ranks(modes)
    return synthesise(context, multiply(context, modes, table, products), reached[1], out)
