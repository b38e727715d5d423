"""Width and accuracy of windows that vanish at the edge with their slope, against windows that do not.

For three oversampling ratios and eps from 1e-1 to 1e-12: the width, in grid points, that keeps eps by the rule of
lrc_numba.engine.window.choose, 6 * alias <= eps, for

  cut off   the Kaiser-Bessel window I0(beta s), which ends at its edge value: energies jump when a node enters it
  shifted   the same minus its edge value: energies are continuous, forces jump
  C1        the window of lrc_numba, a hat function convolved with one: value and slope vanish at the edge, forces are
            continuous

and, for a wave at a twentieth of the band, the aliasing error of the gradient that the window's slope gives, alias m
being (kappa + m) / kappa times as large as in the value: of the narrowest cut-off window that keeps eps, and of ours.

The aliasing error is measured with more alias terms, more of the band and a finer quadrature than lrc_numba uses to
choose, and the shape parameter of the first two is scanned at every width as it is there. Jumps are relative to the
peak of the window: the energy jump of the cut-off one is its edge value, the force jump of the shifted one its edge
slope per grid cell.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
from numpy.polynomial import polynomial
from scipy.special import i0, i0e
from tqdm import tqdm

from lrc_numba.engine.window.choose import MAX_WIDTH, TRANSFORM_ERRORS, Window, choose_window

from .tools.common import arguments, environment, print_table, save_json

RATIOS = (2.0, 1.5, 1.25)
EPS = [10.0**-p for p in range(1, 13)]
ALIASES = np.array([m for m in range(-12, 13) if m])
BAND = np.linspace(0.0, 1.0, 41)
LONG = 2  # where in the band a wave is long
SCALES = np.linspace(0.8, 1.15, 29)


# ---------------------------------------------------------------------- windows on [−1, 1] as functions of s² = 1 − x²
def _cut_off(s2: np.ndarray, beta: float) -> np.ndarray:
    return i0(beta * np.sqrt(s2))


def _shifted(s2: np.ndarray, beta: float) -> np.ndarray:
    return i0(beta * np.sqrt(s2)) - 1.0


FAMILIES = {"cut off": _cut_off, "shifted": _shifted}


@cache
def _cosines(width: int, ratio: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positive Gauss–Legendre nodes on [−1, 1], and the cosines that take a window to its band and to its aliases."""
    nodes, weight = np.polynomial.legendre.leggauss(64 + 28 * width)
    nodes, weight = nodes[nodes > 0], weight[nodes > 0]
    band = BAND / (2 * ratio)
    main = np.cos(np.pi * width * np.outer(band, nodes)) * weight
    images = np.cos(np.pi * width * (band[:, None] + ALIASES)[..., None] * nodes) * weight
    return nodes, main, images


def _relative_alias(main: np.ndarray, images: np.ndarray) -> float:
    """The largest over the band of the sum of all aliases, as on a lattice, relative to the mode itself."""
    return float((np.abs(images).sum(axis=1) / np.abs(main)).max())


def _relative_slope(main: np.ndarray, images: np.ndarray, ratio: float) -> float:
    """The same of the gradient, for one long wave."""
    kappa = BAND[LONG] / (2 * ratio)
    return float((np.abs(images[LONG]) * np.abs(kappa + ALIASES)).sum() / np.abs(main[LONG]) / kappa)


def transforms_of(family: str, width: int, beta: float, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """A Kaiser–Bessel window's transform in the band, and at the aliases."""
    nodes, main, images = _cosines(width, ratio)
    values = FAMILIES[family](1.0 - nodes**2, beta) / i0(beta)
    return main @ values, images @ values


def transforms_of_polynomials(window: Window, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """The same of the polynomials of lrc_numba, by their own quadrature."""
    tau, weight = np.polynomial.legendre.leggauss(64)
    values = polynomial.polyval(tau, window.coefficients[::-1]) * weight
    x = np.arange(window.width)[:, None] + 1.0 - (tau + 1.0) / 2 - window.width / 2
    kappa = BAND / (2 * ratio)
    flat, x = values.ravel(), x.ravel()
    main = np.cos(2 * np.pi * np.outer(kappa, x)) @ flat
    return main, np.cos(2 * np.pi * (kappa[:, None] + ALIASES)[..., None] * x) @ flat


@cache
def best(family: str, width: int, ratio: float) -> tuple[float, float]:
    """β with the smallest aliasing error at this width, and that error."""
    guess = np.pi * width * (1.0 - 0.5 / ratio)
    return min(
        ((float(b), _relative_alias(*transforms_of(family, width, float(b), ratio))) for b in guess * SCALES),
        key=lambda candidate: candidate[1],
    )


def narrowest(family: str, eps: float, ratio: float) -> tuple[int, float, float] | None:
    """Width, β and alias of the narrowest window that keeps eps; None when none up to MAX_WIDTH does."""
    for width in range(2, MAX_WIDTH + 1):
        beta, alias = best(family, width, ratio)
        if TRANSFORM_ERRORS * alias <= eps:
            return width, beta, alias
    return None


# ---------------------------------------------------------------------- jumps at the edge, relative to the peak
def energy_jump(beta: float) -> float:
    """Edge value of I₀(βs) over its peak."""
    return float(np.exp(-beta) / i0e(beta))


def force_jump(beta: float, width: int) -> float:
    """Edge slope per grid cell of I₀(βs) − 1 over its peak: β²/4 · d(s²)/dx at x = 1 is β²/2 per half width."""
    return float(beta**2 / 2 / (width / 2) * energy_jump(beta))


def measure(ratio: float, eps: float) -> dict:
    """One row: widths of the three windows, aliases and jumps."""
    row: dict[str, object] = {"oversampling": ratio, "eps": eps}
    for family in FAMILIES:
        narrow = narrowest(family, eps, ratio)
        row[family] = None if narrow is None else {"width": narrow[0], "beta": narrow[1], "alias": narrow[2]}
        if narrow is not None:
            row[family]["long"] = _relative_slope(*transforms_of(family, *narrow[:2], ratio), ratio)  # type: ignore
            row["energy jump" if family == "cut off" else "force jump"] = (
                energy_jump(narrow[1]) if family == "cut off" else force_jump(narrow[1], narrow[0])
            )
    try:
        window = choose_window("kaiser_bessel", eps, 0.5 / ratio)
    except ValueError:
        row["C1"] = None
        return row
    transforms = transforms_of_polynomials(window, ratio)
    values = polynomial.polyval(np.array([-1.0, 1.0]), window.coefficients[::-1])
    row["C1"] = {
        "width": window.width,
        "shape": list(window.shape),
        "degree": window.degree,
        "alias": _relative_alias(*transforms),
        "long": _relative_slope(*transforms, ratio),
        "edge value": float(max(abs(values[0, 1]), abs(values[-1, 0]))),
    }
    return row


def table(rows: list[dict]) -> None:
    """Widths side by side."""
    lines = []
    for r in rows:
        widths = [r[name]["width"] if r[name] else None for name in ("cut off", "shifted", "C1")]
        price = f"{widths[2] - widths[0]:+d}" if widths[0] and widths[2] else None
        error = TRANSFORM_ERRORS * r["C1"]["alias"] if r["C1"] else None
        edge = r["C1"]["edge value"] if r["C1"] else None
        shown = [None if w is None else str(w) for w in widths]
        long = [r[name]["long"] if r[name] else None for name in ("cut off", "C1")]
        jumps = [r.get("energy jump"), r.get("force jump"), edge]
        lines.append([f"{r['oversampling']:.2f}", r["eps"], *shown, price, error, *long, *jumps])
    header = [
        "oversampling",
        "eps",
        "cut off",
        "shifted",
        "C1",
        "C1 - cut off",
        "C1: 6 alias",
        "gradient of a long wave, cut off",
        "C1",
    ]
    header += ["energy jump, cut off", "force jump, shifted", "edge value, C1"]
    print_table("Width in grid points that keeps eps; jumps relative to the window's peak", header, lines)


def draw(rows: list[dict], path: Path) -> None:
    """Alias against width, three curves for every oversampling."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, axes = plt.subplots(1, len(RATIOS), figsize=(10.5, 3.9), sharey=True, constrained_layout=True)
    for axis, ratio in zip(axes, RATIOS, strict=True):
        here = [r for r in rows if r["oversampling"] == ratio]
        ends = [r[name]["width"] for r in here for name in ("cut off", "C1") if r[name]]
        for family, style in (("cut off", "o-"), ("shifted", "s--")):
            widths = range(2, max(ends) + 1)
            label = {"cut off": "cut off at its edge value", "shifted": "minus its edge value"}[family]
            axis.semilogy(widths, [best(family, w, ratio)[1] for w in widths], style, ms=3.5, lw=1, label=label)
        smooth = sorted({(r["C1"]["width"], r["C1"]["alias"]) for r in here if r["C1"]})
        axis.semilogy(*zip(*smooth, strict=True), "^-", ms=4.5, lw=1, label="hat * window (lrc_numba)")
        axis.set_title(f"oversampling {ratio:g}", fontsize=10)
        axis.set(xlabel="width w, grid points", ylim=(1e-14, 1))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("relative aliasing error of one transform")
    axes[-1].legend(fontsize=7.5, loc="lower left")
    figure.suptitle("Kaiser–Bessel windows: aliasing error against width", fontsize=11)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    args = arguments("windows", __doc__ or "").parse_args()
    eps = EPS[1::3] if args.quick else EPS
    cases = [(ratio, e) for ratio in RATIOS for e in eps]
    rows = [measure(*case) for case in tqdm(cases, desc="windows", file=sys.stderr, leave=False)]
    table(rows)
    record = {"environment": environment(args.threads), "quick": args.quick, "rows": rows}
    save_json(args.output / "windows.json", record)
    draw(rows, args.output / "windows.png")


if __name__ == "__main__":
    main()
