"""An activation by itself, number by number: a feature map φ."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ...machine.cpu.compile import kernel
from ..layers.activations import LINEAR, RELU, SILU, TANH, activate, scale, scale_dual, silu
from ..layers.parameters import Parameters
from .part import Part, Tape

__all__ = ["ACTIVATIONS", "Activation"]

ACTIVATIONS = {"silu": SILU, "tanh": TANH, "relu": RELU, "linear": LINEAR}


MULTIPLE = 16  # numbers: whole vectors in either precision, as the loops take them


@kernel
def _values(kind, z, out):
    """out ← σ(z)."""
    if kind == SILU:
        silu(z, out)
    else:
        for i in range(len(z)):
            out[i] = z[i]
        activate(kind, out)


@kernel
def _scaled(kind, a, values, out):
    """out ← σ′ values."""
    scale(kind, a, values, out)


@kernel
def _scaled_dual(kind, a, da, up, dup, out, dout):
    """z̄ and ż̄."""
    scale_dual(kind, a, da, up, dup, out, dout)


def _in_vectors(values: np.ndarray) -> np.ndarray:
    """All numbers in a row, and zeros up to a multiple of vectors."""
    out = np.zeros(-(-values.size // MULTIPLE) * MULTIPLE, dtype=values.dtype)
    out[: values.size] = values.reshape(-1)
    return out


class Activation(Part):
    """y = σ(x).

    Parameters
    ----------
    name : {"silu", "tanh", "relu", "linear"}
        σ.
    """

    def __init__(self, name: str = "silu"):
        self.kind = ACTIVATIONS[arguments.as_choice("name", name, tuple(ACTIVATIONS))]

    def forward(self, tape: Tape, inputs):
        z = _in_vectors(inputs)
        out = np.empty_like(z)
        _values(self.kind, z, out)
        tape.kept["a"] = z if self.kind == SILU else out  # what slopes are written in, see ``activations``
        return out[: inputs.size].reshape(inputs.shape)

    def _slope(self, tape: Tape, values: np.ndarray) -> np.ndarray:
        a = tape.kept["a"]
        out = np.empty_like(a)
        _scaled(self.kind, a, _in_vectors(values), out)
        return out[: values.size].reshape(values.shape)

    def jvp(self, tape: Tape, tangent):
        moved = self._slope(tape, tangent)
        tape.kept["da"] = _in_vectors(tangent if self.kind == SILU else moved)
        return moved

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (self._slope(tape, bar),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        a, shape, size = tape.kept["a"], bar.shape, bar.size
        out, dout = np.empty_like(a), np.empty_like(a)
        _scaled_dual(self.kind, a, tape.kept["da"], _in_vectors(bar), _in_vectors(dbar), out, dout)
        return (out[:size].reshape(shape),), (dout[:size].reshape(shape),)
