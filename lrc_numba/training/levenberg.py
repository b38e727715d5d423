r"""Levenberg–Marquardt: for losses whose last digits first-order methods do not reach.

For L = |r|² with r(θ + δ) ≈ r + J δ a step is

    δ = −(JᵀJ + λ)⁻¹ Jᵀr,

with λ as small as is of use. Force matching is stiff: in a network of the LRC paper's Table 1 eigenvalues of JᵀJ fell
by ten decades over the first hundred, and few of the others were above a λ that was of use. So JᵀJ is known by its
largest eigenvalues alone; each iteration combines those of the one before, which count less and less, with random
combinations of the rows of J at the present θ (see ``networks.residuals``), in one step of subspace iteration.
Gradients Jᵀr are exact, and so are losses: λ is the one, of those that are tried, with which the loss falls lowest.
Where larger λ than the one before gain next to nothing either, as at a kink of a relu, at which forces jump, the step
of that one is taken if it leads no higher than ``RISE``. Better is to have no kinks among the data, nor just beyond
them: see ``FullRangeNetwork.move_kinks``, before and again after some iterations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm import tqdm

from .. import arguments
from ..geometry.structures import Structures
from ..machine.memory import available_memory, check_memory
from ..networks import EnergyNetwork, LossWeights
from ..networks.checks import check_data
from ..networks.loss import as_weights
from ..networks.residuals import Residuals
from .curvature import Curvature, NoNumbers
from .data import free_parameters
from .polish import Polish

__all__ = ["levenberg_marquardt"]

ROWS, RANK = 400, 200
DAMPING = 1e-5  # λ to begin with, of the largest eigenvalue
FACTOR, MOST = 3.0, 6  # between two λ that are tried; how many larger ones, and smaller ones
MOST_UNIT = 1e9
RISE = 1.1  # times the lowest loss: how high a step may lead that goes over a kink
WORTH = 1e-3  # share of the loss by which a step lowers it that tells which λ to begin with
TINY = float(np.finfo(np.float64).tiny)
SMALL, PATIENCE = 1e-4, 8  # it ends after so many iterations that lower the loss by less than this share


@dataclass(frozen=True)
class _Trial:
    """A step and what comes of it.

    Attributes
    ----------
    loss : float
        L, infinite where there is none.
    step : (n,)
        Of the parameters.
    damping : float
        λ.
    residuals : 1-D array or None
        r.
    """

    loss: float
    step: np.ndarray
    damping: float
    residuals: np.ndarray | None


class _Surface:
    """Residuals as a function of the free parameters.

    Parameters
    ----------
    residuals : Residuals
        Of the network.
    free : (n_parameters,) bool, or slice
        Which are changed.
    units : (n_parameters,)
        What steps are counted in.
    """

    def __init__(self, residuals: Residuals, free: np.ndarray | slice, units: np.ndarray):
        self._residuals, self._free, self.evaluations, self.refused = residuals, free, 0, ""
        self._units = units[free]
        self._flat = residuals.network.parameters.flat
        self.centre = self._flat[free].astype(np.float64)

    def move(self, parameters: np.ndarray) -> None:
        """Be elsewhere.

        Parameters
        ----------
        parameters : (n,)
            The free ones.
        """
        self.centre = self._flat[self._free] = parameters

    def moved(self, step: np.ndarray) -> np.ndarray:
        """Parameters after a step.

        Parameters
        ----------
        step : (n,)
            In units of the free parameters.
        """
        return self.centre + self._units * step

    def values(self) -> np.ndarray:
        """r where we are; an error where there is none."""
        return self._residuals.values()

    def at(self, step: np.ndarray) -> np.ndarray | None:
        """r at a step from where we are; None where it is no number, or the network refuses its parameters.

        Parameters
        ----------
        step : (n,)
            Of the free parameters.
        """
        self.evaluations += 1
        self._flat[self._free] = self.moved(step)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                values = self.values()
        except (MemoryError, ValueError) as wrong:
            self.refused = str(wrong)
            return None
        finally:
            self._flat[self._free] = self.centre
        return values if np.isfinite(values).all() else None

    def gradient(self, bars: np.ndarray) -> np.ndarray:
        """Jᵀr̄ where we are.

        Parameters
        ----------
        bars : 1-D array
            r̄.
        """
        self.evaluations += 1
        return self._units * self._residuals.pull_back(bars)[self._free]

    def rows(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Random combinations of rows of J where we are.

        Parameters
        ----------
        count, generator
            As for ``Residuals.combinations``.
        """
        rows = self._residuals.combinations(count, generator, self._free)
        rows *= self._units.astype(np.float32)
        return rows


class _Descent:
    """Where we are, and how it goes on from there.

    Parameters
    ----------
    surface : _Surface
        Of the network.
    curvature : Curvature
        Of nothing yet.
    residuals : 1-D array
        r at the start.
    """

    def __init__(self, surface: _Surface, curvature: Curvature, residuals: np.ndarray):
        self._surface, self._curvature, self._now = surface, curvature, residuals
        self.loss = self.lowest = float(residuals @ residuals)
        self._damping, self._kept, self.idle = 0.0, surface.centre, 0

    def iterate(self, rows: np.ndarray) -> None:
        """One iteration.

        Parameters
        ----------
        rows : (m, n) float32
            As for ``Curvature.update``.
        """
        self._curvature.update(rows)
        self._damping = self._damping or max(DAMPING * self._curvature.values[-1], TINY)
        most = RISE * self.lowest
        best = self._best(most)
        lower = best.loss < self.loss and best.damping < self._damping
        if lower or best.loss < (1 - WORTH) * self.loss:
            self._damping = best.damping
        elif best.loss >= most:
            self._damping *= FACTOR
        self.idle = 0 if best.loss < (1 - SMALL) * self.lowest else self.idle + 1
        if best.residuals is None or best.loss >= most:
            return
        self._surface.move(self._surface.moved(best.step))
        self._now, self.loss = best.residuals, best.loss
        if self.loss < self.lowest:
            self.lowest, self._kept = self.loss, self._surface.centre

    def finish(self) -> None:
        """Go back to where the loss was lowest."""
        self._surface.move(self._kept)

    def _best(self, most: float) -> _Trial:
        """The best step that was tried, or one over a kink to a loss below ``most``."""
        gradient = self._surface.gradient(self._now)
        first = best = trial = self._stepped(gradient, self._damping)
        for _ in range(MOST):
            if best.loss < self.loss:
                break
            trial = self._stepped(gradient, trial.damping * FACTOR)
            best = trial if trial.loss < best.loss else best
        if best is not first and best.loss > (1 - SMALL) * self.loss and first.loss < most:
            return first
        return _lower(partial(self._stepped, gradient), best) if best is first else best

    def _stepped(self, gradient: np.ndarray, damping: float) -> _Trial:
        """θ + δ for a λ."""
        step = -self._curvature.solve(gradient, damping)
        values = self._surface.at(step)
        return _Trial(np.inf if values is None else float(values @ values), step, damping, values)


def _lower(attempt: Callable[[float], _Trial], best: _Trial) -> _Trial:
    """Try smaller λ as long as the loss falls."""
    for _ in range(MOST):
        trial = attempt(best.damping / FACTOR)
        if trial.loss >= best.loss:
            return best
        best = trial
    return best


def levenberg_marquardt(
    network: EnergyNetwork,
    structures: Structures,
    weights: LossWeights,
    *,
    iterations: int = 50,
    rows: int = ROWS,
    rank: int = RANK,
    seed: int = 0,
    progress: bool = True,
    frozen: tuple[str, ...] = (),
    units: Mapping[str, float] | None = None,
) -> Polish:
    """Minimise the loss of all structures by Levenberg–Marquardt.

    For networks of some ten thousand parameters, and sets that are small enough for many passes: an iteration costs
    ``rows`` gradients of single structures and some five passes; memory is that of ``rows`` + ``rank`` times the
    number of parameters in single precision, some five times. While it runs the network has parameters that are tried
    and serves nothing else; afterwards it has the best of them.

    Parameters
    ----------
    network, structures, weights, iterations, progress, frozen
        As for ``polish``; evaluations are passes through all structures, rows apart.
    rows : int
        Random combinations of rows of J in each iteration; more make better steps.
    rank : int
        Eigenvalues of JᵀJ that are kept.
    seed : int
        Of random numbers.
    units : dict of str to float, optional
        By names of parameters, how far they go where others go by 1: λ damps steps in these units. Few numbers that
        decide on much and have far to go, such as the inverse lengths of kernels, want hundreds to thousands.

    Raises
    ------
    ValueError, MemoryError, TypeError
        As ``polish``, for names in ``units`` that are none, and where ``rows`` or ``rank`` take too much memory.
    """
    iterations, rows = arguments.as_count("iterations", iterations, 1), arguments.as_count("rows", rows, 1)
    rank, generator = arguments.as_count("rank", rank, 1), np.random.default_rng(arguments.as_seed(seed))
    check_data(network, network.as_structures(structures), as_weights(weights))
    free = free_parameters(frozen, network.parameters)
    if free is not None and not free.any():
        raise ValueError(f"frozen: expected some parameters to be left, got {frozen!r}")
    surface = _Surface(
        Residuals(network, structures, weights), slice(None) if free is None else free, _units(network, units or {})
    )
    size = surface.centre.size
    rank = min(rank, size)
    needed = size * (4 * (2 * rows + 5 * rank) + 8 * 3 * rank)
    check_memory("rows, rank", f"{rows} and {rank} of {size} parameters", needed, available_memory)
    return _minimise(surface, rank, rows, iterations, generator, progress)


def _minimise(
    surface: _Surface, rank: int, rows: int, iterations: int, generator: np.random.Generator, progress: bool
) -> Polish:
    descent = _Descent(surface, Curvature(surface.centre.size, rank, generator), surface.values())
    before, message = descent.loss, "all iterations done"
    if not np.isfinite(before):
        raise ValueError(f"parameters: expected some whose loss is a number to begin with, got {before}")
    with tqdm(total=iterations, file=sys.stderr, leave=False, disable=not progress) as bar:
        try:
            for number in range(iterations):
                if descent.lowest == 0.0:
                    message = "the loss is zero"
                    break
                try:
                    descent.iterate(surface.rows(rows, generator))
                except NoNumbers:
                    message = "derivatives that are no numbers, or too large for single precision"
                    if number == 0:
                        raise ValueError(
                            f"parameters, weights, units: expected finite derivatives, got {message}"
                        ) from None
                    break
                bar.update()
                bar.set_postfix(loss=f"{descent.lowest:.3e}")
                if descent.idle == PATIENCE:
                    message = f"{PATIENCE} iterations lowered the loss by less than {SMALL:g} of it"
                    break
        finally:
            descent.finish()
    if surface.refused:
        message += f"; steps were refused, the last one with: {surface.refused}"
    return Polish(before, descent.lowest, surface.evaluations, message)


def _units(network: EnergyNetwork, units: Mapping[str, float]) -> np.ndarray:
    """Those of all parameters, 1 unless they are given."""
    parameters = network.parameters
    if not isinstance(units, Mapping):
        raise TypeError(f"units: expected numbers by names of parameters, got {units!r}")
    made = np.ones(parameters.flat.size)
    for name, value in units.items():
        if name not in parameters:
            raise ValueError(f"units: expected names of {list(parameters)}, got {name!r}")
        unit, begin = arguments.as_positive(f"units of {name}", value, MOST_UNIT), parameters.offsets[name]
        made[begin : begin + parameters[name].size] = max(unit, 1 / MOST_UNIT)
    return made
