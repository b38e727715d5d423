"""What the scripts for the figures of Loche et al. (2025) share: options, records and how errors are written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lrc_numba.geometry.cell import minimum_image
from validation.tools.common import environment

__all__ = ["figure_parser", "kept_record", "new_record", "rms", "separated_points"]

RESULTS = Path(__file__).parent / "results"


def figure_parser(name: str, description: str, presets: Iterable[str], seeds: Iterable[int]) -> argparse.ArgumentParser:
    """The options that every such script has.

    Parameters
    ----------
    name : str
        Of the script, without its folder.
    description : str
        Its docstring.
    presets : iterable of str
        How much may be computed, the smallest first.
    seeds : iterable of int
        The default ones.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m figures.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = list(presets)
    parser.add_argument("--preset", choices=names, default=names[0], help="default: %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="default: %(default)s")
    parser.add_argument("--plot-only", action="store_true", help="compute nothing: table and picture of what is there")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (default: figures/results)")
    return parser


def new_record(name: str, args: argparse.Namespace, threads: int | None, **results: Any) -> dict:
    """What is written: where, how and with which options it was computed, and the results.

    Parameters
    ----------
    name : str
        Of the script.
    args : Namespace
        Its options.
    threads : int or None
        That were used; None for as many as there are processors.
    **results
        By name.
    """
    seeds = " ".join(map(str, args.seeds))
    command = f"python -m figures.{name} --preset {args.preset} --seeds {seeds}"  # wherever that was written to
    data = getattr(args, "data", None)
    command += "" if data is None else f" --data {data.name}"
    made = environment(threads) | {"command": command}
    return {"environment": made, "preset": args.preset, "seeds": args.seeds, **results}


def kept_record(parser: argparse.ArgumentParser, path: Path, key: str) -> dict:
    """The record of an earlier run; where there is none, the script ends and says so.

    Parameters
    ----------
    parser : ArgumentParser
        Of the script.
    path : Path
        Of the record.
    key : str
        That it has to have.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record[key], record["environment"]
    except (OSError, ValueError, TypeError, KeyError) as wrong:
        parser.error(f"--plot-only: {path} is no result of this script ({wrong!r}); run without --plot-only first")
    return record


def rms(vectors: np.ndarray) -> float:
    """√⟨|v|²⟩ of the rows of (N, 3)."""
    return float(np.sqrt(np.mean(np.sum(np.square(vectors), axis=1))))


def separated_points(count: int, length: float, nearest: float, rng: np.random.Generator) -> np.ndarray:
    """Random points of a periodic cube (count, 3), no two of them closer than ``nearest``.

    Parameters
    ----------
    count : int
        Number of points.
    length : float
        Edge of the cube.
    nearest : float
        Of the same unit; where points would fill more than about a third of the cube, this takes for ever.
    rng : numpy.random.Generator
        Where randomness comes from.
    """
    points = np.empty((0, 3))
    while len(points) < count:
        point = length * rng.random(3)
        apart = minimum_image(points - point, length)
        if (np.einsum("na,na->n", apart, apart) > nearest**2).all():
            points = np.concatenate([points, point[None]])
    return points
