"""Binding curves of charged and polar organic dimers.

Each curve has thirteen distances; networks learn energies and forces of the ten shorter ones and are asked for the
three longest, which are beyond the reach of their messages. Two rounds of messages within 5 A, and no periodic images,
as the energies are those of molecules alone: in the periodic box of 30 A that the data come with, the images of a
charge 10 A away change its force by a sixth. CC are two charged molecules, CP a charged and a polar one, PP two polar
ones; CA and PA are a charged and a polar one with an apolar one.

The data are from the BioFragment database (HSE06+MBD), as in the repository of SOG-Net: files dimer_CC.npz and so on.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from ..tools.forms import COLOURS, NAMES, System, Task
from ..tools.learning import Recipe, steps_of, usual_steps

__all__ = ["CLASSES", "GOALS", "KNOWN", "dimers", "named", "read"]

CLASSES = ("CC", "CP", "PP")  # learned together where nothing else is said
KNOWN = (*CLASSES, "CA", "PA")
CUTOFF, CHANNELS, FEATURES, SHORTER = 5.0, 32, 32, 10
STEPS = 67, 2000  # for each class, with --quick, and without it
REHEARSED = 7  # of the ten, with which settings are chosen
FORCES = 10.0  # weight of a mean square of forces beside that of energies
# At the longest distances, meV and meV/A: what the best form is to reach.
GOALS = {"CC": 12.0, "CP": 8.0, "PP": 8.0, "CC forces": 8.0, "CP forces": 8.0, "PP forces": 8.0}
BONDED = 2.0  # angstrom: the longest bond
EV = 1e3  # meV


def named(name: str, classes: Sequence[str]) -> str:
    """The name of a record: other classes than the usual ones have one of their own.

    Parameters
    ----------
    name : str
        With ``CLASSES``.
    classes : sequence of str
        That are learned together.
    """
    return name if tuple(classes) == CLASSES else "_".join([name, *classes])


def read(folder: Path, classes: Sequence[str], images: bool = False) -> list[Structures]:
    """The curves, one set of structures for each class, in the order of the distance.

    Parameters
    ----------
    folder : Path
        With dimer_CC.npz and so on.
    classes : sequence of str
        Some of ``KNOWN``.
    images : bool
        Whether in the periodic box that they come with; otherwise in free space.

    Raises
    ------
    ValueError
        Where a class is named twice, or a file is not what it should be.
    """
    if len(set(classes)) < len(classes):
        raise ValueError(f"--classes: expected each of them once, got {' '.join(classes)}")
    curves = [Structures.load(folder / f"dimer_{name}.npz", padding=0) for name in classes]
    return curves if images else [without_images(curve) for curve in curves]


def without_images(curve: Structures) -> Structures:
    """The same molecules in free space."""
    return replace(curve, cell=np.zeros_like(curve.cell), periodic=np.zeros_like(curve.periodic))


def separations(curve: Structures) -> np.ndarray:
    """How far the centres of both molecules are apart, for each distance."""
    positions = curve.positions.reshape(len(curve), -1, 3)
    last = positions[-1]
    bonded = np.linalg.norm(last[:, None] - last[None], axis=2) < BONDED
    first = connected_components(bonded)[1] == 0
    return np.linalg.norm(positions[:, first].mean(axis=1) - positions[:, ~first].mean(axis=1), axis=1)


def errors(network: MessagePassingNetwork, curves: dict[str, Structures], learned: int) -> dict:
    """RMSE of energies (meV) and forces (meV/A) at the distances not learned, and the differences themselves."""
    out: dict = {}
    for name, curve in curves.items():
        made = network.predict(curve)
        away = EV * (made.energies - curve.energies)
        forces = EV * (made.forces - curve.forces)[int(curve.offsets[learned]) :]
        out[name] = float(np.sqrt((away[learned:] ** 2).mean()))
        out[f"{name} forces"] = float(np.sqrt((forces**2).mean()))
        out[f"{name} differences"] = away.tolist()
    return out


def draw(results: dict[str, list[dict]], path: Path) -> None:
    """Differences of energies along the curves."""
    import matplotlib.pyplot as plt

    (runs,) = results.values()
    classes = [key.removesuffix(" differences") for key in runs[0] if key.endswith(" differences")]
    size = 3.4 * max(len(classes), 2), 3.4
    figure, axes = plt.subplots(1, len(classes), figsize=size, layout="constrained", squeeze=False)
    for axis, name in zip(axes[0], classes, strict=True):
        for run in runs:
            axis.plot(run[f"{name} differences"], "o-", ms=2.5, lw=0.9, color=COLOURS[run["row"]], alpha=0.8)
        axis.axvspan(SHORTER - 0.5, 12.5, color="0.93")
        axis.set_yscale("symlog", linthresh=5)
        axis.set_title(f"{name} (not learned: grey)", fontsize=9)
        axis.set_xlabel("distance, from the shortest")
    axes[0, 0].set_ylabel("network − truth (meV)")
    for row in dict.fromkeys(run["row"] for run in runs):
        axes[0, 0].plot([], color=COLOURS[row], label=NAMES[row])
    figure.legend(fontsize=8, ncols=6, loc="outside lower center")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def dimers(folder: Path, args: Namespace) -> System:
    """Some curves, learned together.

    Parameters
    ----------
    folder : Path
        With dimer_CC.npz and so on.
    args : Namespace
        Of ``validation.long_range``.
    """
    classes = tuple(args.classes)
    curves, learned = read(folder, classes), SHORTER
    if args.rehearse:
        curves, learned = [curve[:SHORTER] for curve in curves], REHEARSED
    by_class = dict(zip(classes, curves, strict=True))
    data = Structures.concatenate([curve[:learned] for curve in curves])
    weights = LossWeights(energy=1.0, forces=FORCES / (3 * float(data.counts.mean())))
    steps = [len(classes) * each for each in STEPS]
    recipe = Recipe(steps_of(args, *steps), batch=10, rate=2e-3, weights=weights)
    columns = {name: f"{name} (meV)" for name in classes} | {f"{name} forces": f"{name} (meV/A)" for name in classes}
    reference = {
        name: {
            "distance": separations(curve).tolist(),
            "energies": (EV * (curve.energies - curve.energies[-1])).tolist(),
        }
        for name, curve in by_class.items()
    }
    return System(
        name=named("long_range_dimers", classes),
        title="RMSE at the three longest distances: median (and range) over seeds",
        species=np.unique(data.species),
        cutoff=CUTOFF,
        settings={"channels": CHANNELS, "dtype": np.float32},
        features=FEATURES,
        tasks={"all": Task(data, recipe, lambda network: errors(network, by_class, learned))},
        columns=columns,
        usual_steps=usual_steps(args, *steps),
        draw=draw,
        about={"reference": reference, "learned": learned},
    )
