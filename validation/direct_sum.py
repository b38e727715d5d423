"""lrc_convolve against the direct sums: errors over eps, times over N, and the N where it becomes faster.

Two sums are the truth. The Fourier sum runs over the same modes, O(N · modes): eps is promised against it. The pair sum
runs over all pairs and periodic images until they no longer count, O(N²): the error against it holds in addition what
is missing because modes beyond the kept ones are left out. That part does not depend on eps; it vanishes for the
Gaussian kernel, and so the Gaussian's column shows eps against the pair sum too. Where a kernel is infinite at zero
(screened Coulomb in 2-D and 3-D) the comparison with the pair sum is made with exclude_self.

For many points the O(N²) sums are evaluated at random targets only; the time of a whole sum is then the measured one
times N / targets, and marked with a tilde.

  python -m validation.direct_sum --quick
  python -m validation.direct_sum --points FILE.npz

The second runs on arrays `positions` (N, d) or (B, N, d) and `charges` (N,) or (B, N) of a file, with `box` from the
file or --box. Positions may lie outside the box. Such files can be made, for instance, from the data in the SOG-Net
repository (github.com/LiangJiuyang/SOG-Net).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba import ExponentialKernel, LRCPlan, Yukawa, lrc_convolve

from .tools.common import alternate, arguments, environment, positive, print_table, relative_error, save_json, seconds
from .tools.direct_sum_picture import draw
from .tools.references import KERNELS, compiled_pairs, fourier_reference, is_singular, kernel, pair_reference
from .tools.sweep import BOX, EPS, MODES, QUICK_EPS, QUICK_MODES, errors, problems, truncation
from .tools.user_points import run as run_user_points

IMAGES = 5  # per axis, about as many as the pair sum takes for these kernels
TIME_EPS = 1e-6


# ---------------------------------------------------------------------- error over eps
def measure_errors(quick: bool, threads: int | None) -> list[dict]:
    """The eps sweep for three kernels, three dimensions, three kinds of points and both dtypes."""
    modes, count = MODES, 64 if quick else 500
    rows: list[dict] = []
    total = len(KERNELS) * len(modes) * 3 * 2
    for problem in tqdm(problems(KERNELS, modes, count), total=total, desc="errors", file=sys.stderr, leave=False):
        rows += errors(problem, threads=threads, sweep=QUICK_EPS if quick else EPS)
    return rows


def print_errors(rows: list[dict]) -> None:
    """A column per eps; in every place the worst of the three kinds of points."""
    powers = sorted({r["eps"] for r in rows}, reverse=True)
    lines: list[list[object]] = []
    for name, dim, dtype in {(r["kernel"], r["dim"], r["dtype"]): None for r in rows}:
        same = [r for r in rows if (r["kernel"], r["dim"], r["dtype"]) == (name, dim, dtype)]
        worst = {}
        for key in ("error_fourier", "error_pairs"):
            errors = {eps: [r[key] for r in same if r["eps"] == eps and r[key] is not None] for eps in powers}
            worst[key] = [max(errors[eps]) if errors[eps] else None for eps in powers]
        ratio = max(e / eps for e, eps in zip(worst["error_fourier"], powers, strict=True) if e is not None)
        cancels = max(r["cancellation"] for r in same)
        about = [name, str(dim), f"{same[0]['modes']}", f"{max(r['points'] for r in same)}", dtype]
        lines.append([*about, f"{cancels:.1f}", "Fourier", f"{ratio:.2f}", *worst["error_fourier"]])
        if dtype == "float64":
            lines.append([*about, f"{cancels:.1f}", "pairs", None, *worst["error_pairs"]])
    print_table(
        "Relative l2 error for the eps asked, the worst of uniform, clustered and lattice points. Against the Fourier\n"
        "sum over the same modes (what eps promises), and against the pair sum (modes left out included). cancel: how\n"
        "much smaller cancelling charges make u than random phases would; relative errors grow with it in any method.",
        [
            "kernel",
            "d",
            "modes/axis",
            "N",
            "dtype",
            "cancel",
            "against",
            "max err/eps",
            *(f"{eps:.0e}" for eps in powers),
        ],
        lines,
    )


# ---------------------------------------------------------------------- time over N
def _targets(count: int, cost_per_target: float, budget: float, rng: np.random.Generator) -> np.ndarray | None:
    """Random targets, so many that the budget of kernel evaluations lasts, between 4 and 200; None is all."""
    affordable = int(np.clip(budget / cost_per_target, 4, 200))
    if count <= affordable or count * cost_per_target <= budget:
        return None
    return np.sort(rng.choice(count, affordable, replace=False))


def measure_time(name: str, dim: int, count: int, modes: int, budget: float, threads: int | None) -> dict:
    """Times and errors for one kernel, dimension and number of points."""
    rng = np.random.default_rng([dim, count])
    points, values = BOX * rng.random((count, dim)), rng.standard_normal(count)
    multiplier, exclude = kernel(name, BOX), is_singular(name, dim)
    options = {"box": BOX, "modes": modes, "eps": TIME_EPS, "threads": threads, "exclude_self": exclude}
    plan = LRCPlan(BOX, modes, eps=TIME_EPS, threads=threads, dim=dim)
    stored = plan.grid.mode_set.size
    rows = _targets(count, count * IMAGES**dim, budget, rng)
    targets = count if rows is None else len(rows)
    fast = count if count**2 <= 10 * budget else max(200, int(10 * budget / count))  # targets of the compiled sum
    truth: dict[str, np.ndarray] = {}

    def pairs():
        truth["pairs"] = pair_reference(points, values, multiplier, box=BOX, rows=rows, exclude_self=exclude)

    def fourier():
        truth["fourier"] = fourier_reference(points, values, multiplier, box=BOX, modes=modes, rows=rows)

    calls = {
        "ours": lambda: truth.update(ours=lrc_convolve(points, values, multiplier, **options)),
        "planned": lambda: plan.set_points(points).convolve(values, multiplier, exclude_self=exclude),
        "pairs": pairs,
    }
    if compiled_pairs(name, points[:2], values[:2], BOX, 2) is not None:
        calls["compiled"] = lambda: compiled_pairs(name, points, values, BOX, fast)
    if count * stored <= 5 * budget:
        calls["fourier"] = fourier
    taken = alternate(calls, repeats=5, budget=budget / 5e7)
    scale = {"pairs": count / targets, "compiled": count / fast, "fourier": 2 * count / (count + targets)}
    where = slice(None) if rows is None else rows
    whole = lrc_convolve(points, values, multiplier, **options | {"exclude_self": False})[where]
    return {
        "kernel": name,
        "dim": dim,
        "points": count,
        "modes": modes,
        "eps": TIME_EPS,
        "targets_of_pair_sum": targets,
        "error_fourier": relative_error(whole, truth["fourier"]) if "fourier" in truth else None,
        "error_pairs": relative_error(truth["ours"][where], truth["pairs"]),
        "seconds": {key: value * scale.get(key, 1.0) for key, value in taken.items()},
        "scaled": {key: scale.get(key, 1.0) > 1.0 for key in taken},
    }


def measure_times(quick: bool, threads: int | None) -> list[dict]:
    """The N sweep for the exponential and the screened Coulomb kernel."""
    counts = [10, 100, 1000, 10000] if quick else [10, 32, 100, 316, 1000, 3162, 10000, 31623, 100000]
    modes, budget = (QUICK_MODES, 4e6) if quick else (MODES, 3e7)
    cases = [(name, dim, count) for name in KERNELS[:2] for dim in (1, 2, 3) for count in counts]
    bar = tqdm(cases, desc="times", file=sys.stderr, leave=False)
    return [measure_time(name, dim, count, modes[dim], budget, threads) for name, dim, count in bar]


def print_times(rows: list[dict]) -> None:
    """One line per kernel, dimension and N."""
    lines = []
    for r in rows:
        times = [
            seconds(r["seconds"].get(k), r["scaled"].get(k, False))
            for k in ("ours", "planned", "fourier", "pairs", "compiled")
        ]
        lines.append(
            [r["kernel"], r["dim"], str(r["points"]), r["modes"], r["error_fourier"], r["error_pairs"], *times]
        )
    print_table(
        f"Times of one convolution, eps {TIME_EPS:g}, uniform points; ~ scaled up from a sum at some targets.\n"
        "ours: lrc_convolve; planned: set_points + convolve; compiled: nearest image only, Numba on all processors",
        [
            "kernel",
            "d",
            "N",
            "modes/axis",
            "vs Fourier",
            "vs pairs",
            "ours",
            "planned",
            "Fourier sum",
            "pair sum",
            "compiled",
        ],
        lines,
    )


def crossover(counts: np.ndarray, ours: np.ndarray, direct: np.ndarray) -> str:
    """The N from which on ours is faster, interpolated in log–log, or a bound where the range of N does not hold it."""
    slower = np.flatnonzero(ours > direct)
    if not len(slower):
        return f"< {counts[0]}"
    last = int(slower[-1])
    if last + 1 == len(counts):
        return f"> {counts[-1]}"
    gap = np.log(ours / direct)[last : last + 2]
    part = gap[0] / (gap[0] - gap[1])
    return f"{np.exp((1 - part) * np.log(counts[last]) + part * np.log(counts[last + 1])):.0f}"


def crossovers(rows: list[dict]) -> list[dict]:
    """Per kernel and dimension, against each of the three sums."""
    entries = []
    for name, dim in {(r["kernel"], r["dim"]): None for r in rows}:
        entry: dict[str, object] = {"kernel": name, "dim": dim}
        for reference in ("fourier", "pairs", "compiled"):
            both = [r for r in rows if (r["kernel"], r["dim"]) == (name, dim) and reference in r["seconds"]]
            table = np.array([(r["points"], r["seconds"]["ours"], r["seconds"][reference]) for r in both])
            entry[reference] = crossover(table[:, 0].astype(int), table[:, 1], table[:, 2]) if len(table) else None
        entries.append(entry)
    return entries


# ---------------------------------------------------------------------- the paper's window
def measure_paper_window(threads: int | None) -> list[dict]:
    """Error of window="gaussian_paper" in 1-D against the Fourier sum; there is no promise to keep."""
    rng = np.random.default_rng(0)
    length, rows = 50.0, []
    points, values = length * rng.random((1000, 1)), rng.standard_normal(1000)
    kernels = {
        "yukawa, lam 0.5": Yukawa(1.0, 0.5),
        "yukawa, lam 5": Yukawa(1.0, 5.0),
        "exponential, mu 2": ExponentialKernel(2.0),
    }
    for modes, authors in ((63, 9e-4), (501, 5e-5)):
        for name, multiplier in kernels.items():
            u = lrc_convolve(
                points, values, multiplier, box=length, modes=modes, window="gaussian_paper", threads=threads
            )
            truth = fourier_reference(points, values, multiplier, box=length, modes=modes)
            rows.append({"modes": modes, "kernel": name, "error": relative_error(u, truth), "authors": authors})
    return rows


def measure_truncation(quick: bool) -> list[dict]:
    """How the error against the pair sum falls as modes are added."""
    sizes = {1: [63, 251, 1001, 4001], 2: [31, 63, 127, 255], 3: [15, 31, 63] if quick else [15, 31, 63, 127]}
    return [row for dim, counts in sizes.items() for row in truncation(dim, counts)]


def main() -> None:
    parser = arguments("direct_sum", __doc__ or "")
    parser.add_argument("--points", type=Path, help="an .npz file with positions, charges and perhaps box")
    parser.add_argument("--box", type=float, nargs="+", help="one length or d of them, where the file has no box")
    parser.add_argument(
        "--modes", type=positive, help="modes per axis for --points (default: 501, 63, 31 in 1, 2, 3-D)"
    )
    args = parser.parse_args()
    if args.points is not None:
        run_user_points(args)
        return
    record: dict[str, object] = {"environment": environment(args.threads), "box": BOX, "quick": args.quick}
    error_rows = measure_errors(args.quick, args.threads)
    print_errors(error_rows)
    rows = measure_truncation(args.quick)
    print_table(
        "Error against the pair sum as modes are added: exp(-mu r), eps 1e-8",
        ["d", "modes/axis", "vs pair sum"],
        [[r["dim"], r["modes"], r["error_pairs"]] for r in rows],
    )
    paper = measure_paper_window(args.threads)
    print_table(
        'window="gaussian_paper" in 1-D: the paper\'s Appendix B to the letter, no promise',
        ["modes", "kernel", "vs Fourier sum", "authors' code"],
        [[r["modes"], r["kernel"], r["error"], r["authors"]] for r in paper],
    )
    time_rows = measure_times(args.quick, args.threads)
    print_times(time_rows)
    where = crossovers(time_rows)
    print_table(
        "N from which on lrc_convolve is faster (interpolated in log-log)",
        ["kernel", "d", "than the Fourier sum", "than the pair sum", "than the compiled one"],
        [[w["kernel"], w["dim"], w["fourier"], w["pairs"], w["compiled"]] for w in where],
    )
    record |= {
        "errors": error_rows,
        "truncation": rows,
        "gaussian_paper": paper,
        "times": time_rows,
        "crossovers": where,
    }
    save_json(args.output / "direct_sum.json", record)
    draw(record, args.output / "direct_sum.png")


if __name__ == "__main__":
    main()
