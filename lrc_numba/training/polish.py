"""The last digits of a training: L-BFGS on all data at once, for sets that are small."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from .. import arguments
from ..geometry.structures import Structures
from ..networks import EnergyNetwork, LossWeights
from .data import free_parameters

__all__ = ["Polish", "polish"]

FAR = 1e3  # times the largest loss: what the line search sees where there is none; it ends at an infinite one


@dataclass(frozen=True)
class Polish:
    """What came of it.

    Attributes
    ----------
    before, after : float
        The loss.
    evaluations : int
        Of the loss and its gradient.
    message : str
        Why it ended, and what was said of the last step that the network refused, if any.
    """

    before: float
    after: float
    evaluations: int
    message: str


class _Descent:
    """The loss as a function of the free parameters; remembers the best of them, all losses, and what was refused."""

    def __init__(self, network: EnergyNetwork, structures: Structures, weights: LossWeights, free: np.ndarray | slice):
        self.network, self.structures, self.weights, self.free = network, structures, weights, free
        self.best = network.parameters.flat.copy()
        self.losses: list[float] = []
        self.refused: list[str] = []

    def loss(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """L and its gradient by free parameters; no number counts as a large one, so that a shorter step is tried."""
        flat, losses = self.network.parameters.flat, self.losses
        flat[self.free] = parameters
        try:
            value, gradient = self.network.loss(self.structures, self.weights)
        except (MemoryError, ValueError) as wrong:  # of parameters that a step too long led to: a width below zero
            if not losses:
                raise
            self.refused.append(str(wrong))
            return FAR * max(losses), np.zeros(parameters.size)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            if not losses:
                raise ValueError(f"parameters: expected some whose loss is a number to begin with, got {value}")
            return FAR * max(losses), np.zeros(parameters.size)
        if value < min(losses, default=np.inf):
            self.best[...] = flat
        losses.append(value)
        return value, gradient[self.free].astype(np.float64)


def polish(
    network: EnergyNetwork,
    structures: Structures,
    weights: LossWeights,
    *,
    iterations: int = 200,
    memory: int = 30,
    progress: bool = True,
    frozen: tuple[str, ...] = (),
) -> Polish:
    """Minimise the loss of all structures by SciPy's L-BFGS-B; the network has the best parameters seen afterwards.

    Parameters
    ----------
    network : EnergyNetwork
        Changed in place; in double precision, or it will end early.
    structures : Structures
        To learn from, all at once in every step.
    weights : LossWeights
        Of the terms of the loss.
    iterations : int
        At most so many.
    memory : int
        Steps that the curvature is estimated from.
    progress : bool
        Show a bar.
    frozen : tuple of str
        Names of parameters, or their beginnings, that stay as they are; after a training those of the trainer.

    Raises
    ------
    ValueError, MemoryError
        Where the loss is no number at the start, or the network refuses its parameters there; for names in ``frozen``
        that are none, and where they leave nothing to be changed.
    TypeError
        For one string as ``frozen``.
    """
    iterations, memory = arguments.as_count("iterations", iterations, 1), arguments.as_count("memory", memory, 1)
    free = free_parameters(frozen, network.parameters)
    if free is not None and not free.any():
        raise ValueError(f"frozen: expected some parameters to be left, got {frozen!r}")
    descent = _Descent(network, structures, weights, slice(None) if free is None else free)
    flat = network.parameters.flat
    with tqdm(total=iterations, file=sys.stderr, leave=False, disable=not progress) as bar:

        def note(_) -> None:
            """Move the bar."""
            bar.update()
            bar.set_postfix(loss=f"{min(descent.losses):.3e}")

        options = {"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": memory, "ftol": 1e-14, "gtol": 1e-10}
        try:
            start = flat[descent.free].astype(np.float64)
            ended = minimize(descent.loss, start, jac=True, method="L-BFGS-B", options=options, callback=note)
        finally:
            flat[...] = descent.best
    losses, message = descent.losses, str(ended.message)
    if descent.refused:
        message += f"; {len(descent.refused)} steps were too long, the last one to {descent.refused[-1]}"
    return Polish(losses[0], min(losses), len(losses), message)
