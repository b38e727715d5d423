"""The window and its slope in registers, shared by spreading and interpolation."""

from __future__ import annotations

from numba import njit

from . import simd
from .parallel import COMPILE


@njit(forceinline=True, **COMPILE)
def window(table, lanes, offset, support):
    """Weights of the nodes under the window, by Horner's rule in the point's offset τ ∈ [−1, 1) in its grid cell."""
    weights = simd.load(table, 0, support)
    for row in range(lanes, len(table), lanes):
        weights = offset * weights + simd.load(table, row, support)
    return weights


@njit(forceinline=True, **COMPILE)
def locate(coordinate, dtype_like):
    """First node and offset τ of a grid coordinate, τ in the dtype of ``dtype_like``."""
    node = int(coordinate)
    return node, dtype_like.dtype.type(2.0 * (coordinate - node) - 1.0)
