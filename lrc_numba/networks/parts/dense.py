"""Parts that act on each row alone: dense chains, scaling, and putting rows side by side."""

from __future__ import annotations

import numpy as np

from ..layers.parameters import Parameters
from ..layers.perceptron import Perceptron
from .part import Part, Tape, expect_rows

__all__ = ["Concatenate", "Dense", "Linear", "Scale"]


class Dense(Part):
    """A chain of dense layers along the last axis, (…, sizes[0]) to (…, sizes[-1]), each pass of it one compiled loop.

    Parameters
    ----------
    network : Perceptron
        Widths and activations.
    """

    def __init__(self, network: Perceptron):
        self.network, self.name = network, network.name

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.network.shapes()

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        self.network.initialise(parameters, generator)

    def _rows(self, array: np.ndarray, width: int) -> np.ndarray:
        """Leading axes as one."""
        return np.ascontiguousarray(array).reshape(-1, width)

    def forward(self, tape: Tape, inputs):
        expect_rows(inputs, *inputs.shape[1:-1], self.network.sizes[0])
        rows = self._rows(inputs, self.network.sizes[0])
        out, tape.kept["tape"] = self.network.forward(tape.parameters, rows, tape.space)
        return out.reshape(*inputs.shape[:-1], self.network.sizes[-1])

    def jvp(self, tape: Tape, tangent):
        rows = self._rows(tangent, self.network.sizes[0])
        out, tape.kept["tangents"] = self.network.jvp(tape.parameters, tape.kept["tape"], rows, tape.space)
        return out.reshape(*tangent.shape[:-1], self.network.sizes[-1])

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        rows = self._rows(bar, self.network.sizes[-1])
        below = self.network.vjp(tape.parameters, tape.kept["tape"], rows, gradient)
        return (below.reshape(*bar.shape[:-1], self.network.sizes[0]),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        below, dbelow = self.network.vjp_dual(
            tape.parameters,
            tape.kept["tape"],
            tape.kept["tangents"],
            self._rows(bar, self.network.sizes[-1]),
            self._rows(dbar, self.network.sizes[-1]),
            gradient,
            inputs_too=tape.wanted[0],
        )
        if not tape.wanted[0]:
            return (None,), (None,)
        shape = (*bar.shape[:-1], self.network.sizes[0])
        return (below.reshape(shape),), (dbelow.reshape(shape),)


class Linear(Dense):
    """y = x W along the last axis, without a bias: (…, width_in) to (…, width_out).

    Parameters
    ----------
    name : str
        Of its weights.
    width_in, width_out : int
        Widths.
    scale : float
        Weights start normal with a variance of ``scale``² over ``width_in``.
    """

    def __init__(self, name: str, width_in: int, width_out: int, scale: float = 1.0):
        super().__init__(Perceptron(name, (width_in, width_out), linear_end=True, biased=False))
        self.scale = scale

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        ((name, shape),) = self.shapes().items()
        parameters[name][...] = generator.normal(0.0, self.scale / np.sqrt(shape[0]), shape)


class Scale(Part):
    """y = (x − shift)/scale, column by column; both are settings, and no parameters.

    Attributes
    ----------
    shift, scale : (width,) or float
        Of the columns.
    """

    def __init__(self, shift=0.0, scale=1.0):
        if not (np.isfinite(shift).all() and np.isfinite(scale).all() and np.all(scale)):
            raise ValueError(f"shift, scale: expected finite numbers, and no scale of zero, got {shift}, {scale}")
        self.shift, self.scale = shift, scale

    def forward(self, tape: Tape, inputs):
        return (inputs - self.shift) / self.scale

    def jvp(self, tape: Tape, tangent):
        return tangent / self.scale

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (bar / self.scale,)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return (bar / self.scale,), (dbar / self.scale,)


class Concatenate(Part):
    """Rows side by side: (n, a), (n, b), … to (n, a + b + …)."""

    def forward(self, tape: Tape, *inputs):
        for each in inputs[1:]:
            expect_rows(each, *inputs[0].shape[1:-1], each.shape[-1], count=len(inputs[0]))
        tape.kept["stops"] = np.cumsum([each.shape[-1] for each in inputs])
        return np.concatenate(inputs, axis=-1)

    def jvp(self, tape: Tape, *tangents):
        rows = next(each for each in tangents if each is not None).shape[:-1]
        widths = np.diff(tape.kept["stops"], prepend=0)
        like = tape.parameters.flat.dtype
        filled = [np.zeros((*rows, w), like) if t is None else t for t, w in zip(tangents, widths, strict=True)]
        return np.concatenate(filled, axis=-1)

    def _parts(self, tape: Tape, bar) -> tuple:
        parts = np.split(bar, tape.kept["stops"][:-1], axis=-1)
        return tuple(np.ascontiguousarray(part) for part in parts)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return self._parts(tape, bar)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        return self._parts(tape, bar), self._parts(tape, dbar)
