"""The ensembles of ASE, and relaxation with the cell: what ``figures.dynamics`` shows, briefly."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("ase", reason="pip install lrc_numba[ase]")
from figures.dynamics import KELVIN, crystal, langevin, npt, nve, relaxed


def test_total_energy_stays_without_a_thermostat():
    """Velocity Verlet swings by some 1e-4 eV per atom at 2 fs; a wrong force drifts past k_B T, 0.026 eV."""
    assert nve(crystal(), 100) < 1e-3


def test_a_thermostat_reaches_its_temperature():
    """From atoms at rest at the minimum, within 5 standard deviations of the mean of 8 ions."""
    atoms = crystal()
    atoms.set_velocities(np.zeros((8, 3)))
    temperatures = langevin(atoms, 600)[300:]
    assert 0.3 * KELVIN < temperatures.mean() < 1.7 * KELVIN


@pytest.mark.slow
def test_a_barostat_changes_the_cell_smoothly():
    """From step to step changes are about the same, though the mesh has to follow; pressures are as asked for."""
    pressures, volumes = npt(crystal(), 200)
    changes = np.diff(volumes)
    assert np.abs(changes).min() > 0
    assert np.abs(np.diff(changes)).max() < 0.3 * np.abs(changes).max()
    assert abs(pressures[100:].mean() - 0.5) < 3.0  # GPa: eight ions swing by some


def test_atoms_and_cell_relax_to_the_crystal():
    """From a shaken crystal in a strained cell back to a cube without stress."""
    atoms = crystal()
    atoms.rattle(0.05, seed=0)
    strain = np.array([[0.02, 0.01, 0.0], [0.0, -0.01, 0.0], [0.0, 0.0, 0.01]])
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    forces, stress = relaxed(atoms)
    assert forces < 1e-3
    assert stress < 0.01  # GPa: 1e-3 eV/Å over the 8 ions of a cell of 180 Å³ is 7e-3
    lengths, angles = atoms.cell.cellpar()[:3], atoms.cell.cellpar()[3:]
    assert np.ptp(lengths) < 5e-3
    assert np.abs(angles - 90).max() < 0.1
