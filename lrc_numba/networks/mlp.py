r"""Multilayer perceptrons with every derivative that force matching needs, written by hand.

    z = h W + b,   a = σ(z),   out = a, or h + a where a residual layer keeps the width

    forward   h → out, keeping h and a of every layer (the tape)
    vjp       out̄ → h̄ for the inputs alone: forces
    jvp       ḣ → ȯut = σ′ (ḣ W) (+ ḣ), keeping ḣ and ȧ
    vjp_pair  cotangents of (out, ȯut) to those of (h, ḣ), and to W and b:
              z̄ = σ′ ā + σ″ ż ǡ,   ż̄ = σ′ ǡ,   W̄ = hᵀ z̄ + ḣᵀ ż̄,   b̄ = Σ z̄

Products are the library's, tanh is NumPy's, and what lies between them is one pass each (``activations``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .activations import scale, scale_pair

__all__ = ["Layers", "Perceptron", "Views"]

Views = Mapping[str, np.ndarray]
Layers = list[tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Perceptron:
    """A chain of dense layers; it holds no numbers, those are in named views of a flat vector.

    Parameters
    ----------
    name : str
        Prefix of the names of its weights and biases.
    sizes : tuple of int
        Widths, from the input to the output.
    activation : {"tanh", "relu"}
        σ of every layer.
    residual : bool
        Add the input of a layer to its output where the widths agree.
    linear_end : bool
        No activation in the last layer.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str = "tanh"
    residual: bool = False
    linear_end: bool = False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of weights and biases."""
        result: dict[str, tuple[int, ...]] = {}
        for layer, (width_in, width_out) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            result[f"{self.name}.weight{layer}"] = (width_in, width_out)
            result[f"{self.name}.bias{layer}"] = (width_out,)
        return result

    def initialise(self, views: Views, generator: np.random.Generator) -> None:
        """Glorot normal weights, zero biases."""
        for name, shape in self.shapes().items():
            views[name][...] = 0.0 if len(shape) == 1 else generator.normal(0.0, np.sqrt(2.0 / sum(shape)), shape)

    def _layers(self) -> range:
        return range(len(self.sizes) - 1)

    def _skips(self, layer: int) -> bool:
        return self.residual and self.sizes[layer] == self.sizes[layer + 1]

    def _is_linear(self, layer: int) -> bool:
        return self.linear_end and layer == len(self.sizes) - 2

    def _scaled(self, a: np.ndarray, values: np.ndarray) -> np.ndarray:
        """σ′ values, in place."""
        scale(a.ravel(), self.activation == "tanh", values.ravel())
        return values

    def forward(self, views: Views, inputs: np.ndarray) -> tuple[np.ndarray, Layers]:
        """Outputs (n, sizes[-1]) and the tape.

        Parameters
        ----------
        views : mapping
            Weights and biases by name.
        inputs : (n, sizes[0])
            h.
        """
        tape: Layers = []
        for layer in self._layers():
            z = inputs @ views[f"{self.name}.weight{layer}"]
            z += views[f"{self.name}.bias{layer}"]
            if self._is_linear(layer):
                tape.append((inputs,))
                inputs = z
                continue
            a = np.tanh(z, out=z) if self.activation == "tanh" else np.maximum(z, 0.0, out=z)
            tape.append((inputs, a))
            inputs = inputs + a if self._skips(layer) else a
        return inputs, tape

    def vjp(self, views: Views, tape: Layers, cotangent: np.ndarray) -> np.ndarray:
        """Cotangent of the inputs, (n, sizes[0]).

        Parameters
        ----------
        views, tape
            From ``forward``.
        cotangent : (n, sizes[-1])
            Of the outputs.
        """
        for layer in reversed(self._layers()):
            z_bar = cotangent if self._is_linear(layer) else self._scaled(tape[layer][1], cotangent.copy())
            below = z_bar @ views[f"{self.name}.weight{layer}"].T
            cotangent = below + cotangent if self._skips(layer) else below
        return cotangent

    def jvp(self, views: Views, tape: Layers, tangent: np.ndarray) -> tuple[np.ndarray, Layers]:
        """Tangent of the outputs, and the tangents that ``vjp_pair`` needs.

        Parameters
        ----------
        views, tape
            From ``forward``.
        tangent : (n, sizes[0])
            ḣ.
        """
        tangents: Layers = []
        for layer in self._layers():
            da = tangent @ views[f"{self.name}.weight{layer}"]
            if not self._is_linear(layer):
                self._scaled(tape[layer][1], da)
            tangents.append((tangent, da))
            tangent = tangent + da if self._skips(layer) else da
        return tangent, tangents

    def vjp_pair(
        self,
        views: Views,
        tape: Layers,
        tangents: Layers,
        cotangent: np.ndarray,
        cotangent_of_tangent: np.ndarray,
        gradient: Views,
        inputs_too: bool,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Add to the gradient of weights and biases; cotangents of h and ḣ where they are wanted.

        Parameters
        ----------
        views, tape, tangents
            From ``forward`` and ``jvp``.
        cotangent, cotangent_of_tangent : (n, sizes[-1])
            Of out and ȯut.
        gradient : mapping
            Views of the gradient, added to.
        inputs_too : bool
            Whether h̄ and ḣ̄ are wanted.
        """
        up, dup = cotangent, cotangent_of_tangent
        for layer in reversed(self._layers()):
            (dh, da), weight = tangents[layer], views[f"{self.name}.weight{layer}"]
            if self._is_linear(layer):
                z_bar, dz_bar = up, dup
            else:
                z_bar, dz_bar = (up.copy(), dup.copy()) if self._skips(layer) or up is cotangent else (up, dup)
                arrays = (tape[layer][1].ravel(), da.ravel(), self.activation == "tanh", z_bar.ravel(), dz_bar.ravel())
                scale_pair(*arrays)
            gradient[f"{self.name}.weight{layer}"][...] += tape[layer][0].T @ z_bar + dh.T @ dz_bar
            gradient[f"{self.name}.bias{layer}"][...] += z_bar.sum(axis=0)
            if layer == 0 and not inputs_too:
                return None
            below, dbelow = z_bar @ weight.T, dz_bar @ weight.T
            up, dup = (below + up, dbelow + dup) if self._skips(layer) else (below, dbelow)
        return up, dup
