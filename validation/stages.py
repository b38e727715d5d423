"""How close to the machine: every stage of a convolution against measured ceilings, and how the time grows with N.

In 3-D, 10⁶ uniform points, 63³ modes, eps 1e-6, on one and on two threads, for every stage: its time; the bytes it has
to bring from memory and back, every array once; the bytes it moves between cache and registers; the floating-point
operations that it executes; and these rates as parts of what the machine was seen to do with the same number of
threads: a copy of an array far larger than the caches, load–multiply–add–store on one that fits the first-level cache,
and multiply–adds in registers. A stage is bounded by the ceiling it is closest to; far from all three, by latencies;
above that of the copy, its arrays were still in a cache. How the numbers are counted is in the functions ``*_work``,
one for each stage.

Then the time of set_points and convolve for N = 10³ … 10⁷ (10⁶ with --quick), and the exponent fitted to its last
decade.

python -m validation.stages --quick
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import log2, prod
from pathlib import Path
from unittest import mock

import numpy as np
from tqdm import tqdm

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.engine import interpolation, operator, points, spreading
from lrc_numba.engine.fourier.fft import grids
from lrc_numba.engine.grid import Grid
from lrc_numba.machine.cpu.lanes import vector_lanes
from lrc_numba.machine.memory import available_memory

from .tools.ceilings import ceilings
from .tools.common import arguments, environment, print_table, save_json, seconds

DIM, COUNT, MODES, EPS = 3, 1_000_000, 63, 1e-6
KERNEL = Yukawa(1.0, 2.0)


# ---------------------------------------------------------------------- what a stage has to do
# Each returns bytes from and to memory, bytes between cache and registers, floating-point operations.
def sort_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """Two passes read the points (8d) and compute coordinates; the first writes keys (4), the second reads them and
    writes coordinates (8d) and the places (4). A coordinate is d + 1 multiply-adds, and folding it about 4 more."""
    moved = count * (2 * 8 * grid.dim + 8 * grid.dim + 3 * 4)
    return moved, moved, 2 * count * grid.dim * (2 * (grid.dim + 1) + 4)


def gather_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """The indices (4) and the values (8) are read, the sorted values (8) written; no arithmetic."""
    return 20 * count, 20 * count, 0


def _window_operations(grid: Grid) -> int:
    """Horner's rule for a whole vector of nodes along every axis: degree multiply-adds per lane."""
    return grid.dim * 2 * (len(grid.tables.polynomials) - 1) * grid.tables.polynomials.shape[1]


def _rows(grid: Grid) -> tuple[int, int, int]:
    """Planes and rows under a window, and lanes of the vector that holds a row."""
    first, second, _ = grid.support
    return first, first * second, vector_lanes(grid.window.width)


def spread_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """Coordinates (8d) and values (8) are read, the grid is cleared, then read and written. In the cache every row of
    the window is read and written, and every coefficient read. A row is one multiply-add per lane, a plane two
    products more."""
    planes, rows, lanes = _rows(grid)
    memory = count * 8 * (grid.dim + 1) + 3 * 8 * prod(grid.layout.padded)
    cache = count * 8 * (2 * rows * lanes + grid.dim * grid.tables.polynomials.size)
    return memory, cache, count * (_window_operations(grid) + 2 * rows * lanes + planes * (lanes + 1))


def _transform(lengths: list[int], numbers: list[int], real: bool) -> tuple[float, float]:
    """Bytes in the cache, and operations: 5 n log₂ n for a line of n complex numbers, half that for the first axis if
    real. In the cache every pass of radix about 4 reads and writes its numbers, and each axis is copied in and out."""
    shares = [2.5 if real and i == 0 else 5.0 for i in range(len(lengths))]
    operations = sum(s * c * log2(max(n, 2)) for s, n, c in zip(shares, lengths, numbers, strict=True))
    sizes = [c if real and i == 0 else 2 * c for i, c in enumerate(numbers)]
    passes = sum(2 * c * (np.ceil(log2(max(n, 2)) / 2) + 1) for n, c in zip(lengths, sizes, strict=True))
    return 8 * passes, operations


def planes_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """The last two axes: real rows with their padding, then complex columns of kept modes alone. The grid and the modes
    of its planes pass memory; rows are kept in the cache."""
    first, second, third = grid.nodes
    _, kept, half = grid.stored
    cache, operations = _transform([third, second], [first * second * third, first * second * half], True)
    return 8 * prod(grid.layout.padded) + 16 * first * kept * half, cache, operations


def multiply_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """The first axis there and back, and φ̂ (8) in between, whose factors are put together (2) and applied (2). Modes of
    planes are read and written where they are."""
    first, (_, kept, half), size = grid.nodes[0], grid.stored, grid.mode_set.size
    cache, operations = _transform([first], [first * kept * half], False)
    memory = 2 * 16 * first * kept * half + 8 * size
    return memory, 2 * cache + 40 * size, 2 * operations + 4 * size


def fill_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """The padding of the first two axes is written, and as many nodes read; that of rows comes with the transforms."""
    padding = prod(grid.layout.padded) - prod(grid.nodes[:2]) * grid.layout.padded[2]
    return 16 * padding, 16 * padding, 0


def interpolate_work(grid: Grid, count: int) -> tuple[float, float, float]:
    """Coordinates (8d), indices (4) and the grid are read, u (8) written in sorted order, read and written in that of
    the user. In the cache every row of the window and every coefficient is read. A row and a plane are one multiply-add
    per lane, the end a product and a sum."""
    planes, rows, lanes = _rows(grid)
    memory = count * (8 * grid.dim + 28) + 8 * prod(grid.layout.padded)
    cache = count * 8 * (rows * lanes + grid.dim * grid.tables.polynomials.size)
    return memory, cache, count * (_window_operations(grid) + 2 * (rows + planes + 1) * lanes)


# ---------------------------------------------------------------------- stages
# name: who owns the function and under what name, what it has to do
STAGES = {
    "fold and sort": (operator, "sort_points", sort_work),
    "gather": (points.SortedPoints, "gather", gather_work),
    "spread": (spreading, "spread", spread_work),
    "FFT of planes": (grids.Transforms, "to_planes", planes_work),
    "FFT, multiply, FFT": (grids, "multiply_planes", multiply_work),
    "FFT of planes back": (grids.Transforms, "from_planes", planes_work),
    "fill padding": (interpolation, "fill", fill_work),
    "interpolate": (interpolation, "interpolate", interpolate_work),
}


@contextmanager
def clocks() -> Iterator[dict[str, list[float]]]:
    """While this lasts, every call of a stage adds its seconds to the list under the stage's name."""
    taken: dict[str, list[float]] = {name: [] for name in STAGES}

    def clocked(name: str, function):
        def call(*args, **options):
            start = time.perf_counter()
            result = function(*args, **options)
            taken[name].append(time.perf_counter() - start)
            return result

        return call

    with ExitStack() as stack:
        for name, (owner, attribute, _) in STAGES.items():
            stack.enter_context(mock.patch.object(owner, attribute, clocked(name, getattr(owner, attribute))))
        yield taken


def measure_stages(count: int, threads: int, repeats: int) -> dict:
    """Per stage the median time, the work, the rates and their parts of the ceilings; and the whole for comparison."""
    rng = np.random.default_rng(0)
    positions, values = rng.random((count, DIM)), rng.standard_normal(count)
    plan = LRCPlan(1.0, MODES, eps=EPS, dim=DIM, threads=threads).set_points(positions)
    plan.convolve(values, KERNEL)
    whole = []
    with clocks() as taken:
        for _ in range(repeats):
            start = time.perf_counter()
            plan.set_points(positions).convolve(values, KERNEL)
            whole.append(time.perf_counter() - start)
    if any(len(times) != repeats for times in taken.values()):
        raise AssertionError(f"expected {repeats} calls of every stage: this script is out of date")
    top = ceilings(threads)
    rows = []
    for name, (_, _, work) in STAGES.items():
        median = float(np.median(taken[name]))
        memory, cache, operations = (float(x) for x in work(plan.grid, count))
        row = {"stage": name, "seconds": median, "memory": memory, "cache": cache, "operations": operations}
        row |= {f"{kind}_of_ceiling": row[kind] / median / top[kind] for kind in ("memory", "cache", "operations")}
        rows.append(row)
    choice = repr(plan)
    return {"threads": threads, "ceilings": top, "stages": rows, "whole": float(np.median(whole)), "plan": choice}


def print_stages(part: dict) -> None:
    """One row per stage; what each is bounded by last."""
    top, lines = part["ceilings"], []
    for r in part["stages"]:
        shares = {kind: r[f"{kind}_of_ceiling"] for kind in ("memory", "cache", "operations")}
        line = [r["stage"], seconds(r["seconds"]), f"{r['seconds'] / part['whole']:.0%}", f"{r['memory'] / 1e6:.1f}"]
        line += [f"{r['memory'] / r['seconds'] / 1e9:.1f}", f"{shares['memory']:.0%}"]
        line += [f"{r['cache'] / 1e6:.0f}", f"{r['cache'] / r['seconds'] / 1e9:.1f}", f"{shares['cache']:.0%}"]
        line += [f"{r['operations'] / 1e6:.0f}", f"{r['operations'] / r['seconds'] / 1e9:.1f}"]
        line += [f"{shares['operations']:.0%}", max(shares, key=lambda kind: shares[kind])]
        lines.append(line)
    total = sum(r["seconds"] for r in part["stages"])
    header = ["stage", "time", "of all", "memory MB", "GB/s", "of copy", "cache MB", "GB/s", "of update", "Mflop"]
    header += ["GFLOP/s", "of FMA", "closest to"]
    print_table(
        f"{part['threads']} thread(s). Ceilings: copy {top['memory'] / 1e9:.1f} GB/s, cached update "
        f"{top['cache'] / 1e9:.0f} GB/s, FMA {top['operations'] / 1e9:.0f} GFLOP/s. Stages together "
        f"{seconds(total)}, set_points and convolve {seconds(part['whole'])}",
        header,
        lines,
    )


# ---------------------------------------------------------------------- growth
def measure_growth(counts: list[int], threads: list[int], repeats: int) -> list[dict]:
    """Median seconds of set_points and of convolve over N."""
    rows, rng = [], np.random.default_rng(1)
    for count in tqdm(counts, desc="growth", file=sys.stderr, leave=False):
        positions, values = rng.random((count, DIM)), rng.standard_normal(count)
        for used in threads:
            plan = LRCPlan(1.0, MODES, eps=EPS, dim=DIM, threads=used).set_points(positions)
            plan.convolve(values, KERNEL)
            rounds = []
            for _ in range(repeats):
                start = time.perf_counter()
                plan.set_points(positions)
                middle = time.perf_counter()
                plan.convolve(values, KERNEL)
                rounds.append((middle - start, time.perf_counter() - middle))
            sort, convolve = (float(np.median(x)) for x in zip(*rounds, strict=True))
            rows.append({"points": count, "threads": used, "set_points": sort, "convolve": convolve})
    return rows


def exponent(rows: list[dict], threads: int) -> float:
    """The slope of log time against log N over the last decade."""
    largest = max(r["points"] for r in rows if r["threads"] == threads)
    decade = [r for r in rows if r["threads"] == threads and r["points"] >= largest / 10]
    times = [r["set_points"] + r["convolve"] for r in decade]
    return float(np.polyfit(np.log([r["points"] for r in decade]), np.log(times), 1)[0])


def print_growth(rows: list[dict], exponents: dict[int, float]) -> None:
    """Times per call and per point."""
    lines = []
    for r in rows:
        total = r["set_points"] + r["convolve"]
        line = [r["points"], r["threads"], seconds(r["set_points"]), seconds(r["convolve"])]
        lines.append([*line, f"{total / r['points'] * 1e9:.0f} ns"])
    header = ["points", "threads", "set_points", "convolve", "together, per point"]
    fitted = ", ".join(f"N^{value:.2f} on {threads} thread(s)" for threads, value in exponents.items())
    print_table(f"Growth, {MODES}^{DIM} modes, eps {EPS:g}; over the last decade {fitted}", header, lines)


def draw(record: dict, path: Path) -> None:
    """Left: the stages as parts of the ceilings. Right: time against N."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), constrained_layout=True)
    names = list(STAGES)
    parts = record["parts"]
    for p, part in enumerate(parts):
        height = 0.8 / len(parts)
        at = np.arange(len(names)) + (p - (len(parts) - 1) / 2) * height
        times = [1e3 * r["seconds"] for r in part["stages"]]
        colour = f"C{p}"
        left.barh(at, times, height, color=colour, alpha=0.75, label=f"{part['threads']} thread(s)")
        for y, r in zip(at, part["stages"], strict=True):
            kinds = {"memory": "copy", "cache": "update", "operations": "FMA"}
            kind = max(kinds, key=lambda k: r[f"{k}_of_ceiling"])
            text = f" {r[f'{kind}_of_ceiling']:.0%} of {kinds[kind]}"
            left.text(1e3 * r["seconds"], y, text, va="center", fontsize=7)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.margins(x=0.25)
    left.set(xlabel="time, ms")
    left.set_title(f"Stages, N = {record['points']:,}, {MODES}³ modes, eps {EPS:g}", fontsize=10)
    left.legend(fontsize=8)
    for p, threads in enumerate(record["exponents"]):
        rows = [r for r in record["growth"] if r["threads"] == int(threads)]
        counts = [r["points"] for r in rows]
        total = [r["set_points"] + r["convolve"] for r in rows]
        text = f"{threads} thread(s), at the end N^{record['exponents'][threads]:.2f}"
        right.loglog(counts, total, "o-", ms=4, color=f"C{p}", label=text)
        right.loglog(counts, [r["set_points"] for r in rows], "o:", ms=3, lw=1, color=f"C{p}")
    right.plot([], [], ":", color="grey", label="set_points alone")
    end = np.array([counts[-1] / 100, counts[-1]])
    right.loglog(end, 1.6 * total[-1] * end / end[-1], color="black", lw=0.8)
    right.annotate("N", (end[0], 1.6 * total[-1] / 100), xytext=(-2, 5), textcoords="offset points", fontsize=9)
    right.set(xlabel="number of points N", ylabel="set_points and convolve, s")
    right.set_title("Growth", fontsize=10)
    right.legend(fontsize=8)
    right.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    args = arguments("stages", __doc__ or "", threads=(1, 2)).parse_args()
    counts = [10**p for p in range(3, 7)] if args.quick else [10**p for p in range(3, 8)]
    counts = sorted({*counts, *(int(round(3.1623 * n, -2)) for n in counts[:-1])})
    counts = [n for n in counts if 200 * n < available_memory()]
    repeats = 5 if args.quick else 15
    parts = [measure_stages(COUNT, used, repeats) for used in args.threads]
    print(parts[-1]["plan"])
    for part in parts:
        print_stages(part)
    growth = measure_growth(counts, args.threads, 5 if args.quick else 9)
    exponents = {used: exponent(growth, used) for used in args.threads}
    print_growth(growth, exponents)
    record = {"environment": environment(max(args.threads)), "quick": args.quick, "points": COUNT, "parts": parts}
    record |= {"growth": growth, "exponents": exponents}
    save_json(args.output / "stages.json", record)
    draw(record, args.output / "stages.png")


if __name__ == "__main__":
    main()
