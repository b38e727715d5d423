"""What the scripts that learn from real data share: one training, several seeds, errors, a picture."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork
from lrc_numba.training import Protocol, Stage, Trainer, polish

from .common import Seeds, arguments, environment, positive, print_table, save_json
from .finished import Finished

__all__ = [
    "Recipe",
    "as_lines",
    "check_on_file",
    "folder_of",
    "in_double_precision",
    "learn",
    "learning_arguments",
    "on_file",
    "record",
    "run_seeds",
]


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes
    ----------
    steps, batch : int
        Optimiser steps, and structures in each.
    rate : float
        The highest learning rate; it falls by a cosine after a short rise.
    weights : LossWeights
        Of the terms of the loss.
    largest_gradient : float
        Longer ones are shortened.
    polishing : int
        Iterations of L-BFGS at the end, in double precision.
    pairs : bool
        Whether energies of pairs are found by least squares, before and after.
    """

    steps: int
    batch: int
    rate: float
    weights: LossWeights
    largest_gradient: float = 1.0
    polishing: int = 0
    pairs: bool = False


def learning_arguments(name: str, description: str, data: str) -> argparse.ArgumentParser:
    """A parser with the options of these scripts.

    Parameters
    ----------
    name, description : str
        Of the script.
    data : str
        Help of --data.
    """
    parser = arguments(name, description)
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help=data)
    text = "with spaces or commas between (default: 0 1 2; --quick: the first)"
    parser.add_argument("--seeds", nargs="+", action=Seeds, default=[0, 1, 2], metavar="N", help=text)
    parser.add_argument("--plot-only", action="store_true", help="train nothing: table and picture of what is on file")
    parser.add_argument("--steps", type=positive, default=None, help="optimiser steps of each network, for a look")
    return parser


def usual_steps(args: argparse.Namespace, quick: int, full: int) -> int:
    """Optimiser steps of a run without --steps.

    Parameters
    ----------
    args : Namespace
        Of ``learning_arguments``.
    quick, full : int
        With --quick, and without it.
    """
    return quick if args.quick else full


def steps_of(args: argparse.Namespace, quick: int, full: int) -> int:
    """Optimiser steps of a run: those of --steps, or the usual ones.

    Parameters
    ----------
    args, quick, full
        As for ``usual_steps``.
    """
    return usual_steps(args, quick, full) if args.steps is None else args.steps


def folder_of(args: argparse.Namespace, usual: int | None) -> Path:
    """Where results go: of rehearsals, and of trainings of another length than the usual, to folders of their own.

    Parameters
    ----------
    args : Namespace
        Of ``learning_arguments``.
    usual : int or None
        Optimiser steps without --steps.
    """
    folder: Path = args.output / "rehearsed" if getattr(args, "rehearse", False) else args.output
    folder = folder if args.steps in (None, usual) else folder / f"steps-{args.steps}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def learn(
    network: MessagePassingNetwork, data: Structures, recipe: Recipe, seed: int, checkpoint: Path
) -> tuple[MessagePassingNetwork, float]:
    """Train a network, going on from the checkpoint if there is one of this run.

    Parameters
    ----------
    network : MessagePassingNetwork
        Trained in place.
    data : Structures
        To learn from.
    recipe : Recipe
        How.
    seed : int
        Of the order of the structures.
    checkpoint : Path
        Of this very run; beside it lies a file with the seconds that it took.

    Returns
    -------
    MessagePassingNetwork, float
        The trained one, in double precision where it was polished, and the processor's seconds, all runs together.
    """
    per_epoch = ceil(len(data) / recipe.batch)
    stages = (Stage(recipe.batch, max(1, round(recipe.steps / per_epoch))),)
    protocol = Protocol(stages, rate=recipe.rate, schedule="cosine", warmup=min(100, recipe.steps // 10), last=2e-3)
    clock = _Clock(checkpoint.with_suffix(".seconds"))
    if recipe.pairs:
        network.fit_pairs(data, recipe.weights)
    trainer = Trainer(
        network,
        data,
        protocol=protocol,
        weights=recipe.weights,
        largest_gradient=recipe.largest_gradient,
        seed=seed,
        checkpoint=checkpoint,
    )
    if not trainer.resume():
        clock.path.unlink(missing_ok=True)
    with clock:
        trainer.run()
    with clock:
        if recipe.polishing:
            network = in_double_precision(network)
            polish(network, data, recipe.weights, iterations=recipe.polishing)
        if recipe.pairs:
            network.fit_pairs(data, recipe.weights)
    return network, clock.seconds()


def in_double_precision(network: MessagePassingNetwork) -> MessagePassingNetwork:
    """The same network in float64, for the last digits.

    Parameters
    ----------
    network : MessagePassingNetwork
        In any precision.
    """
    double = MessagePassingNetwork.from_settings(network.settings() | {"dtype": "float64"}, network.threads)
    double.parameters.flat[...] = network.parameters.flat
    return double


class _Clock:
    """Adds up the processor's seconds of a training that may be interrupted.

    Parameters
    ----------
    path : Path
        Of a file with those up to now.
    """

    def __init__(self, path: Path):
        self.path, self._start = path, 0.0

    def seconds(self) -> float:
        """Those up to now."""
        return float(self.path.read_text()) if self.path.exists() else 0.0

    def __enter__(self) -> None:
        self._start = time.process_time()

    def __exit__(self, *_) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(f"{self.seconds() + time.process_time() - self._start:.3f}")


def run_seeds(
    make: Callable[[int, str], MessagePassingNetwork],
    data: Structures,
    recipe: Recipe,
    measure: Callable[[MessagePassingNetwork], dict],
    args: argparse.Namespace,
    label: str,
    rows: Sequence[str] = ("without", "with"),
) -> list[dict]:
    """Train every kind of network for every seed.

    Parameters
    ----------
    make : function
        Takes a seed and one of the rows to a network.
    data : Structures
        To learn from.
    recipe : Recipe
        How.
    measure : function
        Takes a network to what is recorded of it.
    args : Namespace
        Of ``learning_arguments``.
    label : str
        Of the record, and of the part of it where it has parts: "name" or "name part".
    rows : sequence of str
        Kinds of networks, rows of the table; with a long range and without by default.

    Returns
    -------
    list of dict
        With "seed", "row", "seconds", "parameters", and what ``measure`` gave.
    """
    if args.plot_only:
        return on_file(args, label)
    runs, finished = [], Finished(args.output / f"{label.replace(' ', '-')}.runs.jsonl")
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for row in rows:
            network = make(seed, row)
            key = finished.key(network, data, recipe)
            if key in finished.runs:
                runs.append(finished.runs[key])
                continue
            name = f"{label.replace(' ', '-')}-{row}-{seed}"
            checkpoint = args.output / "checkpoints" / f"{name}-{key}.npz"  # a changed source or recipe begins anew
            network, taken = learn(network, data, recipe, seed, checkpoint)
            run = {"seed": seed, "row": row, "seconds": taken, "parameters": network.parameters.flat.size}
            runs.append(run | measure(network))
            finished.add(key, runs[-1])
            print(f"{name}: {taken:.0f} s, {_numbers(runs[-1])}", flush=True)
    return runs


def _numbers(run: dict) -> dict:
    """What of a run can be read at a glance."""
    return {name: value for name, value in run.items() if not isinstance(value, list)}


def on_file(args: argparse.Namespace, label: str) -> list[dict]:
    """The runs of a script that were recorded before.

    Parameters
    ----------
    args : Namespace
        Of ``learning_arguments``.
    label : str
        "name" or "name part", where runs are recorded by parts.

    Raises
    ------
    ValueError
        Naming the file, where it or the part of it is not there.
    """
    name, _, part = label.partition(" ")
    runs = _recorded(args, name)["runs"]
    if part and part not in runs:
        raise ValueError(f"{args.output / name}.json: expected runs of {part!r}, got those of {', '.join(runs)}")
    return runs[part] if part else runs


def check_on_file(parser: argparse.ArgumentParser, args: argparse.Namespace, labels: Sequence[str]) -> None:
    """End with a line where --plot-only has nothing to show.

    Parameters
    ----------
    parser : ArgumentParser
        Which says it.
    args : Namespace
        Of ``learning_arguments``.
    labels : sequence of str
        Of ``run_seeds``.
    """
    for label in labels if args.plot_only else ():
        try:
            on_file(args, label)
        except ValueError as wrong:
            parser.error(str(wrong))


def _recorded(args: argparse.Namespace, name: str) -> dict:
    """What a script wrote."""
    path = args.output / f"{name}.json"
    if not path.exists():
        raise ValueError(f"{path} is not there: --plot-only shows what was trained before, without it nothing was")
    return json.loads(path.read_text(encoding="utf-8"))


def as_lines(
    runs: list[dict], names: list[str], scale: float = 1.0, digits: int = 2, parameters: bool = False
) -> list[list[str]]:
    """Lines of a table, one for each row of ``run_seeds``: the median over the seeds and, of several, their range.

    Parameters
    ----------
    runs : list of dict
        From ``run_seeds``.
    names : list of str
        Of the columns, numbers in each run.
    scale : float
        What numbers are multiplied with.
    digits : int
        Behind the point.
    parameters : bool
        Whether their number stands before the seconds.
    """
    lines = []
    for row in dict.fromkeys(run["row"] for run in runs):
        own, cells = [run for run in runs if run["row"] == row], [row]
        for name in names:
            values = scale * np.array([run[name] for run in own])
            cells.append(f"{np.median(values):.{digits}f}")
            if len(values) > 1:
                cells[-1] += f" ({values.min():.{digits}f} to {values.max():.{digits}f})"
        cells += [str(own[0]["parameters"])] * parameters
        lines.append([*cells, f"{np.median([run['seconds'] for run in own]):.0f}"])
    return lines


def record(args: argparse.Namespace, name: str, title: str, header: list[str], lines: list[list[str]], **about) -> None:
    """Print the table and write the JSON.

    Parameters
    ----------
    args : Namespace
        Of the script.
    name, title : str
        Of the file and of the table.
    header, lines : lists
        Of the table.
    **about
        What else is recorded.
    """
    print_table(title, header, lines)
    table = {"title": title, "header": header, "lines": lines}
    if args.plot_only:
        save_json(args.output / f"{name}.json", _recorded(args, name) | table)
        return
    save_json(args.output / f"{name}.json", {"environment": environment(args.threads), **table, **about})
