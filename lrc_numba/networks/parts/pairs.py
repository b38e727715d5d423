"""From points to pairs and back: rows of one end of each pair, and sums of rows of pairs over the neighbours."""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import kernel
from ..layers.parameters import Parameters
from .part import Part, Tape

__all__ = ["Gather", "Scatter"]


@kernel
def _add_rows(rows, values, out):
    """out_{rows p} += values_p."""
    for p in range(len(rows)):
        for c in range(values.shape[1]):
            out[rows[p], c] += values[p, c]


def _sums(rows: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows of pairs that belong to a point, (count, …)."""
    out = np.zeros((count, *values.shape[1:]), dtype=values.dtype)
    width = int(np.prod(values.shape[1:]))
    _add_rows(rows, np.ascontiguousarray(values).reshape(len(values), width), out.reshape(count, width))
    return out


class Gather(Part):
    """y_p = x of one end of pair p, (n, …) to (P, …).

    Parameters
    ----------
    end : {"first", "second"}
        Which one.
    """

    def __init__(self, end: str):
        if end not in ("first", "second"):
            raise ValueError(f"end: expected 'first' or 'second', got {end!r}")
        self.end = end

    def _rows(self, tape: Tape) -> np.ndarray:
        return getattr(tape.scene.pairs, self.end)

    def forward(self, tape: Tape, inputs):
        return inputs[self._rows(tape)]

    def jvp(self, tape: Tape, tangent):
        return tangent[self._rows(tape)]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (_sums(self._rows(tape), bar, tape.scene.count),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar), self.vjp(tape, dbar)


class Scatter(Part):
    """y_i = Σ of x over the pairs whose one end is i, (P, …) to (n, …): over all neighbours, where the list is full.

    Parameters
    ----------
    end : {"first", "second"}
        Which one.
    """

    def __init__(self, end: str = "first"):
        self._gather = Gather(end)

    def forward(self, tape: Tape, inputs):
        return self._gather.vjp(tape, inputs)[0]

    def jvp(self, tape: Tape, tangent):
        return self._gather.vjp(tape, tangent)[0]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (self._gather.forward(tape, bar),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self.vjp(tape, bar), self.vjp(tape, dbar)
