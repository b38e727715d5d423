"""The neighbour search against vesin, in turns: uniform points with about 100 neighbours, box and triclinic cell.

Half and full lists with indices, displacements and distances, all of which vesin is asked for too, by an object that is
kept between calls. Both have as many threads, and give arrays that the user owns. Also whether both find as many pairs,
and by how much their distances differ when they are added up, and how the time of each grows with the number of points.

  python -m validation.neighbours --quick
  python -m validation.neighbours --points 64000 --threads 1 2
"""

from __future__ import annotations

import math
import sys
from importlib import import_module
from importlib.metadata import version
from itertools import product

import numpy as np
from tqdm import tqdm

from lrc_numba.geometry.neighbours import find_pairs

from .tools.common import alternate, arguments, environment, positive, print_table, save_json, seconds

POINTS = (1_000, 8_000, 64_000)
NEIGHBOURS = 100
CELLS = {"box": np.eye(3), "triclinic": np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.35, 1.1]])}
GOAL, LARGE = 1.5, 50_000  # times as fast as vesin, with so many points or more


def measure(kind: str, count: int, full: bool, threads: int, rounds: int, vesin) -> dict:
    """Median seconds, numbers of pairs and the difference of the sums of distances.

    Parameters
    ----------
    kind : {"box", "triclinic"}
        The cell.
    count : int
        Points.
    full : bool
        Whether every pair comes twice.
    threads : int
        Of both.
    rounds : int
        Turns.
    vesin : module or None
        None where it is not installed.
    """
    cell = CELLS[kind] * count ** (1 / 3)
    points = np.random.default_rng(count).random((count, 3)) @ cell
    volume = NEIGHBOURS * abs(np.linalg.det(cell)) / count  # of the sphere
    cutoff = float((volume / (4 / 3 * math.pi)) ** (1 / 3))
    results: dict = {}

    def ours() -> None:
        results["lrc_numba"] = find_pairs(points, cutoff, cell, full=full, threads=threads)

    search = vesin.NeighborList(cutoff=cutoff, full_list=full, n_threads=threads) if vesin else None

    def theirs() -> None:
        results["vesin"] = search.compute(points, cell, True, "ijDd")

    calls = {"lrc_numba": ours} | ({"vesin": theirs} if vesin else {})
    taken = alternate(calls, rounds, budget=math.inf)
    row = {"cell": kind, "list": "full" if full else "half", "points": count, "threads": threads, "seconds": taken}
    pairs = results["lrc_numba"]
    row["pairs"] = {"lrc_numba": len(pairs)}
    if vesin:
        distances = results["vesin"][3]
        row["pairs"]["vesin"] = len(distances)
        row["difference"] = abs(float(pairs.distance.sum() / distances.sum()) - 1.0)
        row["ratio"] = taken["vesin"] / taken["lrc_numba"]
    return row


def growth(rows: list[dict]) -> list[dict]:
    """Exponents p of time ~ N^p from the least to the largest number of points of each cell, list and thread count."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["cell"], row["list"], row["threads"]), []).append(row)
    exponents = []
    for (cell, of, threads), members in groups.items():
        few, many = (choose(members, key=lambda row: row["points"]) for choose in (min, max))
        if few["points"] == many["points"]:
            continue
        decades = math.log(many["points"] / few["points"])
        names = few["seconds"]
        by_name = {name: math.log(many["seconds"][name] / few["seconds"][name]) / decades for name in names}
        exponents.append({"cell": cell, "list": of, "threads": threads, "exponents": by_name})
    return exponents


def print_rows(rows: list[dict], exponents: list[dict]) -> None:
    """Times, ratios and growth."""
    lines = []
    for r in rows:
        ours, theirs = r["seconds"]["lrc_numba"], r["seconds"].get("vesin")
        equal = None if theirs is None else "yes" if r["pairs"]["lrc_numba"] == r["pairs"]["vesin"] else "NO"
        line = [r["cell"], r["list"], r["points"], r["threads"], r["pairs"]["lrc_numba"], seconds(ours)]
        line += [seconds(ours / r["points"]), seconds(theirs), f"{r['ratio']:.2f}" if theirs else None]
        lines.append([*line, equal, r.get("difference")])
    header = ["cell", "list", "points", "threads", "pairs", "lrc_numba", "per point", "vesin", "ratio"]
    print_table(
        f"Neighbours (goal: a ratio of {GOAL} from {LARGE} points on)", [*header, "same pairs", "distances"], lines
    )
    grown = [[e["cell"], e["list"], e["threads"], *(f"N^{p:.2f}" for p in e["exponents"].values())] for e in exponents]
    if grown:
        print_table("Growth", ["cell", "list", "threads", *exponents[0]["exponents"]], grown)


def main() -> int:
    """Measure, print and keep; exit status 1 where pairs differ or a goal is missed."""
    parser = arguments("neighbours", __doc__ or "", threads=(1,))
    parser.add_argument(
        "--points", type=positive, nargs="+", default=None, metavar="N", help=f"points (default: {POINTS})"
    )
    args = parser.parse_args()
    try:
        vesin = import_module("vesin")
    except ImportError:
        vesin = None
        print("SKIPPED: vesin is not installed, so there is nothing to compare with: pip install -e '.[peers]'")
    sizes = args.points or (POINTS[:2] if args.quick else POINTS)
    cases = list(product(CELLS, (False, True), sizes, args.threads))
    rounds = 5 if args.quick else 15
    bar = tqdm(cases, desc="neighbours", file=sys.stderr, leave=False)
    rows = [measure(kind, count, full, threads, rounds, vesin) for kind, full, count, threads in bar]
    exponents = growth(rows)
    print_rows(rows, exponents)
    about = environment(max(args.threads)) | ({"vesin": version("vesin")} if vesin else {})
    record = {"environment": about, "quick": args.quick, "neighbours": NEIGHBOURS, "goal": GOAL, "large": LARGE}
    save_json(args.output / "neighbours.json", record | {"rows": rows, "growth": exponents})
    compared = [row for row in rows if "ratio" in row]
    differing = [row for row in compared if len(set(row["pairs"].values())) > 1]
    slow = [row for row in compared if row["points"] >= LARGE and row["threads"] == 1 and row["ratio"] < GOAL]
    return 1 if differing or slow else 0


if __name__ == "__main__":
    sys.exit(main())
