"""Fig. 3 of the LRC paper: what each of the other points contributes to the force on one, at two ranges.

Screened Coulomb in one dimension, box L = 5, 20 points (two in each of ten cells, no two closer than 0.05), summed over
all images. On the left the contribution of every point, images included, against the distance of its nearest image; on
the right the share of Σ|F_ij| that comes from beyond a distance, which a network with a cutoff there does not see.

    python -m figures.fig3
    python -m figures.fig3 --plot
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from lrc_numba.files import write_json
from lrc_numba.geometry.cell import minimum_image
from lrc_numba.nbody import PairPotential, sample_points

HERE = Path(__file__).parent
BOX, CELLS, PER_CELL, DELTA, CUTOFF = 5.0, 10, 2, 0.05, 1.5


def contributions(points: np.ndarray, target: int, mu: float) -> dict:
    """Signed distance of the others by the nearest image, and the force of each on ``one``.

    Parameters
    ----------
    points : (N, 1)
        A configuration.
    target : int
        On which point.
    mu : float
        Inverse length.
    """
    others = np.delete(points, target, axis=0)
    apart = points[target] - others
    _, slope = PairPotential("screened_coulomb", (BOX,), (mu,), (1.0,)).pair(apart)
    nearest = -minimum_image(apart, BOX)[:, 0]
    order = np.argsort(nearest)
    return {"mu": mu, "places": nearest[order].tolist(), "forces": (-slope[order, 0]).tolist()}


def beyond(row: dict, distance: float) -> float:
    """The share of Σ|F| that comes from beyond a distance."""
    sizes, far = np.abs(row["forces"]), np.abs(row["places"]) > distance
    return float(sizes[far].sum() / sizes.sum())


def draw(rows: list[dict], path: Path) -> None:
    """Both panels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    distances = np.linspace(0, BOX / 2, 200)
    for number, row in enumerate(rows):
        sizes = np.array(row["forces"]) / np.abs(row["forces"]).max()
        left.stem(row["places"], sizes, linefmt=f"C{number}-", markerfmt=f"C{number}o", basefmt="k-", label=_name(row))
        right.plot(distances, [beyond(row, d) for d in distances], color=f"C{number}", label=_name(row))
    for axis in (left, right):
        axis.axvline(CUTOFF, color="k", ls=":", lw=1)
        axis.legend(fontsize=9)
    left.axvline(-CUTOFF, color="k", ls=":", lw=1)
    left.set(xlabel="place of j, seen from i", ylabel="force of j on i, of the largest")
    right.set(xlabel="distance", ylabel="share of Σ|F| from beyond it", ylim=(0, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"written: {path}")


def _name(row: dict) -> str:
    return f"μ = {row['mu']:g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.fig3", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plot", action="store_true", help="compute nothing, draw the result that is there")
    parser.add_argument("--mu", type=float, nargs=2, default=(0.5, 5.0), metavar="MU", help="inverse lengths")
    parser.add_argument("--seed", type=int, default=0, help="of the configuration")
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "fig3.json", help="result; the picture lies beside"
    )
    args = parser.parse_args()
    if args.output.suffix != ".json":
        parser.error(f"--output: expected a name that ends with .json, got {args.output}")
    if args.plot:
        try:
            result = json.loads(args.output.read_text(encoding="utf-8"))
            [(row["mu"], row["places"], row["forces"]) for row in result["rows"]]
        except (OSError, ValueError, TypeError, KeyError) as wrong:
            parser.error(f"--plot: {args.output} is no result of this script ({wrong!r}); run without --plot first")
    else:
        if not all(0 < mu < np.inf for mu in args.mu):
            parser.error(f"--mu: expected positive numbers, got {args.mu}")
        generator = np.random.default_rng(args.seed)
        points = sample_points(1, (CELLS,), PER_CELL, BOX / CELLS, DELTA, generator)[0]
        rows = [contributions(points, CELLS * PER_CELL // 2, mu) for mu in args.mu]
        result = {"seed": args.seed, "points": points[:, 0].tolist(), "rows": rows}
        write_json(args.output, result)
    for row in result["rows"]:
        print(f"{_name(row)}: {beyond(row, CUTOFF):.1%} of the sum of |F| comes from beyond the cutoff {CUTOFF}")
    draw(result["rows"], args.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
