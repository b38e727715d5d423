"""Learned charges whose sum over each structure is given."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ..layers.parameters import Parameters
from .part import Part, Tape, expect_rows

__all__ = ["GIVEN", "TotalCharge"]

GIVEN = "given"
CLOSE = 1e-6  # charges of files are rounded to some digits


class TotalCharge(Part):
    """q_i + (Q − Σ q)/N over every structure: what is missing is shared out equally, (n, C) to (n, C).

    Parameters
    ----------
    total : float or "given"
        Q of every structure and channel; "given" is the sum of the charges that a structure brings along.

    Raises
    ------
    ValueError
        Where a structure brings charges, not all of them zero, with another sum than the one asked for; where it should
        bring some and does not.
    """

    reads = rows = "points"

    def __init__(self, total: float | str = 0.0):
        known = isinstance(total, str)
        self.total = arguments.as_choice("total", total, (GIVEN,)) if known else arguments.as_real("total", total)

    def check_structures(self, structures: Structures) -> None:
        self._wanted(structures)

    def _wanted(self, structures: Structures, begin: int = 0) -> np.ndarray:
        """Q of every structure, (B,)."""
        if structures.charges is None:
            if self.total == GIVEN:
                raise ValueError("charges: expected those of every structure, whose sums were asked for, got none")
            return np.full(len(structures), self.total)
        sums = np.bincount(structures.structure_of, structures.charges, len(structures))
        if self.total == GIVEN:
            return sums
        wrong = np.abs(sums - float(self.total)) > CLOSE * np.maximum(structures.counts, 1)
        if structures.charges.any() and wrong.any():
            b = int(wrong.argmax())
            raise ValueError(
                f"charges: structure {begin + b} has a total charge of {sums[b]:g}, and {self.total:g} was asked for; "
                "use total_charge='given'"
            )
        return np.full(len(structures), self.total)

    @staticmethod
    def _neutral(tape: Tape, values: np.ndarray) -> np.ndarray:
        """Values less their mean over each structure."""
        structures = tape.scene.structures
        of, counts = structures.structure_of, np.maximum(structures.counts, 1)
        sums = np.stack([np.bincount(of, column, len(structures)) for column in values.T], axis=1)
        return values - (sums / counts[:, None]).astype(values.dtype)[of]

    def forward(self, tape: Tape, inputs):
        expect_rows(inputs, *inputs.shape[1:2], count=tape.scene.count)
        structures = tape.scene.structures
        share = self._wanted(structures, tape.scene.begin) / np.maximum(structures.counts, 1)
        return self._neutral(tape, inputs) + share[structures.structure_of, None].astype(inputs.dtype)

    def jvp(self, tape: Tape, tangent):
        return self._neutral(tape, tangent)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (self._neutral(tape, bar),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return (self._neutral(tape, bar),), (self._neutral(tape, dbar),)
