"""How points of snapshots are drawn, and what they cost beside their forces."""

from __future__ import annotations

import time

import numpy as np
import pytest

from figures.experiments.points import stratified, uniform
from figures.experiments.tasks import System
from lrc_numba.geometry.cell import minimum_image
from lrc_numba.nbody import PairPotential


@pytest.mark.parametrize("cells", [(40,), (4, 4), (2, 2, 3)])
def test_points(cells):
    """A few in every cell, or anywhere; none too close, images included."""
    rng, delta, box = np.random.default_rng(0), 0.05, np.array(cells, dtype=float)
    drawn = stratified(3, cells, 2, 1.0, delta, rng), uniform(3, 2 * int(np.prod(cells)), tuple(box), delta, rng)
    for points in drawn:
        apart = np.linalg.norm(minimum_image(points[:, :, None] - points[:, None], box), axis=-1)
        assert points.shape == (3, 2 * np.prod(cells), len(cells))
        assert (apart[:, *np.triu_indices(points.shape[1], 1)] >= delta).all()
        assert ((points >= 0) & (points < box)).all()
    _, counts = np.unique(np.floor(drawn[0][0]), axis=0, return_counts=True)
    assert (counts == 2).all()
    _, counts = np.unique(np.floor(drawn[1][0]), axis=0, return_counts=True)
    assert counts.max() > 2


def test_gaps_of_uniform_points():
    """On a ring of N points with a smallest distance δ the mean gap is L/N, and gaps less δ are nearly exponential.

    The share of them above twice their mean is (1 − 2/N)^(N−1), e⁻² but for some 1/N, to a few standard deviations.
    """
    length, count, delta = 100.0, 200, 0.1
    points = uniform(50, count, (length,), delta, np.random.default_rng(1))[..., 0]
    gaps = np.concatenate([np.diff(points, axis=1), points[:, :1] + length - points[:, -1:]], axis=1).ravel()
    assert gaps.mean() == pytest.approx(length / count, rel=1e-12)
    share = (gaps - delta > 2 * (length / count - delta)).mean()
    assert share == pytest.approx(np.exp(-2), abs=5 * np.sqrt(np.exp(-2) / gaps.size) + 1 / count)


def test_forces_of_many_points():
    """450 points in two dimensions against term by term sums over all images, to rounding."""
    system = System("screened_coulomb", (15, 15), (10.0, 1.0), (0.5, 0.5))
    data = system.draw(2, "stratified", 3)
    points = data.positions[:450]
    potential = PairPotential(system.kind, system.box, system.mu, system.alpha)
    for i in (0, 123):
        _, slopes = potential.pair(points[i] - np.delete(points, i, axis=0))
        scale = np.abs(slopes).sum()
        np.testing.assert_allclose(data.forces[i], -slopes.sum(axis=0), atol=1e-12 * scale)


def test_points_cost_less_than_their_forces():
    """Forces of 450 points take some 15 ms; to draw them took 60 ms when all pairs were looked at, and takes 2."""
    seconds = []
    for draw in (
        lambda: stratified(32, (15, 15), 2, 1.0, 0.05, np.random.default_rng(0)),
        lambda: System("screened_coulomb", (15, 15), (10.0, 1.0), (0.5, 0.5)).draw(32, "stratified", 0),
    ):
        draw()  # compiled now
        start = time.process_time()
        draw()
        seconds.append(time.process_time() - start)
    assert seconds[0] < 0.5 * seconds[1]
