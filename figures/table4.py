"""Table 4 of the LRC paper: error against the number of modes, for a mixture of two exponential potentials in 1-D.

"None" is the short-range network. Box, points, cutoff and lengths of trainings are those of ``figures.table2``, with
½ e^{−μ₁r} + ½ e^{−μ₂r}, μ₁ = 10 and μ₂ = 1, summed over all images, where the authors take the nearest ones. Which
system and modes the paper's table has, we do not know: they are ours. The paper's errors are about 0.0015 to 0.0020, of
which the lowest stands at all numbers of modes here, and far larger for "None".

An exponential is a screened Coulomb potential in one dimension, but for a factor, so that λ can be compared with μ.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .experiments.figure import Column, Figure
from .experiments.presets import Preset
from .experiments.style import errors_against
from .table2 import MODES, by_modes
from .table2 import SYSTEM as SCREENED

__all__ = ["FIGURE", "SYSTEM"]

SYSTEM = replace(SCREENED, kind="exponential")
ABOUT = 0.0015  # the lowest of the paper's


def columns(preset: Preset) -> list[Column]:
    """All numbers of modes.

    Parameters
    ----------
    preset : Preset
        How long.
    """
    return by_modes(SYSTEM, preset)


def draw(record: dict, path: Path) -> None:
    """Errors against the number of modes.

    Parameters
    ----------
    record : dict
        All trainings.
    path : Path
        Without its ending.
    """
    errors_against(record, path, "number of modes $N_{FFT}$", list(MODES), paper="the paper, lowest")


FIGURE = Figure("table4", __doc__ or "", draw, columns, {"error": {m: ABOUT for m in MODES if m != "None"}})

if __name__ == "__main__":
    FIGURE.main()
