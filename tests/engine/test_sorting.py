"""The order of the points: stable, by tile and by pieces of tiles; values travel to it and back."""

import numpy as np
import pytest
from measures import relative, rounding
from prepared import sorted_points

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.engine.context import Context
from lrc_numba.engine.grid import Grid
from lrc_numba.engine.points import SortedPoints
from lrc_numba.engine.points import stage as sorting
from lrc_numba.machine.workspace import Workspace

COUNT = 4000
KERNEL = Yukawa(1.0, 2.0)


def _plan(dim: int, modes: int, threads: int = 1, eps: float = 1e-6) -> LRCPlan:
    points = np.random.default_rng(dim).random((2, COUNT, dim))
    return LRCPlan(1.0, modes, eps=eps, dim=dim, threads=threads).set_points(points)


def _sorted(dim: int, modes: int, threads: int = 1, eps: float = 1e-6) -> tuple[Grid, SortedPoints]:
    """The grid of such a plan, and its points."""
    grid = _plan(dim, modes, threads, eps).grid
    return grid, sorted_points(grid, np.random.default_rng(dim).random((2, COUNT, dim)), threads)


def _keys(grid: Grid, points: SortedPoints, pieces: int) -> np.ndarray:
    """Snapshot, tile and piece of every sorted point."""
    nodes = np.zeros((points.count, 3), dtype=int)
    nodes[:, 3 - grid.dim :] = points.coordinates
    tiles = nodes >> np.array(grid.layout.log2_tile)
    keys = np.ravel_multi_index(tuple(tiles.T), grid.layout.tiles) + np.arange(points.count) // COUNT * np.prod(
        grid.layout.tiles
    )
    if pieces == 1:
        return keys
    upper = (nodes << 1 >> np.array(grid.layout.log2_tile)) & 1
    return keys * 8 + upper @ np.array([4, 2, 1])


@pytest.mark.parametrize(("dim", "modes", "crowd"), [(2, 100, 10), (3, 21, 10**6), (3, 21, 0), (3, 33, 0)])
@pytest.mark.parametrize("threads", [1, 3])
def test_points_are_sorted(dim, modes, crowd, threads, monkeypatch):
    """Keys ascend, points of one key stay in the order in which they came, and each is where it says."""
    monkeypatch.setattr(sorting, "CROWD", crowd)
    monkeypatch.setattr(sorting, "SMALLEST_PART", 100)
    grid, found = _sorted(dim, modes, threads)
    order = np.argsort(found.sorted_position)
    np.testing.assert_array_equal(found.sorted_position[order], np.arange(found.count))
    keys = _keys(grid, found, 8 if crowd == 0 else 1)
    steps = np.diff(keys)
    assert (steps >= 0).all()
    assert (steps == 0).any()
    if not len(found.split):
        assert (np.diff(order)[steps == 0] > 0).all()
    points = np.random.default_rng(dim).random((2 * COUNT, dim))[order]
    expected = (points * grid.n + grid.shift) % grid.n
    np.testing.assert_allclose(found.coordinates, expected, atol=1e-9)


@pytest.mark.parametrize(("eps", "many", "pieces"), [(1e-2, 0, False), (1e-2, 1 << 13, True), (1e-8, 0, True)])
def test_narrow_windows_among_many_keys(eps, many, pieces, monkeypatch):
    """By tiles alone only where windows are narrow and keys many."""
    monkeypatch.setattr(sorting, "CROWD", 0)
    monkeypatch.setattr(sorting, "MANY_KEYS", many)
    grid, points = _sorted(3, 33, eps=eps)
    assert (grid.window.width >= sorting.WIDE) == (eps == 1e-8)
    assert (np.diff(_keys(grid, points, 1)) >= 0).all()
    assert (np.diff(_keys(grid, points, 8)) >= 0).all() == pieces


@pytest.mark.parametrize("widths", [(1, 1), (2, 3), (4, 0), (1, 1, 3)])
def test_values_travel_there_and_back(widths):
    """Arrays side by side in sorted order, split again in that of the user; any number of them, also of no columns."""
    grid, found = _sorted(3, 21)
    context, generator = Context(grid, 2, Workspace()), np.random.default_rng(0)
    arrays = [generator.standard_normal((found.count, width)) for width in widths]
    ordered = found.gather(context, *arrays)
    beside = np.concatenate(arrays, axis=1)
    np.testing.assert_array_equal(ordered[found.sorted_position], beside)
    for column in (0, 1, sum(widths)):
        one, other = found.scatter(context, sorting.SortedRows(ordered, ordered, column))
        np.testing.assert_array_equal(one, beside[:, :column])
        np.testing.assert_array_equal(other, beside[:, column:])


@pytest.mark.parametrize("modes", [21, pytest.param(33, marks=pytest.mark.slow)])
def test_pieces_change_nothing_but_rounding(modes, monkeypatch):
    """Convolution and gradient, sorted by tiles and by pieces of tiles; by pieces the same bits on 1 and 3 threads."""
    generator = np.random.default_rng(1)
    f, g = generator.standard_normal((2, 2, COUNT))
    results = []
    for crowd, threads in ((10**6, 1), (0, 1), (0, 3)):
        monkeypatch.setattr(sorting, "CROWD", crowd)
        monkeypatch.setattr(sorting, "SMALLEST_SHARE", 400)
        gradient = _plan(3, modes, threads).vjp(f, KERNEL, g, wrt=("points", "values"))
        results.append([gradient.output, gradient.points, gradient.values])
    for whole, one, three in zip(*results, strict=True):
        assert relative(one, whole) <= rounding(COUNT)
        np.testing.assert_array_equal(one, three)
        assert (one != whole).any()
