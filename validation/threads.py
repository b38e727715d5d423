"""How many times as fast more threads are than one, beside what the machine gives them.

The convolutions of ``benchmark`` with N >= 1e5, with new points every call and with kept ones, at eps 1e-3, 1e-6 and
1e-10, on one thread and on two. Between them run three loops which a second processor of one's own makes twice as fast:
a large copy, updates within the first-level cache, multiply-adds in registers. All of them take turns, so other work on
the machine meets all alike: where the loops gain less than 2, so will what is bounded by them. Gains are those of the
medians and, less disturbed, those of the shortest times. --threads 1 4 compares four threads with one.

Before that, what sharing out a loop costs who calls, at least: one that does nothing, right after another one, while
the other threads still wait awake, and after a pause in which they have gone to sleep. Nobody waits for them, and there
may be nothing left when they come; so this is not how long they take to come.

  python -m validation.threads --quick
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict

import numpy as np
from numba import njit
from tqdm import tqdm

from lrc_numba.machine.cpu import parallel

from .benchmark import DISTRIBUTIONS, SHAPES, TARGETS
from .tools.ceilings import loops
from .tools.common import arguments, environment, print_table, save_json, seconds
from .tools.libraries import Problem, open_library

LEAST = 100_000  # points
NAMES = {"new": "new points", "kept": "kept points", "memory": "copy", "cache": "update", "operations": "FMA"}
GOAL = 1.7
PAUSE = 0.005  # seconds after which a thread that waits is asleep


@njit(nogil=True)
def _nothing(part, lo, hi):
    pass


def telling(threads: int, pause: float) -> float:
    """Median seconds that an empty loop takes on so many threads, begun so many seconds after the one before."""
    bounds, taken = list(range(threads + 1)), []
    for _ in range(300):
        until = time.perf_counter() + pause
        while time.perf_counter() < until:
            pass
        start = time.perf_counter()
        parallel.run(_nothing, bounds)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[1:]))


def measure(problem: Problem, eps: float, machine: dict[int, dict], rounds: int) -> dict:
    """Seconds of every round, (name, threads) -> list, and the gains.

    Parameters
    ----------
    problem : Problem
        What is convolved.
    eps : float
        With which accuracy.
    machine : dict
        ``ceilings.loops`` for the smaller and the larger number of threads.
    rounds : int
        How many that count; one before them does not.
    """
    opened = {threads: open_library("lrc_numba", problem, eps, threads) for threads in machine}
    taken: dict = defaultdict(list)
    for _ in range(rounds + 1):
        for threads, library in opened.items():
            start = time.perf_counter()
            library.set_points()
            middle = time.perf_counter()
            library.apply()
            end = time.perf_counter()
            taken["new", threads].append(end - start)
            taken["kept", threads].append(end - middle)
        for name in ("memory", "cache", "operations"):
            for threads, own in machine.items():
                start = time.perf_counter()
                own[name].run()
                taken[name, threads].append((time.perf_counter() - start) / own[name].amount)
    row = {"dim": problem.dim, "points": problem.count, "modes": problem.modes, "eps": eps}
    row["distribution"] = problem.distribution
    for name in NAMES:
        few, many = (np.array(taken[name, threads][1:]) for threads in machine)
        row[name] = {"medians": float(np.median(few) / np.median(many)), "shortest": float(few.min() / many.min())}
        if name in ("new", "kept"):
            row[name] |= {"seconds": [float(np.median(few)), float(np.median(many))]}
    return row


def print_gains(rows: list[dict], few: int, many: int) -> dict:
    """One line per problem; the geometric means, which are returned."""
    lines = []
    for r in rows:
        line = [f"{r['dim']}-D {r['points']:.0e} {r['modes']}^{r['dim']} {r['eps']:.0e} {r['distribution']}"]
        line += [seconds(r["kept"]["seconds"][0]), seconds(r["kept"]["seconds"][1])]
        lines.append([*line, *(f"{r[name]['medians']:.2f} {r[name]['shortest']:.2f}" for name in NAMES)])
    means = {
        name: {kind: float(np.exp(np.mean([np.log(r[name][kind]) for r in rows]))) for kind in ("medians", "shortest")}
        for name in NAMES
    }
    last = [f"{means[name]['medians']:.2f} {means[name]['shortest']:.2f}" for name in NAMES]
    lines.append(["geometric mean", "", "", *last])
    header = ["problem", f"kept, {few} thread(s)", f"{many}", *NAMES.values()]
    goal = f" (goal: {GOAL} for ours)" if (few, many) == (1, 2) else ""
    print_table(f"{many} threads against {few}, by medians and by shortest times{goal}", header, lines)
    return means


def main() -> None:
    args = arguments("threads", __doc__ or "", threads=(1, 2)).parse_args()
    few, many = min(args.threads), max(args.threads)
    if few == many:
        sys.exit(f"--threads: expected two numbers to compare, got {few} alone")
    told = {"awake": telling(many, 0.0), "asleep": telling(many, PAUSE)}
    print(f"an empty loop on {many} threads: {seconds(told['awake'])} awake, {seconds(told['asleep'])} asleep")
    problems = [
        Problem("convolution", dim, count, modes, distribution)
        for dim, shapes in SHAPES.items()
        for count, modes in shapes
        for distribution in DISTRIBUTIONS
        if LEAST <= count <= (LEAST if args.quick else np.inf)
    ]
    machine = {threads: loops(threads) for threads in (few, many)}
    work = [(problem, eps) for problem in problems for eps in TARGETS]
    rounds = 5 if args.quick else 11
    bar = tqdm(work, desc="threads", file=sys.stderr, leave=False)
    rows = [measure(problem, eps, machine, rounds) for problem, eps in bar]
    means = print_gains(rows, few, many)
    record = {"environment": environment(many), "quick": args.quick, "threads": [few, many]}
    record |= {"empty_loop_seconds": told, "means": means, "problems": rows}
    save_json(args.output / "threads.json", record)


if __name__ == "__main__":
    main()
