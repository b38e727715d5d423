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
from .long_range import Steady
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
        several = positions if isinstance(positions, Structures) else None
        if several is not None:
            positions, cell, periodic = several.positions, several.cell, several.periodic
            charges = several.charges if charges is None else charges
        if charges is None or cell is None or len(charges) > MOST or not calculator.is_plain:
            self.forget()
            return None
        q, box = np.asarray(charges), np.asarray(cell)
        flags, offsets = np.asarray(periodic).tobytes(), None if several is None else several.offsets.tobytes()
        key = q.dtype, q.shape, q.tobytes(), box.dtype, box.tobytes(), box.shape, flags, offsets
        if key != self._key:
            self._key, self._calls = key, {}
            return None
        call = self._calls.get(stress)
        if call is not None and not call.holds(calculator):
            self._calls.clear()
            return None
        if stress not in self._calls:
            call = self._calls[stress] = _Call.of(calculator, several, q, stress)
        return None if call is None else call.compute(calculator, positions)


class _Call:
    """Energy and forces of points that have moved: of one structure, or of several with one cell and as many points.

    Parameters
    ----------
    calculator : Steady
        Whose potential and cutoff.
    form : RadialForm
        Of its pairs.
    structures : Structures
        Of the call before.
    batch : bool
        Whether they came as a set.
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
        self, calculator: Steady, structures: Structures, batch: bool, charges: np.ndarray, mesh: Any, stress: bool
    ):
        far, form = calculator.last_long_range, calculator.form
        assert far is not None
        assert isinstance(form, RadialForm)
        self.far, self.mesh, self.form, self.shape, self.stress = far, mesh, form, charges.shape, stress
        self.points, self.batch, count = structures.positions.copy(), batch, len(structures)
        self.structures = Structures(self.points, structures.offsets, structures.cell, structures.periodic)
        self.apart = self.points.reshape(_shape(structures))  # the same points, structure by structure
        self.charges, potential = charges.reshape(-1, 1).astype(np.float64), calculator.potential
        self.of_self = potential.value_at_r0 * self.charges
        background, self.volume = potential.background, float(structures.volume[0])
        net = net_charge(self.charges.reshape(count, -1, 1))
        of_background = np.repeat(background / self.volume * net, len(self.points) // count, axis=0)
        self.of_background = of_background if background else None
        self.strain_of_background = 0.5 * background / self.volume * float(np.sum(net * net)) * np.eye(3)
        self.reach = (NEAR * calculator.cutoff) ** 2
        self.loops: PairLoops | None = None
        self._outdated: Callable[[], bool] | None = None  # for positions in ``points``

    @classmethod
    def of(cls, calculator: Steady, several: Structures | None, charges: np.ndarray, stress: bool) -> _Call | None:
        """What the call before was made of, to be done again; None where there is more to it.

        Parameters
        ----------
        calculator : Steady
            In double precision, else there is none.
        several : Structures or None
            Where they came as a set.
        charges : (N,) or (N, C)
            As in the call before.
        stress : bool
            Whether that is wanted.
        """
        last, far, form = several or calculator.last_structure, calculator.last_long_range, calculator.form
        if last is None or far is None or calculator.dtype != DOUBLE or charges.dtype != DOUBLE or not len(last):
            return None
        plain = charges.size == len(last.positions) > 0 and last.positions.dtype == DOUBLE and last.periodic.all()
        alike = bool((last.cell == last.cell[0]).all() and (last.counts == last.counts[0]).all())
        if len(last) > 1 and (stress or not calculator.takes_snapshots):
            return None
        if not (plain and alike and isinstance(form, RadialForm)):
            return None
        # Structures may have been computed in between, with plans of their own, or settings changed.
        positions = last.positions.reshape(_shape(last))
        same = all(far.boundary.periodic) and np.array_equal(far.boundary.cell, last.cell[0])
        if not same or calculator.few_points(positions) != far.few:
            return None
        if stress and type(far.kernel) is not LongRangeKernel:
            return None
        tangents = strain_tangents(far.kernel, far.mode_set) if stress else None
        mesh = far.plan.repeat_energy(positions, charges.reshape(*positions.shape[:-1], 1), far.kernel, tangents)
        return None if mesh is None else cls(calculator, last, several is not None, charges, mesh, stress)

    def holds(self, calculator: Steady) -> bool:
        """Whether potential and plan still are those of before.

        Parameters
        ----------
        calculator : Steady
            As for ``of``.
        """
        far = calculator.last_long_range
        return calculator.form is self.form and far is self.far and calculator.few_points(self.apart) == far.few

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
        forces = near.gradient + self.mesh.gradient
        result = Result(np.empty(0), self._energy(twice), np.negative(forces, out=forces))
        twice *= 0.5
        result.potential = twice.reshape(self.shape)
        if self.stress:
            strain = by_structure(near.strains, self.structures.offsets)[0] + self.mesh.along.reshape(3, 3)
            strain += self.strain_of_background
            stress = strain / self.volume
            result.strain, result.stress = (strain[None], stress[None]) if self.batch else (strain, stress)
        return result

    def _energy(self, twice: np.ndarray) -> float | np.ndarray:
        """E from 2 V, added up as in any other call."""
        if len(self.structures) == 1:
            energy = 0.5 * float(np.sum(self.charges * twice))
            return np.array([energy]) if self.batch else energy
        shape = len(self.structures), -1, 1
        return 0.5 * np.einsum("bnc,bnc->b", self.charges.reshape(shape), twice.reshape(shape), dtype=np.float64)

    def _pairs_and_modes(self, calculator: Steady) -> PairLoops:
        """The sums over pairs, with lists that are good for the positions; and those over modes."""
        modes, near = _Once(partial(self.mesh, self.points)), self.loops
        two = calculator.threads > 1 and FEW[0] <= len(self.points) <= FEW[1]
        if near is None or not self._has_good_lists(calculator, near):
            calculator.update_neighbours(self.structures, modes if two else None)
            where = (self.points, self.structures.cell, self.charges.reshape(-1))
            self._outdated = None
            self.loops = near = PairLoops(calculator.neighbours.lists, self.form, *where, self.stress)
        elif two:
            parallel.both(near.again, modes)
        else:
            near.again()
        modes()
        return near

    def _has_good_lists(self, calculator: Steady, near: PairLoops) -> bool:
        """Whether the lists of the loops are those of the calculator, and may be used where points are now."""
        if not calculator.lists_are_of(self.structures) or near.lists is not calculator.neighbours.lists:
            return False
        if self._outdated is None:
            self._outdated = calculator.neighbours.watch(self.points)
        return not self._outdated()


class _Once:
    """A function that is called the first time only.

    Parameters
    ----------
    function : function
        Without arguments.
    """

    def __init__(self, function: Callable[[], object]):
        self._function: Callable[[], object] | None = function

    def __call__(self) -> None:
        """Call it, or do nothing."""
        function, self._function = self._function, None
        if function is not None:
            function()


def _shape(structures: Structures) -> tuple[int, ...]:
    """Of positions, structure by structure where there are several with as many points."""
    return (-1, 3) if len(structures) == 1 else (len(structures), -1, 3)
