"""Energy along a trajectory of a trained network, by ASE's velocity Verlet (extra: ase).

Forces that are the exact gradient of a smooth energy conserve it: the total energy swings by an amount that falls with
the square of the time step, and does not drift. Both are printed for steps that are halved, in meV per atom.

Without --network a small one is trained first: rock salt of eight ions with charges and a core between them, two rounds
of messages and a learned long range. Another network needs atoms to begin with, in any file that ASE reads.

  python -m validation.nve --quick
  python -m validation.nve --network network.npz --structure atoms.xyz --femtoseconds 1000 --temperature 300
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lrc_numba.electrostatics import CombinedPotential, CoulombPotential, EwaldCalculator, InversePowerLawPotential
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights, MessagePassingNetwork
from lrc_numba.training import Protocol, Stage, Trainer, polish

from .tools.common import arguments, environment, print_table, save_json

if TYPE_CHECKING:
    import ase

EDGE, SHAKEN = 5.64, 0.2  # Å: of the cubic cell of rock salt, and how far ions are moved
COULOMB, CORE = 14.399645, -156.0  # eV Å, and eV Å⁶ times charges: opposite ones repel each other
WEIGHTS = LossWeights(energy=1.0, forces=1.0, per_point=True)
STEPS = (2.0, 1.0, 0.5)  # fs
MEV = 1e3


@dataclass(frozen=True)
class Trajectory:
    """Total energies at the end of every step.

    Attributes
    ----------
    step : float
        fs.
    energies : (steps + 1,) ndarray
        Of all atoms, eV.
    kinetic : float
        Mean kinetic energy, eV.
    atoms : int
        How many.
    """

    step: float
    energies: np.ndarray
    kinetic: float
    atoms: int

    @property
    def swing(self) -> float:
        """The largest difference from the energy at the beginning, eV."""
        return float(np.abs(self.energies - self.energies[0]).max())

    @property
    def drift(self) -> float:
        """The slope of the line through all energies, eV per fs."""
        times = self.step * np.arange(len(self.energies))
        return float(np.polyfit(times, self.energies - self.energies[0], 1)[0])


def rock_salt(count: int, seed: int = 0) -> Structures:
    """Cells of eight ions that were moved at random, with their energies and forces."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T
    charges = (-1.0) ** corners.sum(axis=1)
    moved = SHAKEN * np.random.default_rng(seed).standard_normal((count, 8, 3))
    species = np.where(charges > 0, 11, 17)
    made = Structures.from_arrays(EDGE / 2 * corners + moved, EDGE, species=species, charges=charges)
    parts = [CoulombPotential(), InversePowerLawPotential(6)]
    potential = CombinedPotential(parts, (COULOMB, CORE), smearing=1.1)
    known = EwaldCalculator(potential, 8.5).compute(made, forces=True)
    return replace(made, charges=None, energies=known.energy, forces=known.forces)


def trained(structures: int = 40, epochs: int = 40, iterations: int = 150, seed: int = 0) -> MessagePassingNetwork:
    """A network that learned rock salt in some seconds."""
    data = rock_salt(structures, seed)
    options = {"channels": 16, "rounds": 2, "long_range": 4, "core": 2.0, "sigma": 1.5, "seed": seed}
    network = MessagePassingNetwork((11, 17), 5.0, **options)
    network.fit_references(data)
    network.fit_pairs(data, WEIGHTS)
    protocol = Protocol((Stage(8, epochs),), rate=2e-3, schedule="cosine", warmup=10)
    Trainer(network, data, protocol=protocol, weights=WEIGHTS, seed=seed).run(progress=False)
    polish(network, data, WEIGHTS, iterations=iterations, progress=False)
    return network


def trajectory(
    network: EnergyNetwork, atoms: ase.Atoms, step: float, length: float, temperature: float = 300.0, seed: int = 0
) -> Trajectory:
    """NVE from velocities of a temperature, the same for every step.

    Parameters
    ----------
    network : EnergyNetwork
        In eV and Å.
    atoms : ase.Atoms
        Where it begins; they stay as they are.
    step, length : float
        fs.
    temperature : float
        K.
    seed : int
        Of the velocities.
    """
    from ase.md.verlet import VelocityVerlet
    from ase.units import fs, kB

    from lrc_numba.md import LRCCalculator

    moving = atoms.copy()
    moving.calc = LRCCalculator(network)
    masses = moving.get_masses()[:, None]
    momenta = np.sqrt(masses * kB * temperature) * np.random.default_rng(seed).standard_normal(moving.positions.shape)
    moving.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())
    dynamics = VelocityVerlet(moving, timestep=step * fs)
    energies, kinetic = [moving.get_total_energy()], [moving.get_kinetic_energy()]
    for _ in range(round(length / step)):
        dynamics.run(1)
        energies.append(moving.get_total_energy())
        kinetic.append(moving.get_kinetic_energy())
    return Trajectory(step, np.array(energies), float(np.mean(kinetic)), len(moving))


def as_lines(runs: list[Trajectory]) -> list[list[str]]:
    """Lines of a table: step, swing and how many times that of the next step, drift, kinetic energy."""
    lines = []
    for i, run in enumerate(runs):
        times = f"{run.swing / runs[i + 1].swing:.2f}" if i + 1 < len(runs) else "-"
        per_atom = MEV / run.atoms
        numbers = [f"{per_atom * run.swing:.2e}", times, f"{1e3 * per_atom * run.drift:+.1e}"]
        lines.append([f"{run.step:g}", *numbers, f"{per_atom * run.kinetic:.1f}"])
    return lines


HEADER = ["step (fs)", "swing (meV/atom)", "over half the step", "drift (meV/atom/ps)", "kinetic (meV/atom)"]


def main() -> None:
    parser = arguments("nve", __doc__ or "")
    parser.add_argument("--network", type=Path, metavar="FILE", help="a saved network, in eV and Å")
    parser.add_argument("--structure", type=Path, metavar="FILE", help="atoms to begin with, for ASE to read")
    parser.add_argument("--femtoseconds", type=float, default=None, help="default: 1000; --quick: 200")
    parser.add_argument("--temperature", type=float, default=300.0, help="of the velocities, K (default: %(default)s)")
    args = parser.parse_args()
    if (args.network is None) != (args.structure is None):
        parser.error("--network and --structure: expected both or none of them")
    try:
        import ase
        import ase.io
    except ImportError:
        print("SKIPPED: no ase; pip install -e '.[ase]'")
        return
    if args.network is None:
        network: EnergyNetwork = trained()
        start = rock_salt(1, seed=100)
        atoms = ase.Atoms(numbers=start.species, positions=start.positions, cell=start.cell[0], pbc=True)
    else:
        network, atoms = EnergyNetwork.load(args.network, threads=args.threads), ase.io.read(args.structure)
    length = args.femtoseconds or (200.0 if args.quick else 1000.0)
    runs = [trajectory(network, atoms, step, length, args.temperature) for step in STEPS]
    title = f"NVE of {len(atoms)} atoms, {length:g} fs, velocities of {args.temperature:g} K"
    lines = as_lines(runs)
    print_table(title, HEADER, lines)
    table = {"title": title, "header": HEADER, "lines": lines}
    save_json(args.output / "nve.json", {"environment": environment(args.threads), **table})


if __name__ == "__main__":
    main()
