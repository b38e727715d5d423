"""``figures/README.md``: tables and figures of papers beside ours, written from the results in ``figures/results``.

    python -m figures.report            writes it
    python -m figures.report --check    says whether it is what the results say, and changes nothing

Nothing is trained or measured here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from .fig3 import CUTOFF, beyond
from .markdown import fill, span, table
from .report_electrostatics import sections
from .table1 import BOX, KINDS, MU, PAPER_ROW, SAMPLES, SETS, TESTS

HERE = Path(__file__).parent
RESULTS = HERE / "results"
USUAL = {"init": "blind", "cutoff_kind": "smooth", "counting": "steps"}

FAR = 1.25  # the factor by which a learned inverse length is off at least where it counts as not identified

DATA = (
    "- **Data** are stratified, two points in each of ten cells, for training and for these tests. On points drawn "
    "without cells the networks fail: scene 6 of the tour shows it after a short training."
)

START = """# Tables and figures

Written by `python -m figures.report` from the files in `results/`; change those, not this. Whether it is up to date is
what `python -m figures.report --check` says.

"The paper" is Peng, Lin, Ying, Zepeda-Núñez, *Efficient long-range convolutions for point clouds*, arXiv 2010.05295.
"""

DIFFERENCES = """### What differs from the paper

Training and data:

- λ starts at 2/L and 20/L, which know nothing of μ₁; the paper starts it at μ₁.
- The rate decays after so many optimiser steps, as in the authors' code (`--counting epochs` counts epochs).
- The potential is summed exactly over all images, where the authors smooth its series.
- All is float64.
- Of twelve test sets the first is the one that is compared with the paper's; the median of all is in the next row.

Networks:

- The smooth cutoff weighs pairs by S(s)/s (`--cutoff paper` does not).
- The series of u ends with a Gaussian and has no mode k = 0.
- û is shifted and scaled; unit vectors are scaled in two and three dimensions.
- First biases are random, and centred on the data.
- 𝒩 begins near linear, and as that of a short-range network.
- g_θ is the best conditioned of many draws, and its kinks beyond the data are moved away after training.
"""


def _read(name: str) -> dict:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


class Trainings:
    """The trainings of a preset with the usual options, by kind and μ₁.

    Parameters
    ----------
    preset : {"quick", "paper"}
        Of ``figures.table1``.
    """

    def __init__(self, preset: str):
        jobs = _read(f"table1_{preset}.json")["jobs"].values()
        self.all = [r for r in jobs if (USUAL | {"preset": preset}).items() <= r["job"].items()]
        self.seeds = sorted({r["job"]["seed"] for r in self.all})

    def of(self, kind: str, mu: float) -> list[dict]:
        """One for each seed, in their order."""
        chosen = [r for r in self.all if (r["job"]["kind"], r["job"]["mu"]) == (kind, mu)]
        return sorted(chosen, key=lambda r: r["job"]["seed"])

    def error(self, kind: str, mu: float) -> float:
        """Of the first test set, median over the seeds."""
        return float(np.median([r["errors"]["true"] for r in self.of(kind, mu)]))

    def sets(self, kind: str, mu: float) -> list[float]:
        """Errors of all test sets of all seeds."""
        return [error for r in self.of(kind, mu) for error in r["errors_of_sets"]]

    def provenance(self, command: str) -> str:
        """Where the numbers are from."""
        versions = {
            f"Python {v['python']}, NumPy {v['numpy']}, Numba {v['numba']}" for v in (r["versions"] for r in self.all)
        }
        dates, steps = sorted({r["date"] for r in self.all}), {r["steps"] for r in self.all}
        counts = {len(self.of(kind, mu)) for kind in KINDS for mu in MU}
        text = f"`{command}`; {' and '.join(dates)}, {' / '.join(sorted(versions))}, processor not recorded; "
        text += f"{' or '.join(map(str, sorted(steps)))} steps; seeds: {', '.join(map(str, self.seeds))} "
        return text + f"({' to '.join(map(str, sorted(counts)))} per column)."


def rows(trainings: Trainings, paper: bool) -> list[list[str]]:
    """The rows of a table: each kind of network, ours, the paper's, and the ratio.

    Parameters
    ----------
    trainings : Trainings
        Ours.
    paper : bool
        Whether the paper's rows are comparable.
    """
    lines = []
    for kind in KINDS:
        ours = [trainings.error(kind, mu) for mu in MU]
        lines.append([f"**{kind}, ours**", *(f"**{error:#.2g}**" for error in ours)])
        sets = [trainings.sets(kind, mu) for mu in MU]
        lines.append([f"{kind}, median of {SETS} test sets", *(f"{np.median(errors):#.2g}" for errors in sets)])
        lines.append([f"{kind}, smallest to largest of them", *(span(errors) for errors in sets)])
        if paper:
            start = ", λ started at μ₁" if kind == "full-range" else ""
            lines.append([f"{kind}, the paper{start}", *(f"{error:g}" for error in PAPER_ROW[kind])])
            ratios = (error / theirs for error, theirs in zip(ours, PAPER_ROW[kind], strict=True))
            lines.append([f"{kind}, ours / the paper", *(f"{ratio:#.2g}" for ratio in ratios)])
    return lines


def _verdicts(trainings: Trainings) -> list[str]:
    """What the rows say, counted from them, and what they do not say."""
    ratios = {k: [trainings.error(k, mu) / p for mu, p in zip(MU, PAPER_ROW[k], strict=True)] for k in KINDS}
    below = {kind: sum(ratio < 1 for ratio in row) for kind, row in ratios.items()}
    short, full = (
        f"- **{k}**: {span(ratios[k])} times the paper's error, below it in {below[k]} of {len(MU)} columns."
        for k in KINDS
    )
    if below["short-range"] < len(MU):
        short += " Where ours is the larger, what the long range is compared with here is weaker than in the paper."
    if len(trainings.seeds) == 1:
        full += (
            " This is one seed, and its test sets were looked at while the networks were made; seeds are not yet "
            "repeated. So it is not claimed that the error is below the paper's in every column."
        )
    return [short, full, *_order(trainings), DATA]


def _order(trainings: Trainings) -> list[str]:
    """A line for every μ₁ at which the better of the two networks is not that of the paper."""
    lines = []
    for number, mu in enumerate(MU):
        ours, theirs = [trainings.error(kind, mu) for kind in KINDS], [PAPER_ROW[kind][number] for kind in KINDS]
        if (ours[0] < ours[1]) != (theirs[0] < theirs[1]):
            best, here = (KINDS[int(np.argmin(errors))] for errors in (theirs, ours))
            lines.append(
                f"- **μ₁ = {mu:g}**: the order is not the paper's. There the {best} network is the better one ("
                f"short-range {theirs[0]:g}, full-range {theirs[1]:g}), here the {here} one "
                f"({ours[0]:#.2g}, {ours[1]:#.2g}). One seed does not tell which is right."
            )
    return lines


def _learned(trainings: Trainings) -> str:
    """The inverse lengths that were learned, and how far they are from the truth."""
    learned = [trainings.of("full-range", mu)[0]["lam"] for mu in MU]
    nearest = [min(np.abs(lam) / mu, key=lambda ratio: abs(np.log(ratio))) for lam, mu in zip(learned, MU, strict=True)]
    lines = [["learned λ", *(", ".join(f"{x:#.2g}" for x in lam) for lam in learned)]]
    lines.append(["the nearer one / μ₁", *(f"{ratio:#.2g}" for ratio in nearest)])
    far = [f"{mu:g}" for mu, ratio in zip(MU, nearest, strict=True) if abs(np.log(ratio)) > np.log(FAR)]
    text = "Learned inverse lengths of the two channels, first seed; the truth is one, μ₁.\n\n"
    text += table(["μ₁", *(f"{mu:g}" for mu in MU)], lines)
    if far:
        text += "\n" + fill(
            f"At μ₁ = {' and '.join(far)} the range is **not identified**: no λ is within a factor of {FAR} of it. "
            f"They start at {2 / BOX:g} and {20 / BOX:g}, wherever μ₁ is. Forces can be right "
            "without, as 𝒩 and g_θ can make up for it."
        )
    return text


def _table1() -> str:
    paper = Trainings("paper")
    about = (
        "Screened Coulomb in one dimension, 20 points in a box of 5, cutoff 1.5, 501 modes, by the paper's protocol: "
        f"relative force errors ‖F − F*‖/‖F*‖ on {TESTS} fresh snapshots after training on {SAMPLES}."
    )
    parts = ["## Table 1 of the paper\n", fill(about), table(["μ₁", *(f"{mu:g}" for mu in MU)], rows(paper, True))]
    parts += [fill(paper.provenance("python -m figures.table1 --preset paper --resume"))]
    parts += ["![errors and losses](results/table1_paper.png)\n", "### How to read it\n"]
    return "\n".join([*parts, "".join(fill(line) for line in _verdicts(paper)), _learned(paper), DIFFERENCES])


def _quick() -> str:
    quick = Trainings("quick")
    about = (
        f"{256} snapshots and few steps, some minutes: to see that the long range is learned. Not to be "
        "compared with the paper's numbers."
    )
    parts = ["## The quick preset\n", fill(about), table(["μ₁", *(f"{mu:g}" for mu in MU)], rows(quick, False))]
    parts += [fill(quick.provenance("python -m figures.table1 --preset quick"))]
    if len(quick.seeds) == 1:
        parts += [
            fill(
                "One seed says little. "
                "`python -m figures.table1 --preset quick --kinds short-range --mu 10 --seed 1` trains another."
            )
        ]
    return "\n".join([*parts, "![errors and losses](results/table1_quick.png)\n"])


def _fig3() -> str:
    shares = [[f"{row['mu']:g}", f"{beyond(row, CUTOFF):#.2g}"] for row in _read("fig3.json")["rows"]]
    about = (
        f"The share of Σ|F_ij|, the forces of all others on one point, that comes from beyond the cutoff {CUTOFF}, "
        "where a short-range network is blind."
    )
    parts = ["## Fig. 3 of the paper\n", fill(about), table(["μ", "share"], shares)]
    made = "`python -m figures.fig3`, exact sums; date and processor not recorded.\n"
    return "\n".join([*parts, made, "![Fig. 3](results/fig3.png)\n"])


def _tour() -> str:
    scenes = _read("tour.json")["scenes"]
    lines = [
        [number, f"[{scene['title']}](results/tour/{number}_{scene['name']}.png)", " ".join(scene["text"].split())]
        for number, scene in scenes.items()
    ]
    made = dict.fromkeys(f"`{scene['command']}`, {scene['date']}, {scene['processor']}" for scene in scenes.values())
    parts = ["## The tour\n", table(["", "scene", "measured"], lines), "; ".join(made) + ".\n"]
    return "\n".join([*parts, "![all scenes](results/tour.png)\n"])


def report() -> str:
    """The whole of README.md."""
    return "\n".join([START, _tour(), _table1(), _quick(), _fig3(), *sections(RESULTS)])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fails where it is out of date")
    parser.add_argument("--output", type=Path, default=HERE / "README.md", help="default: figures/README.md")
    args = parser.parse_args()
    if not args.check:
        args.output.write_text(report(), encoding="utf-8")
        print(f"written: {args.output}")
    elif not args.output.exists() or args.output.read_text(encoding="utf-8") != report():
        raise SystemExit(f"{args.output} is not what the results say; python -m figures.report writes it again")
    else:
        print(f"{args.output} is what the results say")


if __name__ == "__main__":
    main()
