r"""A loss as a sum of squares, L = Σ r², with the products that its minimisation needs.

With J = ∂r/∂θ: values r(θ), the gradient 2 Jᵀr, Jᵀr̄ for any r̄, and random combinations of the rows of J that stand for
JᵀJ. All are made of the passes of ``parts.part``: r̄ belongs to cotangents of energies, forces and stresses, and so
Jᵀr̄ costs what a gradient does. A combination of rows is that for one structure alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import arguments
from ..geometry.structures import Structures
from ..machine.alone import alone
from .checks import check_cells
from .loss import LossWeights, as_weights, cotangents, residuals_of
from .parts.part import Scene
from .parts.run import Run

if TYPE_CHECKING:
    from .energy import EnergyNetwork

__all__ = ["Residuals"]


class Residuals:
    """Those of a network for some structures, at what its parameters are when a method is called.

    Parameters
    ----------
    network : EnergyNetwork
        Its parameters are read.
    structures : Structures
        With the energies, forces or stress that have a weight; their neighbours are found once.
    weights : LossWeights
        Of the terms of the loss.

    Raises
    ------
    ValueError, TypeError
        Where there are no points, data are missing, or a weight is none.
    """

    noun = "network"

    def __init__(self, network: EnergyNetwork, structures: Structures, weights: LossWeights):
        given = network.as_structures(structures)
        if not len(given.positions):
            raise ValueError("points: expected at least one structure of one point, got none")
        as_weights(weights).check(given)
        if weights.stress > 0:
            check_cells(given)
        self.network, self.structures, self.weights = network, given, weights
        self._moving = weights.stress > 0 or weights.forces > 0
        self._scene = network.scene(given)
        self._idle = network._idle

    def _size(self, structures: Structures) -> int:
        """How many residuals some structures have."""
        weights, dim = self.weights, structures.dim
        forces, stress = structures.positions.size * bool(weights.forces), dim * dim * bool(weights.stress)
        return forces + len(structures) * (bool(weights.energy) + stress)

    @alone
    def values(self) -> np.ndarray:
        """r, 1-D float64: of forces, then of energies, then of stresses, whichever have a weight."""
        return self._values(Run.of(self._scene), keep=False)

    @alone
    def loss(self) -> tuple[float, np.ndarray]:
        """L and ∂L/∂θ, (n_parameters,)."""
        run = Run.of(self._scene)
        values = self._values(run, keep=self._moving)
        return float(values @ values), self._pulled(run, self.structures, 2.0 * values)

    @alone
    def pull_back(self, bars: np.ndarray) -> np.ndarray:
        """Jᵀr̄, (n_parameters,).

        Parameters
        ----------
        bars : 1-D array
            r̄, as long as ``values``.
        """
        expected, given = self._size(self.structures), np.shape(bars)
        if given != (expected,):
            raise ValueError(f"bars: expected shape {(expected,)}, got {given}")
        return self._pulled(self._kept(self._scene), self.structures, np.asarray(bars))

    @alone
    def combinations(
        self, count: int, generator: np.random.Generator, columns: np.ndarray | slice = slice(None)
    ) -> np.ndarray:
        """A matrix R with RᵀR = JᵀJ on average: each row is Jᵀr̄ with random signs r̄ for the residuals of one structure.

        A structure with no more residuals than its share of rows has one row for each of them, and that is exact. Where
        there are more structures than rows, as many as rows are drawn.

        Parameters
        ----------
        count : int
            Rows, at most; structures are done one after the other, by one thread.
        generator : Generator
            Of what is drawn.
        columns : (n_parameters,) bool or slice
            Which are wanted.

        Returns
        -------
        (rows, columns) float32 ndarray
        """
        batch, count = len(self.structures), arguments.as_count("count", count, 1)
        drawn, share = np.sort(generator.permutation(batch)[:count]).tolist(), max(1, count // batch)
        sizes = [min(share, self._size(self.structures[number : number + 1])) for number in drawn]
        width, row = int(np.arange(self.network.parameters.flat.size)[columns].size), 0
        rows, root = np.empty((sum(sizes), width), dtype=np.float32), np.sqrt(len(drawn))  # B of one structure is 1
        for number in drawn:
            one = self.structures[number : number + 1]
            pairs = self._scene.pairs.of_structures(number, number + 1)
            run = self._kept(Scene(one, pairs, self._scene.dtype, self._scene.threads))
            for bars in _signs(share, self._size(one), generator):
                rows[row] = self._pulled(run, one, bars)[columns] / root
                row += 1
        return rows

    # ------------------------------------------------------------------ passes
    def _values(self, run: Run, keep: bool) -> np.ndarray:
        self.network.parameters.check_finite()
        made = self.network._evaluate(run, self.weights.forces > 0, self.weights.stress > 0, keep=keep)
        return residuals_of(made, self.structures, self.weights)

    def _kept(self, scene: Scene) -> Run:
        """After a forward pass that the others may follow."""
        run, network = Run.of(scene), self.network
        network.program.forward(run, network.parameters, network._spaces, keep=self._moving)
        return run

    def _pulled(self, run: Run, structures: Structures, residual_bars: np.ndarray) -> np.ndarray:
        network = self.network
        gradient = network.parameters.like()
        excess, direction = cotangents(residual_bars, structures, self.weights, network.dtype)
        bars = [np.repeat(excess[s], np.diff(structures.offsets)[s])[:, None] for s in run.structures]
        if self._moving:
            dbars = [np.full_like(bar, -1.0) for bar in bars]
            network.program.differentiate(run, direction, bars, dbars, gradient)
        else:
            network.program.vjp(run, bars, gradient, motion=False)
        return gradient.flat


def _signs(rows: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """Random ±1 over the root of their number, (rows, size), or the unit matrix where that has no more rows."""
    if rows >= size:
        return np.eye(size)
    return generator.choice((-1.0, 1.0), (rows, size)) / np.sqrt(rows)
