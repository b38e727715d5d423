"""What lies beyond the nodes of a grid: cleared with them, folded onto them, filled from them."""

from __future__ import annotations

import numpy as np
import pytest

from lrc_numba import LRCPlan
from lrc_numba.engine import fourier
from lrc_numba.engine.context import Context
from lrc_numba.engine.interpolation import cpu as interpolation
from lrc_numba.engine.spreading import cpu as spreading
from lrc_numba.machine.cpu import arrays
from lrc_numba.machine.workspace import Workspace

PLANS = [(2, (21, 40), 1e-3), (2, (3, 2), 1e-9), (3, (9, 20, 31), 1e-6), (3, (12, 4, 25), 1e-12)]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_are_reached_are_cleared(dtype, large):
    """And no others, in any ranges; those of a large grid past the caches."""
    rows, length, size = 40, 104, np.dtype(dtype).itemsize
    planes = 3 + large * spreading.UNCACHED // (4 * rows * length * size)
    grids = arrays.empty(4 * planes * rows * length, dtype).reshape(4, planes, rows, length)
    assert (grids.nbytes >= spreading.UNCACHED) == large
    grids.fill(1.0)
    reached = np.random.default_rng(0).random((2, planes, rows)) < 0.7
    reached[1, 1] = False
    total = 4 * planes * rows
    for lo, hi in [(0, 7), (7, 7), (7, 95), (95, total - 1), (total - 1, total)]:
        spreading.clear(0, lo, hi, grids, reached)
    left = grids.reshape(2, 2, planes, rows, length)
    np.testing.assert_array_equal(left.max(axis=-1), np.broadcast_to(~reached[:, None], left.shape[:4]))
    np.testing.assert_array_equal(left.min(axis=-1), left.max(axis=-1))


def _apart(values: np.ndarray) -> np.ndarray:
    """Two grids of one whose channels lie side by side."""
    groups = values.reshape(*values.shape[:4], -1, 2, 4)
    return np.moveaxis(groups, -2, 2).reshape(values.shape[0], -1, *values.shape[2:4], values.shape[4] // 2)


@pytest.mark.parametrize("pair", [1, 2])
@pytest.mark.parametrize(("dim", "modes", "eps"), PLANS)
def test_ends_of_rows_go_through_the_transforms(dim, modes, eps, pair):
    """Folded in and filled there, or in loops of their own: the same bits, windows longer than the grid included."""
    grid = LRCPlan(np.ones(dim), modes, eps=eps).grid
    assert grid.folds_rows
    generator, width = np.random.default_rng(dim), grid.support[2]
    shape = (2, 2, *grid.layout.padded[:2], pair * grid.layout.padded[2])
    values, reached = generator.standard_normal(shape), np.ones((2, *grid.layout.padded[:2]), dtype=bool)
    node = np.tile(np.arange(grid.layout.padded[2]).reshape(-1, 4), (1, pair)).ravel()
    values[..., node >= grid.n[-1] + width - 1] = 0.0  # no window reaches there
    folded, planes = values.reshape(-1, *shape[2:]).copy(), 4 * grid.nodes[0]
    spreading.fold_padding(0, 0, planes, folded, grid.nodes, np.zeros_like(reached), pair, True)
    np.testing.assert_array_equal(folded, values.reshape(folded.shape))  # nothing is reached
    folded[:, grid.nodes[0] :], folded[:, :, grid.nodes[1] :] = 0.0, 0.0
    spreading.fold_padding(0, 0, planes, folded, grid.nodes, reached, pair, True)
    folded[..., node >= grid.n[-1]] = 0.0
    contexts = [Context(grid, 1, Workspace()) for _ in range(2)]
    kept = fourier.analyse(contexts[0], folded.reshape(shape), reached, 2 * pair)
    found = fourier.analyse(contexts[1], values.copy(), reached, 2 * pair)
    np.testing.assert_array_equal(found, kept)

    back = fourier.synthesise(contexts[0], kept, reached, np.full(shape, np.nan))
    filled = back.reshape(folded.shape).copy()
    filled[..., node >= grid.n[-1]] = np.nan
    interpolation.fill_padding(0, 0, planes, filled, grid.nodes, reached, pair, True)
    inside = slice(grid.nodes[0]), slice(grid.nodes[1])
    one, other = (_apart(some) if pair == 2 else some for some in (back, filled.reshape(shape)))
    read = grid.n[-1] + width - 1
    np.testing.assert_array_equal(one[:, :, *inside, :read], other[:, :, *inside, :read])
    assert np.isfinite(one[:, :, *inside, :read]).all()
