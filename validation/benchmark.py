"""Time convolutions by lrc_numba, FINUFFT and ducc0 at equal measured error.

The libraries take turns in one process, warm; times are medians of at least five calls. Each library runs at the
loosest eps, of three per decade, at which its relative l2 error against ducc0 at its tightest eps (about 1e-13) is
within the target; for a gradient the larger of the errors of u and of the gradient counts. A peer runs on at most as
many threads as ours, on fewer where that is faster. The operations, and how the peers are called, are in
validation/tools/libraries.py; "packed" is left out by default. Times of "new" points include set-up in every call,
those of "kept" points do not.

  python -m validation.benchmark --quick
  python -m validation.benchmark --resume
  python -m validation.benchmark --operation convolution --dims 3 --threads 1 --max-points 100000

Every finished cell is appended to the file --cells, with the versions of the libraries, the date and the load; --resume
keeps the cells of these versions and measures the others. The tables show the selected cells, with --report those on
file, of any version, without measuring. Times of single stages are in validation.stages.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import datetime
import gc
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

import lrc_numba

from .tools import benchmark_cuda
from .tools.benchmark_report import TIMES, at_most, draw, print_cells, print_summary, summary
from .tools.common import arguments, environment, positive, processor, save_json
from .tools.libraries import LIBRARIES, OPERATIONS, VARIANTS, Problem, error, open_library, reference

SHAPES = {
    1: ((10_000, 501), (1_000_000, 501)),
    2: tuple((n, m) for m in (63, 255) for n in (10_000, 1_000_000)),
    3: tuple((n, m) for m in (31, 63, 127) for n in (10_000, 100_000, 1_000_000)),
}
QUICK_SHAPES = {1: ((10_000, 501),), 2: ((10_000, 63),), 3: ((10_000, 31), (100_000, 31))}
TARGETS, QUICK_TARGETS = (1e-3, 1e-6, 1e-10), (1e-3, 1e-6)
DISTRIBUTIONS = ("uniform", "clustered")
PER_DECADE, TIGHTEST = 3, 1e-14
SETTLE = 0.003  # seconds: OpenMP's threads spin for a while after their work, which must not be another's time
LONG = 1.0  # seconds: of a call that takes longer the fastest variant is tried once, not for every target
SHORT = 0.01  # seconds: a call shorter than this is warmed up in every turn


# ---------------------------------------------------------------------- clocks
def _turn(opened, least: int = 1) -> list[tuple[float, float]]:
    """Seconds of setting points and of applying, begun when the threads of another library have gone to sleep.

    A short call is repeated, and follows one that is not counted, which brings its data back into the caches.
    """
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        pass
    taken: list[tuple[float, float]] = []
    while len(taken) < least or (sum(map(sum, taken)) < SHORT and len(taken) < 10):
        start = time.perf_counter()
        opened.set_points()
        middle = time.perf_counter()
        opened.apply()
        taken.append((middle - start, time.perf_counter() - middle))
    return taken[1:] if len(taken) > least else taken


def _medians(turns: list[tuple[float, float]]) -> dict[str, float]:
    """With new points and with those of the call before."""
    return {"new": float(np.median([sum(t) for t in turns])), "kept": float(np.median([t[1] for t in turns]))}


def take_turns(opened: dict, least: int, most: int, budget: float) -> dict:
    """Median seconds of libraries that take turns: ``least`` rounds, and up to ``most`` within ``budget`` seconds."""
    turns: dict = {name: [] for name in opened}
    begin = time.perf_counter()
    for done in range(most):
        if done >= least and time.perf_counter() - begin > budget:
            break
        for name, library in opened.items():
            turns[name] += _turn(library)
    return {name: _medians(taken) for name, taken in turns.items()}


# ---------------------------------------------------------------------- equal error
class Ladder:
    """The measured errors of the libraries on one problem, measured where they are asked for.

    The peers choose their oversampling by the number of threads, and so their error depends on it.

    Parameters
    ----------
    problem : Problem
        What is computed.
    threads : int
        For the reference.
    step : int
        Rungs to skip: 1 for all of them, 3 for one per decade.
    looser : dict
        Rungs from eps = target to what was found last for a library: where a search begins. Of problems alike before,
        and updated.
    known : dict
        Loosest eps by library, target and threads, found before for this problem: there the search begins instead.
    """

    def __init__(
        self,
        problem: Problem,
        threads: int,
        step: int,
        looser: dict[tuple, int],
        known: dict[tuple, float] | None = None,
    ):
        self.problem, self.step, self._looser, self._known = problem, step, looser, known or {}
        self.truth = reference(problem, threads)
        self._errors: dict[tuple, float] = {}
        self.fastest: dict[tuple, str] = {}  # variant per library, threads and mode, where trying them takes long

    def error(self, library: str, variant: str, threads: int, rung: int) -> float:
        """The error with eps = 10^(−rung/3); infinite where the library refuses or fails."""
        key = (library, variant, 1 if library == "lrc_numba" else threads, rung)  # ours: bit for bit the same
        if key not in self._errors:
            try:
                opened = open_library(library, self.problem, 10.0 ** (-rung / PER_DECADE), threads, variant)
                opened.set_points()
                measured = error(opened.apply(), self.truth)
            except (ValueError, RuntimeError):
                measured = np.inf
            self._errors[key] = measured if np.isfinite(measured) else np.inf
        return self._errors[key]

    def loosest(self, library: str, variant: str, threads: int, target: float) -> float | None:
        """The loosest eps that keeps the target; None where there is none."""
        nominal = round(-PER_DECADE * np.log10(target))
        alike = (library, variant, self.problem.operation, self.problem.dim, target)
        known = self._known.get((library, target, threads))
        begin = nominal + self._looser.get(alike, 0) if known is None else round(-PER_DECADE * np.log10(known))
        rung = max(self.step, begin)
        last = round(-PER_DECADE * np.log10(TIGHTEST))
        while self.error(library, variant, threads, rung) > target:
            rung += self.step
            if rung > last:
                return None
        while rung > self.step and self.error(library, variant, threads, rung - self.step) <= target:
            rung -= self.step
        self._looser[alike] = rung - nominal
        return float(10.0 ** (-rung / PER_DECADE))


# ---------------------------------------------------------------------- one cell
def _fastest(ladder: Ladder, library: str, target: float, threads: int) -> dict[str, tuple]:
    """For "new" and for "kept" points the fastest way to use a library: {mode: (variant, eps, opened)}."""
    known = {ladder.fastest[key] for mode in TIMES if (key := (library, threads, mode)) in ladder.fastest}
    loosest = {v: ladder.loosest(library, v, threads, target) for v in known or VARIANTS[library]}
    eps = {v: value for v, value in loosest.items() if value is not None}
    opened = {v: open_library(library, ladder.problem, eps[v], threads, v) for v in eps}
    if len(opened) < 2:
        return {mode: (v, eps[v], call) for v, call in opened.items() for mode in TIMES}
    for call in opened.values():
        _turn(call)  # the first call of a variant touches its memory for the first time
    taken = {variant: _medians(_turn(call)) for variant, call in opened.items()}
    fastest = {mode: min(taken, key=lambda variant, mode=mode: taken[variant][mode]) for mode in TIMES}
    if min(times["new"] for times in taken.values()) > LONG:
        ladder.fastest |= {(library, threads, mode): variant for mode, variant in fastest.items()}
    return {mode: (variant, eps[variant], opened[variant]) for mode, variant in fastest.items()}


def measure(ladder: Ladder, target: float, threads: int, quick: bool) -> dict:
    """One cell: per library eps, the error of what was timed, the medians with new and with kept points, and how."""
    calls, cell = {}, {}
    for library in LIBRARIES:
        fastest = _fastest(ladder, library, target, threads)
        eps = min((eps for _, eps, _ in fastest.values()), default=None)
        cell[library] = {"eps": eps, "error": None, "new": None, "kept": None, "how": {}}
        for mode, (variant, _, opened) in fastest.items():
            calls[library, variant] = opened
            cell[library]["how"][mode] = variant
    times = take_turns(calls, 5, 5 if quick else 31, 0.5 if quick else 1.5)
    for (library, variant), medians in times.items():
        measured = error(calls[library, variant].apply(), ladder.truth)
        cell[library]["error"] = max(measured, cell[library]["error"] or 0.0)
        for mode in TIMES:
            if cell[library]["how"][mode] == variant:
                cell[library][mode] = medians[mode]
    return cell


# ---------------------------------------------------------------------- the matrix
def problems(args: argparse.Namespace) -> Iterator[Problem]:
    """The selected problems, small ones first."""
    shapes = QUICK_SHAPES if args.quick else SHAPES
    for operation in args.operation:
        for dim in args.dims:
            for count, modes in shapes[dim]:
                if count > args.max_points or (args.modes and modes not in args.modes):
                    continue
                for distribution in DISTRIBUTIONS[: 1 if args.quick and (dim, count) != (3, 10_000) else 2]:
                    yield Problem(operation, dim, count, modes, distribution)


def _name(problem: Problem, target: float, threads: int) -> dict:
    """What identifies a cell."""
    names = ("operation", "dim", "count", "modes", "distribution")
    return {name: getattr(problem, name) for name in names} | {"target": target, "threads": threads}


def _key(cell: dict, *more: str) -> str:
    names = ("operation", "dim", "count", "modes", "distribution", "target", "threads", "quick", *more)
    return json.dumps([cell.get(name) for name in names])


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """What is said of a program, and not to a compiler, is no other program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def _versions() -> dict[str, str]:
    """Of the libraries; ours is told by the sources of the engine, without their comments and docstrings."""
    import ducc0
    import finufft

    digest, root = sha256(), Path(lrc_numba.__file__).parent
    for source in sorted(path for folder in ("engine", "machine") for path in (root / folder).rglob("*.py")):
        digest.update(ast.dump(_without_docstrings(ast.parse(source.read_bytes()))).encode())
    return {"lrc_numba": digest.hexdigest()[:12], "finufft": finufft.__version__, "ducc0": ducc0.__version__}


def _read_cells(args: argparse.Namespace) -> list[dict]:
    """What runs left behind, old ones first; a line cut off by the end of a run is left out."""
    results, cells = args.output / "benchmark.json", []
    if results.exists():
        cells = json.loads(results.read_text(encoding="utf-8"))["cells"]
    for line in args.cells.read_text(encoding="utf-8").splitlines() if args.cells.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            cells.append(json.loads(line))
    return cells


def _work(args: argparse.Namespace, **more) -> list[tuple[Problem, list[dict]]]:
    """The selected problems, and the names of their cells, with what else is to be said of these."""
    targets = QUICK_TARGETS if args.quick else TARGETS
    about = {"quick": args.quick} | more
    return [(p, [_name(p, t, n) | about for t in targets for n in args.threads]) for p in problems(args)]


def report(args: argparse.Namespace) -> list[dict]:
    """The selected cells that are there, of whatever version, the last one each."""
    known = {_key(cell): cell for cell in _read_cells(args)}
    return [known[_key(cell)] for _, cells in _work(args) for cell in cells if _key(cell) in known]


def run(args: argparse.Namespace) -> list[dict]:
    """All selected cells; with --resume those that are there of these versions are not measured again."""
    known, others, rows, work = {}, {}, [], _work(args, versions=_versions())
    looser: dict[tuple, int] = {}
    if args.resume:
        before = _read_cells(args)
        known = {_key(cell, "versions"): cell for cell in before}
        others = {_key(cell): cell for cell in before}
    total = sum(len(cells) for _, cells in work)
    args.cells.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=total, file=sys.stderr, leave=False) as bar, args.cells.open("a", encoding="utf-8") as log:
        if log.tell():
            log.write("\n")  # the last line may be half of one
        for p, cells in work:
            ladder = None
            for cell in cells:
                at = f"{p.operation} {p.dim}-D N={p.count:.0e} {p.modes}^{p.dim} {p.distribution}"
                bar.set_description(f"{at} {cell['target']:.0e} {cell['threads']} thread(s)")
                done = known.get(_key(cell, "versions"))
                if done is None:
                    if ladder is None:
                        step = PER_DECADE if args.quick else 1
                        ladder = Ladder(p, max(args.threads), step, looser, _needed(cells, others))
                    done = cell | _circumstances() | measure(ladder, cell["target"], cell["threads"], args.quick)
                    log.write(json.dumps(done) + "\n")
                    log.flush()
                rows.append(done)
                bar.update()
                gc.collect()
    return rows


def _needed(cells: list[dict], before: dict[str, dict]) -> dict[tuple, float]:
    """The eps that peers of the same versions needed in these cells, by library, target and threads."""
    loosest = {}
    for cell in cells:
        old = before.get(_key(cell))
        for library in LIBRARIES[1:] if old is not None else ():
            if old["versions"][library] == cell["versions"][library] and old[library]["eps"] is not None:
                loosest[library, cell["target"], cell["threads"]] = old[library]["eps"]
    return loosest


def _circumstances() -> dict:
    """When, on what, and beside how much other work."""
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "load_average": load,
    }


def _keep(args: argparse.Namespace, rows: list[dict], about: dict) -> None:
    """benchmark.json and its picture: these cells, and the others that were there."""
    path = args.output / "benchmark.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"cells": []}
    cells = {_key(cell): cell for cell in [*before["cells"], *rows]}
    order = [_key(cell) for _, names in _work(_everything(args)) for cell in names]
    kept = [cells[key] for key in order if key in cells]
    record = {"environment": about, "quick": args.quick, "summary": summary(kept), "cells": kept}
    save_json(path, record)
    draw(record, args.output / "benchmark.png")


def _everything(args: argparse.Namespace) -> argparse.Namespace:
    """The whole matrix."""
    whole = {"operation": OPERATIONS, "dims": (1, 2, 3), "modes": None, "max_points": np.inf}
    return argparse.Namespace(**vars(args) | whole | {"threads": sorted({1, 2, *args.threads})})


def parse() -> argparse.Namespace:
    """The command line."""
    parser = arguments("benchmark", __doc__ or "", threads=(1, 2))
    chosen = [name for name in OPERATIONS if name != "packed"]
    parser.add_argument("--operation", nargs="+", choices=OPERATIONS, default=chosen, help="default: all but packed")
    parser.add_argument("--dims", type=int, nargs="+", choices=(1, 2, 3), default=[1, 2, 3], help="default: 1 2 3")
    on_device = "cuda: on a GPU, see validation/tools/benchmark_cuda.py"
    parser.add_argument("--backend", choices=("cpu", "cuda"), default="cpu", help=on_device)
    parser.add_argument("--modes", type=positive, nargs="+", metavar="M", help="modes per axis; all by default")
    parser.add_argument("--max-points", type=float, default=1e6, help="leave out larger problems")
    parser.add_argument("--cells", type=Path, help="finished cells (default: beside the results)")
    parser.add_argument("--resume", action="store_true", help="keep the cells that are there, do the others")
    parser.add_argument("--report", action="store_true", help="measure nothing, show the cells that are there")
    args = parser.parse_args()
    args.cells = args.cells or Path(os.path.relpath(args.output)) / "benchmark.cells.jsonl"
    if min(args.threads) < 1:
        parser.error(f"--threads: expected at least 1, got {min(args.threads)}")
    return args


def main() -> None:
    args = parse()
    if args.backend == "cuda":
        chosen = [p for p in problems(args) if p.operation == "convolution"]
        benchmark_cuda.main(args, chosen, QUICK_TARGETS if args.quick else TARGETS)
        return
    try:
        peers = {} if args.report else {name: _versions()[name] for name in LIBRARIES[1:]}
    except ImportError as missing:
        print(f"SKIPPED: the peers are not installed ({missing}): pip install finufft ducc0")
        return
    rows = report(args) if args.report else run(args)
    if not rows:
        print("SKIPPED: no cell is selected" if not args.report else f"SKIPPED: none of the cells is in {args.cells}")
        return
    for operation in args.operation:
        print_cells(operation, [row for row in at_most(rows) if row["operation"] == operation])
    print_summary(summary(rows))
    engines = Counter(row["versions"]["lrc_numba"] for row in rows)
    print("\nsources of the engine: " + ", ".join(f"{name} in {n} cells" for name, n in engines.items()))
    machines = Counter(row.get("processor", "a processor that was not written down") for row in rows)
    print("measured on: " + ", ".join(f"{name} in {n} cells" for name, n in machines.items()))
    if not args.report:
        _keep(args, rows, environment(max(args.threads)) | peers)


if __name__ == "__main__":
    main()
