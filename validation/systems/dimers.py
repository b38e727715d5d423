"""Binding curves of charged and polar organic dimers.

Each curve has thirteen distances; networks learn energies and forces of the ten shorter ones and are asked for the
three longest, which are beyond the reach of their messages. Two rounds of messages within 5 A, and no periodic images,
as the energies are those of molecules alone: in the periodic box of 30 A that the data come with, the images of a
charge 10 A away change its force by a sixth. CC are two charged molecules, CP a charged and a polar one, PP two polar
ones.

The data are from the BioFragment database (HSE06+MBD), as in the repository of SOG-Net: files dimer_CC.npz and so on.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse.csgraph import connected_components

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from ..tools.forms import COLOURS, NAMES, System, Task
from ..tools.learning import Recipe, steps_of, usual_steps

__all__ = ["CLASSES", "GOALS", "dimers"]

CLASSES = ("CC", "CP", "PP")
CUTOFF, CHANNELS, FEATURES, SHORTER = 5.0, 32, 32, 10
STEPS = 200, 6000  # with --quick, and without it
REHEARSED = 7  # of the ten, with which settings are chosen
FORCES = 10.0  # weight of a mean square of forces beside that of energies
# At the longest distances, meV and meV/A: what the best form is to reach.
GOALS = {"CC": 12.0, "CP": 8.0, "PP": 8.0, "CC forces": 8.0, "CP forces": 8.0, "PP forces": 8.0}
BONDED = 2.0  # angstrom: the longest bond
EV = 1e3  # meV


def read(folder: Path) -> list[Structures]:
    """The curves in free space, one set of structures for each class, in the order of the distance."""
    curves = [Structures.load(folder / f"dimer_{name}.npz", padding=0) for name in CLASSES]
    return [replace(c, cell=np.zeros_like(c.cell), periodic=np.zeros_like(c.periodic)) for c in curves]


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
    figure, axes = plt.subplots(1, len(CLASSES), figsize=(3.4 * len(CLASSES), 3.4), layout="constrained")
    for axis, name in zip(axes, CLASSES, strict=True):
        for run in runs:
            axis.plot(run[f"{name} differences"], "o-", ms=2.5, lw=0.9, color=COLOURS[run["row"]], alpha=0.8)
        axis.axvspan(SHORTER - 0.5, 12.5, color="0.93")
        axis.set_yscale("symlog", linthresh=5)
        axis.set_title(f"{name} (not learned: grey)", fontsize=9)
        axis.set_xlabel("distance, from the shortest")
    axes[0].set_ylabel("network − truth (meV)")
    for row in dict.fromkeys(run["row"] for run in runs):
        axes[0].plot([], color=COLOURS[row], label=NAMES[row])
    figure.legend(fontsize=8, ncols=6, loc="outside lower center")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def dimers(folder: Path, args: Namespace) -> System:
    """Three curves, learned together.

    Parameters
    ----------
    folder : Path
        With dimer_CC.npz and so on.
    args : Namespace
        Of ``validation.long_range``.
    """
    curves, learned = read(folder), SHORTER
    if args.rehearse:
        curves, learned = [curve[:SHORTER] for curve in curves], REHEARSED
    data, named = Structures.concatenate([curve[:learned] for curve in curves]), dict(zip(CLASSES, curves, strict=True))
    weights = LossWeights(energy=1.0, forces=FORCES / (3 * float(data.counts.mean())))
    recipe = Recipe(steps_of(args, *STEPS), batch=10, rate=2e-3, weights=weights)
    columns = {name: f"{name} (meV)" for name in CLASSES} | {f"{name} forces": f"{name} (meV/A)" for name in CLASSES}
    reference = {
        name: {
            "distance": separations(curve).tolist(),
            "energies": (EV * (curve.energies - curve.energies[-1])).tolist(),
        }
        for name, curve in named.items()
    }
    return System(
        name="long_range_dimers",
        title="RMSE at the three longest distances: median (and range) over seeds",
        species=np.unique(data.species),
        cutoff=CUTOFF,
        settings={"channels": CHANNELS, "dtype": np.float32},
        features=FEATURES,
        tasks={"all": Task(data, recipe, lambda network: errors(network, named, learned))},
        columns=columns,
        usual_steps=usual_steps(args, *STEPS),
        draw=draw,
        about={"reference": reference, "learned": learned},
    )
