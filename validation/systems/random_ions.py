"""Energies and forces of random ions, of Coulomb's potential alone: what Table I of arXiv 2510.13055 is of.

128 ions of charge +1 and -1, half of each, at random places of a periodic cube of 20 A, no two closer than 2 A.
Networks are told which is which as a species, and nothing of electrostatics. Labels are those of tight Ewald
summation. The source does not state size and density of its boxes, so errors are to be read beside those without a long
range.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator
from lrc_numba.geometry.cell import minimum_image
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from ..tools.forms import COLOURS, COULOMB, NAMES, System, Task
from ..tools.learning import Recipe, steps_of, usual_steps

__all__ = ["random_ions"]

IONS, SIDE, NEAREST = 128, 20.0, 2.0
LEARNED, TESTED = 400, 100
STEPS = 100, 6000  # with --quick, and without it
CUTOFF, TIGHT = 5.0, 9.9  # of messages, and of the pairs of Ewald's sum
EV = 1e3  # meV


def draw_points(rng: np.random.Generator) -> np.ndarray:
    """One structure's, (128, 3)."""
    points = np.empty((0, 3))
    while len(points) < IONS:
        point = SIDE * rng.random(3)
        apart = minimum_image(points - point, SIDE)
        if (np.einsum("na,na->n", apart, apart) > NEAREST**2).all():
            points = np.concatenate([points, point[None]])
    return points


def draw_structures(count: int, seed: int) -> Structures:
    """Ions with their energies and forces, species 1 and 2."""
    rng = np.random.default_rng(seed)
    positions = np.stack([draw_points(rng) for _ in range(count)])
    charges = np.tile(np.where(np.arange(IONS) % 2, -1.0, 1.0), count)
    calculator = EwaldCalculator(CoulombPotential(TIGHT / 6.5, COULOMB), TIGHT, threads=1)  # pairs end at 6.5 widths
    bare = Structures.from_arrays(positions, SIDE)
    truth = calculator.compute(bare, charges, forces=True)
    species = np.where(charges > 0, 1, 2).reshape(count, IONS)
    forces = truth.forces.reshape(positions.shape)
    return Structures.from_arrays(positions, SIDE, species=species, energies=truth.energy, forces=forces)


def errors(network: MessagePassingNetwork, tested: Structures) -> dict:
    """MAE of energies (meV per ion) and of components of forces (meV/A)."""
    made = network.predict(tested)
    energies = np.abs(made.energies - tested.energies) / tested.counts
    return {"energy": EV * float(energies.mean()), "forces": EV * float(np.abs(made.forces - tested.forces).mean())}


def draw(results: dict[str, list[dict]], path: Path) -> None:
    """Errors of all seeds, energies against forces."""
    import matplotlib.pyplot as plt

    (runs,) = results.values()
    figure, axis = plt.subplots(figsize=(4.5, 3.4), layout="constrained")
    for row, mark in zip(dict.fromkeys(run["row"] for run in runs), "osD^v*", strict=False):
        own = [run for run in runs if run["row"] == row]
        xy = [run["forces"] for run in own], [run["energy"] for run in own]
        axis.plot(*xy, mark, color=COLOURS[row], label=NAMES[row])
    axis.set(xscale="log", yscale="log", xlabel="MAE of forces (meV/A)", ylabel="MAE of energies (meV per ion)")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def random_ions(args: Namespace) -> System:
    """One task.

    Parameters
    ----------
    args : Namespace
        Of ``validation.long_range``.
    """
    counts = (16, 4) if args.quick else (LEARNED, TESTED)
    if args.plot_only:
        counts = (1, 1)
    learned = draw_structures(counts[0], 0)
    tested = learned[-counts[1] :] if args.rehearse else draw_structures(counts[1], 1)
    learned = learned[: -counts[1]] if args.rehearse else learned
    weights = LossWeights(energy=1 / IONS, forces=10 / (3 * IONS))
    recipe = Recipe(steps_of(args, *STEPS), batch=2, rate=2e-3, weights=weights)
    return System(
        name="long_range_random_ions",
        title="MAE of energies and forces of random ions: median (and range) over seeds",
        species=np.array([1, 2]),
        cutoff=CUTOFF,
        settings={"channels": 32, "dtype": np.float32},
        features=32,
        tasks={"all": Task(learned, recipe, lambda network: errors(network, tested))},
        columns={"energy": "energies (meV per ion)", "forces": "forces (meV/A)"},
        draw=draw,
        usual_steps=usual_steps(args, *STEPS),
        digits=2,
        total_charge=0.0,
    )
