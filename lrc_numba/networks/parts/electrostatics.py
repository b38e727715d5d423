r"""Electrostatics as a part: learned charges to potentials, by a calculator of ``lrc_numba.electrostatics``.

    V_i^c = ½ Σ_j A_ij q_j^c        with E = Σ q_i V_i, the product of charges and potentials

A is symmetric, so the transpose of charges to potentials is the same sum with cotangents as charges, and all that is
needed of A is in ``electrostatics.calculators.operator``. Structures may be periodic along all axes or some, or open.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy

import numpy as np

from ...electrostatics.calculators import Calculator, ChargeOperator, Direction
from ..layers.parameters import Parameters
from .part import Motion, Part, Tape, expect_rows

__all__ = ["Electrostatics"]


class Electrostatics(Part):
    """V (n, C) of charges (n, C) at the points; its inputs are ``GEOMETRY`` and the charges.

    Parameters
    ----------
    calculator : Calculator
        What is computed, with its accuracy; a copy is taken. Derivatives are those of what it computes. Its skin should
        be 0 where every step brings other structures.
    learn : collection of str
        Which parameters of its potential are learned: some of "prefactor", "weights" and "smearing". Cutoff and modes
        stay as they are: with a smearing that leaves where they suit it, sums are cut short.
    name : str
        Prefix of the names of these parameters.

    Raises
    ------
    ValueError, TypeError
        Naming the argument.

    Notes
    -----
    Sums are in double precision but for the modes of a calculator of single precision; results are of the dtype of the
    network.
    """

    whole = geometry = True
    reads = rows = "points"

    def __init__(self, calculator: Calculator, learn: Collection[str] = (), name: str = "electrostatics"):
        if not isinstance(calculator, Calculator):
            raise TypeError(f"calculator: expected one of lrc_numba.electrostatics, got {type(calculator).__name__}")
        if not calculator.is_plain:
            raise ValueError(
                f"calculator: {type(calculator).__name__} has no derivatives by learned charges; expected a "
                "MeshCalculator or an EwaldCalculator"
            )
        known = calculator.potential.parameters
        if isinstance(learn, str) or not set(learn) <= set(known):
            raise ValueError(f"learn: expected some of {sorted(known)}, got {learn!r}")
        self.calculator, self.name = deepcopy(calculator), name
        self.names = {own: f"{name}.{own}" for own in sorted(set(learn))}
        self.start = {own: known[own] for own in self.names}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: self.start[own].shape for own, name in self.names.items()}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        for own, name in self.names.items():
            parameters[name][...] = self.start[own]

    # ------------------------------------------------------------------ the passes
    def _operator(self, tape: Tape) -> ChargeOperator:
        """A of the structures, with the present parameters."""
        values = {own: tape.parameters[name] for own, name in self.names.items()}
        with tape.parameters.blamed(self.names.values()):
            self.calculator.potential.set_parameters(values)
        structures = tape.scene.structures
        if structures.dim != 3:
            raise ValueError(f"structures: expected three dimensions for electrostatics, got {structures.dim}")
        return ChargeOperator(self.calculator, structures)

    def forward(self, tape: Tape, _, charges):
        expect_rows(charges, *charges.shape[1:2], count=tape.scene.count)
        operator = self._operator(tape)
        tape.kept["q"] = q = charges.astype(np.float64)
        operator.check(q)
        return (0.5 * operator.apply(q)).astype(tape.scene.dtype, copy=False)

    @staticmethod
    def _along(motion: Motion | None) -> Direction:
        """Where nothing is strained there is no strain."""
        if motion is None:
            return Direction()
        strain = None if motion.strain is None or not motion.strain.any() else motion.strain.astype(np.float64)
        return Direction(motion.points.astype(np.float64), strain)

    def jvp(self, tape: Tape, motion, dcharges=None):
        dq = None if dcharges is None else dcharges.astype(np.float64)
        tape.kept["dq"], tape.kept["along"] = dq, self._along(motion)
        moved = 0.5 * self._operator(tape).jvp(tape.kept["q"], dq, tape.kept["along"])
        return moved.astype(tape.scene.dtype, copy=False)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        operator, q, p = self._operator(tape), tape.kept["q"], bar.astype(np.float64)
        wrt = ({"points"} if tape.wanted[0] else set()) | ({"cell"} if tape.wanted[0] and tape.strained else set())
        of_charges, points, strain = None, None, None
        if wrt or tape.wanted[1]:
            of_charges, points, strain = operator.vjp(p, q, wrt)
            of_charges = (0.5 * of_charges).astype(bar.dtype, copy=False)
        if gradient is not None:
            self._add(gradient, operator.parameters(p, q) if self.names else {})
        if points is None:
            return None, of_charges
        motion = Motion((0.5 * points).astype(bar.dtype, copy=False), None if strain is None else 0.5 * strain)
        return motion, of_charges

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        operator, (q, dq, along) = self._operator(tape), (tape.kept[name] for name in ("q", "dq", "along"))
        p, dp = dbar.astype(np.float64), bar.astype(np.float64)
        if self.names:
            self._add(gradient, operator.parameters_jvp(p, q, dp, dq, along))
        if not tape.wanted[1]:
            return (None, None), (None, None)
        below, dbelow = 0.5 * operator.jvp(p, dp, along), 0.5 * operator.apply(p)
        return (None, below.astype(bar.dtype, copy=False)), (None, dbelow.astype(bar.dtype, copy=False))

    def _add(self, gradient: Parameters, of_structures: dict[str, np.ndarray]) -> None:
        """Halves of derivatives by parameters of all structures."""
        for own, name in self.names.items():
            gradient[name][...] += 0.5 * of_structures[own].sum(axis=0)
