"""What ``tune`` says of its choice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .choose import Choice
from .system import System

__all__ = ["Tuning"]


@dataclass(frozen=True)
class Tuning:
    """What was asked for, what was expected, and what was measured.

    Attributes
    ----------
    accuracy : float
        RMS error of forces that was asked for.
    measured : float
        Against a tighter run, on all points.
    reference : float
        The expected error of that run.
    rounds : int
        How many choices were measured.
    choice : Choice
        The last of them.
    system : System
        What it was made for.
    """

    accuracy: float
    measured: float
    reference: float
    rounds: int
    choice: Choice
    system: System

    @property
    def estimate(self) -> float:
        """The expected RMS error of forces."""
        return self.choice.estimate

    @property
    def expected_cost(self) -> float:
        """Seconds of energy and forces on one core, by the model."""
        return 1e-9 * sum(self.choice.cost.values())

    def error_in(self, cell: np.ndarray) -> float:
        """The error of forces to be expected with the same modes and nodes in another cell, from the measured one.

        Parameters
        ----------
        cell : (3, 3)
            Lattice vectors of the modes.
        """
        before = self.choice.in_cell(self.system, self.choice.division.cell)
        return self.measured * self.choice.in_cell(self.system, cell) / before

    def lines(self) -> list[str]:
        """Lines of text: errors and choices."""
        choice, division = self.choice, self.choice.division
        terms = ", ".join(f"{name} {error:.1e}" for name, error in choice.errors.items())
        costs = ", ".join(f"{name} {1e-6 * cost:.3g}" for name, cost in choice.cost.items())
        name = "smearing" if division.splitting == "gaussian" else "band"
        even, count, tight = self.system.evenness, self.system.count, self.reference
        lines = [
            "  tuned for RMS errors of forces",
            f"    asked      {self.accuracy:.1e}",
            f"    estimated  {choice.estimate:.1e}: {terms}; {even:.2f} times those of an even density",
            f"    measured   {self.measured:.1e} on {count} points against a run for {tight:.1e}; choice {self.rounds}",
            f"    splitting  {division.splitting}, {name} {division.parameter:.6g}; pairs: degree {choice.degree}",
            f"    modes      {tuple(2 * top + 1 for top in choice.kept)}",
        ]
        if choice.nodes is not None and choice.window is not None:
            ratios = ", ".join(f"{top / n:.2f}" for top, n in zip(choice.kept, choice.nodes, strict=True))
            width = choice.window.width
            lines.append(f"    mesh       {choice.nodes}, {ratios} kept modes per node, window of width {width}")
        return [*lines, f"    cost       {1e3 * self.expected_cost:.3g} ms on one core expected: {costs}"]
