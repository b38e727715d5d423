"""The stages of a plan one by one, against the whole."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative, rounding

from lrc_numba import LRCPlan
from lrc_numba.electrostatics.mesh_functions import apply_filter, mesh_to_points, points_to_mesh
from lrc_numba.multipliers import Table
from lrc_numba.plan import Mesh, WindowShape

CELLS = {1: np.array([[1.3]]), 2: np.array([[1.0, 0.0], [0.4, 1.2]])}


def drawn(dim: int, batch: tuple[int, ...] = (), seed: int = 0):
    """Points, values of two channels, and a complex multiplier that mixes them into three."""
    rng = np.random.default_rng(seed)
    modes = (9,) * dim
    shape = (3, 2, *(9,) * (dim - 1), 5)
    table = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    points = rng.normal(size=(*batch, 15, dim))
    return points, rng.normal(size=(*batch, 15, 2)), modes, Table(table, dim)


@pytest.mark.parametrize("dim", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_three_stages_are_a_convolution(dim, batch):
    """To rounding, with channels that mix, for snapshots, and with targets."""
    points, values, modes, multiplier = drawn(dim, batch)
    targets = points[..., :4, :] + 0.1
    for where in (None, targets):
        plan = LRCPlan(CELLS[dim], modes, eps=1e-5).set_points(points, where)
        wanted = plan.convolve(values, multiplier)
        mesh = plan.spread(values)
        assert mesh.values.shape == (*batch, 2, *plan.grid.n)
        found = plan.interpolate(plan.filter(mesh, multiplier))
        assert relative(found, wanted) < rounding(plan.grid.mode_set.size)


def test_points_that_reach_a_part_of_the_mesh():
    """In three dimensions rows that no point reaches are zero, whatever was there before."""
    rng = np.random.default_rng(1)
    points, values = 0.05 * rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    multiplier = Table(rng.normal(size=(33, 33, 17)), 3)
    plan = LRCPlan(1.0, (33, 33, 33), eps=1e-5).set_points(rng.uniform(size=(20, 3)))
    plan.convolve(values, multiplier)
    plan.set_points(points)
    wanted = plan.convolve(values, multiplier)
    mesh = plan.spread(values)
    assert np.count_nonzero(mesh.values) < mesh.values.size / 2
    assert relative(plan.interpolate(plan.filter(mesh, multiplier)), wanted) < rounding(33**3)


def test_functions_of_meshes():
    """Charges on a mesh of B-splines add up to those of the points; three functions make a convolution."""
    points, values, modes, multiplier = drawn(2)
    window = WindowShape("bspline", 4)
    mesh = points_to_mesh(points, values, CELLS[2], 12, window, modes)
    assert relative(mesh.values.sum(axis=(1, 2)), values.sum(axis=0)) < 1e-13  # rounding of sums of 15 · 16 terms
    plan = LRCPlan(CELLS[2], modes, nodes=(12, 12), window=window).set_points(points)
    found = mesh_to_points(apply_filter(mesh, multiplier), points)
    assert relative(found, plan.convolve(values, multiplier)) < rounding(144)
    assert points_to_mesh(points, values, CELLS[2], (10, 11)).plan.grid.mode_set.shape == (9, 6)


def test_bad_meshes():
    """Errors name the argument."""
    points, values, modes, multiplier = drawn(1)
    plan = LRCPlan(1.3, modes, dim=1)
    with pytest.raises(ValueError, match="set_points"):
        plan.spread(values)
    plan.set_points(points)
    mesh = plan.spread(values)
    with pytest.raises(ValueError, match="mesh: expected one from filter"):
        plan.interpolate(mesh)
    with pytest.raises(ValueError, match="mesh: expected one from spread"):
        plan.filter(plan.filter(mesh, multiplier), multiplier)
    with pytest.raises(TypeError, match="mesh: expected a Mesh"):
        plan.filter(mesh.values, multiplier)
    with pytest.raises(TypeError, match="multiplier"):
        plan.filter(mesh, 3.0)
    with pytest.raises(ValueError, match="mesh: expected shape"):
        plan.filter(Mesh(mesh.values[:, :-1], mesh.mean), multiplier)
    with pytest.raises(ValueError, match="snapshots"):
        plan.interpolate(Mesh(np.stack([mesh.values] * 2), np.stack([mesh.mean] * 2), filtered=True))
    with pytest.raises(TypeError, match="values"):
        plan.spread(values * 1j)


@pytest.mark.parametrize(
    ("nodes", "error", "words"),
    [
        ("a", TypeError, "nodes: expected an int or 3 ints, got 'a'"),
        ([3, 4], ValueError, "nodes: expected an int or 3 ints .* got"),
        (2.5, TypeError, "nodes: expected an int or 3 ints, got 2.5"),
        (0, ValueError, "nodes: expected at least one node per axis"),
        ([[8, 8, 8]], TypeError, "nodes: expected an int or 3 ints"),
        (None, TypeError, "nodes: expected an int or 3 ints"),
    ],
)
def test_bad_nodes(nodes, error, words):
    """Words, fractions and too few of them are refused by name."""
    with pytest.raises(error, match=words):
        points_to_mesh(np.random.default_rng(0).random((5, 3)), np.ones(5), 2.0, nodes)
