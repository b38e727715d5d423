"""How far u and its gradients are from the Fourier sum on thousands of random problems, and what bounds that.

What is drawn: 1 to 3 dimensions, 1 to 1000 points (uniform, clustered, on a lattice), values that are random, neutral
or all one, 5 to 64 modes, kernels of short and of long range and one that has only the highest modes, both windows, eps
from 1e-1 to 1e-10, float64 and in one dimension some float32. The first run compiles for minutes.
Compared are u, and the gradient of sum g u, half of the time with g = f/2, the energy, with the sum over the same
modes and its derivative, ik under the sum. Errors are divided by eps
and by one of three sizes, all without the mode k = 0, which does not go over the grid:

  itself    what is wanted. Small where terms cancel in it, and then errors relative to it are large.
  terms     what u would be if they did not: its terms are added as if their phases were random or, where the sum is
            larger, as they are; the terms of a point with itself are added as they are,

                u:          max(|u|, sqrt(N) |f|_2 phi_2, |f|_2 phi_1),   phi_p = p-norm of the multiplier's modes / V
                gradients:  a wavenumber times the same of |g_i u_i| + |f_i v_i|, v the convolution of g

            The wavenumber is the largest |k| for gradient="spectral", and that of the grid, 2 pi n / L with n nodes,
            for "exact": the window's slope carries alias m with its own wavenumber, k + 2 pi m n / L, and not k.
  bound     a proof for every point, no matter how phases are:

                |error of u_i|               <= eps phi_1 |f|_1
                |error of dL/dx_ia|          <= eps phi_1 (|g_i| |f|_1 + |f_i| |g|_1), where phi_1 is of |k_a| times
                                                the multiplier
                the same, gradient="exact"   <= 5 times that

            Along each axis a window adds to a mode its aliases, a part of at most eps/6 together, and there are two
            windows and d axes. The wavenumber of an alias is n/K - 1 times that of the highest mode K, 1.5 to some 11
            times. For longer waves the factor is larger, but aliases are smaller, as the window has a double zero at
            each m.

  python -m validation.gradient_error --quick
  python -m validation.gradient_error --cases 500 --seed 1
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba import ExponentialKernel, Gaussian, InversePower, LRCPlan, Multiplier, Table, Yukawa
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet

from .tools.common import DISTRIBUTIONS, arguments, draw_points, environment, positive, print_table, save_json

# Short lists, because every width of a window is compiled, once for each dimension and dtype.
EPS = {
    1: (1e-1, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10),
    2: (1e-1, 1e-2, 1e-4, 1e-6, 1e-10),
    3: (1e-1, 1e-2, 1e-4, 1e-6, 1e-10),
}
QUICK_EPS = {1: (1e-1, 1e-2, 1e-6), 2: (1e-1, 1e-2), 3: (1e-1, 1e-2)}
SINGLE = (1e-1, 1e-2, 1e-4)  # what is asked of float32, in one dimension
MODES = {1: (5, 9, 16, 31, 64), 2: (5, 12, 31), 3: (5, 8, 13)}
COUNTS = (1, 2, 3, 5, 8, 15, 40, 120, 400, 1000)
MOST = 400_000  # points times modes; in three dimensions a thousand points have fewer modes
EXACT = 5  # how many times the aliases of a window's slope are larger
WHAT = ("convolution", "spectral", "exact")
SIZES = ("itself", "terms", "bound")
KERNELS = ("yukawa", "gaussian", "exponential", "power", "highest")


# ---------------------------------------------------------------------- problems
@dataclass
class Problem:
    """Points, values and a cotangent, in the precision that is asked for, and a kernel.

    Attributes
    ----------
    labels : dict of str to str or number
        What was drawn.
    points : (N, d), values, cotangent : (N,)
        x, f, g.
    modes : ModeSet
        The modes that are summed over.
    phi : (size,) float64
        The multiplier over the volume on the stored modes, zero at k = 0.
    """

    labels: dict
    points: np.ndarray
    values: np.ndarray
    cotangent: np.ndarray
    multiplier: Multiplier
    modes: ModeSet
    phi: np.ndarray


def _kernel(rng: np.random.Generator, dim: int, box: float, modes: int) -> tuple[str, Multiplier]:
    """A kernel and its range, from a fiftieth of the box to several boxes."""
    name, length = str(rng.choice(KERNELS)), box * 10 ** rng.uniform(-1.7, 0.5)
    if name == "yukawa":
        return name, Yukawa(1.0, 1 / length)
    if name == "gaussian":
        return name, Gaussian(min(length, 0.3 * box))
    if name == "exponential":
        return name, ExponentialKernel(1 / length)
    if name == "highest":
        top = (modes - 1) // 2
        numbers = ModeSet(Cell(1.0, dim), (modes,) * dim).numbers
        highest = (np.abs(numbers) == top).any(axis=1)
        return name, Table(highest.reshape((2 * top + 1,) * (dim - 1) + (top + 1,)).astype(float), dim)
    return name, InversePower(float(rng.choice([dim / 3, 0.9 * dim])), min(length, 0.2 * box))


def _values(kind: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """f of a kind: normal numbers; the same less their mean, which one point does not have; ones."""
    f = np.ones(count) if kind == "ones" else rng.standard_normal(count)
    return f - f.mean() if kind == "neutral" and count > 1 else f


def draw(seed: int, dim: int, index: int, quick: bool = False) -> Problem:
    """A problem; every one has random numbers of its own, so that any of them can be had again alone."""
    rng = np.random.default_rng([seed, dim, index])
    box, modes, count = float(10 ** rng.uniform(-0.5, 1.5)), int(rng.choice(MODES[dim])), MOST
    while count * modes**dim > MOST:
        count = int(rng.choice(COUNTS))
    dtype = "float32" if dim == 1 and not quick and rng.random() < 0.2 else "float64"
    kind, charges = str(rng.choice(DISTRIBUTIONS)), str(rng.choice(["normal", "neutral", "ones"]))
    points = draw_points(kind, count, dim, box, rng).astype(dtype)
    f = _values(charges, len(points), rng).astype(dtype)
    every = SINGLE if dtype == "float32" else QUICK_EPS[dim] if quick else EPS[dim]
    energy = bool(rng.random() < 0.5)
    g = f / 2 if energy else rng.standard_normal(len(f)).astype(dtype)
    name, multiplier = _kernel(rng, dim, box, modes)
    mode_set = ModeSet(Cell(box, dim), (modes,) * dim)
    phi = np.where(mode_set.k2 > 0, multiplier.values(mode_set), 0.0) / mode_set.cell.volume
    labels = {
        "seed": [seed, dim, index],
        "dim": dim,
        "modes": modes,
        "points": len(points),
        "distribution": kind,
        "charges": charges,
        "cotangent": "f/2" if energy else "normal",
        "kernel": name,
        "dtype": dtype,
        "window": str(rng.choice(["kaiser_bessel", "gaussian"])),
        "eps": float(rng.choice(every)),
    }
    return Problem(labels, points, f, g, multiplier, mode_set, phi)


# ---------------------------------------------------------------------- truth and sizes
def truth(p: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """u and v, the convolutions of f and of g without k = 0, (N,), and grad u, grad v, (N, d): sums over modes."""
    s = p.modes.cell.fractional(p.points.astype(np.float64))
    waves = np.exp(2j * np.pi * (s @ p.modes.numbers.T))
    f_and_g = np.stack([p.values, p.cotangent], axis=1).astype(np.float64)
    strength = (p.phi * p.modes.weights)[:, None] * (waves.conj().T @ f_and_g)
    u, v = (waves @ strength).real.T
    slopes = [(waves @ (1j * p.modes.k * column[:, None])).real for column in strength.T]
    return u, v, *slopes


def _norms(phi: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """phi_1 and phi_2 over all modes."""
    return float(np.abs(phi) @ weights), float(np.sqrt(phi**2 @ weights))


def sizes(p: Problem, grid: tuple[int, ...]) -> dict[str, dict]:
    """What errors are divided by, as the top of this file says, ``bound`` per component; and what is wanted."""
    f, g = (np.abs(a.astype(np.float64)) for a in (p.values, p.cotangent))
    u, v, du, dv = truth(p)
    gradient = p.cotangent[:, None] * du + p.values[:, None] * dv
    first, second = _norms(p.phi, p.modes.weights)
    norm = np.linalg.norm
    spread, own = norm(g * norm(f) + f * norm(g)), 2 * norm(f * g)
    both = max(norm(g * np.abs(u) + f * np.abs(v)), second * spread, first * own)
    steepest = 2 * np.pi * max(grid) / p.modes.cell.matrix[0, 0]
    along = np.abs(p.phi * p.modes.weights) @ np.abs(p.modes.k)
    every = np.outer(g * norm(f, 1) + f * norm(g, 1), along)
    u_terms = max(norm(u), second * np.sqrt(len(f)) * norm(f), first * norm(f))
    return {
        "itself": {"convolution": norm(u), "spectral": norm(gradient), "exact": norm(gradient)},
        "terms": {"convolution": u_terms, "spectral": p.modes.norm.max() * both, "exact": steepest * both},
        "bound": {"convolution": first * norm(f, 1), "spectral": every, "exact": EXACT * every},
        "wanted": {"convolution": u, "spectral": gradient, "exact": gradient},
    }


# ---------------------------------------------------------------------- errors
def computed(p: Problem, threads: int | None) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """u without k = 0, both gradients, and the side of the grid."""
    out: dict[str, np.ndarray] = {}
    dim = p.points.shape[1]
    box, asked = float(p.modes.cell.matrix[0, 0]), {key: p.labels[key] for key in ("eps", "window", "dtype")}
    for gradient in ("exact", "spectral"):
        plan = LRCPlan(box, p.modes.modes, **asked, gradient=gradient, threads=threads, dim=dim).set_points(p.points)
        result = plan.vjp(p.values, p.multiplier, p.cotangent, wrt=("points",))
        out[gradient] = result.points.astype(np.float64)
        if gradient == "exact":
            value_at_k0 = float(p.multiplier.values(p.modes)[0]) / p.modes.cell.volume * p.values.sum(dtype=np.float64)
            out["convolution"] = result.output.astype(np.float64) - value_at_k0
    return out, plan.grid.n


def measure(p: Problem, threads: int | None) -> dict:
    """A row: error over eps and over each of the sizes."""
    results, grid = computed(p, threads)
    by = sizes(p, grid)
    row = p.labels | {"grid": grid[0], "points_per_node": len(p.points) / grid[0] ** len(grid)}
    for name in WHAT:
        difference = np.abs(results[name] - by["wanted"][name])
        error, eps = float(np.linalg.norm(difference)), p.labels["eps"]
        over = {size: float(by[size][name]) for size in ("itself", "terms")}
        ratios = {size: error / (eps * value) if value > 0 else None for size, value in over.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            everywhere = difference / (eps * by["bound"][name])
        ratios["bound"] = float(np.nan_to_num(everywhere, nan=0.0).max())
        row[name] = ratios
    return row


def rows(seed: int, dims: list[int], cases: int, quick: bool, threads: int | None) -> Iterator[dict]:
    """Case after case, all dimensions in turn."""
    for index in tqdm(range(cases), desc="cases", file=sys.stderr, leave=False):
        for dim in dims:
            yield measure(draw(seed, dim, index, quick), threads)


# ---------------------------------------------------------------------- what is shown
def summarise(measured: list[dict]) -> list[dict]:
    """Median, 95%, largest and how many are above one, by what is computed, by dimension and eps, and by size."""
    entries = []
    for name in WHAT:
        for dim in sorted({r["dim"] for r in measured}):
            every = sorted({r["eps"] for r in measured if r["dim"] == dim}, reverse=True)
            for eps in [*every, None]:
                cases = [r[name] for r in measured if r["dim"] == dim and eps in (r["eps"], None)]
                entry: dict = {"what": name, "dim": dim, "eps": eps, "cases": len(cases)}
                for size in SIZES:
                    ratios = np.array([r[size] for r in cases if r[size] is not None])
                    middle, most = np.quantile(ratios, [0.5, 0.95]) if len(ratios) else (0.0, 0.0)
                    largest = float(ratios.max(initial=0.0))
                    above = int((ratios > 1).sum())
                    entry[size] = {"median": middle, "95%": most, "largest": largest, "above": above}
                entries.append(entry)
    return entries


def worst(measured: list[dict], number: int = 5) -> dict[str, list[dict]]:
    """The cases that come nearest to the size of their terms; with the seed any of the others can be had again."""
    ordered = {name: sorted(measured, key=lambda r, n=name: r[n]["terms"] or 0.0, reverse=True) for name in WHAT}
    return {name: cases[:number] for name, cases in ordered.items()}


def show(summary: list[dict], seed: int) -> None:
    """The table."""
    lines = [
        [
            entry["what"],
            str(entry["dim"]),
            "all" if entry["eps"] is None else f"{entry['eps']:.0e}",
            str(entry["cases"]),
            *(f"{entry[size][key]:.2g}" for size in ("terms", "bound") for key in ("median", "95%", "largest")),
            str(entry["terms"]["above"] + entry["bound"]["above"]),
            f"{entry['itself']['median']:.2g}",
            str(entry["itself"]["above"]),
        ]
        for entry in summary
    ]
    header = ["error of", "d", "eps", "cases", "/ eps terms: median", "95%", "largest", "/ bound: median", "95%"]
    header += ["largest", "above 1", "/ eps itself: median", "above 1"]
    print_table(f"Errors over eps and a size, seed {seed}; terms and bound must stay below 1", header, lines)


def draw_picture(measured: list[dict], path: Path) -> None:
    """A panel for each of what is computed: which part of the cases has a larger error, over each of the sizes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), sharey=True, constrained_layout=True)
    titles = {"convolution": "u", "spectral": 'gradient="spectral"', "exact": 'gradient="exact"'}
    styles = {"itself": ("tab:red", "eps × what is wanted itself"), "terms": ("tab:blue", "eps × size of its terms")}
    styles |= {"bound": ("tab:green", "the bound, worst point")}
    for axis, name in zip(axes, WHAT, strict=True):
        for size, (colour, label) in styles.items():
            ratios = np.sort([r[name][size] for r in measured if r[name][size]])[::-1]
            axis.loglog(ratios, np.arange(1, len(ratios) + 1) / len(ratios), color=colour, lw=1.6, label=label)
        axis.axvline(1.0, color="black", lw=1)
        axis.set(xlim=(1e-6, 1e4), xlabel="error divided by …", title=titles[name])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("part of the cases with a larger error")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=9, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    parser = arguments("gradient_error", __doc__ or "")
    parser.add_argument("--cases", type=positive, help="problems per dimension (default: 1000, with --quick 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers (default: %(default)s)")
    parser.add_argument("--dims", type=int, nargs="+", choices=(1, 2, 3), default=[1, 2, 3], help="which dimensions")
    args = parser.parse_args()
    cases = (60 if args.quick else 1000) if args.cases is None else args.cases
    if cases < 1:
        parser.error(f"--cases: expected at least 1, got {cases}")
    measured = list(rows(args.seed, args.dims, cases, args.quick, args.threads))
    summary = summarise(measured)
    show(summary, args.seed)
    record = {"environment": environment(args.threads), "quick": args.quick, "seed": args.seed, "cases": cases}
    save_json(args.output / "gradient_error.json", record | {"summary": summary, "worst": worst(measured)})
    draw_picture(measured, args.output / "gradient_error.png")


if __name__ == "__main__":
    main()
