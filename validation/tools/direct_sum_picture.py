"""The picture of ``direct_sum``, drawn from its record; on its own it redraws from the JSON file.

python -m validation.tools.direct_sum_picture
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .common import RESULTS, arguments

__all__ = ["draw"]

_COLOURS = {1: "tab:blue", 2: "tab:orange", 3: "tab:green"}
_MARKERS = {"uniform": "o", "clustered": "s", "lattice": "^"}


def _errors(axis, rows: list[dict]) -> None:
    eps = np.array(sorted({r["eps"] for r in rows}))
    axis.loglog(eps, eps, color="black", lw=1, label="error = eps")
    for dim, colour in _COLOURS.items():
        for kind, marker in _MARKERS.items():
            for dtype, face in (("float64", colour), ("float32", "none")):
                chosen = [r for r in rows if (r["dim"], r["distribution"], r["dtype"]) == (dim, kind, dtype)]
                chosen = [r for r in chosen if r["kernel"] == "exponential" and r["error_fourier"]]
                axis.plot(
                    [r["eps"] for r in chosen], [r["error_fourier"] for r in chosen],
                    marker=marker, ms=4.5 if face == colour else 8, ls="", color=colour, mfc=face, mew=0.9,
                )  # fmt: skip
    for dim, colour in _COLOURS.items():
        axis.plot([], [], color=colour, lw=4, label=f"{dim}-D")
    for kind, marker in _MARKERS.items():
        axis.plot([], [], color="grey", marker=marker, ls="", ms=4.5, label=kind)
    axis.plot([], [], color="grey", marker="o", mfc="none", ls="", ms=8, label="float32")
    axis.set(xlabel="eps asked for", ylabel="relative l2 error against the Fourier sum")
    axis.set_title("exp(−μr): error against eps", fontsize=10)
    axis.invert_xaxis()
    axis.legend(fontsize=7.5, loc="upper right", ncols=2)
    axis.grid(alpha=0.3)


def _times(axis, rows: list[dict]) -> None:
    styles = {"ours": ("-", "o"), "pairs": (":", ""), "compiled": ("--", "")}
    for dim, colour in _COLOURS.items():
        for key, (line, marker) in styles.items():
            chosen = [r for r in rows if r["kernel"] == "exponential" and r["dim"] == dim and key in r["seconds"]]
            times = [r["seconds"][key] for r in chosen]
            axis.loglog([r["points"] for r in chosen], times, line, marker=marker, ms=4, color=colour, lw=1.4)
    for dim, colour in _COLOURS.items():
        modes = next(r["modes"] for r in rows if r["dim"] == dim)
        axis.plot([], [], color=colour, lw=4, label=f"{dim}-D, {modes}{'²³'[dim - 2] if dim > 1 else ''} modes")
    names = {
        "ours": "lrc_convolve",
        "pairs": "pair sum, NumPy, all images",
        "compiled": "pair sum, compiled, nearest image",
    }
    for key, (line, marker) in styles.items():
        axis.plot([], [], line, marker=marker, ms=4, color="grey", label=names[key])
    counts = np.array([min(r["points"] for r in rows) * 10.0, max(r["points"] for r in rows)])
    base = 2e-9
    axis.plot(counts, base * counts**2, color="black", lw=0.8)
    axis.annotate("N²", (counts[1], base * counts[1] ** 2), xytext=(-12, -14), textcoords="offset points", fontsize=8)
    axis.set(xlabel="number of points N", ylabel="time of one convolution, s")
    axis.set_title(f"exp(−μr): time against N, eps = {rows[0]['eps']:g}", fontsize=10)
    axis.legend(fontsize=7.5, loc="upper left")
    axis.grid(alpha=0.3)


def draw(record: dict, path: Path) -> None:
    """Left: error against eps. Right: time against N with the O(N²) sums."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.6), constrained_layout=True)
    _errors(left, record["errors"])
    _times(right, record["times"])
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    args = arguments("tools.direct_sum_picture", __doc__ or "").parse_args()
    source = RESULTS / "direct_sum.json"
    if not source.exists():
        print(f"SKIPPED: there is no {source.name} yet; run python -m validation.direct_sum first")
        return
    draw(json.loads(source.read_text(encoding="utf-8")), args.output / "direct_sum.png")


if __name__ == "__main__":
    main()
