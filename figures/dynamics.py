"""Dynamics and relaxation with ASE (extra: ase): four short examples, each with the number that shows it is right.

    nve        velocity Verlet: how far the total energy swings
    langevin   a thermostat: the mean temperature, and its error
    npt        thermostat and barostat (Martyna, Tobias and Klein): mean pressure, and its error
    relaxed    atoms and cell: what is left of forces and stress

Atoms are rock salt of charges with a core between them, E = Σ COULOMB q q'/r + CORE q q'/r⁶; a trained network takes
their place as ``LRCCalculator("network.npz")``.

    python -m figures.dynamics
    python -m figures.dynamics --picoseconds 20 --repeat 3
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np

try:
    import ase
except ModuleNotFoundError:
    if __name__ == "__main__":
        sys.exit("figures.dynamics: needs ASE; pip install -e '.[ase]'")
    raise
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.units import GPa, fs

from lrc_numba.electrostatics import CombinedPotential, CoulombPotential, InversePowerLawPotential, MeshCalculator
from lrc_numba.md import COULOMB, LRCCalculator
from validation.tools.common import positive

__all__ = ["crystal", "langevin", "npt", "nve", "relaxed"]

CORE, EDGE = -156.0, 5.64  # eV Å⁶ for opposite charges that repel each other, and Å of a cube of eight ions
KELVIN, STEP = 300.0, 2.0  # fs


def crystal(repeat: int = 1, seed: int = 0) -> ase.Atoms:
    """Rock salt at a temperature, with a calculator that keeps its mesh whatever the cell becomes.

    Parameters
    ----------
    repeat : int
        Cubes of eight ions along each axis.
    seed : int
        Of the velocities.
    """
    atoms = bulk("NaCl", "rocksalt", EDGE, cubic=True) * (repeat, repeat, repeat)
    atoms.set_initial_charges(np.where(atoms.numbers == 11, 1.0, -1.0))
    potential = CombinedPotential([CoulombPotential(), InversePowerLawPotential(6)], (COULOMB, CORE), smearing=1.1)
    calculator = MeshCalculator(potential, 8.5, 4.5, skin=0.5, threads=1)
    atoms.calc = LRCCalculator(calculator)
    atoms.get_potential_energy()
    calculator.freeze_mesh()
    generator = np.random.default_rng(seed)
    MaxwellBoltzmannDistribution(atoms, temperature_K=2 * KELVIN, rng=generator)  # half of it goes into the potential
    Stationary(atoms)
    return atoms


def nve(atoms: ase.Atoms, steps: int) -> float:
    """The largest difference of the total energy from that at the beginning, eV per atom."""
    dynamics, begun, most = VelocityVerlet(atoms, STEP * fs), atoms.get_total_energy(), 0.0
    for _ in dynamics.irun(steps):
        most = max(most, abs(atoms.get_total_energy() - begun))
    return most / len(atoms)


def langevin(atoms: ase.Atoms, steps: int) -> np.ndarray:
    """Temperatures of every step, K."""
    settings = {"friction": 0.01 / fs, "fixcm": False, "rng": np.random.default_rng(1)}
    dynamics = Langevin(atoms, STEP * fs, temperature_K=KELVIN, **settings)
    return np.array([atoms.get_temperature() for _ in dynamics.irun(steps)])


def npt(atoms: ase.Atoms, steps: int, pressure: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Pressures in GPa, with what atoms carry by their motion, and volumes in Å³ of every step.

    Parameters
    ----------
    atoms : Atoms
        With velocities.
    steps : int
        How many.
    pressure : float
        Wanted, GPa.
    """
    settings = {"temperature_K": KELVIN, "pressure_au": pressure * GPa, "tdamp": 50 * fs, "pdamp": 200 * fs}
    dynamics = IsotropicMTKNPT(atoms, STEP * fs, **settings)
    seen = [
        (-np.trace(atoms.get_stress(voigt=False, include_ideal_gas=True)) / 3 / GPa, atoms.get_volume())
        for _ in dynamics.irun(steps)
    ]
    pressures, volumes = np.array(seen).T
    return pressures, volumes


def relaxed(atoms: ase.Atoms, forces: float = 1e-3) -> tuple[float, float]:
    """Relax atoms and cell; the largest force that is left, eV/Å, and the largest component of the stress, GPa."""
    with warnings.catch_warnings(), BFGS(FrechetCellFilter(atoms), logfile=None) as optimiser:
        warnings.filterwarnings("ignore", "logm result may be inaccurate")  # by 1e-12, of strains far above it
        optimiser.run(fmax=forces, steps=200)
    return float(np.abs(atoms.get_forces()).max()), float(np.abs(atoms.get_stress()).max() / GPa)


def with_error(values: np.ndarray, blocks: int = 5) -> str:
    """Mean and error of the second half of a series, by blocks."""
    means = np.array([each.mean() for each in np.array_split(values[len(values) // 2 :], blocks)])
    return f"{means.mean():.3g} ± {means.std(ddof=1) / np.sqrt(blocks):.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.dynamics", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--picoseconds", type=float, default=2.0, help="of each (default: %(default)s)")
    parser.add_argument("--repeat", type=positive, default=2, help="cubes of eight ions along each axis")
    args = parser.parse_args()
    steps = round(1000 * args.picoseconds / STEP)
    print(f"nve       total energy within {nve(crystal(args.repeat), steps):.1e} eV per atom")
    print(f"langevin  {with_error(langevin(crystal(args.repeat), steps))} K, {KELVIN:g} K wanted")
    pressures, volumes = npt(crystal(args.repeat), steps)
    print(f"npt       {with_error(pressures)} GPa, 0.5 GPa wanted; {with_error(volumes)} Å³")
    atoms = crystal(args.repeat)
    atoms.rattle(0.1, seed=0)
    strain = np.array([[0.03, 0.02, 0.0], [0.0, -0.02, 0.01], [0.0, 0.0, 0.01]])
    atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    left = relaxed(atoms)
    edges = atoms.cell.cellpar().round(3)
    print(f"relaxed   forces up to {left[0]:.1e} eV/Å, stress up to {left[1]:.1e} GPa; cell {edges}")


if __name__ == "__main__":
    main()
