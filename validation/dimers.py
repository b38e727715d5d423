"""Binding curves of charged and polar organic dimers: what a learned long range adds.

Each curve has thirteen distances; networks learn energies and forces of the ten shorter ones and are asked for the
three longest, which are beyond the reach of their messages. Two rounds of messages within 5 A, without and with a
convolution of 32 learned features in each round (Coulomb kernel of width 2 A, periodic box of 30 A), trained alike, at
last by L-BFGS on all structures, as tails go on with the slopes that were learned before them. CC are two charged
molecules, CP a charged and a polar one, PP two polar ones; A is apolar.

The data are from the BioFragment database (HSE06+MBD), as in the repository of SOG-Net: files dimer_CC.npz and so on.

  python -m validation.dimers --data FOLDER --quick
  python -m validation.dimers --data FOLDER --classes CC CP PP
"""

from __future__ import annotations

import sys

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from .tools.learning import Recipe, as_lines, learning_arguments, record, run_seeds

CUTOFF, CHANNELS, FEATURES, SIGMA, SHORTER = 5.0, 32, 32, 2.0, 10
FORCES = 10.0  # weight of a mean square of forces beside that of energies
EV = 1e3  # meV


def read(folder, classes: list[str]) -> list[Structures]:
    """The curves, one set of structures for each class, in the order of the distance."""
    missing = [name for name in classes if not (folder / f"dimer_{name}.npz").exists()]
    if missing:
        print(f"SKIPPED: no dimer_{missing[0]}.npz in {folder}; it is in the repository of SOG-Net, see --help")
        sys.exit(0)
    return [Structures.load(folder / f"dimer_{name}.npz", padding=0) for name in classes]


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


def draw(runs: list[dict], classes: list[str], path) -> None:
    """Differences of energies along the curves, with and without the long range."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(classes), figsize=(3.4 * len(classes), 3), squeeze=False)
    for axis, name in zip(axes[0], classes, strict=True):
        for far, colour in ((False, "tab:orange"), (True, "tab:blue")):
            for run in runs:
                if run["long_range"] == far:
                    axis.plot(run[f"{name} differences"], "o-", ms=3, lw=1, color=colour, alpha=0.7)
        axis.axvspan(SHORTER - 0.5, 12.5, color="0.9")
        axis.set_yscale("symlog", linthresh=5)
        axis.set_title(f"{name} (not learned: grey)", fontsize=9)
        axis.set_xlabel("distance, from the shortest")
    axes[0][0].set_ylabel("network - truth (meV)")
    axes[0][0].plot([], color="tab:orange", label="without long range")
    axes[0][0].plot([], color="tab:blue", label="with")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = learning_arguments("dimers", __doc__ or "", "folder with dimer_CC.npz and so on")
    parser.add_argument("--classes", nargs="+", default=["CC", "CP", "PP"], help="default: %(default)s")
    args = parser.parse_args()
    curves = read(args.data, args.classes)
    learned = Structures.concatenate([curve[:SHORTER] for curve in curves])
    species = np.unique(learned.species)
    weights = LossWeights(energy=1.0, forces=FORCES / (3 * float(learned.counts.mean())))
    steps = args.steps or (300 if args.quick else 6000)
    recipe = Recipe(steps, batch=10, rate=2e-3, weights=weights, polishing=20 if args.quick else 200)

    def make(seed: int, far: bool) -> MessagePassingNetwork:
        """An untrained network."""
        options = {"long_range": FEATURES if far else 0, "sigma": SIGMA, "dtype": np.float32, "seed": seed}
        network = MessagePassingNetwork(species, CUTOFF, channels=CHANNELS, threads=args.threads, **options)
        network.fit_references(learned)
        return network

    named = dict(zip(args.classes, curves, strict=True))
    runs = run_seeds(make, learned, recipe, lambda network: errors(network, named), args, "dimers")
    columns = [*args.classes, *(f"{name} forces" for name in args.classes)]
    header = ["long range", *(f"{name} (meV)" for name in args.classes)]
    header += [*(f"{name} (meV/A)" for name in args.classes), "seconds"]
    title = "RMSE at the three longest distances: median (and range) over seeds"
    record(args, "dimers", title, header, as_lines(runs, columns, digits=1), runs=runs, steps=recipe.steps)
    draw(runs, args.classes, args.output / "dimers.png")


if __name__ == "__main__":
    main()
