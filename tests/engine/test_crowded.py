"""Crowded tiles: many points on the same nodes, sorted once more and spread together."""

import numpy as np
import pytest
from measures import relative, rounding
from prepared import sorted_points

from lrc_numba import Gaussian, LRCPlan, direct
from lrc_numba.engine.context import Context
from lrc_numba.engine.points import SortedPoints
from lrc_numba.engine.points import cpu as point_loops
from lrc_numba.engine.points import stage as sorting
from lrc_numba.engine.points.indexing import START, STOP
from lrc_numba.engine.spreading import stage as spreading
from lrc_numba.machine.workspace import Workspace

MODES, COUNT, KERNEL = 21, 9000, Gaussian(0.1)


def _cluster(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Most points within a few cells, some within a few tiles across the corner of the box; two values each."""
    generator = np.random.default_rng(seed)
    points = 0.1 * generator.standard_normal((COUNT, 3))
    points[1000:] = 0.3 + 0.01 * generator.random((COUNT - 1000, 3))
    return generator.permutation(points), generator.standard_normal((COUNT, 2))


def _spread(plan: LRCPlan, points: SortedPoints, values: np.ndarray) -> np.ndarray:
    """Values on the grid, which is not cleared where no point reaches."""
    context = Context(plan.grid, plan.threads, Workspace())
    ordered = points.gather(context, values)
    out = np.zeros((points.batch[0], values.shape[1], *plan.grid.layout.padded))
    return spreading.spread(context, points, ordered, out)


@pytest.mark.parametrize(
    "eps", [pytest.param(1e-2, marks=pytest.mark.slow), 1e-5, pytest.param(1e-9, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("box", [1.0, [[1.0, 0.0, 0.0], [0.3, 0.9, 0.0], [-0.2, 0.1, 1.1]]])
@pytest.mark.parametrize("batch", [1, 3])
def test_crowds_change_nothing(eps, box, batch, monkeypatch):
    """On the grid there is the same with and without the loops for crowds, and on any number of threads."""
    for name in ("SMALLEST_PART", "SMALLEST_SHARE"):
        monkeypatch.setattr(sorting, name, 100)
    monkeypatch.setattr(spreading, "SMALLEST_SHARE", 100)
    points, values = (np.concatenate([some] * batch) for some in _cluster(0))
    points += 0.01 * np.repeat(np.arange(batch), COUNT)[:, None]
    options = {"eps": eps, "dim": 3}
    points = points.reshape(batch, -1, 3)
    plans = [LRCPlan(box, MODES, threads=n, **options).set_points(points) for n in (1, 3)]
    crowds = [sorted_points(plan.grid, points, plan.threads) for plan in plans]
    assert crowds[0].crowded
    assert len(crowds[0].split) > 1
    assert len(crowds[0].whole) > 1
    assert len(crowds[1].share(Context(plans[1].grid, 3, Workspace()), crowds[1].split, 10)) > 2
    found = [_spread(plan, crowd, values) for plan, crowd in zip(plans, crowds, strict=True)]
    np.testing.assert_array_equal(*found)
    columns = values.reshape(batch, -1, 2)
    derivatives = [(p.vjp(columns, KERNEL, columns).points, p.jvp(columns, KERNEL, points)) for p in plans]
    for one, other in zip(*derivatives, strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(point_loops, "crowded", None)
    plain = sorted_points(plans[0].grid, points)
    assert not plain.crowded
    assert relative(found[0], _spread(plans[0], plain, values)) <= rounding(COUNT)


@pytest.mark.slow
@pytest.mark.parametrize("eps", [1e-3, pytest.param(1e-7, marks=pytest.mark.slow)])
def test_derivatives_of_crowds(eps):
    """The gradient is the transpose of the tangent."""
    points, values = _cluster(1)
    plan = LRCPlan(1.0, MODES, eps=eps, dim=3).set_points(points)
    assert len(sorted_points(plan.grid, points).split)
    cotangent, tangent = np.random.default_rng(2).standard_normal((2, COUNT, 3))
    cotangent = cotangent[:, :2]
    gradient = plan.vjp(values, KERNEL, cotangent).points
    forward = plan.jvp(values, KERNEL, tangent)
    # Relative to the terms of the sums, which cancel; either goes through the chain twice.
    size = np.linalg.norm(gradient) * np.linalg.norm(tangent)
    assert abs((forward * cotangent).sum() - (gradient * tangent).sum()) <= 2 * rounding(COUNT) * size


def test_crowds_are_sorted():
    """Every point has a place of its own, where its coordinates are, and what shares nodes comes together."""
    points, _ = _cluster(1)
    plan = LRCPlan(1.0, MODES, dim=3).set_points(points)
    grid = plan.grid
    crowd = sorted_points(grid, points)
    order = np.argsort(crowd.sorted_position)
    np.testing.assert_array_equal(crowd.sorted_position[order], np.arange(COUNT))
    shifted = points[order] * grid.n + grid.shift
    np.testing.assert_allclose(crowd.coordinates, shifted % grid.n, atol=1e-9)
    for begin, end in crowd.split[:, [START, STOP]].tolist():
        nodes = np.floor(crowd.coordinates[begin:end]).astype(int)
        keys = np.ravel_multi_index(tuple(nodes.T), grid.nodes)
        assert (np.diff(keys) >= 0).all()
        assert len(np.unique(keys)) < (end - begin) / 2


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "eps"), [(np.float64, 1e-3), (np.float64, 1e-8), (np.float32, 1e-4)])
def test_crowds_keep_eps(dtype, eps):
    """Against the direct sum over modes."""
    points, values = _cluster(2)
    plan = LRCPlan(1.0, MODES, eps=eps, dim=3, dtype=dtype).set_points(points.astype(dtype))
    assert len(sorted_points(plan.grid, points.astype(dtype)).split)
    found = plan.convolve(values.astype(dtype), KERNEL)
    wanted = direct.convolve(points.astype(dtype).astype(float), values, KERNEL, box=1.0, modes=MODES)
    assert relative(found, wanted) <= eps


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "eps"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_long_sums_of_equal_terms(dtype, eps):
    """Hundreds of thousands of equal values at one place, whose roundings all go one way: eps holds."""
    place, value = np.full((1, 3), 0.3137, dtype), np.full(600_000, 0.1, dtype)
    plan = LRCPlan(1.0, 31, eps=eps, dim=3, dtype=dtype).set_points(np.repeat(place, len(value), axis=0))
    one = direct.convolve(place.astype(float), value[:1].astype(float), KERNEL, box=1.0, modes=31)
    assert relative(plan.convolve(value, KERNEL)[:1] / len(value), one) <= eps
