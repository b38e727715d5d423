"""Calls in which nothing but positions differs from the call before, as in molecular dynamics.

Of some hundred points, checks and what is made ready for the loops take longer than the loops. Where the same charges
come in the same cell again, with the same potential, both are left out from the third call on; results are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ...machine.cpu import parallel
from ..checks import net_charge
from ..pair_loops import PairLoops
from ..pair_sum import is_apart
from ..radial_form import RadialForm
from .long_range import LongRange, Steady
from .result import Result

__all__ = ["SteadyCalls"]

MOST = 1 << 17  # points; of more, comparing charges takes longer than what is spared
FEW = 256, 2048  # points: of so few no loop is worth two threads, but pairs and modes are worth one each
NEAR = 2.0**40  # cutoffs from the origin, beyond which points are looked at one by one
DOUBLE = np.dtype(np.float64)


class SteadyCalls:
    """The last call of a calculator, and how it is done again. Copies of it know none."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._call: _Call | None = None
        self._possible = True  # as far as is known

    def __reduce__(self) -> tuple:
        return SteadyCalls, ()

    def compute(self, calculator: Steady, positions, charges, cell, periodic) -> Result | None:
        """Energy and forces; None where this is to be computed as any other call.

        Parameters
        ----------
        calculator : Steady
            Always the same.
        positions, charges, cell, periodic
            As for ``Calculator.compute``.
        """
        if charges is None or cell is None or len(charges) > MOST or not calculator.is_plain:
            return None
        q, box = np.asarray(charges), np.asarray(cell)
        key = q.dtype, q.shape, q.tobytes(), box.dtype, box.tobytes(), box.shape, np.asarray(periodic).tobytes()
        if key != self._key:
            self._key, self._call, self._possible = key, None, True
            return None
        if self._call is not None and not self._call.holds(calculator):
            self._call = None
            return None
        if self._call is None and self._possible:
            self._call = _Call.of(calculator, q)
            self._possible = self._call is not None
        return None if self._call is None else self._call.compute(calculator, positions)


class _Call:
    """Energy and forces of points that have moved.

    Parameters
    ----------
    calculator : Steady
        Whose potential and cutoff.
    form : RadialForm
        Of its pairs.
    structure : Structures
        Of the call before.
    charges : (N,) or (N, 1)
        q.
    far : LongRange
        Of the call before.
    mesh : RepeatedEnergy or RepeatedSums
        Sums over its modes, to be called again.
    """

    def __init__(self, calculator: Steady, form: RadialForm, structure, charges: np.ndarray, far: LongRange, mesh: Any):
        self.far, self.mesh, self.form, self.shape = far, mesh, form, charges.shape
        self.points = structure.positions.copy()
        self.structure = Structures(self.points, structure.offsets, structure.cell, structure.periodic)
        self.charges, potential = charges.reshape(-1, 1).astype(np.float64), calculator.potential
        self.of_self = potential.value_at_r0 * self.charges
        background, net = potential.background, net_charge(self.charges)
        self.of_background = background / float(structure.volume[0]) * net if background else None
        self.reach = (NEAR * calculator.cutoff) ** 2
        self.loops: PairLoops | None = None
        self.outdated: Callable[[], bool] = bool  # for positions in ``points``

    @classmethod
    def of(cls, calculator: Steady, charges: np.ndarray) -> _Call | None:
        """What the call before was made of, to be done again; None where there is more to it.

        Parameters
        ----------
        calculator : Steady
            In double precision, else there is none.
        charges : (N,) or (N, C)
            As in the call before.
        """
        last, far = calculator.last_structure, calculator.last_long_range
        if last is None or far is None or calculator.dtype != DOUBLE or charges.dtype != DOUBLE:
            return None
        plain = charges.size == len(last.positions) and last.positions.dtype == DOUBLE and last.periodic.all()
        # Structures may have been computed in between, with plans of their own, or settings changed.
        same = all(far.boundary.periodic) and np.array_equal(far.boundary.cell, last.cell[0])
        same &= calculator.few_points(last.positions) == far.few
        form = calculator.form
        if not (plain and same and isinstance(form, RadialForm)):
            return None
        mesh = far.plan.repeat_energy(last.positions, charges.reshape(-1, 1), far.kernel)
        return None if mesh is None else cls(calculator, form, last, charges, far, mesh)

    def holds(self, calculator: Steady) -> bool:
        """Whether potential and plan still are those of before.

        Parameters
        ----------
        calculator : Steady
            As for ``of``.
        """
        far = calculator.last_long_range
        return calculator.form is self.form and far is self.far and calculator.few_points(self.points) == far.few

    def compute(self, calculator: Steady, positions) -> Result | None:
        """Energy and forces; None for positions that are to be looked at more closely.

        Parameters
        ----------
        calculator : Steady
            As for ``of``.
        positions : (N, 3) array
            Units of length.
        """
        if getattr(positions, "dtype", DOUBLE) != DOUBLE:
            return None
        given, squares = arguments.measured_array("positions", positions, DOUBLE)
        if given.shape != self.points.shape or not squares < self.reach:
            return None
        self.points[...] = given
        near = self._pairs_and_modes(calculator)
        if not is_apart(float(near.closest.min()), self.form):
            return None
        twice = near.potential[:, None] + self.mesh.output
        twice -= self.of_self
        if self.of_background is not None:
            twice -= self.of_background
        energy = 0.5 * float(np.sum(self.charges * twice))
        forces = near.gradient + self.mesh.gradient
        twice *= 0.5
        return Result(twice.reshape(self.shape), energy, np.negative(forces, out=forces))

    def _pairs_and_modes(self, calculator: Steady) -> PairLoops:
        """The sums over pairs, with lists that are good for the positions; and those over modes."""
        near, neighbours = self.loops, calculator.neighbours
        kept = near is not None and calculator.lists_are_of(self.structure) and near.lists is neighbours.lists
        if near is not None and kept and not self.outdated():
            if calculator.threads > 1 and FEW[0] <= len(self.points) <= FEW[1]:
                parallel.run(_side_by_side, [0, 1, 2], near.again, partial(self.mesh, self.points))
            else:
                near.again()
                self.mesh(self.points)
            return near
        calculator.update_neighbours(self.structure)
        lists = neighbours.lists
        self.outdated = neighbours.watch(self.points)
        charges = self.charges.reshape(-1)
        self.mesh(self.points)
        self.loops = near = PairLoops(lists, self.form, self.points, self.structure.cell, charges, False)
        return near


def _side_by_side(part: int, _lo: int, _hi: int, *functions: Callable[[], object]) -> None:
    """Call one of some functions: each thread another."""
    functions[part]()
