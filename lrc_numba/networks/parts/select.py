"""Parts that take some columns of each row, and rows that hold nothing."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ..layers.parameters import Parameters
from .part import Part, Tape, WrongShape

__all__ = ["Select", "Zeros"]


class Select(Part):
    """y = x[:, index], such as the scalars of a state, or some of its columns.

    Parameters
    ----------
    *index : int or slice
        Of the axes behind the first.
    """

    def __init__(self, *index: int | slice):
        self.index = (slice(None), *index)

    def forward(self, tape: Tape, inputs):
        tape.kept["shape"] = inputs.shape
        try:
            return np.ascontiguousarray(inputs[self.index])
        except IndexError:
            raise WrongShape(f"expected {self.index[1:]} behind the first axis, got shape {inputs.shape}") from None

    def jvp(self, tape: Tape, tangent):
        return np.ascontiguousarray(tangent[self.index])

    def _spread(self, tape: Tape, bar) -> tuple:
        out = np.zeros(tape.kept["shape"], dtype=bar.dtype)
        out[self.index] = bar
        return (out,)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return self._spread(tape, bar)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self._spread(tape, bar), self._spread(tape, dbar)


class Zeros(Part):
    """Rows of zeros, (n, *shape).

    Parameters
    ----------
    *shape : int
        Of each row.
    """

    rows = "points"

    def __init__(self, *shape: int):
        self.shape = tuple(arguments.as_count("shape", width, 1) for width in shape)

    def forward(self, tape: Tape):
        return np.zeros((tape.scene.count, *self.shape), tape.scene.dtype)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return ()
