"""Networks that an earlier version saved, before they were composed of parts: they load, and say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, ShortRangeNetwork

STORED = Path(__file__).parent / "stored"
SAME = 1e-12  # relative; only the order of additions may differ
SIZES = {ShortRangeNetwork: (8881, 8883, 8885), FullRangeNetwork: (10655, 10657, 10659)}


@pytest.mark.parametrize("kind", [ShortRangeNetwork, FullRangeNetwork])
def test_the_numbers_of_before(kind):
    """Energies, forces, the loss, and its gradient along eight directions."""
    values = np.load(STORED / f"{kind.kind}-values.npz")
    for loader in (kind, EnergyNetwork):
        network = loader.load(STORED / f"{kind.kind}.npz")
        assert type(network) is kind
        energy, force = network.energy_forces(values["points"])
        loss, gradient = network.loss_gradient(values["points"], values["forces"], values["energies"], 0.3)
        directions = np.random.default_rng(0).standard_normal((8, gradient.size))
        np.testing.assert_allclose(energy, values["energy"], rtol=SAME)
        np.testing.assert_allclose(
            network.potential(values["points"]), values["potential"], rtol=0, atol=SAME * np.abs(energy).max()
        )
        np.testing.assert_allclose(force, values["force"], rtol=0, atol=SAME * np.abs(force).max())
        assert loss == pytest.approx(float(values["loss"]), rel=SAME)
        # A sum of 10⁴ products of size one rounds to some hundred units.
        scale = float(values["gradient_norm"])
        np.testing.assert_allclose(directions @ gradient, values["gradient"], rtol=0, atol=10 * SAME * scale)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kind", [ShortRangeNetwork, FullRangeNetwork])
def test_numbers_of_parameters(kind, dim):
    """Those of the paper, with two channels of the long range."""
    network = kind(5.0, 1.5, *[9] * (kind is FullRangeNetwork), dim=dim)
    assert network.parameters.flat.size == SIZES[kind][dim - 1]
