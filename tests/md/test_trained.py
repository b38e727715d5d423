"""NVE of a network that was trained: its energy is conserved, to second order in the step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

ase = pytest.importorskip("ase", reason="pip install lrc_numba[ase]")

from lrc_numba.networks import MessagePassingNetwork  # noqa: E402
from validation import nve  # noqa: E402

LENGTH = 60.0  # fs: some periods of the ions


@pytest.fixture(scope="module")
def network() -> MessagePassingNetwork:
    """Trained for some seconds."""
    return nve.trained(structures=12, epochs=10, iterations=30)


@pytest.fixture(scope="module")
def atoms() -> ase.Atoms:
    """Ions that were not among those it learned."""
    start = nve.rock_salt(1, seed=100)
    return ase.Atoms(numbers=start.species, positions=start.positions, cell=start.cell[0], pbc=True)


def test_it_has_learned(network):
    """Most of the forces on ions it has not seen; an untrained one knows nothing of them."""
    data = nve.rock_salt(6, seed=7)
    error = np.linalg.norm(network.predict(data).forces - data.forces) / np.linalg.norm(data.forces)
    assert error < 0.2


def test_energy_is_conserved(network, atoms, capsys):
    """Half the step, a quarter of the swing; and no drift that would show beside the swing."""
    runs = [nve.trajectory(network, atoms, step, LENGTH) for step in (2.0, 1.0, 0.5)]
    with capsys.disabled():
        print()
        for run in runs:
            swing, drift = (nve.MEV / run.atoms * value for value in (run.swing, 1e3 * run.drift))
            print(f"  NVE, {run.step:g} fs: swing {swing:.1e} meV/atom, drift {drift:+.1e} meV/atom/ps")
    # The next terms are of fourth order, some hundredths of the second.
    for coarse, fine in pairwise(runs):
        assert 3.7 < coarse.swing / fine.swing < 4.3
    for run in runs:
        assert abs(run.drift) * LENGTH < run.swing
        assert run.swing < 0.02 * run.kinetic
