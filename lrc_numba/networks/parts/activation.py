"""An activation by itself, number by number: a feature map φ."""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import kernel
from ..layers.activations import LINEAR, RELU, SILU, TANH, activate, scale, scale_dual, silu
from ..layers.parameters import Parameters
from .part import Part, Tape

__all__ = ["ACTIVATIONS", "Activation"]

ACTIVATIONS = {"silu": SILU, "tanh": TANH, "relu": RELU, "linear": LINEAR}


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
def _scaled(kind, a, values, out, work):
    """out ← σ′ values."""
    scale(kind, a, values, out, work)


@kernel
def _scaled_dual(kind, a, da, up, dup, out, dout, work):
    """z̄ and ż̄."""
    scale_dual(kind, a, da, up, dup, out, dout, work)


class Activation(Part):
    """y = σ(x).

    Parameters
    ----------
    name : {"silu", "tanh", "relu", "linear"}
        σ.
    """

    def __init__(self, name: str = "silu"):
        self.kind = ACTIVATIONS[name]

    def forward(self, tape: Tape, inputs):
        z = np.ascontiguousarray(inputs).reshape(-1)
        out = np.empty_like(z)
        _values(self.kind, z, out)
        tape.kept["a"] = z if self.kind == SILU else out  # what slopes are written in, see ``activations``
        return out.reshape(inputs.shape)

    def _slope(self, tape: Tape, values: np.ndarray) -> np.ndarray:
        flat, a = np.ascontiguousarray(values).reshape(-1), tape.kept["a"]
        out = np.empty_like(a)
        _scaled(self.kind, a, flat, out, np.empty_like(a))
        return out.reshape(values.shape)

    def jvp(self, tape: Tape, tangent):
        moved = self._slope(tape, tangent)
        tape.kept["da"] = np.ascontiguousarray(tangent if self.kind == SILU else moved).reshape(-1)
        return moved

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (self._slope(tape, bar),)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        a, shape = tape.kept["a"], bar.shape
        up, dup = (np.ascontiguousarray(each).reshape(-1) for each in (bar, dbar))
        out, dout = np.empty_like(a), np.empty_like(a)
        _scaled_dual(self.kind, a, tape.kept["da"], up, dup, out, dout, np.empty_like(a))
        return (out.reshape(shape),), (dout.reshape(shape),)
