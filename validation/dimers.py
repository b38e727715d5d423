"""Binding curves of charged and polar organic dimers: what a learned long range adds.

Each curve has thirteen distances; networks learn energies and forces of the ten shorter ones and are asked for the
three longest, which are beyond the reach of their messages. Two rounds of messages within 5 A, without and with a
convolution of 32 learned features in each round (Coulomb kernel of width 2 A): once in the periodic box of 30 A that
the data come with, and once without periodic images, as the energies are those of molecules alone. In that box the
images of a charge 10 A away change its force by a sixth, which is learned where there are data and wrong beyond. CC are
two charged molecules, CP a charged and a polar one, PP two polar ones; A is apolar. Classes given together are learned
together, and others than the usual ones have a record of their own.

The data are from the BioFragment database (HSE06+MBD), as in the repository of SOG-Net: files dimer_CC.npz and so on.

  python -m validation.dimers --data FOLDER --quick
  python -m validation.dimers --data FOLDER
  python -m validation.dimers --data FOLDER --classes CA PA      charged and polar molecules with an apolar one
"""

from __future__ import annotations

import sys

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from .systems.dimers import CLASSES, KNOWN, named, without_images
from .systems.dimers import read as read_curves
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

CUTOFF, CHANNELS, FEATURES, SIGMA, SHORTER = 5.0, 32, 32, 2.0, 10
STEPS = 100, 4000  # for each class, with --quick, and without it
FORCES = 10.0  # weight of a mean square of forces beside that of energies
EV = 1e3  # meV
PARTS = {"without": "without", "box": "in the box", "open": "no images"}  # of runs, and what tables call them
COLOURS = {"without": "tab:orange", "box": "tab:green", "open": "tab:blue"}


def read(folder, classes: list[str]) -> list[Structures]:
    """The curves, one set of structures for each class, in the order of the distance."""
    missing = [name for name in classes if not (folder / f"dimer_{name}.npz").exists()]
    if missing:
        sys.exit(f"--data: no dimer_{missing[0]}.npz in {folder}; it is in the repository of SOG-Net, see --help")
    return read_curves(folder, classes, images=True)


def errors(network: MessagePassingNetwork, curves: dict[str, Structures]) -> dict:
    """RMSE of energies (meV) and forces (meV/A) at the longest distances, and the differences themselves."""
    out: dict = {}
    for name, curve in curves.items():
        made = network.predict(curve)
        away = EV * (made.energies - curve.energies)
        far = slice(int(curve.offsets[SHORTER]), None)
        forces = EV * (made.forces - curve.forces)[far]
        out[name] = float(np.sqrt((away[SHORTER:] ** 2).mean()))
        out[f"{name} forces"] = float(np.sqrt((forces**2).mean()))
        out[f"{name} differences"] = away.tolist()
    return out


def draw(results: dict[str, list[dict]], classes: list[str], path) -> None:
    """Differences of energies along the curves, without and with the long range."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(classes), figsize=(3.4 * len(classes), 3), squeeze=False)
    for axis, name in zip(axes[0], classes, strict=True):
        for part, runs in results.items():
            for run in runs:
                axis.plot(run[f"{name} differences"], "o-", ms=3, lw=1, color=COLOURS[part], alpha=0.7)
        axis.axvspan(SHORTER - 0.5, 12.5, color="0.9")
        axis.set_yscale("symlog", linthresh=5)
        axis.set_title(f"{name} (not learned: grey)", fontsize=9)
        axis.set_xlabel("distance, from the shortest")
    axes[0][0].set_ylabel("network - truth (meV)")
    for part in results:
        axes[0][0].plot([], color=COLOURS[part], label=PARTS[part])
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def train(args, part: str, curves: list[Structures]) -> list[dict]:
    """The runs of one row of the table."""
    data = [without_images(curve) for curve in curves] if part == "open" else curves
    learned = Structures.concatenate([curve[:SHORTER] for curve in data])
    species = np.unique(learned.species)
    weights = LossWeights(energy=1.0, forces=FORCES / (3 * float(learned.counts.mean())))
    steps = [len(args.classes) * each for each in STEPS]
    recipe = Recipe(steps_of(args, *steps), batch=10, rate=2e-3, weights=weights)
    by_class = dict(zip(args.classes, data, strict=True))

    def make(seed: int, row: str) -> MessagePassingNetwork:
        """An untrained network."""
        far = {"long_range": FEATURES, "sigma": SIGMA} if row == "with" else {}
        options = far | {"dtype": np.float32, "seed": seed}
        network = MessagePassingNetwork(species, CUTOFF, channels=CHANNELS, threads=args.threads, **options)
        network.fit_references(learned)
        return network

    rows = ("without" if part == "without" else "with",)
    label = f"{named('dimers', args.classes)} {part}"
    return run_seeds(make, learned, recipe, lambda network: errors(network, by_class), args, label, rows)


def main() -> None:
    parser = learning_arguments("dimers", __doc__ or "", "folder with dimer_CC.npz and so on")
    text = "learned together (default: %(default)s)"
    parser.add_argument("--classes", nargs="+", choices=KNOWN, default=CLASSES, help=text)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="rows (default: all)")
    args = parser.parse_args()
    usual = len(args.classes) * usual_steps(args, *STEPS)
    args.output, name = folder_of(args, usual), named("dimers", args.classes)
    check_on_file(parser, args, [f"{name} {part}" for part in args.parts])
    try:
        curves = read(args.data, args.classes)
    except ValueError as wrong:
        parser.error(str(wrong))
    results = {part: train(args, part, curves) for part in args.parts}
    columns = [*args.classes, *(f"{each} forces" for each in args.classes)]
    lines = []
    for part, runs in results.items():
        lines += [[PARTS[part], *line[1:]] for line in as_lines(runs, columns, digits=1)]
    header = ["long range", *(f"{each} (meV)" for each in args.classes)]
    header += [*(f"{each} (meV/A)" for each in args.classes), "seconds"]
    title = "RMSE at the three longest distances: median (and range) over seeds"
    record(args, name, title, header, lines, runs=results)
    draw(results, args.classes, args.output / f"{name}.png")


if __name__ == "__main__":
    main()
