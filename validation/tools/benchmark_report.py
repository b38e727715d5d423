"""Tables, geometric means and the picture of ``benchmark``; on its own it redraws from the JSON file.

python -m validation.tools.benchmark_report
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .common import RESULTS, arguments, print_table, seconds
from .libraries import LIBRARIES

__all__ = ["at_most", "draw", "print_cells", "print_summary", "summary"]

NAMES = {"lrc_numba": "ours", "finufft": "FINUFFT", "ducc0": "ducc0"}
PEERS = LIBRARIES[1:]
TIMES = ("new", "kept")
# operation: how many times as fast as each peer, the geometric mean over the matrix
GOALS = {"convolution": {"finufft": 3.0, "ducc0": 1.5}, "gradient": {"ducc0": 4.0}}
SLOWER = 1 / 1.1  # times as fast as the faster peer in any cell


def at_most(cells: list[dict]) -> list[dict]:
    """The cells, with a peer's time on fewer threads where that is less: ours uses what it is worth, no more."""
    names = ("operation", "dim", "count", "modes", "distribution", "target", "quick")
    same: dict[tuple, list[dict]] = {}
    for cell in cells:
        same.setdefault(tuple(cell[name] for name in names), []).append(cell)
    shown = []
    for cell in cells:
        others = [c for c in same[tuple(cell[name] for name in names)] if c["threads"] <= cell["threads"]]
        best = {
            peer: cell[peer] | {m: min((c[peer][m] for c in others if c[peer][m]), default=None) for m in TIMES}
            for peer in PEERS
        }
        shown.append(cell | best)
    return shown


def ratio(cell: dict, peer: str, mode: str) -> float | None:
    """How many times as fast ours is, None where one of the two did not reach the target."""
    ours, theirs = cell["lrc_numba"][mode], cell[peer][mode]
    return theirs / ours if ours and theirs else None


def _mean(ratios) -> float | None:
    known = [r for r in ratios if r is not None]
    return float(np.exp(np.mean(np.log(known)))) if known else None


def _times(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _label(cell: dict) -> str:
    return f"{cell['dim']}-D N={cell['count']:.0e} {cell['modes']}^{cell['dim']}".replace("e+0", "e")


# ---------------------------------------------------------------------- tables
def print_cells(operation: str, cells: list[dict]) -> None:
    """One row per cell."""
    if not cells:
        return
    header = ["d", "N", "modes", "target", "thr", "points"]
    for library in LIBRARIES:
        header += [f"{NAMES[library]}: new", "kept", "error", "eps"]
    for peer in PEERS:
        header += [f"{NAMES[peer]}/ours: new", "kept"]
    lines = []
    for cell in cells:
        line = [cell["dim"], f"{cell['count']:.0e}".replace("e+0", "e"), f"{cell['modes']}^{cell['dim']}"]
        line += [f"{cell['target']:.0e}", cell["threads"], cell["distribution"][:7]]
        for library in LIBRARIES:
            times = cell[library]
            line += [seconds(times["new"]), seconds(times["kept"]), times["error"], times["eps"]]
        for peer in PEERS:
            line += [_times(ratio(cell, peer, mode)) for mode in TIMES]
        lines.append(line)
    print_table(f"{operation}: medians at equal measured error", header, lines)


def _worst(cells: list[dict]) -> tuple[float, str] | None:
    """The cell where ours does worst against the faster of the peers."""
    smallest = []
    for cell in cells:
        for mode in TIMES:
            ratios = [r for peer in PEERS if (r := ratio(cell, peer, mode)) is not None]
            if ratios:
                at = f"{_label(cell)} {cell['target']:.0e} {cell['distribution']}, {cell['threads']} thr, {mode}"
                smallest.append((min(ratios), at))
    return min(smallest) if smallest else None


def summary(cells: list[dict]) -> list[dict]:
    """Per operation and number of threads, and per operation; of the times that ``at_most`` shows."""
    rows, cells = [], at_most(cells)
    for operation in dict.fromkeys(cell["operation"] for cell in cells):
        of_operation = [cell for cell in cells if cell["operation"] == operation]
        per_threads = []
        for threads in sorted({cell["threads"] for cell in of_operation}):
            here = [c for c in of_operation if c["threads"] == threads]
            means = {p: {m: _mean(ratio(c, p, m) for c in here) for m in TIMES} for p in PEERS}
            for peer in PEERS:
                means[peer]["both"] = _mean(ratio(c, peer, m) for c in here for m in TIMES)
            worst = _worst(here)
            slower = sum(
                any((r := ratio(c, peer, mode)) is not None and r < SLOWER for peer in PEERS)
                for c in here
                for mode in TIMES
            )
            missed = {
                name: sum(c[name]["eps"] is None or c[name]["error"] > c["target"] for c in here) for name in LIBRARIES
            }
            row = {"threads": threads, "cells": len(here), "means": means, "slower": slower, "missed": missed}
            per_threads.append(row | {"worst": worst and worst[0], "worst_cell": worst and worst[1]})
        looser = {name: _looser(of_operation, name) for name in LIBRARIES}
        rows.append({"operation": operation, "threads": per_threads, "looser": looser})
    return rows


def _looser(cells: list[dict], library: str) -> float | None:
    """How many decades the eps that keeps the target is above the target, on average."""
    decades = [np.log10(cell[library]["eps"] / cell["target"]) for cell in cells if cell[library]["eps"]]
    return float(np.mean(decades)) if decades else None


def print_summary(rows: list[dict]) -> None:
    """Geometric means, and worst cells."""
    lines = []
    for row in rows:
        for part in row["threads"]:
            line = [row["operation"], part["threads"], part["cells"]]
            for peer in PEERS:
                line += [_times(part["means"][peer][mode]) for mode in (*TIMES, "both")]
                goal = GOALS.get(row["operation"], {}).get(peer)
                line.append(f">= {goal:g}" if goal else "")
            missed = ", ".join(f"{NAMES[name]} {n}" for name, n in part["missed"].items() if n)
            lines.append([*line, _times(part["worst"]), part["worst_cell"], part["slower"], missed or "none"])
    header = ["operation", "thr", "cells"]
    for peer in PEERS:
        header += [f"{NAMES[peer]}/ours: new", "kept", "both", "goal"]
    header += ["worst", "worst cell, against the faster peer", ">10% slower (of twice as many)", "target missed"]
    print_table("Geometric means of how many times as fast ours is", header, lines)
    for row in rows:
        decades = ", ".join(f"{NAMES[name]} {value:.1f}" for name, value in row["looser"].items() if value is not None)
        print(f"{row['operation']}: eps above the error that came of it, decades: {decades}")


# ---------------------------------------------------------------------- picture
def _panel(axis, operation: str, cells: list[dict]) -> None:
    """One column per problem; within it a mark per target, distribution and number of threads."""
    shapes = list(dict.fromkeys((c["dim"], c["modes"], c["count"]) for c in cells))
    colours = {"finufft": "tab:orange", "ducc0": "tab:blue"}
    variants = list(dict.fromkeys((c["target"], c["distribution"], c["threads"]) for c in cells))
    for cell in cells:
        column = shapes.index((cell["dim"], cell["modes"], cell["count"]))
        offset = variants.index((cell["target"], cell["distribution"], cell["threads"])) / max(len(variants) - 1, 1)
        for peer, colour in colours.items():
            for mode, face in (("new", colour), ("kept", "none")):
                value = ratio(cell, peer, mode)
                if value is not None:
                    marker = "o" if cell["threads"] == 1 else "^"
                    x = column + 0.8 * (offset - 0.5)
                    axis.plot(x, value, marker, ms=3.6, color=colour, mfc=face, mew=0.7)
    for column in range(1, len(shapes)):
        axis.axvline(column - 0.5, color="0.9", lw=0.8, zorder=0)
    for peer, goal in GOALS.get(operation, {}).items():
        axis.axhline(goal, color=colours[peer], lw=0.9, ls="--")
    axis.axhline(1.0, color="black", lw=0.9)
    axis.set_yscale("log")
    power = {10_000: "10⁴", 100_000: "10⁵", 1_000_000: "10⁶"}
    labels = [f"{m}{'²³'[d - 2] if d > 1 else ''}\n{power.get(n, n)}" for d, m, n in shapes]
    axis.set_xticks(range(len(shapes)), labels, fontsize=8)
    axis.set_xlim(-0.5, len(shapes) - 0.5)
    from matplotlib.ticker import FixedLocator, NullFormatter, StrMethodFormatter

    axis.yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 5, 10, 20, 50, 100]))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.grid(axis="y", alpha=0.3)
    axis.set_ylabel("time of peer / ours")
    axis.set_title(operation, fontsize=10, loc="left")


def draw(record: dict, path: Path) -> None:
    """Ratios of all cells, a panel per operation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cells = at_most(record["cells"])
    operations = list(dict.fromkeys(cell["operation"] for cell in cells))
    figure, axes = plt.subplots(
        len(operations), 1, figsize=(10.5, 3.1 * len(operations) + 0.7), squeeze=False, constrained_layout=True
    )
    for axis, operation in zip(axes[:, 0], operations, strict=True):
        _panel(axis, operation, [cell for cell in cells if cell["operation"] == operation])
    axes[-1, 0].set_xlabel("modes, number of points")
    last = axes[0, 0]
    for peer, colour in (("FINUFFT", "tab:orange"), ("ducc0", "tab:blue")):
        last.plot([], [], color=colour, lw=4, label=peer)
    last.plot([], [], color="grey", lw=0.9, ls="--", label="goal for the mean")
    for marker, face, label in (
        ("o", "grey", "1 thread"),
        ("^", "grey", "2 threads"),
        ("o", "none", "open: points kept"),
    ):
        last.plot([], [], marker, color="grey", mfc=face, ms=4, label=label)
    handles, labels = last.get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, ncols=6, loc="outside upper center")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    args = arguments("tools.benchmark_report", __doc__ or "").parse_args()
    source = RESULTS / "benchmark.json"
    if not source.exists():
        print(f"SKIPPED: there is no {source.name} yet; run python -m validation.benchmark first")
        return
    record = json.loads(source.read_text(encoding="utf-8"))
    print_summary(summary(record["cells"]))
    draw(record, args.output / "benchmark.png")


if __name__ == "__main__":
    main()
