"""Attention in reciprocal space against the explicit sum in NumPy: time and error, growth with N, cost of a channel.

Water-like density, 0.1 atoms in a cubic angstrom. The explicit sum goes over half of the modes and takes its products
from BLAS; it is timed twice: over all modes that carry 1e-5, for which the goals are set, and over those that the layer
keeps for its eps. Errors are against the former. NumPy, BLAS and the layer use one thread each, unless --threads says
otherwise for the layer; every call of it gets new points in "sums", and keeps them else.

  sums        64 channels (4 heads of 4 x 4), 10,000 atoms, widths of 2 and 5 angstrom
  growth      the same from 1,000 atoms on, at 2 angstrom; time per atom
  channels    1 to 256 channels, time per channel
  methods     pairs, modes and mesh at several sizes, and what "auto" takes: where the borders should be

Parts may be measured one after the other; those that are not asked for are kept from the file.

  python -m validation.attention --quick
  OPENBLAS_NUM_THREADS=1 python -m validation.attention
"""

from __future__ import annotations

import json
import math
import sys

import numpy as np
from tqdm import tqdm

from lrc_numba.attention import ReciprocalSpaceAttention

from .tools.common import alternate, arguments, environment, print_table, relative_error, save_json, seconds

DENSITY = 0.1
GOALS = {2.0: 25.0, 5.0: 4.0}  # times as fast as the explicit sum, 64 channels, 10,000 atoms, eps 1e-3
CONVERGED = 1e-5
HEADS = {1: (1, 1, 1), 8: (2, 2, 2), 64: (4, 4, 4), 256: (16, 4, 4)}  # channels: heads, d_k, d_v
LEVEL = 0.2  # how far the time per atom may differ
MANY = 1_000  # atoms; matrices of more pairs are left out
BUDGET = 1.0  # seconds for each size of "methods"
BLOCK = 64  # modes in a product of the explicit sum


def silu(z: np.ndarray) -> np.ndarray:
    """The feature map."""
    return z / (1 + np.exp(-z))


def half_of_the_modes(side: float, highest: float) -> tuple[np.ndarray, np.ndarray]:
    """k (M, 3) below a wavenumber, one of every k and -k, and k^2."""
    top = int(highest * side / (2 * math.pi))
    n = np.stack(np.meshgrid(*[np.arange(-top, top + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    first = (n[:, 0] > 0) | ((n[:, 0] == 0) & ((n[:, 1] > 0) | ((n[:, 1] == 0) & (n[:, 2] > 0))))
    k = 2 * math.pi / side * n[first]
    k2 = np.einsum("ma,ma->m", k, k)
    return k[k2 <= highest**2], k2[k2 <= highest**2]


def explicit(points: np.ndarray, side: float, given: tuple, sigma: float, highest: float) -> np.ndarray:
    """The sum over modes, (N, h, d_v)."""
    q, keys, v = given
    k, k2 = half_of_the_modes(side, highest)
    w = 2 * 4 * math.pi / side**3 * np.exp(-k2 * sigma**2 / 2) / k2
    products = (silu(keys)[..., None] * v[:, :, None]).reshape(len(points), -1)
    field = np.zeros_like(products)
    for a in range(0, len(k), BLOCK):
        phases = points @ k[a : a + BLOCK].T
        c, s = np.cos(phases), np.sin(phases)
        field += (c * w[a : a + BLOCK]) @ (c.T @ products) + (s * w[a : a + BLOCK]) @ (s.T @ products)
    return np.einsum("nha,nhab->nhb", silu(q), field.reshape(*q.shape, -1))


def problem(count: int, channels: int, seed: int = 0) -> tuple[np.ndarray, float, tuple]:
    """Points, the side of their box, and Q, K, V."""
    rng, side = np.random.default_rng([seed, count]), (count / DENSITY) ** (1 / 3)
    heads, d_k, d_v = HEADS[channels]
    given = tuple(rng.standard_normal((count, heads, width)) for width in (d_k, d_k, d_v))
    return rng.random((count, 3)) * side, side, given


def layer(channels: int, sigma: float, eps: float, threads: int, method: str = "auto") -> ReciprocalSpaceAttention:
    """The layer with one width for all heads."""
    return ReciprocalSpaceAttention(*HEADS[channels], sigma=sigma, eps=eps, threads=threads, method=method)


def highest_kept(sigma: float, eps: float) -> float:
    """The wavenumber up to which the layer keeps modes of a Coulomb kernel in a large cell."""
    from scipy.special import gammainccinv

    return math.sqrt(2 * float(gammainccinv(0.5, eps / 2))) / sigma


def against_sums(sigma: float, count: int, eps: float, threads: int, rounds: int) -> dict:
    """Times of the layer, with new points in every call, and of both explicit sums; the error."""
    points, side, given = problem(count, 64)
    made, results = layer(64, sigma, eps, threads), {}
    ends = {"same modes": highest_kept(sigma, eps), "converged": math.sqrt(2 * math.log(1 / CONVERGED)) / sigma}

    def ours() -> None:
        results["layer"] = made.set_points(points, side)(*given)

    def sums(name: str) -> None:
        results[name] = explicit(points, side, given, sigma, ends[name])

    calls = {"layer": ours} | {name: (lambda name=name: sums(name)) for name in ends}
    taken = alternate(calls, rounds, budget=60.0)
    row = {"sigma": sigma, "atoms": count, "channels": 64, "eps": eps, "seconds": taken}
    row["modes"] = {name: len(half_of_the_modes(side, end)[0]) for name, end in ends.items()}
    row["error"] = {name: relative_error(results[name], results["converged"]) for name in ("layer", "same modes")}
    row["ratio"] = {name: taken[name] / taken["layer"] for name in ends}
    return row


def timed(count: int, channels: int, sigma: float, eps: float, threads: int, rounds: int) -> dict:
    """Seconds of the layer, points kept."""
    points, side, given = problem(count, channels)
    own = layer(channels, sigma, eps, threads).set_points(points, side)
    taken = alternate({"kept": lambda: own(*given)}, rounds, budget=20.0)
    return {"atoms": count, "channels": channels, "sigma": sigma, "eps": eps, "seconds": taken}


def methods(count: int, channels: int, sigma: float, eps: float, threads: int, rounds: int) -> dict:
    """Seconds of the layer by all methods, with points kept and with new ones."""
    points, side, given = problem(count, channels)
    names = ("pairs", "modes", "mesh", "auto") if count <= MANY else ("modes", "mesh", "auto")
    rng, layers = np.random.default_rng(1), {name: layer(channels, sigma, eps, threads, name) for name in names}

    def renewed(own: ReciprocalSpaceAttention) -> None:
        own.set_points(points + 1e-3 * rng.standard_normal(points.shape), side)(*given)

    new = alternate({name: (lambda own=own: renewed(own)) for name, own in layers.items()}, rounds, BUDGET)
    for own in layers.values():
        own.set_points(points, side)
    kept = alternate({name: (lambda own=own: own(*given)) for name, own in layers.items()}, rounds, BUDGET)
    row = {"atoms": count, "channels": channels, "sigma": sigma, "eps": eps}
    return row | {"new": new, "kept": kept}


def sums_table(rows: list[dict]) -> tuple[list[str], list[list[str | None]]]:
    """Header and lines of "sums"."""
    lines = []
    for r in rows:
        taken, goal = r["seconds"], GOALS.get(r["sigma"])
        line = [f"{r['sigma']:g}", str(r["atoms"]), seconds(taken["layer"]), f"{r['error']['layer']:.1e}"]
        for name in ("same modes", "converged"):
            line += [str(r["modes"][name]), seconds(taken[name]), f"{r['ratio'][name]:.1f}"]
        lines.append([*line, f"{goal:g}" if goal else None])
    front = ["sigma", "atoms", "layer", "error"]
    return [*front, "modes of eps", "sum", "ratio", "modes of 1e-5", "sum", "ratio", "goal"], lines


def growth_table(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of "growth"."""
    lines = [[str(r["atoms"]), *(seconds(r["seconds"]["kept"] / n) for n in (1, r["atoms"]))] for r in rows]
    return ["atoms", "time", "per atom"], lines


def channels_table(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of "channels"."""
    lines = [[str(r["channels"]), *(seconds(r["seconds"]["kept"] / n) for n in (1, r["channels"]))] for r in rows]
    return ["channels", "time", "per channel"], lines


def methods_table(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of "methods"."""
    names, lines = ("pairs", "modes", "mesh", "auto"), []
    for r in rows:
        own = [seconds(r[kind].get(name)) for kind in ("new", "kept") for name in names]
        lines.append([f"{r['sigma']:g}", str(r["channels"]), str(r["atoms"]), *own])
    return ["sigma", "channels", "atoms", *names, *(f"{name}, kept" for name in names)], lines


TABLES = {
    "sums": ("64 channels against explicit sums over half of the modes", sums_table),
    "growth": ("Growth, 64 channels, sigma 2", growth_table),
    "channels": ("Channels, 10,000 atoms, sigma 2", channels_table),
    "methods": ("Methods, with new points and with points kept", methods_table),
}


def measure(part: str, quick: bool, eps: float, threads: int) -> list[dict]:
    """One of the parts."""
    large, rounds = (2_000, 3) if quick else (10_000, 5)
    sizes = (1_000, 2_000) if quick else (1_000, 10_000, 100_000)
    counts = (100, 300) if quick else (50, 200, 500, 1_000, 3_000)
    work: dict[str, list[tuple]] = {
        "sums": [(against_sums, (sigma, large, eps, threads, rounds)) for sigma in GOALS],
        "growth": [(timed, (n, 64, 2.0, eps, threads, rounds)) for n in sizes],
        "channels": [(timed, (large, c, 2.0, eps, threads, rounds)) for c in HEADS],
        "methods": [(methods, (n, c, s, eps, threads, rounds)) for s in GOALS for c in (8, 64) for n in counts],
    }
    return [function(*given) for function, given in tqdm(work[part], desc=part, file=sys.stderr, leave=False)]


def judge(record: dict) -> list[str]:
    """What is missed, in words."""
    missed = []
    for r in record["sums"]:
        if r["error"]["layer"] > r["eps"]:
            missed.append(f"error {r['error']['layer']:.1e} at sigma {r['sigma']:g}, above eps {r['eps']:g}")
        if r["ratio"]["converged"] < GOALS[r["sigma"]]:
            missed.append(f"{r['ratio']['converged']:.1f} times the sum at sigma {r['sigma']:g}, see the goals")
    per_atom = [r["seconds"]["kept"] / r["atoms"] for r in record["growth"]]
    if per_atom and max(per_atom) > (1 + LEVEL) * min(per_atom):
        missed.append(f"time per atom differs by {max(per_atom) / min(per_atom) - 1:.0%}, goal {LEVEL:.0%}")
    per_channel = {r["channels"]: r["seconds"]["kept"] / r["channels"] for r in record["channels"]}
    for channels in (64, 256) if per_channel else ():
        if per_channel[channels] > per_channel[1]:
            missed.append(
                f"a channel of {channels} takes {per_channel[channels] / per_channel[1]:.2f} times a single one"
            )
    return missed


def main() -> int:
    """Measure, print and keep; exit status 1 where a goal is missed."""
    parser = arguments("attention", __doc__ or "")
    parser.add_argument("--eps", type=float, default=1e-3, help="accuracy of the layer (default: %(default)s)")
    parser.add_argument("--parts", nargs="+", choices=TABLES, default=list(TABLES), help="default: all")
    args = parser.parse_args()
    threads, path = args.threads or 1, args.output / "attention.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if record and record["eps"] != args.eps:
        parser.error(f"--eps: {path} is for {record['eps']:g}; use another folder")
    for part in args.parts:
        record[part] = measure(part, args.quick, args.eps, threads)
        print_table(TABLES[part][0], *TABLES[part][1](record[part]))
    missed = judge({part: record.get(part, []) for part in TABLES})
    print("\n".join(f"MISSED: {line}" for line in missed) or "All goals are met.")
    own = {"environment": environment(threads), "quick": args.quick, "eps": args.eps, "missed": missed}
    save_json(path, record | own | {"goals": {f"{sigma:g}": goal for sigma, goal in GOALS.items()}})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
