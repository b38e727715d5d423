"""Every number that is promised, beside the number that is measured. Exit status 0 whatever the outcome.

error       largest error / eps over eps, dimension, dtype, window, kernel, charges and kind of points; the kernels
            include a flat multiplier, which gives the highest modes full weight; cancellation: how much smaller u is
            than random phases would make it, because charges of a cluster cancel (errors grow with it in any method)
gradient    of the energy U = 1/2 sum f u at eps = 1e-2 against central differences of the same U, at the best step
of φ        the gradient of sum g u against that of the kernel itself, relative l2 error over eps, the worst of eps 1e-2
            to 1e-10 and of uniform and clustered points; the truth is gradient="spectral" at the tightest eps
continuity  one point moves along every axis over two grid cells in 1e5 steps; the largest change of U beyond the
            trapezoidal rule applied to the force, relative to |U|, in the scan and again inside the worst step, cut
            in 1000: a jump stays, what curvature leaves vanishes with the square of the step. The largest change of
            the force in a step must shrink by 1e-3 in the same way
memory      resident peak of one call above inputs and compiled code, in a fresh process
start       import and first call in fresh processes; compiling all of it beforehand with python -m lrc_numba.warm
small       20 points, 501 modes in 1-D on a prepared plan, and 64 such snapshots at once
"""

from __future__ import annotations

import sys
import time

import numpy as np
from tqdm import tqdm

from lrc_numba import LRCPlan, Yukawa

from .tools.common import arguments, draw_points, environment, print_table, relative_error, save_json, seconds
from .tools.processes import compiling_beforehand, first_calls, import_times, peak_memory
from .tools.sweep import MODES, errors, problems

GRADIENT_MODES = {1: 101, 2: 31, 3: 15}
SCAN_MODES = {1: 101, 2: 15, 3: 7}
LARGEST = 2**22  # grid nodes in a batch of snapshots


class Report:
    """Rows of promise, goal and measurement."""

    def __init__(self) -> None:
        self.rows: list[dict] = []

    def add(self, what: str, goal: float | None, measured: float, show=None, note: str = "") -> None:
        """One row; without a goal it is information."""
        verdict = "" if goal is None else "met" if measured <= goal else "missed"
        show = show or (lambda value: f"{value:.2g}")
        shown = {
            "goal": "-" if goal is None else show(goal),
            "measured": show(measured),
            "verdict": verdict,
            "note": note,
        }
        self.rows.append({"promise": what, "goal_value": goal, "measured_value": measured} | shown)

    def table(self) -> None:
        """Print all rows."""
        keys = ("promise", "goal", "measured", "verdict", "note")
        print_table("Promises", keys, [[f"{row[key]}" for key in keys] for row in self.rows])
        missed = sum(row["verdict"] == "missed" for row in self.rows)
        print(f"\n{missed} missed of {sum(bool(row['verdict']) for row in self.rows)}")


def _milliseconds(value: float) -> str:
    return seconds(value)


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


# ---------------------------------------------------------------------- error against eps
def check_errors(report: Report, quick: bool, threads: int | None) -> list[dict]:
    """Worst error / eps per window, dtype and dimension, and the refusals."""
    windows = ("kaiser_bessel",) if quick else ("kaiser_bessel", "gaussian")
    kernels = ("exponential", "flat") if quick else ("exponential", "yukawa", "gaussian", "flat")
    count = 60 if quick else 250
    rows: list[dict] = []
    total = len(kernels) * 3 * 3 * 2 * 2
    cases = problems(kernels, MODES, count, charges=("normal", "ones"), pairs=False)
    for problem in tqdm(cases, total=total, desc="errors", file=sys.stderr, leave=False):
        for window in windows:
            rows += errors(problem, window=window, threads=threads)
    for window, dtype, dim in {(r["window"], r["dtype"], r["dim"]): None for r in rows}:
        same = [r for r in rows if (r["window"], r["dtype"], r["dim"]) == (window, dtype, dim)]
        kept = [r for r in same if r["error_fourier"] is not None]
        worst = max(kept, key=lambda r: r["error_fourier"] / r["eps"])
        refused = sorted({r["eps"] for r in same if r["error_fourier"] is None})
        over = sum(r["error_fourier"] > r["eps"] for r in kept)
        note = f"eps {worst['eps']:.0e}, {worst['kernel']}, {worst['distribution']}, {worst['charges']}; "
        note += f"cancellation {worst['cancellation']:.1f}; {over}/{len(kept)} above"
        if refused:
            note += f"; refused: {', '.join(f'{e:.0e}' for e in refused)}"
        report.add(f"error/eps, {window}, {dtype}, {dim}-D", 1.0, worst["error_fourier"] / worst["eps"], note=note)
    return rows


# ---------------------------------------------------------------------- energy, gradient, continuity
class Energy:
    """U = ½ Σ f u of 20 points at eps = 1e-2, for many copies of them at once."""

    def __init__(self, dim: int, modes: int, threads: int | None):
        rng = np.random.default_rng(dim)
        self.dim, self.kernel = dim, Yukawa(1.0, 2.0)
        self.points, self.values = 10.0 * rng.random((20, dim)), rng.standard_normal(20)
        self.plan = LRCPlan(10.0, modes, eps=1e-2, threads=threads, dim=dim)
        self.at_once = max(1, LARGEST // int(np.prod(self.plan.grid.layout.padded)))
        self.cell = 10.0 / self.plan.grid.n[0]

    def value(self, points: np.ndarray) -> np.ndarray:
        """U of (B, 20, d) points, (B,)."""
        values = np.broadcast_to(self.values, points.shape[:2]).copy()
        u = self.plan.set_points(points).convolve(values, self.kernel)
        return 0.5 * np.einsum("bi,bi->b", u, values)

    def gradient(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U and ∂U/∂x of (B, 20, d) points, (B,) and (B, 20, d)."""
        values = np.broadcast_to(self.values, points.shape[:2]).copy()
        result = self.plan.set_points(points).vjp(values, self.kernel, values, wrt=("points",))
        return 0.5 * np.einsum("bi,bi->b", result.output, values), 0.5 * result.points

    def differences(self, step: float) -> np.ndarray:
        """Central differences of U in every coordinate, (20, d)."""
        moves = step * np.eye(self.points.size).reshape(-1, *self.points.shape)
        both = np.concatenate([self.points + moves, self.points - moves])
        parts = [self.value(both[i : i + self.at_once]) for i in range(0, len(both), self.at_once)]
        plus, minus = np.concatenate(parts).reshape(2, -1)
        return ((plus - minus) / (2 * step)).reshape(self.points.shape)


def check_gradient(report: Report, threads: int | None) -> None:
    """All components at once, relative ℓ² error, over steps from 1e-2 to 1e-7 of a grid cell."""
    for dim, modes in GRADIENT_MODES.items():
        energy = Energy(dim, modes, threads)
        exact = energy.gradient(energy.points[None])[1][0]
        errors = {}
        for power in np.arange(2, 7.5, 0.5):
            difference = energy.differences(energy.cell * 10.0**-power)
            errors[float(power)] = float(np.linalg.norm(difference - exact) / np.linalg.norm(exact))
        best = min(errors, key=lambda p: errors[p])
        note = f"step 10^-{best:g} grid cells, {modes} modes per axis"
        report.add(f"gradient of U, eps 1e-2, {dim}-D", 1e-8, errors[best], note=note)


def check_gradient_of_kernel(report: Report, threads: int | None) -> None:
    """How far the exact gradient of the computed sum is from the gradient of the exact sum."""
    kernel = Yukawa(1.0, 0.3)
    for dim, modes in GRADIENT_MODES.items():
        worst = {"exact": (0.0, ""), "spectral": (0.0, "")}
        for distribution in ("uniform", "clustered"):
            rng = np.random.default_rng(dim)
            points = draw_points(distribution, 400, dim, 10.0, rng)
            values = rng.standard_normal((2, 400))

            def gradient(how: str, eps: float, points=points, values=values, dim=dim, modes=modes) -> np.ndarray:
                plan = LRCPlan(10.0, modes, eps=eps, gradient=how, threads=threads, dim=dim).set_points(points)
                return plan.vjp(values[0], kernel, values[1], wrt=("points",)).points

            truth = gradient("spectral", 1e-13)
            for how in worst:
                for eps in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10):
                    ratio = relative_error(gradient(how, eps), truth) / eps
                    worst[how] = max(worst[how], (ratio, f"eps {eps:.0e}, {distribution}"))
        for how, (ratio, note) in worst.items():
            goal = 1.0 if how == "spectral" else None
            report.add(f'gradient of φ, error/eps, gradient="{how}", {dim}-D', goal, ratio, note=note)


def _excess(energy: Energy, axis: int, positions: np.ndarray, bar) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U along the scan, the force, and per step the change of U beyond the trapezoidal rule."""
    values, slopes = [], []
    for start in range(0, len(positions), energy.at_once):
        part = positions[start : start + energy.at_once]
        points = np.repeat(energy.points[None], len(part), axis=0)
        points[:, 0, axis] = part
        u, gradient = energy.gradient(points)
        values.append(u)
        slopes.append(gradient[:, 0, axis])
        bar.update(len(part))
    u, slope = np.concatenate(values), np.concatenate(slopes)
    return u, slope, np.diff(u) - np.diff(positions) * (slope[1:] + slope[:-1]) / 2


def check_continuity(report: Report, quick: bool, threads: int | None) -> None:
    """Scan every axis, then the worst step once more in 1000 parts."""
    steps = 10_000 if quick else 100_000
    with tqdm(total=6 * (steps + 2003), desc="continuity", file=sys.stderr, leave=False) as bar:
        for dim, modes in SCAN_MODES.items():
            energy = Energy(dim, modes, threads)
            worst: dict[str, float] = {"coarse": 0.0, "fine": 0.0, "force": 0.0, "finer force": 0.0}
            for axis in range(dim):
                start = energy.points[0, axis]
                line = start + np.linspace(0.0, 2 * energy.cell, steps + 1)
                u, slope, excess = _excess(energy, axis, line, bar)
                scale, strength = np.abs(u).mean(), np.abs(slope).max()
                at = int(np.abs(excess).argmax())
                _, _, finer = _excess(energy, axis, np.linspace(line[at], line[at + 1], 1001), bar)
                at = int(np.abs(np.diff(slope)).argmax())
                _, near, _ = _excess(energy, axis, np.linspace(line[at], line[at + 1], 1001), bar)
                worst["coarse"] = max(worst["coarse"], float(np.abs(excess).max() / scale))
                worst["fine"] = max(worst["fine"], float(np.abs(finer).max() / scale))
                worst["force"] = max(worst["force"], float(np.abs(np.diff(slope)).max() / strength))
                worst["finer force"] = max(worst["finer force"], float(np.abs(np.diff(near)).max() / strength))
            report.add(
                f"continuity of U, {dim}-D, {steps:.0e} steps",
                1e-13,
                worst["fine"],
                note=f"{worst['coarse']:.1e} in the scan itself, a step squared times a change of curvature",
            )
            report.add(
                f"continuity of the force, {dim}-D",
                1e-2,
                worst["finer force"] / worst["force"],
                note=f"{worst['force']:.1e} of the largest force per step; measured: its factor for 1e-3 of the step",
            )


# ---------------------------------------------------------------------- resources
def check_memory(report: Report, quick: bool) -> dict:
    """Peak of a call on a million points."""
    count = 100_000 if quick else 1_000_000
    measured = peak_memory(count, 63, 1e-6, 2)
    note = f"{seconds(measured['seconds'])}; inputs {measured['inputs'] / 1e6:.0f} MB, "
    note += f"result of {measured['result'] / 1e6:.0f} MB counted"
    if not measured["mark_cleared"]:
        note += "; high-water mark not reset"
    report.add(
        f"peak memory, N = {count:.0e}, 3-D, 63^3, 2 threads", 200e6, measured["peak_above_inputs"], _megabytes, note
    )
    return measured


def check_start(report: Report, quick: bool, threads: int | None) -> dict:
    """Import, first call warm and cold."""
    repeats = 3 if quick else 5
    record: dict[str, object] = {"import": (taken := import_times(repeats))}
    report.add("import in a fresh process", 0.5, float(np.median(taken)), _milliseconds, f"median of {repeats}")
    for dim in (3,) if quick else (1, 2, 3):
        size = dim, {1: 501, 2: 63, 3: 31}[dim], threads
        times, beforehand = first_calls(*size, repeats), compiling_beforehand(*size)
        record[f"{dim}-D"] = times | {"beforehand": beforehand}
        for name, what in (("first convolve", "call"), ("first convolve, vjp and jvp", "all")):
            warm, cold = float(np.median(times[f"{what} warm"])), times[f"{what} cold"][0]
            report.add(f"{name}, warm cache, {dim}-D", 1.0, warm, _milliseconds, "import not counted")
            report.add(f"{name}, cold cache, {dim}-D", 15.0, cold, _milliseconds, "once, import not counted")
        note = "python -m lrc_numba.warm, cold cache: what convolve, vjp and jvp need, on two processes"
        report.add(f"compiling beforehand, {dim}-D", 15.0, beforehand, _milliseconds, note)
    return record


def _median(call, repeats: int) -> float:
    """Median seconds of single calls, after warm-up."""
    for _ in range(20):
        call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def check_small(report: Report, quick: bool, threads: int | None) -> None:
    """Calls so small that overheads are all there is."""
    rng = np.random.default_rng(0)
    kernel, repeats = Yukawa(1.0, 0.5), 200 if quick else 2000
    for batch, goal in ((None, 60e-6), (64, 1e-3)):
        shape = (20, 1) if batch is None else (batch, 20, 1)
        points, values = 50.0 * rng.random(shape), rng.standard_normal(shape[:-1])
        name = "N = 20, 501 modes, 1-D" if batch is None else f"{batch} snapshots of it"
        for used in dict.fromkeys((threads, 1)):
            plan = LRCPlan(50.0, 501, threads=used, dim=1).set_points(points)
            label = f"{plan.threads} thread(s)"
            alone = _median(lambda p=plan, f=values: p.convolve(f, kernel), repeats)
            both = _median(lambda p=plan, x=points, f=values: p.set_points(x).convolve(f, kernel), repeats)
            report.add(f"{name}: convolve, {label}", goal, alone, _milliseconds, f"median of {repeats}")
            report.add(f"{name}: set_points + convolve, {label}", goal, both, _milliseconds, f"median of {repeats}")


def main() -> None:
    args = arguments("promises", __doc__ or "").parse_args()
    report = Report()
    check_small(report, args.quick, args.threads)
    start = check_start(report, args.quick, args.threads)
    memory = check_memory(report, args.quick)
    check_gradient(report, args.threads)
    check_gradient_of_kernel(report, args.threads)
    check_continuity(report, args.quick, args.threads)
    rows = check_errors(report, args.quick, args.threads)
    report.table()
    above = [r for r in rows if r["error_fourier"] is not None and r["error_fourier"] > r["eps"]]
    record = {"environment": environment(args.threads), "quick": args.quick, "promises": report.rows}
    record |= {"memory": memory, "start": start, "errors_above_eps": above, "errors_measured": len(rows)}
    save_json(args.output / "promises.json", record)


if __name__ == "__main__":
    main()
