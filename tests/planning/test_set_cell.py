"""A plan in another cell: bit for bit what a new plan gives, and cheap."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

from lrc_numba import Gaussian, LRCPlan, WindowShape, Yukawa

KERNEL = Gaussian(0.3)
CELLS = {
    1: [3.0, [2.2]],
    2: [[2.0, 3.0], [[2.2, 0.3], [-0.4, 2.7]]],
    3: [[2.0, 3.0, 2.5], [[2.2, 0.3, 0.1], [-0.4, 2.7, 0.0], [0.2, 0.1, -2.4]]],
}
OPTIONS = [
    {"eps": 1e-5},
    {"eps": 1e-5, "gradient": "spectral"},
    {"window": WindowShape("bspline", 4), "nodes": 15},
    {"window": "gaussian_paper", "eps": 0.5},
    {"eps": 1e-5, "dtype": np.float32},
]


def results(plan: LRCPlan, dtype=np.float64) -> list[np.ndarray]:
    """All that a plan computes."""
    count = plan.n_points
    f, g = np.random.default_rng(1).standard_normal((2, count)).astype(dtype)
    dx = np.random.default_rng(2).standard_normal((count, plan.grid.dim)).astype(dtype)
    back = plan.vjp(f, KERNEL, g, wrt=("points", "values", "parameters", "cell"))
    energy = plan.energy(f, KERNEL, wrt=("points", "cell"))
    arrays = [back.output, back.points, back.values, back.cell, *back.parameters.values(), energy.points, energy.cell]
    return [*arrays, plan.convolve(f, KERNEL, exclude_self=True), plan.jvp(f, KERNEL, dx, g)]


def check(dim: int, count: int, options: dict, modes=9) -> None:
    """There and back, with and without points in the same call."""
    first, second = CELLS[dim]
    dtype = options.get("dtype", np.float64)
    points = (np.random.default_rng(0).random((count, dim)) * 9 - 3).astype(dtype)

    def new(box) -> list[np.ndarray]:
        return results(LRCPlan(box, modes, dim=dim, threads=1, **options).set_points(points), dtype)

    plan = LRCPlan(first, modes, dim=dim, threads=1, **options).set_points(points)
    shape = plan.window_shape if options.get("window") != "gaussian_paper" else None
    before, nodes = results(plan, dtype), plan.grid.n
    assert plan.set_cell(second) is plan
    assert plan.n_points == 0
    with pytest.raises(ValueError, match="points: none are set"):
        plan.convolve(np.ones(count, dtype), KERNEL)
    for found, wanted in zip(results(plan.set_points(points), dtype), new(second), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert plan.grid.n == nodes
    assert shape is None or plan.window_shape == shape
    for found, wanted in zip(results(plan.set_cell(first, points), dtype), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "options", [*OPTIONS[:2], *(pytest.param(each, marks=pytest.mark.slow) for each in OPTIONS[2:])], ids=str
)
def test_bits_of_a_new_plan(options):
    """Of every kind of window and of gradient."""
    check(1, 14, options)


@pytest.mark.parametrize(
    ("dim", "options"),
    [(2, OPTIONS[0]), *(pytest.param(d, o, marks=pytest.mark.slow) for d in (2, 3) for o in OPTIONS[:3])],
    ids=str,
)
def test_bits_on_lattices(dim, options):
    """Sorted points, boxes and skewed lattices."""
    check(dim, 40, options, modes=7)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 3])
def test_bits_on_many_tiles(dim):
    """Points that are sorted by tile."""
    check(dim, 500, OPTIONS[0], modes=101 if dim == 2 else 25)


def test_back_ends(backend):
    """Tables of the old cell are left behind on every back end."""
    points, f = np.random.default_rng(0).random((6, 1)), np.random.default_rng(1).standard_normal(6)
    options = {"window": WindowShape("bspline", 3), "nodes": 15, "backend": backend, "dim": 1}
    plan = LRCPlan(1.0, 7, **options).set_points(points)
    plan.vjp(f, KERNEL, f)
    found = plan.set_cell(1.7, points).vjp(f, KERNEL, f)
    wanted = LRCPlan(1.7, 7, **options).set_points(points).vjp(f, KERNEL, f)
    for name in ("output", "points", "values"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_multipliers_are_tabulated_anew():
    """The same object in the same state: φ̂ of other wavevectors."""
    points, kernel = np.random.default_rng(0).random((8, 1)), Yukawa(1.0, 2.0)
    plan = LRCPlan(1.0, 7, dim=1, threads=1).set_points(points)
    old = plan.convolve(None, kernel)
    new = plan.set_cell(1.5, points).convolve(None, kernel)
    np.testing.assert_array_equal(new, LRCPlan(1.5, 7, dim=1, threads=1).set_points(points).convolve(None, kernel))
    assert not np.array_equal(new, old)


def test_before_there_are_points():
    """The dimension may still be unknown; copies have the cell that they were made with."""
    points = np.random.default_rng(0).random((8, 1))
    wanted = LRCPlan(1.5, 7, threads=1).set_points(points).convolve(None, KERNEL)
    plan = LRCPlan(1.0, 7, threads=1).set_cell(1.5).set_points(points)
    np.testing.assert_array_equal(plan.convolve(None, KERNEL), wanted)
    copies = copy.copy(plan), pickle.loads(pickle.dumps(plan))
    plan.set_cell(2.0, points)
    for same in copies:
        np.testing.assert_array_equal(same.convolve(None, KERNEL), wanted)
    assert "2.0" in repr(plan)


def test_targets_come_along():
    """With the points, as for ``set_points``."""
    points, targets = np.random.default_rng(0).random((8, 1)), np.random.default_rng(1).random((5, 1))
    plan = LRCPlan(1.0, 7, threads=1).set_points(points, targets)
    wanted = LRCPlan(1.5, 7, threads=1).set_points(points, targets).convolve(None, KERNEL)
    np.testing.assert_array_equal(plan.set_cell(1.5, points, targets).convolve(None, KERNEL), wanted)


ERRORS = [
    ((0.0,), ValueError, "box: expected positive lengths"),
    (([1.0, 2.0],), ValueError, "box: expected a scalar, shape"),
    (("a",), TypeError, "box: expected real numbers"),
    (([[0.0]],), ValueError, "box: the lattice vectors are linearly dependent"),
    ((2.0, np.zeros((3, 2))), ValueError, "points: expected shape"),
    ((2.0, np.full((3, 1), np.nan)), ValueError, "points: expected finite"),
    ((2.0, np.full((3, 1), 1e300)), ValueError, "points: expected coordinates below"),
    ((2.0, None, np.zeros((3, 1))), ValueError, "targets: expected points with them"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ERRORS)
def test_errors_change_nothing(arguments, error, message):
    """The old cell and the old points stay."""
    points = np.random.default_rng(0).random((8, 1))
    plan = LRCPlan(1.0, 7, dim=1, threads=1).set_points(points)
    wanted, text = plan.convolve(None, KERNEL), repr(plan)
    with pytest.raises(error, match=message):
        plan.set_cell(*arguments)
    np.testing.assert_array_equal(plan.convolve(None, KERNEL), wanted)
    assert repr(plan) == text
    np.testing.assert_array_equal(plan.set_points(points).convolve(None, KERNEL), wanted)


def test_cost():
    """No grid and no table of the modes is made by the call itself: a few thousand bytes for 64³ nodes."""
    plan = LRCPlan([3.0] * 3, 31, nodes=64, threads=1)
    assert plan.grid.tables.corrections[0].size == 31
    plan.set_cell(2.9)
    tracemalloc.start()
    plan.set_cell([[3.1, 0.1, 0.0], [0.0, 3.0, 0.2], [0.1, 0.0, 2.8]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**16  # one number for each of the 15,376 modes would be twice that
