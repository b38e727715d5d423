"""Rigid SPC/E water (Berendsen, Grigera and Straatsma, 1987) in LAMMPS: Coulomb by its pppm, or by lrc_numba."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrc_numba.electrostatics import CoulombPotential, MeshCalculator, tune
from lrc_numba.md.lammps import LammpsForces, open_lammps

__all__ = ["COULOMBS", "OXYGEN", "Box", "lattice", "open_charges", "open_water", "read_box", "tuned"]

COULOMBS = ("pppm", "lrc_numba")
CHARGE, BOND, ANGLE = 0.4238, 1.0, 109.47  # e of a hydrogen, Å, degrees
EPSILON, SIGMA, CUTOFF = 0.15535, 3.166, 9.0  # kcal/mol, Å; Å of Lennard-Jones, with a tail correction
OXYGEN, HYDROGEN = 1, 2  # types
SPACING = 3.104  # Å between molecules of a lattice, that of liquid water at 300 K
COULOMB = 332.06371  # kcal Å/mol/e², LAMMPS's


@dataclass
class Box:
    """Water molecules in a periodic box; O, H, H one after the other.

    Attributes
    ----------
    positions : (3 n, 3) array
        Å.
    lengths : (3,) array
        Å.
    """

    positions: np.ndarray
    lengths: np.ndarray

    @property
    def charges(self) -> np.ndarray:
        """Of all atoms, e."""
        return np.tile([-2 * CHARGE, CHARGE, CHARGE], len(self.positions) // 3)

    @property
    def types(self) -> np.ndarray:
        """``OXYGEN`` and ``HYDROGEN``."""
        return np.tile([OXYGEN, HYDROGEN, HYDROGEN], len(self.positions) // 3)


def lattice(molecules: int, seed: int = 0) -> Box:
    """Molecules on a square lattice at the density of the liquid, turned at random.

    Parameters
    ----------
    molecules : int
        How many.
    seed : int
        Of the orientations.
    """
    side = int(np.ceil(molecules ** (1 / 3) - 1e-9))
    length = SPACING * molecules ** (1 / 3)
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:molecules]
    half = np.radians(ANGLE / 2)
    shape = BOND * np.array([[0.0, 0.0, 0.0], [np.sin(half), np.cos(half), 0.0], [-np.sin(half), np.cos(half), 0.0]])
    generator = np.random.default_rng(seed)
    turned = np.stack([shape @ np.linalg.qr(generator.standard_normal((3, 3)))[0] for _ in range(molecules)])
    return Box((turned + (sites * length / side)[:, None]).reshape(-1, 3), np.full(3, length))


def read_box(path: Path) -> Box:
    """Molecules O, H, H of an ``.npz`` with ``positions`` and ``box``.

    Parameters
    ----------
    path : Path
        The file; a folder is one that has ``water_spce_256.npz``.
    """
    with np.load(path / "water_spce_256.npz" if path.is_dir() else path) as arrays:
        return Box(np.array(arrays["positions"], dtype=float), np.array(arrays["box"], dtype=float))


def tuned(box: Box, accuracy: float, skin: float = 0.0, fixed_mesh: bool = False) -> MeshCalculator:
    """The calculator of ``tune`` for an RMS error of forces.

    Parameters
    ----------
    box : Box
        Typical.
    accuracy : float
        Over that of two charges e at 1 Å, as LAMMPS has it.
    skin, fixed_mesh
        As for ``tune``.
    """
    cell = np.diag(box.lengths)
    settings: dict = {"accuracy": accuracy, "skin": skin, "fixed_mesh": fixed_mesh, "threads": 1}
    return tune(CoulombPotential(), box.positions, box.charges, cell, **settings)  # type: ignore[return-value]


# ---------------------------------------------------------------------- LAMMPS
def _data(box: Box, bonded: bool) -> str:
    """The data file of ``read_data``, of ``atom_style full`` or ``charge``."""
    molecules, count = len(box.positions) // 3, len(box.positions)
    lines = ["SPC/E water", "", f"{count} atoms", "2 atom types"]
    if bonded:
        lines += [f"{2 * molecules} bonds", f"{molecules} angles", "1 bond types", "1 angle types"]
    low = box.positions.min(axis=0) if not bonded else np.zeros(3)
    for name, start, length in zip("xyz", low, box.lengths, strict=True):
        lines.append(f"{start:.16g} {start + length:.16g} {name}lo {name}hi")
    lines += ["", "Masses", "", f"{OXYGEN} 15.9994", f"{HYDROGEN} 1.008", "", "Atoms", ""]
    for i, (kind, charge, x) in enumerate(zip(box.types, box.charges, box.positions, strict=True)):
        place = " ".join(f"{value:.16g}" for value in x)
        lines.append(f"{i + 1} {i // 3 + 1} {kind} {charge} {place}" if bonded else f"{i + 1} {kind} {charge} {place}")
    if bonded:
        first = 3 * np.arange(molecules) + 1
        lines += ["", "Bonds", ""]
        lines += [f"{2 * m + h} 1 {o} {o + h}" for m, o in enumerate(first) for h in (1, 2)]
        lines += ["", "Angles", "", *(f"{m + 1} 1 {o + 1} {o} {o + 2}" for m, o in enumerate(first))]
    return "\n".join(lines) + "\n"


def _opened(box: Box, style: str, comm=None) -> Any:
    """LAMMPS with the atoms of a box."""
    lmp = open_lammps(comm=comm)
    for package in ("KSPACE", "MOLECULE", "RIGID"):
        if not lmp.has_package(package):
            sys.exit(f"LAMMPS was built without its package {package}")
    with tempfile.NamedTemporaryFile("w", suffix=".data") as file:
        file.write(_data(box, style == "full"))
        file.flush()
        lmp.commands_string(
            f"units real\natom_style {style}\nboundary p p p\natom_modify map yes sort 0 0.0\n"
            f"{'bond_style harmonic' if style == 'full' else ''}\n{'angle_style harmonic' if style == 'full' else ''}\n"
            f"read_data {file.name}\nneighbor 2.0 bin\nneigh_modify every 1 delay 0 check yes"
        )
    return lmp


def open_charges(box: Box, accuracy: float | None, cutoff: float = CUTOFF, comm=None) -> Any:
    """The charges alone, all pairs of them, by pppm of an accuracy, or without forces where that is None.

    Parameters
    ----------
    box : Box
        The atoms.
    accuracy : float, optional
        Over the force of two charges e at 1 Å.
    cutoff : float
        Å.
    comm : optional
        As for ``open_lammps``.
    """
    lmp = _opened(box, "charge", comm)
    if accuracy is None:
        lmp.commands_string(f"pair_style zero {cutoff}\npair_coeff * *")
    else:
        lmp.commands_string(f"pair_style coul/long {cutoff}\npair_coeff * *\nkspace_style pppm {accuracy}")
    virials = " ".join("p" + name for name in ("xx", "yy", "zz", "xy", "xz", "yz"))
    lmp.commands_string(f"thermo_modify norm no\nthermo_style custom step pe vol {virials}")
    return lmp


def open_water(
    box: Box, coulomb: str, accuracy: float, step: float = 2.0, comm=None
) -> tuple[Any, LammpsForces | None]:
    """Rigid molecules, with everything but an ensemble.

    Parameters
    ----------
    box : Box
        The atoms.
    coulomb : {"pppm", "lrc_numba"}
        Who adds up charges.
    accuracy : float
        Over the force of two charges e at 1 Å.
    step : float
        fs.
    comm : optional
        As for ``open_lammps``.
    """
    lmp = _opened(box, "full", comm)
    style = f"lj/cut/coul/long {CUTOFF} {CUTOFF}" if coulomb == "pppm" else f"lj/cut {CUTOFF}"
    nothing = "0.0 1.0" if coulomb == "pppm" else "0.0 1.0 1.0"  # without charges these pairs need not be looked for
    lmp.commands_string(
        f"{'suffix opt' if lmp.has_package('OPT') else ''}\npair_style {style}\npair_modify tail yes\n"
        f"pair_coeff {OXYGEN} {OXYGEN} {EPSILON} {SIGMA}\npair_coeff {OXYGEN} {HYDROGEN} {nothing}\n"
        f"pair_coeff {HYDROGEN} {HYDROGEN} {nothing}\nbond_coeff 1 1000.0 {BOND}\nangle_coeff 1 100.0 {ANGLE}\n"
        + (f"kspace_style pppm {accuracy}\n" if coulomb == "pppm" else "")
        + f"timestep {step}\nthermo 1000000\nthermo_modify norm no flush no"
    )
    forces = None
    if coulomb != "pppm":
        forces = LammpsForces(lmp, tuned(box, accuracy, skin=1.0, fixed_mesh=True), comm=comm)
    lmp.command("fix shake all shake 1.0e-6 100 0 b 1 a 1")  # after the forces that it has to balance
    return lmp, forces
