"""What is made of volumes, distances and energies of water; LAMMPS is not needed for it."""

from __future__ import annotations

import numpy as np
import pytest

from figures import water
from validation.tools.spce import Box, lattice

PRESET = water.Preset(molecules=100, before=1.0, average=4.0, free=2.0)


def test_the_compressibility_of_given_fluctuations():
    """κ = ⟨δV²⟩/(k_B T ⟨V⟩): 4.6e-10 m²/N of 7700 Å³ at 300 K are fluctuations of 121 Å³; its error is 1/√(n/2)."""
    spread = np.sqrt(4.6e-10 * water.BOLTZMANN * water.KELVIN * 7.7e-27) * 1e30
    assert spread == pytest.approx(121, abs=1)
    volumes = 7700 + spread * np.random.default_rng(0).standard_normal(20_000)
    value, error = water.compressibility(volumes)
    assert value == pytest.approx(4.6, rel=0.03)
    assert error == pytest.approx(4.6 / np.sqrt(10_000), rel=0.7)  # five blocks know it to 1/√8


def test_pairs_of_an_ideal_gas():
    """Points that know nothing of each other have g(r) = 1, whatever the box; none are counted in one molecule."""
    lengths = np.array([20.0, 25.0, 30.0])
    positions = np.random.default_rng(1).random((900, 3)) * lengths
    g = np.array([each[water.BINS // 2 :].mean() for each in water.counted(Box(positions, lengths))])
    np.testing.assert_allclose(g, 1.0, atol=0.02)
    assert water.counted(lattice(1)).max() == 0


def test_a_line_of_the_table():
    """Volumes before the average do not count; the drift is the slope of the energy, by molecule and nanosecond."""
    count = round(1000 / water.STEP / water.EVERY)
    volumes = np.concatenate([np.full(count, 1e6), np.full(4 * count, 3000.0)])
    energies = 7.0 + 50.0 * water.STEP * water.EVERY * 1e-6 * np.arange(20)  # 50 kcal/mol a nanosecond
    line = water.summary({"coulomb": "pppm", "volumes": volumes, "energies": energies, "milliseconds": 1.0}, PRESET)
    slope, about = line.pop(4).split(" ± ")
    assert line == ["pppm", "30.00 ± 0.00", "0.0 ± 0.0", "4.6 ± 0.3", "1.00"]
    assert slope == "5.0e-01"
    assert float(about) < 1e-9  # of rounding


def test_the_error_of_a_drift():
    """Of noise without a trend: σ √12/(T √n), which three degrees of freedom know to 1/√6, and its slope is within."""
    count, steps = 400, 1000
    times = water.STEP * water.EVERY * 1e-6 * np.arange(steps)
    noise = np.random.default_rng(3).standard_normal((count, steps))
    made = np.array([water.drift(3.0 + 2.0 * times + each) for each in noise])
    wanted = np.sqrt(12 / steps) / times[-1]
    assert made[:, 0].std() == pytest.approx(wanted, rel=4 / np.sqrt(2 * count))
    assert made[:, 0].mean() == pytest.approx(2.0, abs=4 * wanted / np.sqrt(count))
    # Blocks have lost (1/5)² of the spread of times: their line is known by 1/√(1 − 1/25) less.
    assert np.sqrt((made[:, 1] ** 2).mean()) == pytest.approx(wanted, rel=0.02 + 4 / np.sqrt(6 * count))
    assert np.isnan(water.drift(np.zeros(2))).all()


def test_a_state_comes_back(tmp_path):
    """What is saved on the way is what a run goes on from."""
    generator = np.random.default_rng(2)
    box = lattice(2)
    state = water.State(
        box, generator.random((6, 3)), np.arange(3.0), generator.random((3, water.BINS)), 4, np.arange(2.0)
    )
    state.save(tmp_path / "a" / "pppm.npz")
    back = water.State.load(tmp_path / "a" / "pppm.npz")
    for name in ("velocities", "volumes", "histogram", "frames", "energies"):
        np.testing.assert_array_equal(getattr(back, name), getattr(state, name))
    np.testing.assert_array_equal(back.box.positions, box.positions)
