r"""Multilayer perceptrons with every derivative that force matching needs, written by hand.

    z = h W + b,   a = σ(z),   out = a, or h + a where a residual layer keeps the width

    forward   h → out, keeping h and a of every layer (the tape)
    vjp       out̄ → h̄ for the inputs alone: forces
    jvp       ḣ → ȯut = σ′ (ḣ W) (+ ḣ), keeping ḣ and ȧ
    vjp_pair  cotangents of (out, ȯut) to those of (h, ḣ), and to W and b:
              z̄ = σ′ ā + σ″ ż ǡ,   ż̄ = σ′ ǡ,   W̄ = hᵀ z̄ + ḣᵀ ż̄,   b̄ = Σ z̄

Every one of these is one compiled pass over the rows (``chain``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...machine.workspace import Workspace
from . import chain
from .activations import LINEAR, RELU, TANH
from .parameters import Parameters

__all__ = ["Perceptron"]


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

    def bent(self, views: Parameters, inputs: np.ndarray) -> bool:
        """Whether a relu is on at some of the inputs and off at others.

        Parameters
        ----------
        views : Parameters
            Weights and biases.
        inputs : (n, sizes[0])
            Rows.
        """
        h = inputs
        for layer in range(len(self.sizes) - 1):
            h = np.maximum(h @ views[f"{self.name}.weight{layer}"] + views[f"{self.name}.bias{layer}"], 0)
            some = (h > 0).sum(axis=0)
            if ((some > 0) & (some < len(h))).any():
                return True
        return False

    def move_kinks(self, views: Parameters, inputs: np.ndarray, spreads: float) -> np.ndarray:
        """Move the kinks of relus that lie beyond some inputs further away; how much outputs rise by that.

        A relu that is on at all of the inputs gets a larger bias, which the next layer takes off again, and one that
        is off at all of them a smaller one, so that the nearest of them is ``spreads`` standard deviations of z away
        from the kink. Those with a kink among the inputs stay.

        Parameters
        ----------
        views : Parameters
            Biases are written.
        inputs : (n, sizes[0])
            Rows the network is used for.
        spreads : float
            How far.

        Returns
        -------
        (sizes[-1],) array, for the reader of the outputs to take off.
        """
        h, rise = inputs, np.zeros(self.sizes[0], dtype=inputs.dtype)
        for layer in range(len(self.sizes) - 1):
            weight, bias = views[f"{self.name}.weight{layer}"], views[f"{self.name}.bias{layer}"]
            bias -= rise @ weight
            z = h @ weight + bias
            low, high, reach = z.min(axis=0), z.max(axis=0), spreads * z.std(axis=0)
            rise = np.where(low > 0, np.maximum(reach - low, 0), 0).astype(z.dtype)
            fall = np.where(high <= 0, np.maximum(reach + high, 0), 0)
            bias += rise - fall
            h = np.maximum(z + rise - fall, 0)
        return rise

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
        return TANH if self.activation == "tanh" else RELU

    def _table(self, parameters: Parameters) -> np.ndarray:
        """The table of ``chain``, (layers, COLUMNS); made once for all parameters of one layout."""
        found = parameters.tables.get(self.name)
        if found is not None:
            return found
        rows, h, end = [], 0, self.sizes[0]
        for layer, (n_in, n_out) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            skips, a = self._skips(layer), end
            out = a + n_out if skips else a
            places = (parameters.offsets[f"{self.name}.{part}{layer}"] for part in ("weight", "bias"))
            rows.append((n_in, n_out, self._kind(layer), skips, *places, h, a, out))
            h, end = out, out + n_out
        parameters.tables[self.name] = np.array(rows, dtype=np.int64)
        return parameters.tables[self.name]

    @staticmethod
    def _columns(table: np.ndarray) -> int:
        """Columns of the tape."""
        return int(table[-1, 8] + table[-1, 1])

    def _tape(self, use: str, table: np.ndarray, inputs: np.ndarray, space: Workspace) -> np.ndarray:
        """A tape that begins with the inputs."""
        tape = space.take(f"{self.name} {use}", (len(inputs) * self._columns(table),), inputs.dtype)
        tape[: inputs.size] = inputs.ravel()
        return tape

    def _end(self, table: np.ndarray, tape: np.ndarray, rows: int) -> np.ndarray:
        """The outputs on a tape, (rows, sizes[-1])."""
        return tape[int(table[-1, 8]) * rows :].reshape(rows, self.sizes[-1])

    def forward(self, parameters: Parameters, inputs: np.ndarray, space: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (n, sizes[-1]) and the tape, which they are part of.

        Parameters
        ----------
        parameters : Parameters
            Weights and biases.
        inputs : (n, sizes[0])
            h.
        space : Workspace
            Where the tape lives until the next one.
        """
        table, rows = self._table(parameters), len(inputs)
        tape = self._tape("tape", table, inputs, space)
        chain.forward(rows, table, parameters.flat, tape)
        return self._end(table, tape, rows), tape

    def vjp(self, parameters: Parameters, tape: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Cotangent of the inputs, (n, sizes[0]).

        Parameters
        ----------
        parameters, tape
            From ``forward``.
        cotangent : (n, sizes[-1])
            Of the outputs.
        """
        below = np.empty((len(cotangent), self.sizes[0]), dtype=cotangent.dtype)
        table = self._table(parameters)
        chain.vjp(len(cotangent), table, parameters.flat, tape, cotangent.ravel(), below.ravel())
        return below

    def jvp(
        self, parameters: Parameters, tape: np.ndarray, tangent: np.ndarray, space: Workspace
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tangent of the outputs (n, sizes[-1]), and the tape of tangents that ``vjp_pair`` needs.

        Parameters
        ----------
        parameters, tape
            From ``forward``.
        tangent : (n, sizes[0])
            ḣ.
        space : Workspace
            Where the tape of tangents lives until the next one.
        """
        table, rows = self._table(parameters), len(tangent)
        dtape = self._tape("tangents", table, tangent, space)
        chain.jvp(rows, table, parameters.flat, tape, dtape)
        return self._end(table, dtape, rows), dtape

    def vjp_pair(
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
        bars = (cotangent.ravel(), cotangent_of_tangent.ravel())
        rest = (gradient.flat, inputs_too, below.ravel(), dbelow.ravel())
        chain.vjp_pair(rows, self._table(parameters), parameters.flat, tape, dtape, *bars, *rest)
        return below, dbelow
