"""Calls in which nothing but positions differs from the call before, as in molecular dynamics.

Of some hundred points, checks and what is made ready for the loops take longer than the loops. Where the same charges
come in the same cell again, with the same potential, both are left out from the third call on; results are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ...machine.cpu import parallel
from ..boundaries import LongRangeKernel
from ..checks import net_charge, plain_array
from ..pair_loops import PairLoops
from ..pair_sum import by_structure, is_apart
from ..radial_form import RadialForm
from ..strained import strain_tangents
from .long_range import LongRange, Steady
from .result import Result

__all__ = ["SteadyCalls", "key_of"]

MOST = 1 << 17  # points; of more, comparing charges takes longer than what is spared
FEW = 256, 2048  # points: of so few no loop is worth two threads, but pairs and modes are worth one each
NEAR = 2.0**40  # cutoffs from the origin, beyond which points are looked at one by one
DOUBLE = np.dtype(np.float64)


class SteadyCalls:
    """The last call of a calculator, where that succeeded, and how it is done again. Copies of it know none."""

    def __init__(self) -> None:
        self.forget()

    def __reduce__(self) -> tuple:
        return SteadyCalls, ()

    def forget(self) -> None:
        """Begin anew: something else was computed."""
        self._done: Done | None = None
        self._before: Done | None = None  # the last one while the same is computed as any other call

    def again(self, calculator: Steady, key: Key | None, positions, stress: bool) -> Result | None:
        """Energy, forces and, where it is wanted, stress; None where this is to be computed as any other call.

        From then on, and also where something is raised, nothing is kept until ``keep`` is called.

        Parameters
        ----------
        calculator : Steady
            Always the same.
        key : Key or None
            Of the call, see ``key_of``.
        positions : (N, 3) array
            Of all structures, as they came.
        stress : bool
            Whether that is wanted.
        """
        done = self._done
        self.forget()
        if done is None or key != done.key:
            return None
        result = done.again(calculator, positions, stress)
        if result is None:
            self._before = done
        else:
            self._done = done
        return result

    def keep(self, key: Key | None, structures: Structures, batch: bool, far: LongRange | None) -> None:
        """Remember a call that was computed as any other, now that it has succeeded.

        Parameters
        ----------
        key : Key or None
            As for ``again``; nothing is kept without.
        structures : Structures
            What was computed.
        batch : bool
            Whether they came as a set.
        far : LongRange or None
            With which, where that is the same for all of them.
        """
        before = self._before
        self.forget()
        if key is None or far is None:
            return
        if before is not None and before.key == key and before.far is far:
            self._done = before
        else:
            lattices = (structures.offsets.copy(), structures.cell.copy(), structures.periodic.copy())
            self._done = Done(key, structures.positions.shape, *lattices, batch, far, {})


class Key(NamedTuple):
    """All that a call depends on but positions, calculator and what is wanted; copies, which no one writes to.

    Attributes
    ----------
    lattice : tuple
        Of ``checks.lattice_key``.
    charges : bytes
        q.
    shape : tuple of int
        Of q.
    offsets : bytes or None
        Where structures begin, where they came as a set.
    """

    lattice: tuple
    charges: bytes
    shape: tuple[int, ...]
    offsets: bytes | None


def key_of(calculator: Steady, charges, lattice: tuple | None, several: Structures | None) -> Key | None:
    """What tells whether a call is a repetition; None for one that cannot be.

    Parameters
    ----------
    calculator : Steady
        In double precision, else there is none.
    charges : array_like
        As they came, not checked.
    lattice : tuple or None
        Of ``checks.lattice_key``.
    several : Structures or None
        Where they came as a set; with charges, where these are None.
    """
    if lattice is None or not calculator.is_plain or calculator.dtype != DOUBLE:
        return None
    q = plain_array(several.charges if charges is None and several is not None else charges)
    if q is None or q.dtype != DOUBLE or q.size > MOST:
        return None
    return Key(lattice, q.tobytes(), q.shape, None if several is None else several.offsets.tobytes())


@dataclass(frozen=True)
class Done:
    """A call that succeeded: of what, and with which plan.

    Attributes
    ----------
    key : Key
        Of it.
    shape : tuple of int
        Of the positions.
    offsets, cell, periodic : arrays
        Of its structures, as in ``Structures``.
    batch : bool
        Whether they came as a set.
    far : LongRange
        Plan and kernel of all of them.
    calls : dict of bool to _Call
        How it is repeated with a stress, and without; None where that is not possible.
    """

    key: Key
    shape: tuple[int, ...]
    offsets: np.ndarray
    cell: np.ndarray
    periodic: np.ndarray
    batch: bool
    far: LongRange
    calls: dict[bool, _Call | None]

    def again(self, calculator: Steady, positions, stress: bool) -> Result | None:
        """Energy and forces; None for positions that are to be looked at more closely, and where there is no way.

        Parameters
        ----------
        calculator, positions, stress
            As for ``SteadyCalls.again``.
        """
        if type(positions) is not np.ndarray or positions.dtype != DOUBLE:
            return None
        points, squares = arguments.measured_array("positions", positions, DOUBLE)
        if points.shape != self.shape or not squares < (NEAR * calculator.cutoff) ** 2:
            return None
        call = self.calls.get(stress)
        if call is not None and not call.holds(calculator):
            self.calls.clear()
            return None
        if stress not in self.calls:
            call = self.calls[stress] = _Call.of(calculator, self, points, stress)
        return None if call is None else call.compute(calculator, points)


class _Call:
    """Energy and forces of points that have moved: of one structure, or of several with one cell and as many points.

    Parameters
    ----------
    calculator : Steady
        Whose potential.
    form : RadialForm
        Of its pairs.
    structures : Structures
        Whose positions are overwritten.
    done : Done
        The call before.
    mesh : RepeatedEnergy or RepeatedSums
        Sums over its modes, to be called again.
    stress : bool
        Whether that is wanted.
    """

    def __init__(
        self, calculator: Steady, form: RadialForm, structures: Structures, done: Done, mesh: Any, stress: bool
    ):
        self.far, self.mesh, self.form, self.shape, self.stress = done.far, mesh, form, done.key.shape, stress
        self.structures, self.points, self.batch, count = structures, structures.positions, done.batch, len(structures)
        self.apart = self.points.reshape(_shape(structures))  # the same points, structure by structure
        self.charges, potential = _charges(done.key).reshape(-1, 1), calculator.potential
        self.of_self = potential.value_at_r0 * self.charges
        background, self.volume = potential.background, float(structures.volume[0])
        net = net_charge(self.charges.reshape(count, -1, 1))
        of_background = np.repeat(background / self.volume * net, len(self.points) // count, axis=0)
        self.of_background = of_background if background else None
        self.strain_of_background = 0.5 * background / self.volume * float(np.sum(net * net)) * np.eye(3)
        self.loops: PairLoops | None = None
        self._outdated: Callable[[], bool] | None = None  # for positions in ``points``

    @classmethod
    def of(cls, calculator: Steady, done: Done, points: np.ndarray, stress: bool) -> _Call | None:
        """How a call is done again; None where there is more to it.

        Parameters
        ----------
        calculator : Steady
            As for ``SteadyCalls.again``.
        done : Done
            The call before.
        points : (N, 3) float64
            Of this one, checked.
        stress : bool
            Whether that is wanted.
        """
        far, form, charges = done.far, calculator.form, _charges(done.key)
        several, counts = len(done.cell) > 1, np.diff(done.offsets)
        if several and (stress or not calculator.takes_snapshots):
            return None
        alike = bool((done.cell == done.cell[0]).all() and (counts == counts[0]).all())
        plain = charges.size == len(points) > 0 and bool(done.periodic.all())
        if not (plain and alike and isinstance(form, RadialForm)):
            return None
        structures = Structures(points.copy(), done.offsets, done.cell, done.periodic)
        positions = structures.positions.reshape(_shape(structures))
        # Settings may have changed in between, and the plan may have gone to another cell.
        if not calculator.keeps(far) or calculator.few_points(positions) != far.few:
            return None
        if stress and type(far.kernel) is not LongRangeKernel:
            return None
        tangents = strain_tangents(far.kernel, far.mode_set) if stress else None
        mesh = far.plan.repeat_energy(positions, charges.reshape(*positions.shape[:-1], 1), far.kernel, tangents)
        return None if mesh is None else cls(calculator, form, structures, done, mesh, stress)

    def holds(self, calculator: Steady) -> bool:
        """Whether potential and plan still are those of before.

        Parameters
        ----------
        calculator : Steady
            As for ``of``.
        """
        same = calculator.form is self.form and calculator.keeps(self.far)
        return same and calculator.few_points(self.apart) == self.far.few

    def compute(self, calculator: Steady, points: np.ndarray) -> Result | None:
        """Energy and forces; None for positions that are to be looked at more closely.

        Parameters
        ----------
        calculator : Steady
            As for ``of``.
        points : (N, 3) float64
            Units of length, checked.
        """
        self.points[...] = points
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
            lists = calculator.lists_for(self.structures, modes if two else None)
            where = (self.points, self.structures.cell, self.charges.reshape(-1))
            self._outdated = None
            self.loops = near = PairLoops(lists, self.form, *where, self.stress)
        elif two:
            parallel.both(near.again, modes)
        else:
            near.again()
        modes()
        return near

    def _has_good_lists(self, calculator: Steady, near: PairLoops) -> bool:
        """Whether the lists of the loops are those of the calculator, and may be used where points are now."""
        if not calculator.has_lists(near.lists, self.structures):
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


def _charges(key: Key) -> np.ndarray:
    """q, as an array of one's own: for those that cannot be written to loops would be compiled anew."""
    return np.frombuffer(key.charges, dtype=DOUBLE).reshape(key.shape).copy()


def _shape(structures: Structures) -> tuple[int, ...]:
    """Of positions, structure by structure where there are several with as many points."""
    return (-1, 3) if len(structures) == 1 else (len(structures), -1, 3)
