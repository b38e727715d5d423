"""What the scripts that learn from real data share: one training, several seeds, errors, a picture."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path

import numpy as np

import lrc_numba
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork
from lrc_numba.training import Protocol, Stage, Trainer, polish

from .common import arguments, environment, print_table, save_json

__all__ = ["Recipe", "as_lines", "learn", "learning_arguments", "on_file", "record", "run_seeds"]


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
        Iterations of L-BFGS at the end.
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
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: %(default)s; --quick: the first"
    )
    parser.add_argument("--plot-only", action="store_true", help="train nothing: table and picture of what is on file")
    parser.add_argument("--steps", type=int, default=None, help="optimiser steps of each network, for a look")
    return parser


def learn(network: MessagePassingNetwork, data: Structures, recipe: Recipe, seed: int, checkpoint: Path) -> float:
    """Train a network, going on from the checkpoint if there is one of this run; seconds of this call alone.

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
        Removed where it is of another run.
    """
    per_epoch = ceil(len(data) / recipe.batch)
    stages = (Stage(recipe.batch, max(1, round(recipe.steps / per_epoch))),)
    protocol = Protocol(stages, rate=recipe.rate, schedule="cosine", warmup=min(100, recipe.steps // 10), last=2e-3)
    start = time.perf_counter()
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
    try:
        trainer.resume()
    except ValueError:
        checkpoint.unlink()
    trainer.run()
    if recipe.polishing:
        polish(network, data, recipe.weights, iterations=recipe.polishing)
    if recipe.pairs:
        network.fit_pairs(data, recipe.weights)
    return time.perf_counter() - start


def run_seeds(
    make: Callable[[int, bool], MessagePassingNetwork],
    data: Structures,
    recipe: Recipe,
    measure: Callable[[MessagePassingNetwork], dict],
    args: argparse.Namespace,
    label: str,
) -> list[dict]:
    """Train with and without a long range for every seed.

    Parameters
    ----------
    make : function
        Takes a seed, and whether there is a long range, to a network.
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

    Returns
    -------
    list of dict
        With "seed", "long_range", "seconds", "parameters", and what ``measure`` gave.
    """
    if args.plot_only:
        return on_file(args, label)
    runs, finished = [], Finished(args.output / f"{label.replace(' ', '-')}.runs.jsonl")
    for seed in args.seeds[:1] if args.quick else args.seeds:
        for far in (False, True):
            network = make(seed, far)
            key = finished.key(network, data, recipe)
            if key in finished.runs:
                runs.append(finished.runs[key])
                continue
            name = f"{label.replace(' ', '-')}-{'far' if far else 'near'}-{seed}"
            taken = learn(network, data, recipe, seed, args.output / "checkpoints" / f"{name}.npz")
            run = {"seed": seed, "long_range": far, "seconds": taken, "parameters": network.parameters.flat.size}
            runs.append(run | measure(network))
            finished.add(key, runs[-1])
            print(f"{name}: {taken:.0f} s, {_numbers(runs[-1])}", flush=True)
    return runs


class Finished:
    """Runs that are done, a line of JSON each, so that a script that was interrupted goes on after them.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path):
        self.path, self.runs = path, {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                self.runs[record["key"]] = record["run"]

    @staticmethod
    def key(network: MessagePassingNetwork, data: Structures, recipe: Recipe) -> str:
        """What a run depends on: an untrained network, data, recipe, and the sources of the package."""
        arrays = [network.parameters.flat, data.positions, data.energies, data.forces]
        digest = sha256(json.dumps([network.settings(), asdict(recipe)], sort_keys=True).encode())
        for source in sorted(Path(lrc_numba.__file__).parent.rglob("*.py")):
            digest.update(source.read_bytes())
        for array in arrays:
            digest.update(b"" if array is None else array.tobytes())
        return digest.hexdigest()[:16]

    def add(self, key: str, run: dict) -> None:
        """Write a run down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "run": run}) + "\n")


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
        "name" or "name-part", where runs are recorded by parts.
    """
    name, _, part = label.partition(" ")
    runs = json.loads((args.output / f"{name}.json").read_text(encoding="utf-8"))["runs"]
    return runs[part] if part else runs


def as_lines(runs: list[dict], names: list[str], scale: float = 1.0, digits: int = 2) -> list[list[str]]:
    """Lines of a table: the median over the seeds and, where there are several, their range.

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
    """
    lines = []
    for far in (False, True):
        cells = ["with" if far else "without"]
        for name in names:
            values = scale * np.array([run[name] for run in runs if run["long_range"] == far])
            cells.append(f"{np.median(values):.{digits}f}")
            if len(values) > 1:
                cells[-1] += f" ({values.min():.{digits}f} to {values.max():.{digits}f})"
        taken = np.median([run["seconds"] for run in runs if run["long_range"] == far])
        lines.append([*cells, f"{taken:.0f}"])
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
    if args.plot_only:
        before = json.loads((args.output / f"{name}.json").read_text(encoding="utf-8"))
        save_json(args.output / f"{name}.json", before | {"title": title, "header": header, "lines": lines})
        return
    table = {"title": title, "header": header, "lines": lines}
    save_json(args.output / f"{name}.json", {"environment": environment(args.threads), **table, **about})
