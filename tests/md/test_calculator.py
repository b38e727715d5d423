"""The ASE calculator: what it returns, energy along a trajectory, networks from files."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

ase = pytest.importorskip("ase", reason="pip install lrc_numba[ase]")
from ase.calculators.calculator import PropertyNotImplementedError  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402
from ase.units import fs  # noqa: E402

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator  # noqa: E402
from lrc_numba.geometry.structures import Structures  # noqa: E402
from lrc_numba.md import LRCCalculator  # noqa: E402
from lrc_numba.networks import FullRangeNetwork, MessagePassingNetwork  # noqa: E402


def network(long_range: int = 8) -> MessagePassingNetwork:
    """Of hydrogen and oxygen, off its start values."""
    made = MessagePassingNetwork((1, 8), 3.0, channels=8, long_range=long_range, references=(-1.0, -2.0), seed=1)
    made.parameters.flat += 0.02 * np.random.default_rng(2).standard_normal(made.parameters.flat.size)
    return made


def crystal(cell=True) -> ase.Atoms:
    """Twelve atoms, none near another, in a skewed cell or without one."""
    grid = np.stack(np.meshgrid([0, 1, 2], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    positions = 2.0 * grid + 0.1 * np.random.default_rng(3).standard_normal((12, 3))
    lattice = [[6.0, 0.0, 0.0], [0.4, 4.0, 0.0], [0.0, 0.3, 4.0]] if cell else None
    return ase.Atoms("H6O6", positions=positions, cell=lattice, pbc=cell)


def test_what_it_returns(tmp_path):
    """The numbers of the network, and the same from a file; a stress in the order of Voigt."""
    made = network()
    made.save(tmp_path / "network.npz")
    wanted = made.predict(Structures.from_ase([crystal()]), stress=True)
    for given in (made, tmp_path / "network.npz", str(tmp_path / "network.npz")):
        atoms = crystal()
        atoms.calc = LRCCalculator(given)
        assert atoms.get_potential_energy() == wanted.energies[0] == atoms.get_potential_energy(force_consistent=True)
        np.testing.assert_array_equal(atoms.get_forces(), wanted.forces)
        np.testing.assert_array_equal(atoms.get_stress(voigt=False), (wanted.stress[0] + wanted.stress[0].T) / 2)
        np.testing.assert_allclose(atoms.get_potential_energies().sum(), wanted.energies[0], rtol=1e-14)


def test_learned_charges():
    """One for each atom, which add up to what was asked for; an error where there are none, or several for an atom."""
    atoms, options = crystal(), {"channels": 8, "charges": EwaldCalculator(CoulombPotential(1.0), 3.0), "seed": 1}
    made = MessagePassingNetwork((1, 8), 3.0, **options, total_charge=0.5)
    atoms.calc = LRCCalculator(made)
    charges = atoms.get_charges()
    np.testing.assert_array_equal(charges, made.learned_charges(Structures.from_ase([atoms]))[:, 0])
    assert charges.shape == (12,)
    assert charges.sum() == pytest.approx(0.5, abs=1e-12)
    free = MessagePassingNetwork((1, 8), 3.0, **options)
    assert free.learned_charges(Structures.from_ase([atoms])).shape == (12, 1)
    for other in (network(), MessagePassingNetwork((1, 8), 3.0, **options, charge_channels=2)):
        atoms.calc = LRCCalculator(other)
        with pytest.raises(PropertyNotImplementedError, match="one charge for each atom"):
            atoms.get_charges()
    with pytest.raises(ValueError, match="expected a network with learned charges"):
        network().learned_charges(Structures.from_ase([atoms]))


def test_pickles():
    """Networks and calculators with a long range, new ones and after a call, go to other processes as they are."""
    made, atoms = network(), crystal()
    fresh = pickle.loads(pickle.dumps(made))
    atoms.calc = LRCCalculator(made)
    energy = atoms.get_potential_energy()
    structures = Structures.from_ase([atoms])
    for same in (fresh, pickle.loads(pickle.dumps(made))):
        assert same.predict(structures, forces=False).energies[0] == energy
    atoms = crystal()
    atoms.calc = pickle.loads(pickle.dumps(LRCCalculator(made)))
    assert atoms.get_potential_energy() == energy


def test_parameters_that_change():
    """What is held of the old ones is not returned."""
    made, atoms = network(), crystal()
    atoms.calc = LRCCalculator(made)
    before = atoms.get_potential_energy()
    assert before == atoms.get_potential_energy()
    made.parameters.flat *= 1.1
    assert atoms.get_potential_energy() == made.predict(Structures.from_ase([atoms])).energies[0] != before
    before = atoms.get_potential_energy()
    made.references.energies[0] += 1.0
    assert atoms.get_potential_energy() == pytest.approx(before + 6.0)


@pytest.mark.parametrize("cell", [True, False])
def test_energy_is_conserved(cell):
    """Velocity Verlet: the drift falls with the square of the step."""
    drifts = []
    for step in (0.2, 0.1):
        atoms = crystal(cell)
        atoms.calc = LRCCalculator(network())
        dynamics = VelocityVerlet(atoms, timestep=step * fs)
        energies = [atoms.get_total_energy()]
        for _ in range(round(8 / step)):
            dynamics.run(1)
            energies.append(atoms.get_total_energy())
        drifts.append(np.abs(np.array(energies) - energies[0]).max())
    assert 3.0 < drifts[0] / drifts[1] < 5.0


def test_refusals(tmp_path):
    """A network of another dimension, a species that is not known, a file that is none."""
    with pytest.raises(ValueError, match="network: expected three dimensions, got 1"):
        LRCCalculator(FullRangeNetwork(5.0, 1.5, 63, dim=1))
    with pytest.raises(
        TypeError, match="network: expected an EnergyNetwork, the file of one or a calculator of charges"
    ):
        LRCCalculator(None)
    broken = network()
    broken.parameters.flat[5] = np.nan
    atoms = crystal()
    atoms.calc = LRCCalculator(broken)
    with pytest.raises(ValueError, match="parameters: expected finite numbers, got 1 others"):
        atoms.get_potential_energy()
    atoms = ase.Atoms("HN", positions=[[0, 0, 0], [0, 0, 1.5]])
    atoms.calc = LRCCalculator(network())
    with pytest.raises(ValueError, match="species: 7 of point 1 of structure 0 is none of the known ones"):
        atoms.get_forces()
    single = ase.Atoms("H", positions=[[0.0, 0.0, 0.0]])
    single.calc = LRCCalculator(network())
    with pytest.raises(PropertyNotImplementedError, match=r"stress: expected atoms that are periodic along all axes"):
        single.get_stress()
    with pytest.raises(FileNotFoundError):
        LRCCalculator(tmp_path / "none.npz")
