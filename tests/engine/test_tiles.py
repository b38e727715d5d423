"""Tiles shared out to threads: no race, about the same work for each, rows that no point reaches left out."""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np
import pytest

from lrc_numba import Gaussian, LRCPlan
from lrc_numba.engine.grid import grid
from lrc_numba.engine.operator import Operator
from lrc_numba.engine.points import cpu_schedule as schedule
from lrc_numba.machine.cpu import arrays

MIXED = {"seams": (schedule, "MANY_SLABS", 0), "parities": (schedule, "MANY_SHARES", 0)}


@pytest.mark.parametrize("way", MIXED)
@pytest.mark.parametrize(("dim", "modes"), [(1, 15001), (2, 161), (3, 41)])
def test_threads_change_nothing_on_many_tiles(dim, modes, way, monkeypatch):
    """Crowded tiles beside others, several snapshots, tiles in every dimension, both ways to share slabs out."""
    monkeypatch.setattr(arrays, "ONE_TILE", dict.fromkeys((1, 2, 3), 0))
    monkeypatch.setattr(*MIXED[way])
    monkeypatch.setattr("lrc_numba.engine.spreading.stage.SMALLEST_SHARE", 10)
    monkeypatch.setattr("lrc_numba.engine.points.stage.SMALLEST_SHARE", 10)
    for name in ("SMALLEST_CLEAR", "SMALLEST_MERGE"):
        monkeypatch.setattr(f"lrc_numba.engine.spreading.stage.{name}", 10)
    generator = np.random.default_rng(dim)
    # Three snapshots, so that parts of the counting sort begin inside one.
    points = generator.random((3, 9000, dim))
    points[:, :4000] = 0.45 + 0.02 * generator.standard_normal((3, 4000, dim))
    values = generator.standard_normal((3, 9000))
    results = []
    for threads in (1, 2, 3, 7):
        plan = LRCPlan(1.0, modes, dim=dim, eps=1e-4, threads=threads).set_points(points)
        assert prod(plan.grid.layout.tiles) > 1
        results.append((plan.convolve(values, Gaussian(0.05)), plan.vjp(values, Gaussian(0.05), values).points))
    for found in results[1:]:
        for one, other in zip(found, results[0], strict=True):
            np.testing.assert_array_equal(one, other)


def test_crowded_tiles_are_shared_out():
    """A cluster across several slabs: each thread gets about half of the points."""
    generator = np.random.default_rng(0)
    points = 0.5 + 0.1 * generator.standard_normal((200_000, 3))
    plan = LRCPlan(1.0, 41, eps=1e-3, dim=3, threads=2)
    operator = Operator(plan.grid, threads=2, spectral=False)
    sources = operator.sort("points", points, 1)
    heavy, bounds = sources.split, sources.share(operator.context, sources.split, 100)
    sizes = [int((heavy[lo:hi, 1] - heavy[lo:hi, 0]).sum()) for lo, hi in pairwise(bounds)]
    assert len(sizes) == 2
    assert max(sizes) <= 0.55 * sum(sizes)


@pytest.mark.parametrize(("batch", "count", "modes"), [(8, 20000, 33), (64, 4200, 15)])
def test_crowded_snapshots_do_not_race(batch, count, modes):
    """Crowded tiles of many snapshots, again and again on two threads: always the bits of one thread."""
    points = np.random.default_rng(0).random((batch, count, 1))
    plans = [LRCPlan(1.0, modes, dim=1, threads=threads).set_points(points) for threads in (1, 2)]
    wanted = plans[0].convolve(None, Gaussian(0.1))
    for _ in range(60):
        np.testing.assert_array_equal(plans[1].convolve(None, Gaussian(0.1)), wanted)


SIZES = [
    *(pytest.param(*size, marks=pytest.mark.slow) for size in ((2, 201, 1), (2, (300, 260), 3))),
    *((3, 41, 2), (3, (21, 60, 30), 1)),
]


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
@pytest.mark.parametrize("gradient", ["exact", "spectral"])
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(("dim", "modes", "batch"), SIZES)
def test_rows_without_points_are_left_out(dim, modes, batch, apart, gradient, dtype, monkeypatch):
    """Points in one corner, across the edges of the cell: whatever is in the rows that they do not reach, and with all
    rows taken to be reached, there are the same bits."""
    monkeypatch.setattr(grid, "FEW", 0)  # else these grids may be one tile
    generator, kernel = np.random.default_rng(dim), Gaussian(0.1)
    points, targets = (0.02 * generator.standard_normal((batch, n, dim)) + at for n, at in ((50, 0.99), (30, 0.4)))
    points[-1] += 0.5  # snapshots reach other rows
    points, targets, values = (some.astype(dtype) for some in (points, targets, generator.random((batch, 50, 2))))
    tangents = [generator.random(some.shape).astype(dtype) for some in (points, targets)]
    cotangent = generator.random((*(targets if apart else points).shape[:2], 2)).astype(dtype)

    def everything(plan: LRCPlan) -> list[np.ndarray]:
        plan.set_points(points, targets if apart else None)
        if plan.threads == 1:
            for found in (plan._points.sources, plan._points.targets):
                found.reached.fill(True)
        else:
            assert 0 < plan._points.sources.reached.mean() < 0.6
            for name, room in plan._operator.space._arrays.items():
                if room.dtype.kind in "fc" and "coordinates" not in name:
                    room.fill(np.nan)
        back = plan.vjp(values, kernel, cotangent)
        moved = plan.jvp(values, kernel, tangents[0], values, dtargets=tangents[1] if apart else None)
        return [back.output, back.points, back.values, moved, *([back.targets] if apart else [])]

    plans = [LRCPlan(1.0, modes, eps=1e-3, dim=dim, dtype=dtype, threads=n, gradient=gradient) for n in (1, 2)]
    for plan in plans:
        everything(plan)  # the workspace is as large as it gets
    for one, other in zip(*(everything(plan) for plan in plans), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)
