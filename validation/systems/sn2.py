"""Energies of the reaction F- + CH3I, in which an ion comes and another one leaves.

401 geometries along the reaction coordinate from -10 to 10 A, energies alone, no periodic images. Networks learn every
fourth of them and are asked for the others; and, in a second task, every fourth of those within 6 A, and are asked for
those beyond. Two rounds of messages within 5 A, Adam and then L-BFGS.

A relaxed molecule tells how far away an ion is: its bonds change by some 1e-3 A. So there is a scan of rigid molecules,
too: those of both ends, with their ion moved to where it is in the data beyond 6 A. Their energies are those of the
data but for what relaxing gains, half a force constant times the square of 0.003 A and less: some 0.1 meV.

The data are in the repository of EFA (euclidean fast attention): sn2_F_I.npz.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

from ..tools.forms import COLOURS, NAMES, System, Task
from ..tools.learning import Recipe, steps_of, usual_steps
from ..tools.npz import read_arrays

__all__ = ["rigid_scan", "sn2"]

CUTOFF, CHANNELS, FEATURES, EVERY, FAR = 5.0, 32, 32, 4, 6.0
STEPS = 200, 2000  # with --quick, and without it
CARBON, FLUORINE, IODINE = 6, 9, 53
EV = 1e3  # meV
TASKS = {"every fourth": np.inf, "within 6 A": FAR}  # and how far away the learned ones are at most


def rigid_scan(structures: Structures, coordinate: np.ndarray) -> tuple[Structures, np.ndarray]:
    """Molecules as at both ends, their ion as far away as in the data beyond ``FAR``, and where those are.

    Parameters
    ----------
    structures : Structures
        All geometries.
    coordinate : (401,)
        Of the reaction, angstrom.
    """
    positions = structures.positions.reshape(len(structures), -1, 3)
    species, where = structures.species[: positions.shape[1]], np.flatnonzero(np.abs(coordinate) > FAR)
    (carbon,) = np.flatnonzero(species == CARBON)
    moved = []
    for i in where:
        end, leaving = (0, FLUORINE) if coordinate[i] < 0 else (-1, IODINE)
        (ion,) = np.flatnonzero(species == leaving)
        rigid = positions[end].copy()
        away = rigid[ion] - rigid[carbon]
        wanted = np.linalg.norm(positions[i, ion] - positions[i, carbon])
        rigid[ion] = rigid[carbon] + away * wanted / np.linalg.norm(away)
        moved.append(rigid)
    energies = structures.energies[where]
    return Structures.from_arrays(np.stack(moved), None, species=species, energies=energies), where


def errors(network: MessagePassingNetwork, data: tuple, learned: np.ndarray, rehearse: bool) -> dict:
    """Mean absolute errors in meV of what was not learned, and the differences themselves."""
    structures, coordinate, tested = data
    away = EV * (network.predict(structures, forces=False).energies - structures.energies)
    scan, where = rigid_scan(structures, coordinate)
    rigid = EV * (network.predict(scan, forces=False).energies - scan.energies)
    size, far = np.abs(away), np.abs(coordinate) > FAR
    out = {"learned": size[learned], "others": size[tested], "far": size[tested & far], "rigid": np.abs(rigid)}
    means = {name: float(part.mean()) for name, part in out.items()}
    if rehearse:
        return means
    return means | {"differences": away.tolist(), "rigid differences": rigid.tolist(), "rigid at": where.tolist()}


def draw(results: dict[str, list[dict]], path: Path) -> None:
    """Differences of energies along the reaction, and those of the rigid scan."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(results), 2, figsize=(10, 2.8 * len(results)), squeeze=False, layout="constrained")
    for (left, right), (task, runs) in zip(axes, results.items(), strict=True):
        for run in runs:
            coordinate = np.linspace(-10, 10, len(run["differences"]))
            left.plot(coordinate, run["differences"], lw=0.7, color=COLOURS[run["row"]], alpha=0.9)
            rigid = np.array(run["rigid differences"])
            at = coordinate[run["rigid at"]]
            for side in (at < 0, at > 0):
                right.plot(at[side], rigid[side], lw=0.7, color=COLOURS[run["row"]], alpha=0.9)
        for axis, what in ((left, task), (right, f"{task}: rigid molecules")):
            axis.set_yscale("symlog", linthresh=5)
            axis.set_title(what, fontsize=9)
            axis.set_xlabel("reaction coordinate (A)")
        left.set_ylabel("network − truth (meV)")
    for row in dict.fromkeys(run["row"] for runs in results.values() for run in runs):
        axes[0, 0].plot([], color=COLOURS[row], label=NAMES[row])
    figure.legend(fontsize=8, ncols=6, loc="outside lower center")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def sn2(path: Path, args: Namespace) -> System:
    """Every fourth geometry, and every fourth of those within 6 A.

    Parameters
    ----------
    path : Path
        Of sn2_F_I.npz.
    args : Namespace
        Of ``validation.long_range``.
    """
    (coordinate,) = read_arrays(path, ["reaction_coordinate"])
    structures = Structures.load(path)
    numbers = np.arange(len(structures))
    known = numbers % EVERY == 0
    polishing = 20 if args.quick else 200
    recipe = Recipe(
        steps_of(args, *STEPS),
        batch=40,
        rate=2e-3,
        weights=LossWeights(energy=1.0, forces=0.0),
        polishing=polishing,
    )
    tasks = {}
    for name, reach in TASKS.items():
        learned, tested = known & (np.abs(coordinate) <= reach), ~known
        if args.rehearse:  # every eighth, and what lies between of what is learned else
            learned, tested = learned & (numbers % (2 * EVERY) == 0), known & (numbers % (2 * EVERY) != 0)

        def measure(network: MessagePassingNetwork, learned=learned, tested=tested) -> dict:
            """Of one task."""
            return errors(network, (structures, coordinate, tested), learned, args.rehearse)

        tasks[name] = Task(structures[learned], recipe, measure)
    reference = (EV * (structures.energies - structures.energies[0])).tolist()
    return System(
        name="long_range_sn2",
        title="MAE of energies: median (and range) over seeds",
        species=np.unique(structures.species),
        cutoff=CUTOFF,
        settings={"channels": CHANNELS},
        features=FEATURES,
        tasks=tasks,
        columns={
            "learned": "learned (meV)",
            "others": "others (meV)",
            "far": f"beyond {FAR:g} A (meV)",
            "rigid": "rigid (meV)",
        },
        draw=draw,
        usual_steps=usual_steps(args, *STEPS),
        digits=2,
        about={"reference": reference, "coordinate": coordinate.tolist()},
    )
