"""Point charges in ASE: energies in its units, forces and stresses, axes that are open, energy along a trajectory."""

from __future__ import annotations

import numpy as np
import pytest

ase = pytest.importorskip("ase", reason="pip install lrc_numba[ase]")
from ase.build import bulk  # noqa: E402
from ase.calculators.calculator import PropertyNotImplementedError  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402
from ase.units import fs  # noqa: E402

from lrc_numba.electrostatics import (  # noqa: E402
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
)
from lrc_numba.md import COULOMB, LRCCalculator  # noqa: E402
from lrc_numba.networks import EnergyNetwork  # noqa: E402
from lrc_numba.networks.parts.charges import TotalCharge  # noqa: E402
from lrc_numba.networks.parts.embedding import Embedding  # noqa: E402
from lrc_numba.networks.parts.program import Program, Step  # noqa: E402

MADELUNG, SPACING = 1.747564594633183, 5.64  # of rock salt; the edge of its cubic cell, Å


def salt(repeat: int = 1, shaken: float = 0.0) -> ase.Atoms:
    atoms = bulk("NaCl", "rocksalt", SPACING, cubic=True) * (repeat, repeat, repeat)
    atoms.set_initial_charges(np.where(atoms.numbers == 11, 1.0, -1.0))
    atoms.positions += shaken * np.random.default_rng(3).standard_normal(atoms.positions.shape)
    return atoms


def ewald(smearing: float = 0.9, **options) -> EwaldCalculator:
    potential = CoulombPotential(smearing, COULOMB)
    return EwaldCalculator(potential, potential.reach(1e-15), **options)


def test_units():
    """e²/4πε₀ from the constants themselves, and the energy of rock salt, −α e²/r per pair of ions."""
    charge, permittivity = 1.602176634e-19, 8.8541878128e-12
    assert pytest.approx(charge / (4 * np.pi * permittivity) * 1e10, rel=1e-7) == COULOMB
    atoms = salt()
    atoms.calc = LRCCalculator(ewald())
    wanted = -4 * MADELUNG * COULOMB / (SPACING / 2)
    assert atoms.get_potential_energy() == pytest.approx(wanted, rel=1e-12)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_potential_energies(), wanted / 8, rtol=1e-12)
    np.testing.assert_array_equal(atoms.get_charges(), atoms.get_initial_charges())
    assert np.abs(atoms.get_forces()).max() <= 1e-12
    # Energies scale as the inverse length: p = −E/3V, and a stress is −p.
    pressed = wanted / (3 * atoms.get_volume())
    np.testing.assert_allclose(atoms.get_stress(), -pressed * np.array([1, 1, 1, 0, 0, 0]), rtol=0, atol=1e-12)


def test_derivatives():
    """Forces and stress of ions out of their places, against differences of energies as ASE makes them."""
    atoms = salt(shaken=0.2)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.05 * np.triu(np.ones((3, 3)))), scale_atoms=True)
    atoms.calc = LRCCalculator(ewald())
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    step = np.random.default_rng(1).standard_normal((8, 3))
    energies = []
    for h in (-1e-4, 2e-4):
        atoms.positions += h * step
        energies.append(atoms.get_potential_energy())
    atoms.positions -= 1e-4 * step
    # Differences are off by h² third derivatives.
    assert np.sum(forces * step) == pytest.approx((energies[0] - energies[1]) / 2e-4, rel=1e-6)
    cell = atoms.cell.array.copy()
    for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        energies = []
        for h in (-1e-4, 1e-4):
            strain = np.eye(3)
            strain[a, b] += h / 2
            strain[b, a] += h / 2
            atoms.set_cell(cell @ strain, scale_atoms=True)
            energies.append(atoms.get_potential_energy())
        wanted = (energies[1] - energies[0]) / 2e-4 / abs(np.linalg.det(cell))
        assert stress[a, b] == pytest.approx(wanted, abs=1e-7)
        atoms.set_cell(cell, scale_atoms=True)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False), (False, False, False)])
def test_open_axes(pbc):
    """Two opposite charges attract each other; alone they have the energy −e²/r."""
    atoms = ase.Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.5]], cell=[40.0, 40.0, 30.0], pbc=pbc)
    atoms.set_initial_charges([1.0, -1.0])
    atoms.calc = LRCCalculator(ewald())
    assert atoms.get_potential_energy() == pytest.approx(-COULOMB / 2.5, rel=1e-12 if not any(pbc) else 2e-3)
    assert atoms.get_forces()[0, 2] > 0
    with pytest.raises(
        PropertyNotImplementedError, match=r"stress: expected atoms that are periodic along all ax.*pbc=\["
    ):
        atoms.get_stress()


@pytest.mark.parametrize("kind", ["ewald", pytest.param("mesh", marks=pytest.mark.slow)])
def test_energy_is_conserved(kind):
    """Velocity Verlet: the drift falls with the square of the step, and lists of neighbours are kept meanwhile."""
    # Opposite charges repel each other as r⁻⁶ does with this sign: ions have a core.
    parts = [CoulombPotential(), InversePowerLawPotential(6)]
    potential = CombinedPotential(parts, (COULOMB, -156.0), smearing=1.1)
    drifts = []
    for step in (2.0, 1.0):
        atoms = salt(shaken=0.15)
        # Within the cutoff pairs have fallen to 1e-14.
        made = {"ewald": EwaldCalculator, "mesh": MeshCalculator}[kind](potential, 8.5, skin=2.0)
        atoms.calc = LRCCalculator(made)
        energies, lists = [atoms.get_total_energy()], made.neighbours.lists
        dynamics = VelocityVerlet(atoms, timestep=step * fs)
        for _ in range(round(60 / step)):
            dynamics.run(1)
            energies.append(atoms.get_total_energy())
        drifts.append(np.abs(np.array(energies) - energies[0]).max())
        assert made.neighbours.lists is lists
        assert atoms.get_kinetic_energy() > 20 * drifts[-1]
    assert 3.0 < drifts[0] / drifts[1] < 5.0


def test_what_changes():
    """Other charges, positions or cells are other energies; the same are not computed again."""
    atoms = salt()
    atoms.calc = LRCCalculator(ewald())
    first = atoms.get_potential_energy()
    atoms.set_initial_charges(2 * atoms.get_initial_charges())
    assert atoms.get_potential_energy() == pytest.approx(4 * first, rel=1e-12)
    atoms.set_cell(2 * atoms.cell.array, scale_atoms=True)
    assert atoms.get_potential_energy() == pytest.approx(2 * first, rel=1e-12)


def test_no_charges():
    """A ValueError that says how to give them."""
    atoms = bulk("NaCl", "rocksalt", SPACING)
    atoms.calc = LRCCalculator(ewald())
    with pytest.raises(ValueError, match="charges: expected initial charges of the atoms, got none; see set_initial"):
        atoms.get_potential_energy()


def test_a_network_that_reads_charges():
    """It refuses atoms without charges, for which ASE has zeros; one that was set to zero is a charge."""
    lines = [Step(Embedding("q", (11, 17), 1), (), "q"), Step(TotalCharge("given"), ("q",), "e")]
    atoms = ase.Atoms("NaCl", positions=[[0, 0, 0], [0, 0, 2.5]])
    atoms.calc = LRCCalculator(EnergyNetwork(Program(lines, "e"), cutoff=3.0, dim=3))
    with pytest.raises(ValueError, match=r"charges: expected those of every structure, .* got none"):
        atoms.get_potential_energy()
    atoms.set_initial_charges([0.0, 0.0])
    assert atoms.get_potential_energy() == pytest.approx(0.0, abs=1e-15)
    atoms.set_initial_charges([1.0, 0.5])
    assert atoms.get_potential_energy() == pytest.approx(1.5, rel=1e-14)


def test_a_frozen_mesh_under_pressure():
    """A cell that changes by 3 % along a path: the energy's change is the work of the stress, as the mesh stays, and
    energies are those of a tight sum. Gauss's rule with six nodes is exact to 1e-9 of the work, and what is left out
    carries 1e-10."""
    potential = CoulombPotential(0.9, COULOMB)
    made = MeshCalculator(potential, potential.reach(1e-12), potential.highest_wavenumber(1e-10), eps=1e-6)
    atoms = salt(shaken=0.15)
    cell, shear = atoms.cell.array.copy(), np.array([[0.8, 0.3, 0.0], [0.3, -0.4, 0.2], [0.0, 0.2, 1.0]])

    def strained(h: float, calculator: LRCCalculator) -> ase.Atoms:
        moved = atoms.copy()
        moved.set_cell(cell @ (np.eye(3) + h * shear), scale_atoms=True)
        moved.calc = calculator
        return moved

    calculator, exact = LRCCalculator(made), LRCCalculator(ewald())
    strained(0.0, calculator).get_potential_energy()
    made.freeze_mesh()
    t, weights = np.polynomial.legendre.leggauss(6)
    work = 0.0
    for h, w in zip(0.03 * t, 0.03 * weights, strict=True):
        moved = strained(h, calculator)
        rate = np.linalg.solve(np.eye(3) + h * shear, shear)
        work += w * moved.get_volume() * np.sum(moved.get_stress(voigt=False) * rate)
        assert moved.get_potential_energy() == pytest.approx(strained(h, exact).get_potential_energy(), rel=1e-6)
    ends = [strained(h, calculator).get_potential_energy() for h in (0.03, -0.03)]
    assert ends[0] - ends[1] == pytest.approx(work, rel=1e-8)


def test_after_a_step_that_was_refused():
    """Atoms on one another, in another cell: the step after it is that of a new calculator, not of the old cell."""
    atoms, fresh = salt(shaken=0.1), salt(shaken=0.1)
    atoms.calc, fresh.calc = LRCCalculator(ewald()), LRCCalculator(ewald())
    atoms.get_potential_energy()
    positions = atoms.positions.copy()
    for each in (atoms, fresh):
        each.set_cell(1.2 * each.cell.array)
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(ValueError, match="positions: expected no two"):
        atoms.get_potential_energy()
    atoms.positions[...] = positions
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), rel=1e-12)


def test_a_net_charge_without_an_energy():
    """For p = 3 it is refused in every step, not in the first one only."""
    atoms, potential = salt(shaken=0.1), InversePowerLawPotential(3.0, 0.9)
    atoms.calc = LRCCalculator(EwaldCalculator(potential, 5.0, 5.0))
    atoms.get_potential_energy()
    atoms.set_initial_charges(atoms.get_initial_charges() + 0.3)
    for _ in range(4):
        with pytest.raises(ValueError, match="charges: a net charge"):
            atoms.get_potential_energy()
        atoms.positions += 1e-3
