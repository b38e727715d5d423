"""How a full-range network begins: no mean in u, and a g that passes it on."""

from __future__ import annotations

import numpy as np
import pytest

from lrc_numba.nbody import sample_points
from lrc_numba.networks import FullRangeNetwork

BOX, CUTOFF, MODES = 4.0, 1.5, 9


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lam", [(1.3,), (0.4, 4.0), (0.4, 1.0, 4.0)])
def test_no_draw_of_g_is_dead(seed, lam):
    """Its outputs start with a spread of 1, and more than one channel moves them."""
    points = sample_points(20, (4, 4), 1, BOX / 4, 0.1, np.random.default_rng(7))
    network = FullRangeNetwork(BOX, CUTOFF, MODES, lam=lam, seed=seed, dim=2)
    network.set_scales(points)
    inputs = network._features(points).reshape(-1, len(lam))
    outputs = network._centred(inputs)
    assert np.sqrt((outputs**2).mean()) == pytest.approx(1.0)
    assert np.linalg.svd(outputs, compute_uv=False)[min(len(lam), 2) - 1] > 0.01 * np.linalg.norm(outputs)


def test_means_of_u_do_not_move():
    """The mode k = 0 is left out, so u has no mean over the box, whatever λ."""
    network = FullRangeNetwork(BOX, CUTOFF, MODES, lam=(0.01, 4.0), dim=1)
    places = np.linspace(0, BOX, 64, endpoint=False)[None, :, None]  # as good as every place
    found = network.plan.set_points(places).convolve(None, network.multiplier)
    assert np.abs(found).max() < 1e-6
