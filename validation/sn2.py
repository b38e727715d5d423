"""Energies of the reaction F- + CH3I: what a learned long range adds for an ion that leaves.

401 geometries along the reaction coordinate from -10 to 10 A, energies alone, no periodic images. Networks learn every
fourth of them and are asked for the others. Two rounds of messages within 5 A, without and with a convolution of 32
learned features in each round (Coulomb kernel of width 2 A without periodic images), Adam and then L-BFGS.

The data are in the repository of EFA (euclidean fast attention): sn2_F_I.npz.

  python -m validation.sn2 --data sn2_F_I.npz --quick
  python -m validation.sn2 --data sn2_F_I.npz
"""

from __future__ import annotations

import sys

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from .tools.learning import (
    Recipe,
    as_lines,
    check_on_file,
    folder_of,
    learning_arguments,
    record,
    run_seeds,
    steps_of,
    usual_steps,
)
from .tools.npz import read_arrays

CUTOFF, CHANNELS, FEATURES, SIGMA, EVERY, FAR = 5.0, 32, 32, 2.0, 4, 6.0
STEPS = 300, 4000  # with --quick, and without it
EV = 1e3  # meV


def read(path) -> tuple[Structures, np.ndarray]:
    """The geometries with their energies, and the reaction coordinate."""
    if not path.exists():
        sys.exit(f"--data: there is no {path}; it is in the repository of EFA, see --help")
    (coordinate,) = read_arrays(path, ["reaction_coordinate"])
    return Structures.load(path), coordinate


def draw(runs: list[dict], coordinate: np.ndarray, path) -> None:
    """Differences of energies along the reaction."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 3))
    for run in runs:
        colour = "tab:blue" if run["row"] == "with" else "tab:orange"
        axis.plot(coordinate, run["differences"], lw=0.8, color=colour, alpha=0.8)
    axis.plot([], color="tab:orange", label="without long range")
    axis.plot([], color="tab:blue", label="with")
    axis.set_yscale("symlog", linthresh=5)
    axis.set_xlabel("reaction coordinate (A)")
    axis.set_ylabel("network - truth (meV)")
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = learning_arguments("sn2", __doc__ or "", "sn2_F_I.npz")
    args = parser.parse_args()
    args.output = folder_of(args, usual_steps(args, *STEPS))
    check_on_file(parser, args, ["sn2"])
    try:
        structures, coordinate = read(args.data)
    except ValueError as wrong:
        parser.error(str(wrong))
    learned = np.arange(len(structures)) % EVERY == 0
    data, species = structures[learned], np.unique(structures.species)
    recipe = Recipe(
        steps_of(args, *STEPS),
        batch=40,
        rate=2e-3,
        weights=LossWeights(energy=1.0, forces=0.0),
        polishing=20 if args.quick else 300,
    )

    def make(seed: int, row: str) -> MessagePassingNetwork:
        """An untrained network."""
        far = {"long_range": FEATURES, "sigma": SIGMA} if row == "with" else {}
        options = far | {"seed": seed, "threads": args.threads}
        network = MessagePassingNetwork(species, CUTOFF, channels=CHANNELS, **options)
        network.fit_references(data)
        return network

    def measure(network: MessagePassingNetwork) -> dict:
        """Mean absolute errors in meV, of what was not learned."""
        away = EV * (network.predict(structures, forces=False).energies - structures.energies)
        size, distant = np.abs(away), ~learned & (np.abs(coordinate) > FAR)
        parts = {"learned": size[learned], "all": size[~learned], "far": size[distant]}
        return {name: float(part.mean()) for name, part in parts.items()} | {"differences": away.tolist()}

    runs = run_seeds(make, data, recipe, measure, args, "sn2")
    header = ["long range", "learned (meV)", "others (meV)", f"beyond {FAR:g} A (meV)", "seconds"]
    title = "MAE of energies: median (and range) over seeds"
    record(args, "sn2", title, header, as_lines(runs, ["learned", "all", "far"]), runs=runs, steps=recipe.steps)
    draw(runs, coordinate, args.output / "sn2.png")


if __name__ == "__main__":
    main()
