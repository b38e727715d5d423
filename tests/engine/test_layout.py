"""Sizes of grids: every window stays inside its padding, and rows are spread over the sets of a cache."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lrc_numba.engine.grid import Grid
from lrc_numba.engine.grid.cache_layout import spread_out, unevenness
from lrc_numba.engine.window.choose import MAX_WIDTH, Window
from lrc_numba.geometry.cell import Cell
from lrc_numba.machine.cpu.lanes import vector_lanes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_every_window_stays_inside_the_padding(dim, dtype, monkeypatch):
    """For every width: stores end inside the padded grid, tiles reach to the next ones only, scratch holds a tile."""
    for width in range(2, MAX_WIDTH + 1):
        fake = Window("kaiser_bessel", width, (1.0, 1.0), np.zeros((4, width)))
        monkeypatch.setattr("lrc_numba.engine.grid.grid.choose_window", lambda *_, window=fake: window)
        for modes in (1, 2, 3, 5, 9, 16, 31, 63):
            grid = Grid(Cell(1.0, dim), (modes,) * dim, 1e-6, "kaiser_bessel", np.dtype(dtype), 1000)
            reach = [*grid.support[:2], vector_lanes(width)]
            for axis in range(3):
                assert grid.nodes[axis] - 1 + reach[axis] <= grid.layout.padded[axis]
                assert min(grid.layout.tile[axis], grid.nodes[axis]) + reach[axis] - 1 <= grid.layout.block[axis]
            for axis in range(3 - dim, 3):
                assert grid.layout.tiles[axis] == 1 or reach[axis] - 1 <= grid.layout.tile[axis]
            # Rows are read and written by eights in the transforms.
            assert -(-grid.nodes[2] // 8) * 8 <= grid.layout.padded[2]


def _loads(plane, row, width, length):
    """How many lines of each set of a cache hold what is under a window, over all places where one may begin."""
    loads = [0] * 64
    for start, a, b in product(range(0, 64, 8), range(width), range(width)):
        begin = start + a * plane + b * row
        for line in {byte // 64 for byte in range(begin, begin + length)}:
            loads[line % 64] += 1
    return loads


@pytest.mark.parametrize("sizes", [(40960, 640, 5, 64), (43520, 640, 5, 64), (67584, 768, 7, 64), (58240, 832, 11, 96)])
def test_unevenness_is_that_of_lines_counted_one_by_one(sizes):
    loads = np.array(_loads(*sizes))
    assert unevenness(*sizes, 64) == pytest.approx((loads**2).mean() / loads.mean() ** 2 - 1)


@pytest.mark.parametrize(("rows", "last", "width"), [(64, 80, 5), (95, 112, 6), (86, 96, 7), (87, 96, 8)])
def test_what_lies_under_a_window_goes_to_all_sets_of_a_cache(rows, last, width):
    """Planes of whole pages, as 64 rows of 80 numbers are, would send all of them to the same few."""
    more, longer = spread_out(rows, last, width, 64, 64, 8)
    assert rows <= more < rows + 5
    assert longer in (last, last + 8)
    chosen, least = (unevenness(8 * m * n, 8 * n, width, 64, 64) for m, n in ((more, longer), (rows, last)))
    assert chosen < 0.2 * least  # 0 to 0.15: so few lines are never quite even
    assert spread_out(rows, last, width, 64, 1, 8) == (rows, last)


def test_grids_are_padded_for_the_cache():
    grid = Grid(Cell(1.0, 3), (31,) * 3, 4.6e-3, "kaiser_bessel", np.dtype(np.float64), 100_000)
    second, last = grid.nodes[1] + grid.support[1] - 1, grid.layout.padded[2]
    width = grid.window.width
    chosen, least = (unevenness(8 * rows * last, 8 * last, width, 64, 64) for rows in (grid.layout.padded[1], second))
    assert chosen < 0.2 * least  # 0.13
