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
from ..boundaries import LongRangeKernel
from ..checks import net_charge
from ..pair_loops import PairLoops
from ..pair_sum import by_structure, is_apart
from ..radial_form import RadialForm
from ..strained import strain_tangents
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
        self.forget()

    def __reduce__(self) -> tuple:
        return SteadyCalls, ()

    def forget(self) -> None:
        """Begin anew: something else was computed."""
        self._key: tuple | None = None
        self._calls: dict[bool, _Call | None] = {}  # with a stress, and without; None where it is not possible

    def compute(self, calculator: Steady, positions, charges, cell, periodic, stress: bool) -> Result | None:
        """Energy, forces and, where it is wanted, stress; None where this is to be computed as any other call.

        Parameters
        ----------
        calculator : Steady
            Always the same.
        positions, charges, cell, periodic, stress
            As for ``Calculator.compute``.
        """
        if charges is None or cell is None or len(charges) > MOST or not calculator.is_plain:
            self.forget()
            return None
        q, box = np.asarray(charges), np.asarray(cell)
        key = q.dtype, q.shape, q.tobytes(), box.dtype, box.tobytes(), box.shape, np.asarray(periodic).tobytes()
        if key != self._key:
            self._key, self._calls = key, {}
            return None
        call = self._calls.get(stress)
        if call is not None and not call.holds(calculator):
            self._calls.clear()
            return None
        if stress not in self._calls:
            call = self._calls[stress] = _Call.of(calculator, q, stress)
        return None if call is None else call.compute(calculator, positions)


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
    stress : bool
        Whether that is wanted.
    """

    def __init__(
        self, calculator: Steady, form: RadialForm, structure, charges, far: LongRange, mesh: Any, stress: bool
    ):
        self.far, self.mesh, self.form, self.shape, self.stress = far, mesh, form, charges.shape, stress
        self.points = structure.positions.copy()
        self.structure = Structures(self.points, structure.offsets, structure.cell, structure.periodic)
        self.charges, potential = charges.reshape(-1, 1).astype(np.float64), calculator.potential
        self.of_self = potential.value_at_r0 * self.charges
        background, net, self.volume = potential.background, net_charge(self.charges), float(structure.volume[0])
        self.of_background = background / self.volume * net if background else None
        self.strain_of_background = 0.5 * background / self.volume * float(net @ net) * np.eye(3)
        self.reach = (NEAR * calculator.cutoff) ** 2
        self.loops: PairLoops | None = None
        self._outdated: Callable[[], bool] | None = None  # for positions in ``points``

    @classmethod
    def of(cls, calculator: Steady, charges: np.ndarray, stress: bool) -> _Call | None:
        """What the call before was made of, to be done again; None where there is more to it.

        Parameters
        ----------
        calculator : Steady
            In double precision, else there is none.
        charges : (N,) or (N, C)
            As in the call before.
        stress : bool
            Whether that is wanted.
        """
        last, far = calculator.last_structure, calculator.last_long_range
        if last is None or far is None or calculator.dtype != DOUBLE or charges.dtype != DOUBLE:
            return None
        plain = charges.size == len(last.positions) and last.positions.dtype == DOUBLE and last.periodic.all()
        # Structures may have been computed in between, with plans of their own, or settings changed.
        same = all(far.boundary.periodic) and np.array_equal(far.boundary.cell, last.cell[0])
        same &= calculator.few_points(last.positions) == far.few
        form = calculator.form
        if not (plain and same and isinstance(form, RadialForm)) or (
            stress and type(far.kernel) is not LongRangeKernel
        ):
            return None
        tangents = strain_tangents(far.kernel, far.mode_set) if stress else None
        mesh = far.plan.repeat_energy(last.positions, charges.reshape(-1, 1), far.kernel, tangents)
        return None if mesh is None else cls(calculator, form, last, charges, far, mesh, stress)

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
        result = Result(twice.reshape(self.shape), energy, np.negative(forces, out=forces))
        if self.stress:
            result.strain = by_structure(near.strains, self.structure.offsets)[0] + self.mesh.along.reshape(3, 3)
            result.strain += self.strain_of_background
            result.stress = result.strain / self.volume
        return result

    def _pairs_and_modes(self, calculator: Steady) -> PairLoops:
        """The sums over pairs, with lists that are good for the positions; and those over modes."""
        good = self._has_good_lists(calculator)
        pairs = self.loops.again if good and self.loops is not None else partial(self._new_pairs, calculator)
        if calculator.threads > 1 and FEW[0] <= len(self.points) <= FEW[1]:
            parallel.run(_side_by_side, [0, 1, 2], pairs, partial(self.mesh, self.points))
        else:
            pairs()
            self.mesh(self.points)
        assert self.loops is not None
        return self.loops

    def _has_good_lists(self, calculator: Steady) -> bool:
        """Whether the lists of the loops are those of the calculator, and may be used where points are now."""
        near = self.loops
        if near is None or not calculator.lists_are_of(self.structure) or near.lists is not calculator.neighbours.lists:
            return False
        if self._outdated is None:
            self._outdated = calculator.neighbours.watch(self.points)
        return not self._outdated()

    def _new_pairs(self, calculator: Steady) -> None:
        """Lists, where there are no good ones, and the loops over them."""
        calculator.update_neighbours(self.structure)
        lists, charges = calculator.neighbours.lists, self.charges.reshape(-1)
        self._outdated = None
        self.loops = PairLoops(lists, self.form, self.points, self.structure.cell, charges, self.stress)


def _side_by_side(part: int, _lo: int, _hi: int, *functions: Callable[[], object]) -> None:
    """Call one of some functions: each thread another."""
    functions[part]()
