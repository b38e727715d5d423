r"""What all calculators share: pairs within a cutoff, modes beyond it, and what is taken off again.

    V_i = ½ [ Σ′ q_j v_SR(r_ij) + u_i − q_i v_LR(0) − B Q/V ]      u = (1/V) Σ_k v̂(k) S(k) e^{ik·r_i}

u is a convolution by a plan: one of the engine's, on a mesh (``MeshCalculator``, ``PMECalculator``, ``P3MCalculator``),
or one of explicit sums (``EwaldCalculator``). All derivatives are those of the computed energy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol

import numpy as np

from ... import arguments
from ...geometry.neighbours import ImageLists, NeighbourList
from ...geometry.structures import Structures
from ...machine.cpu.parallel import available_threads
from ...machine.fixed import Fixed
from ..checks import (
    as_charges,
    as_structure,
    check_not_given,
    in_structure,
    lattice_key,
    net_charge,
    with_short_vectors,
)
from ..open_pairs import OpenPairs
from ..pair_function import PairFunction
from ..pair_sum import PairSum
from ..potentials import Potential
from ..radial_form import RadialForm
from ..short_range import EXACT, derived_forms, near_sum, pair_form
from .long_range import LongRange
from .long_range_plans import LongRangePlans
from .operator import ChargeOperator
from .result import Result, joined, wanted
from .steady import SteadyCalls, key_of
from .together import done_together

__all__ = ["Calculator"]

ANOTHER = "make another calculator"


class Tuned(Protocol):
    """What ``tune`` says of a calculator that it made."""

    @property
    def accuracy(self) -> float:
        """RMS error of forces that was asked for."""

    def lines(self) -> list[str]:
        """Lines of text."""

    def error_in(self, cell: np.ndarray) -> float:
        """What is expected with the same modes and nodes in another cell.

        Parameters
        ----------
        cell : (3, 3)
            Lattice vectors of the modes.
        """


class Calculator(Fixed, LongRangePlans):
    """Energies of charges, and what follows from them.

    Parameters
    ----------
    potential : Potential
        With a smearing.
    cutoff : float
        Of the pairs, units of length.
    skin : float
        By how much further pairs are searched for, so that lists are good until a point has moved by half of it.
    dtype : float32 or float64
        Of results; pairs are added up in float64.
    threads : int, optional
        At most so many; results do not depend on it.

    Notes
    -----
    It keeps lists of neighbours and memory between calls: one calculator serves one thread of the user's at a time.
    What it was made with stays as it is, and setting it is an AttributeError; parameters of the potential may change.
    """

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        *,
        skin: float = 0.0,
        dtype=np.float64,
        threads: int | None = None,
    ):
        if not isinstance(potential, Potential):
            raise TypeError(f"potential: expected a Potential, got {type(potential).__name__}")
        self.potential, self.dtype = potential, arguments.as_dtype(dtype)
        self.cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        self.threads = arguments.as_threads(threads, available_threads())
        potential.check_cutoff(self.cutoff)
        farthest = potential.pair_reach(self.cutoff)
        self.neighbours = NeighbourList(farthest, skin, full=self.threads > 2, threads=self.threads, ordered=False)
        self._far, self._used = {}, None
        self._form: tuple[tuple, RadialForm | PairFunction] | None = None
        self._listed_cell = b""
        self._open_pairs = OpenPairs()
        self._last: tuple | None = None  # what came in the call before, and the structure that it was
        self._derived: tuple[tuple, dict] = ((), {})
        self._steady = SteadyCalls()
        self.pair_tolerance = EXACT  # of the polynomial in v_SR, see ``radial_form``
        self.tuning: Tuned | None = None  # what ``tune`` says of its choice

    fixed: ClassVar[dict[str, str]] = {
        "potential": "use potential.set_parameters, or make another calculator",
        **dict.fromkeys(("cutoff", "dtype", "threads"), ANOTHER),
    }

    def __setattr__(self, name: str, value) -> None:
        super().__setattr__(name, value)
        if name == "neighbours":
            self._listed: tuple[bytes, bytes] | None = None

    def __getstate__(self) -> dict:
        """Copies find lists and make plans of their own."""
        lists = self.neighbours
        neighbours = NeighbourList(lists.cutoff, lists.skin, full=lists.full, threads=self.threads, ordered=False)
        return self.__dict__ | {
            "neighbours": neighbours,
            "_far": {},
            "_used": None,
            "_listed": None,
            "_last": None,
            "_open_pairs": OpenPairs(),
            "_steady": SteadyCalls(),
        }

    takes_snapshots: ClassVar[bool] = False
    """Whether plans take several structures of one cell at once."""
    lighter: ClassVar[str] = "use a smaller k_cutoff, with a larger smearing and cutoff"
    """What takes less memory."""
    is_plain: ClassVar[bool] = True
    """Whether energies are those of pairs, one convolution, selves and background, as ``ChargeOperator`` has it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.is_plain = cls.is_plain and "_of_structure" not in vars(cls)

    def __repr__(self) -> str:
        return "\n".join(self._described() + ([] if self.tuning is None else self.tuning.lines()))

    def _described(self) -> list[str]:
        """Lines of text: what it is made of."""
        return [
            f"{type(self).__name__} in {self.dtype.name}, {self.threads} thread(s)",
            f"  potential  {self.potential!r}",
            f"  cutoff     {self.cutoff:.6g}",
        ]

    # ------------------------------------------------------------------ the face
    def compute(
        self,
        positions,
        charges=None,
        cell=None,
        *,
        periodic=True,
        forces: bool = False,
        stress: bool = False,
        charge_gradient: bool = False,
        parameter_gradient: bool = False,
    ) -> Result:
        """Potentials and energy of charges, and derivatives where they are wanted.

        Parameters
        ----------
        positions : (N, 3) array, or Structures
            Units of length; unwrapped along axes that are not periodic.
        charges : (N,) or (N, C) array
            q, of C channels that do not see each other; those of the structures by default.
        cell : float, (3,) or (3, 3) array, optional
            Length(s), or lattice vectors as rows; without one, nothing is periodic.
        periodic : bool or 3 bools
            Along which lattice vectors there are images: three, two (a slab), one (a wire) or none.
        forces, stress, charge_gradient : bool
            What is wanted besides. A stress of structures that are not periodic along all axes is None, ``strain`` is
            there.
        parameter_gradient : bool
            Whether ∂E/∂θ is wanted for the parameters of the potential; cutoff and modes stay, so it is that of the
            computed energy, errors of truncation and all.

        Raises
        ------
        ValueError, TypeError, MemoryError
            Naming the argument, what came and what was expected.
        """
        several = positions if isinstance(positions, Structures) else None
        if several is not None:
            check_not_given(cell, periodic)
            positions, cell, periodic = several.positions, several.cell, several.periodic
        lattice = lattice_key(cell, periodic)
        key = None if parameter_gradient else key_of(self, charges, lattice, several)
        again = self._steady.again(self, key, positions, bool(stress))
        if again is not None:
            return wanted(again, forces, charge_gradient)
        if several is None:
            structures = self._as_structure(positions, cell, periodic, lattice)
        else:
            structures = with_short_vectors(several)
        values = self._as_charges(structures, charges)
        near, batch = self._pairs(structures, values, stress), several is not None
        parts = self._of_structures(structures, values, near, forces, stress, batch)
        shape = values.shape[:1] if charges is None else np.shape(charges)
        result = joined(parts, structures, shape, batch, forces, stress, self.dtype)
        result = wanted(result, forces, charge_gradient)
        if parameter_gradient:
            result.parameter_gradient = self._by_parameters(structures, values, batch)
        self._steady.keep(key, structures, batch, _shared(parts))
        return result

    def _by_parameters(self, structures: Structures, charges: np.ndarray, batch: bool) -> dict[str, np.ndarray]:
        q = charges.astype(np.float64)
        both = ChargeOperator(self, structures).parameters(q, q)
        return {name: each / 2 if batch else each[0] / 2 for name, each in both.items()}

    def _of_structures(
        self, structures: Structures, charges: np.ndarray, near: PairSum, forces: bool, stress: bool, batch: bool
    ) -> list[tuple]:
        """What ``_of_structure`` returns for each; those of a batch that share a cell are done together."""
        ahead = batch and self.takes_snapshots and self.is_plain
        together = done_together(self, structures, charges, near, forces, stress) if ahead else {}
        parts = []
        for b in range(len(structures)):
            if b in together:
                parts.append(together[b])
                continue
            try:
                parts.append(self._of_structure(structures, b, charges, near, forces, stress))
            except (ValueError, MemoryError) as error:
                raise in_structure(error, b, len(structures)) from error
        return parts

    def _as_structure(self, positions, cell, periodic, key: tuple | None) -> Structures:
        """One structure, checked; of the cell of the call before, that is not looked at again."""
        last = self._last
        doubles = isinstance(positions, np.ndarray) and positions.dtype == np.float64
        if last is not None and key is not None and last[0] == key and doubles:
            points = arguments.as_array("positions", positions, np.dtype(np.float64))
            if points.shape == last[1].positions.shape:
                return Structures(points, last[1].offsets, last[1].cell, last[1].periodic)
        structure = with_short_vectors(as_structure(positions, cell, periodic))
        self._last = (key, structure)
        return structure

    def _as_charges(self, structures: Structures, charges) -> np.ndarray:
        """Charges (N, C)."""
        offsets = structures.offsets if len(structures) > 1 else None
        return as_charges(structures.charges if charges is None else charges, len(structures.positions), offsets)

    # ------------------------------------------------------------------ short range
    def forget_neighbours(self) -> None:
        """Search for pairs anew in the next call, whether points have moved or not."""
        self._listed = None

    @property
    def form(self):
        """What pairs add to the modes, as sums over them take it; made anew where the potential changed."""
        key = self.potential.key(), self.pair_tolerance
        if self._form is None or self._form[0] != key:
            self._form = key, pair_form(self.potential, self.cutoff, self.pair_tolerance)
        return self._form[1]

    def derived(self, name: str) -> list[tuple[Potential, RadialForm | PairFunction]]:
        """Potentials that are the derivatives by a parameter of the potential, each with its part of short range.

        Parameters
        ----------
        name : str
            Of one of its ``parameters``.
        """
        key = self.potential.key()
        if self._derived[0] != key:
            self._derived = key, {}
        forms = self._derived[1]
        if name not in forms:
            forms[name] = derived_forms(self.potential, name, self.cutoff)
        return forms[name]

    def update_neighbours(self, structures: Structures, beside: Callable[[], object] | None = None) -> dict:
        """Search where lists are outdated; returns what ``pair_sum`` has to be told of where points are by now.

        Parameters
        ----------
        structures : Structures
            Of three dimensions.
        beside : function, optional
            Where they are outdated, called by another thread during the search.
        """
        positions, cell = structures.positions, structures.cell
        layout = _layout(structures)
        if self._listed == layout:
            moved = {"positions": positions} | ({} if cell.tobytes() == self._listed_cell else {"cell": cell})
            if not self.neighbours.is_outdated(**moved):
                return moved
        self._listed = None
        where = {"periodic": structures.periodic, "offsets": structures.offsets}
        try:
            self.neighbours.search(positions, cell, beside=beside, **where)
        except MemoryError as error:
            raise MemoryError(f"{error}; use a smaller cutoff, with a smaller smearing and more modes") from error
        self._listed, self._listed_cell = layout, cell.tobytes()
        return {}

    def lists_for(self, structures: Structures, beside: Callable[[], object] | None = None) -> ImageLists:
        """Lists that are good for structures.

        Parameters
        ----------
        structures, beside
            As for ``update_neighbours``.
        """
        self.update_neighbours(structures, beside)
        return self.neighbours.lists

    def has_lists(self, lists: ImageLists, structures: Structures) -> bool:
        """Whether these are the lists there are, made for such structures in the same cells; points may have moved.

        Parameters
        ----------
        lists : ImageLists
            Of a call before.
        structures : Structures
            As for ``update_neighbours``.
        """
        made_for = self._listed == _layout(structures) and self._listed_cell == structures.cell.tobytes()
        return made_for and lists is self.neighbours.lists

    def _pairs(self, structures: Structures, charges: np.ndarray, strain: bool) -> PairSum:
        """The sum over pairs, all structures at once."""
        return self._sum_over_pairs(charges, strain, **self.update_neighbours(structures))

    def _sum_over_pairs(self, charges: np.ndarray, strain: bool, **where) -> PairSum:
        """The sum itself, at positions and in a cell other than those of the search where these are given."""
        return near_sum(self.neighbours, self.form, charges, virial=strain, **where)

    # ------------------------------------------------------------------ long range
    def _over_points(self, sums):
        """Sums over the points of a structure; of all its points, where others belong to other processes."""
        return sums

    def _of_structure(
        self, structures: Structures, b: int, charges, near: PairSum, forces: bool, stress: bool
    ) -> tuple:
        """V (n, C), E, F (n, 3), ∂E/∂ε and, where it has points, the plan of one structure."""
        some = slice(int(structures.offsets[b]), int(structures.offsets[b + 1]))
        q = charges[some]
        if not self._over_points(np.array(len(q))):
            return np.zeros(q.shape), 0.0, np.zeros((0, 3)), np.zeros((3, 3)), None
        all_periodic, net = bool(structures.periodic[b].all()), net_charge(q, self._over_points)
        if all_periodic:
            self.potential.check_net_charge(net)
        far = self.long_range(structures.positions[some], structures.cell[b], structures.periodic[b])
        wrt = [name for name, wanted in (("points", forces), ("cell", stress)) if wanted]
        found = far.plan.energy(q.astype(far.plan.dtype), far.kernel, wrt=wrt)
        background = self.potential.background if all_periodic else 0.0
        if background:
            background /= structures.volume[b]
        twice = near.potential[some] + found.output - self.potential.value_at_r0 * q - background * net
        energy = 0.5 * float(self._over_points(np.sum(q * twice, dtype=np.float64)))
        moved = -(near.gradient[some] + found.points) if forces else None
        strain = None
        if stress and near.strain is not None:
            strain = self._over_points(near.strain[b]) + found.cell + 0.5 * background * float(net @ net) * np.eye(3)
        return 0.5 * twice, energy, moved, strain, far


def _shared(parts: list[tuple]) -> LongRange | None:
    """The plan of all structures; None where they have several, or none."""
    return parts[0][-1] if parts and all(part[-1] is parts[0][-1] for part in parts) else None


def _layout(structures: Structures) -> tuple[bytes, bytes]:
    """What lists of neighbours depend on besides positions and cells."""
    return structures.offsets.tobytes(), structures.periodic.tobytes()
