"""Parts that multiply or add what belongs to the same row."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ..layers.parameters import Parameters
from .part import Part, Tape, WrongShape, expect_rows

__all__ = ["Add", "Norm", "Product"]


class Add(Part):
    """y = x₁ + x₂ + … of one shape."""

    def forward(self, tape: Tape, *inputs):
        tape.kept["count"] = len(inputs)
        for each in inputs[1:]:  # numpy would add a column to several
            expect_rows(each, *inputs[0].shape[1:], count=len(inputs[0]))
        return sum(inputs[1:], inputs[0])

    def jvp(self, tape: Tape, *tangents):
        moving = [each for each in tangents if each is not None]
        return sum(moving[1:], moving[0])

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (bar,) * tape.kept["count"]

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return (bar,) * tape.kept["count"], (dbar,) * tape.kept["count"]


class Product(Part):
    """y = Σ a b over some of the axes, as ``np.einsum`` reads it: weights of rows, heads, scalar products.

    Parameters
    ----------
    axes : str
        Such as "nac,nac->nc": the axes of a, of b and of y. Those that a or b has alone have to be in y.
    """

    def __init__(self, axes: str):
        try:
            inputs, self.y = axes.split("->")
            self.a, self.b = inputs.split(",")
        except (AttributeError, ValueError):
            raise ValueError(f"axes: expected two inputs and an output, such as 'nac,nac->nc', got {axes!r}") from None
        for own, other in ((self.a, self.b), (self.b, self.a)):
            if not set(own) <= set(other) | set(self.y):
                raise ValueError(f"axes: expected every axis of {own} in {other} or in {self.y}, got {axes!r}")

    @staticmethod
    def _einsum(x: str, left, y: str, right, out: str):
        return np.einsum(f"{x},{y}->{out}", left, right)

    def forward(self, tape: Tape, left, right):
        tape.kept["ab"] = left, right
        lengths: dict[str, int] = {}
        for own, array in ((self.a, left), (self.b, right)):
            fits = len(own) == array.ndim and all(
                lengths.get(axis, n) == n for axis, n in zip(own, array.shape, strict=True)
            )
            if not fits:  # einsum would take a column for several
                raise WrongShape(f"expected axes {self.a} and {self.b}, got shapes {left.shape} and {right.shape}")
            lengths |= dict(zip(own, array.shape, strict=True))
        return self._einsum(self.a, left, self.b, right, self.y)

    def jvp(self, tape: Tape, dleft, dright):
        left, right = tape.kept["ab"]
        tape.kept["tangents"] = dleft, dright
        moved = 0.0
        if dleft is not None:
            moved = self._einsum(self.a, dleft, self.b, right, self.y)
        return moved if dright is None else moved + self._einsum(self.a, left, self.b, dright, self.y)

    def _bars(self, wanted: tuple[bool, ...], bar, left, right) -> list:
        """The cotangents of a and b, None where they are not wanted or the other one is zero."""
        of_left = self._einsum(self.y, bar, self.b, right, self.a) if wanted[0] and right is not None else None
        return [of_left, self._einsum(self.y, bar, self.a, left, self.b) if wanted[1] and left is not None else None]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return tuple(self._bars(tape.wanted, bar, *tape.kept["ab"]))

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        bars, dbars = (self._bars(tape.wanted, each, *tape.kept["ab"]) for each in (bar, dbar))
        more = self._bars(tape.wanted, dbar, *tape.kept["tangents"])
        return tuple(b if m is None else b + m for b, m in zip(bars, more, strict=True)), tuple(dbars)


class Norm(Part):
    """y_nc = √(Σ_a x_nac² + ε) of vectors (n, d, C): smooth where they are zero.

    Parameters
    ----------
    softening : float
        ε > 0.
    """

    def __init__(self, softening: float = 1e-4):
        self.softening = arguments.as_positive("softening", softening, np.inf)

    def forward(self, tape: Tape, inputs):
        if inputs.ndim != 3:
            raise WrongShape(f"expected vectors of shape (n, d, C), got {inputs.shape}")
        tape.kept["x"], tape.kept["y"] = inputs, np.sqrt((inputs**2).sum(axis=1) + self.softening)
        return tape.kept["y"]

    def jvp(self, tape: Tape, tangent):
        tape.kept["dx"] = tangent
        tape.kept["dy"] = (tape.kept["x"] * tangent).sum(axis=1) / tape.kept["y"]
        return tape.kept["dy"]

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (tape.kept["x"] * (bar / tape.kept["y"])[:, None],)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        x, y = tape.kept["x"], tape.kept["y"]
        own, down = (bar / y)[:, None] * x, (dbar / y)[:, None] * x
        # ẏ = x·ẋ/y, whose slope by x is ẋ/y − ẏ x/y².
        dx, dy = tape.kept["dx"], tape.kept["dy"]
        return (own + (dbar / y)[:, None] * (dx - (dy / y)[:, None] * x),), (down,)
