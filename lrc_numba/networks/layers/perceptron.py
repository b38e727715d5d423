r"""Multilayer perceptrons with every derivative that force matching needs, written by hand.

    z = h W + b,   a = σ(z),   out = a, or h + a where a residual layer keeps the width

    forward   h → out, keeping h and a of every layer (the tape)
    vjp       out̄ → h̄ for the inputs alone: forces
    jvp       ḣ → ȯut = σ′ (ḣ W) (+ ḣ), keeping ḣ and ȧ
    vjp_dual  cotangents of (out, ȯut) to those of (h, ḣ), and to W and b:
              z̄ = σ′ ā + σ″ ż ǡ,   ż̄ = σ′ ǡ,   W̄ = hᵀ z̄ + ḣᵀ ż̄,   b̄ = Σ z̄

Every one of these is one compiled pass over the rows (``chain``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import arguments
from ...machine.workspace import Workspace
from . import chain
from .activations import LINEAR, RELU, SILU, TANH
from .parameters import Parameters

__all__ = ["Perceptron"]

KINDS = {"tanh": TANH, "relu": RELU, "silu": SILU}


@dataclass(frozen=True)
class Perceptron:
    """A chain of dense layers; it holds no numbers, those are in named views of a flat vector.

    Parameters
    ----------
    name : str
        Prefix of the names of its weights and biases.
    sizes : tuple of int
        Widths, from the input to the output.
    activation : {"tanh", "relu", "silu"}
        σ of every layer.
    residual : bool
        Add the input of a layer to its output where the widths agree.
    linear_end : bool
        No activation in the last layer.
    biased : bool
        Whether there are biases b.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str = "tanh"
    residual: bool = False
    linear_end: bool = False
    biased: bool = True

    def __post_init__(self) -> None:
        sizes = tuple(arguments.as_count("sizes", width, 1) for width in self.sizes)
        if len(sizes) < 2:
            raise ValueError(f"sizes: expected two widths or more, got {self.sizes!r}")
        object.__setattr__(self, "sizes", sizes)
        arguments.as_choice("activation", self.activation, tuple(KINDS))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of weights and biases."""
        result: dict[str, tuple[int, ...]] = {}
        for layer, (width_in, width_out) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            result[f"{self.name}.weight{layer}"] = (width_in, width_out)
            if self.biased:
                result[f"{self.name}.bias{layer}"] = (width_out,)
        return result

    def initialise(self, views: Parameters, generator: np.random.Generator) -> None:
        """Glorot normal weights, zero biases.

        Parameters
        ----------
        views : Parameters
            Those of this network are written, in the order of the layers.
        generator : Generator
            Source of randomness.
        """
        for name, shape in self.shapes().items():
            views[name][...] = 0.0 if len(shape) == 1 else generator.normal(0.0, np.sqrt(2.0 / sum(shape)), shape)

    @property
    def last_bias(self) -> str:
        """Name of the bias of the last layer."""
        return f"{self.name}.bias{len(self.sizes) - 2}"

    def _skips(self, layer: int) -> bool:
        return self.residual and self.sizes[layer] == self.sizes[layer + 1]

    def _kind(self, layer: int) -> int:
        """Which activation."""
        if self.linear_end and layer == len(self.sizes) - 2:
            return LINEAR
        return KINDS[self.activation]

    def table(self, parameters: Parameters) -> np.ndarray:
        """The table of ``chain``, (layers, COLUMNS); made once for all parameters of one layout."""
        known = parameters.tables.get(self.name)
        if known is not None:
            return known
        table, h, end = np.empty((len(self.sizes) - 1, chain.COLUMNS), dtype=np.int64), 0, self.sizes[0]
        for layer, (n_in, n_out) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            skips, a = self._skips(layer), end
            out = a + n_out if skips or self._kind(layer) == SILU else a
            table[layer, [chain.N_IN, chain.N_OUT, chain.KIND, chain.SKIPS]] = n_in, n_out, self._kind(layer), skips
            table[layer, chain.WEIGHT] = parameters.offsets[f"{self.name}.weight{layer}"]
            table[layer, chain.BIAS] = parameters.offsets[f"{self.name}.bias{layer}"] if self.biased else -1
            table[layer, [chain.H, chain.A, chain.OUT]] = h, a, out
            h, end = out, out + n_out
        parameters.tables[self.name] = table
        return table

    def _taken(self, use: str, table: np.ndarray, inputs: np.ndarray, space: Workspace) -> tuple[np.ndarray, ...]:
        """A tape, and outputs (n, sizes[-1])."""
        size = chain.tape_size(len(inputs), table, inputs.dtype.itemsize)
        tape = space.take(f"{self.name} {use}", (size,), inputs.dtype)
        return tape, space.take(f"{self.name} {use} out", (len(inputs), self.sizes[-1]), inputs.dtype)

    def forward(self, parameters: Parameters, inputs: np.ndarray, space: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (n, sizes[-1]) and the tape.

        Parameters
        ----------
        parameters : Parameters
            Weights and biases.
        inputs : (n, sizes[0])
            h.
        space : Workspace
            Where both live until the next ones.
        """
        table = self.table(parameters)
        tape, out = self._taken("tape", table, inputs, space)
        chain.forward(len(inputs), table, parameters.flat, inputs.ravel(), tape, out.ravel())
        return out, tape

    def vjp(
        self, parameters: Parameters, tape: np.ndarray, cotangent: np.ndarray, gradient: Parameters | None = None
    ) -> np.ndarray:
        """Cotangent of the inputs, (n, sizes[0]); where a gradient is given, that of weights and biases is added to it.

        Parameters
        ----------
        parameters, tape
            From ``forward``.
        cotangent : (n, sizes[-1])
            Of the outputs.
        gradient : Parameters, optional
            Added to.
        """
        below = np.empty((len(cotangent), self.sizes[0]), dtype=cotangent.dtype)
        table = self.table(parameters)
        into = parameters.flat[:0] if gradient is None else gradient.flat
        chain.vjp(len(cotangent), table, parameters.flat, tape, cotangent.ravel(), into, below.ravel())
        return below

    def jvp(
        self, parameters: Parameters, tape: np.ndarray, tangent: np.ndarray, space: Workspace
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tangent of the outputs (n, sizes[-1]), and the tape of tangents that ``vjp_dual`` needs.

        Parameters
        ----------
        parameters, tape
            From ``forward``.
        tangent : (n, sizes[0])
            ḣ.
        space : Workspace
            Where both live until the next ones.
        """
        table = self.table(parameters)
        dtape, out = self._taken("tangents", table, tangent, space)
        chain.jvp(len(tangent), table, parameters.flat, tape, tangent.ravel(), dtape, out.ravel())
        return out, dtape

    def vjp_dual(
        self,
        parameters: Parameters,
        tape: np.ndarray,
        dtape: np.ndarray,
        cotangent: np.ndarray,
        cotangent_of_tangent: np.ndarray,
        gradient: Parameters,
        inputs_too: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add to the gradient of weights and biases; cotangents of h and ḣ (n, sizes[0]), empty if they are not wanted.

        Parameters
        ----------
        parameters, tape, dtape
            From ``forward`` and ``jvp``.
        cotangent, cotangent_of_tangent : (n, sizes[-1])
            Of out and ȯut.
        gradient : Parameters
            Added to.
        inputs_too : bool
            Whether h̄ and ḣ̄ are wanted.
        """
        rows = len(cotangent)
        below, dbelow = np.empty((2, rows if inputs_too else 0, self.sizes[0]), dtype=cotangent.dtype)
        chain.vjp_dual(
            rows,
            self.table(parameters),
            parameters.flat,
            tape,
            dtape,
            cotangent.ravel(),
            cotangent_of_tangent.ravel(),
            gradient.flat,
            inputs_too,
            below.ravel(),
            dbelow.ravel(),
        )
        return below, dbelow
