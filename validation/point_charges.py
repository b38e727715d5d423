"""Forces of random point charges: what a learned long range adds.

Two hundred charges of +1 and -1 in a periodic box of 10: forces of a repulsive core (WCA) and 3.5 q q'/r summed over
all images, of which the core carries most. Networks learn the forces of the first 40 frames and are asked for the last
ten; they are told which charge is which as a species, and nothing of electrostatics. One round of messages within 3.5,
without and with a convolution of 16 learned features (Coulomb kernel of width 1). Once as they are, by networks with
energies of pairs, found by least squares, which go on where contacts are closer than what was learned; and once with
the known core taken off, which hides the long range.

The data are in the repository of SOG-Net: point_charges.npz.

  python -m validation.point_charges --data point_charges.npz --quick
  python -m validation.point_charges --data point_charges.npz
"""

from __future__ import annotations

import sys
from argparse import Namespace

import numpy as np

from lrc_numba.geometry.neighbours import find_pairs, scatter_add
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

CUTOFF, SIGMA, LEARNED, TESTED = 3.5, 1.0, 40, 10
STEPS = 200, 4000  # with --quick, and without it
CORE = 2 ** (1 / 6)  # where the core ends


def core_forces(structures: Structures) -> np.ndarray:
    """Forces of the WCA core, epsilon = sigma = 1, (n, 3)."""
    pairs = find_pairs(structures.positions, CORE, structures.cell, offsets=structures.offsets)
    size = 24 * (2 / pairs.distance**13 - 1 / pairs.distance**7) / pairs.distance
    forces = np.zeros(structures.positions.shape)
    scatter_add(pairs.first, pairs.second, size[:, None] * pairs.displacement, forces)
    return forces


def read(path, without_core: bool) -> Structures:
    """The frames, charges as species."""
    if not path.exists():
        sys.exit(f"--data: there is no {path}; it is in the repository of SOG-Net, see --help")
    box, charges, positions, forces = read_arrays(path, ("box", "charges", "positions", "forces"))
    known = {"species": np.where(charges > 0, 1, 2), "charges": charges}
    frames = Structures.from_arrays(positions, box, forces=forces, **known)
    if not without_core:
        return frames
    left = frames.forces - core_forces(frames)
    return Structures.from_arrays(positions, box, forces=left.reshape(forces.shape), **known)


def recipe_for(learned: Structures, args: Namespace, pairs: bool) -> Recipe:
    """How networks learn from some frames; ``pairs`` for forces with the core."""
    scale = float((learned.forces**2).mean())
    weights = LossWeights(forces=1 / (learned.forces[: learned.counts[0]].size * scale))
    steps = steps_of(args, *STEPS)
    return Recipe(steps, 1, rate=4e-3, weights=weights, largest_gradient=5.0, pairs=pairs)


def errors(network: MessagePassingNetwork, learned: Structures, tested: Structures) -> dict:
    """Relative RMS errors of forces."""
    out = {}
    for part, some in (("train", learned[:TESTED]), ("test", tested)):
        away = network.predict(some).forces - some.forces
        out[part] = float(np.sqrt((away**2).mean() / (some.forces**2).mean()))
    return out


def draw(results: dict[str, list[dict]], path) -> None:
    """Relative errors of all seeds."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3))
    for place, runs in enumerate(results.values()):
        for row, shift, colour in (("without", -0.05, "tab:orange"), ("with", 0.05, "tab:blue")):
            values = [100 * run["test"] for run in runs if run["row"] == row]
            axis.plot([place + shift] * len(values), values, "o", color=colour, alpha=0.7)
    axis.set_xticks(range(len(results)), ["forces as they are", "core taken off"])
    axis.set_xlim(-0.5, len(results) - 0.5)
    axis.set_yscale("log")
    axis.set_yticks((0.5, 1, 2, 5, 10), ("0.5", "1", "2", "5", "10"))
    axis.minorticks_off()
    axis.grid(axis="y", color="0.9")
    axis.set_ylabel("relative RMS error of forces (%)")
    axis.plot([], [], "o", color="tab:orange", label="without long range")
    axis.plot([], [], "o", color="tab:blue", label="with")
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = learning_arguments("point_charges", __doc__ or "", "point_charges.npz")
    args, results, parts = parser.parse_args(), {}, {"all": False, "without core": True}
    args.output = folder_of(args, usual_steps(args, *STEPS))
    check_on_file(parser, args, [f"point_charges {name}" for name in parts])
    for name, without_core in parts.items():
        try:
            frames = read(args.data, without_core)
        except ValueError as wrong:
            parser.error(str(wrong))
        learned, tested = frames[:LEARNED], frames[-TESTED:]
        recipe = recipe_for(learned, args, pairs=not without_core)

        def make(seed: int, row: str, core: bool = not without_core) -> MessagePassingNetwork:
            """An untrained network."""
            size = {"channels": 16, "basis": 10, "rounds": 1, "core": 1.0 if core else None}
            far = {"long_range": 16, "sigma": SIGMA} if row == "with" else {}
            options = far | {"dtype": np.float32, "seed": seed}
            return MessagePassingNetwork((1, 2), CUTOFF, threads=args.threads, **size, **options)

        def measure(network: MessagePassingNetwork, learned=learned, tested=tested) -> dict:
            """Of these frames."""
            return errors(network, learned, tested)

        results[name] = run_seeds(make, learned, recipe, measure, args, f"point_charges {name}")
    header, lines = ["forces", "long range", "train (%)", "test (%)", "seconds"], []
    for name, runs in results.items():
        lines += [[name, *line] for line in as_lines(runs, ["train", "test"], scale=100)]
    title = "Relative RMS error of forces: median (and range) over seeds"
    record(args, "point_charges", title, header, lines, runs=results)
    draw(results, args.output / "point_charges.png")


if __name__ == "__main__":
    main()
