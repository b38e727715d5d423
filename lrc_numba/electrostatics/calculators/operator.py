r"""The linear map from charges to potentials, with its tangents, its transpose, and derivatives by the potential.

With 2 V = A q, the matrix A of a structure is symmetric, the same for every channel, and depends on positions, cell and
the parameters θ of the potential: A = A_SR + A_LR − v_LR(0) − B/V. Energies are ½ qᵀA q, and all that energies and
potentials need when something moves, is learned, or both, are

    A q      A q̇ + Ȧ q      ∂(pᵀA q)      ∂_θ(pᵀA q)      ∂_θ(ṗᵀA q + pᵀA q̇ + pᵀȦ q)

where ∂ is by positions and strains. A is linear in all parameters but σ, and ∂_θA is that of another potential, see
``Potential.derivatives``. Along a strain ε positions become x(1 + ε) and lattice vectors a(1 + ε).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...geometry.structures import Structures
from ..checks import in_structure, net_charge
from ..pair_function import PairFunction
from ..pair_sum import PairSum, PairTangent
from ..potentials import Potential
from ..radial_form import RadialForm
from ..short_range import near_jvp, near_sum
from ..strained import StrainedKernel
from .long_range import LongRange, Sums

__all__ = ["ChargeOperator", "Direction"]


@dataclass(frozen=True)
class Direction:
    """How points move, and how their structures are strained; what is None does not.

    Attributes
    ----------
    positions : (N, 3), optional
        ẋ beside the strain, units of length.
    strain : (B, 3, 3), optional
        ε.
    """

    positions: np.ndarray | None = None
    strain: np.ndarray | None = None


PairForm = RadialForm | PairFunction
Bars = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


class ChargeOperator:
    """A of some structures.

    Parameters
    ----------
    calculator : Calculator
        Whose lists and plans are used.
    structures : Structures
        Of three dimensions.

    Raises
    ------
    NotImplementedError
        For a calculator that adds terms of its own.

    Notes
    -----
    Charges p and q, and their tangents, are float64 of shape (N, C).
    """

    def __init__(self, calculator: Sums, structures: Structures):
        if not calculator.is_plain:
            raise NotImplementedError(
                f"calculator: {type(calculator).__name__} adds terms of its own, which have no derivatives here; use a "
                "MeshCalculator or an EwaldCalculator"
            )
        self.calculator, self.structures = calculator, structures

    def _where(self) -> dict:
        """Where points are; others may have been computed since, so lists are looked at in every call."""
        return self.calculator.update_neighbours(self.structures)

    # ------------------------------------------------------------------ pieces
    def check(self, q: np.ndarray) -> None:
        """Raise where sums do not exist for the net charges of periodic structures.

        Parameters
        ----------
        q : (N, C)
            Charges.
        """
        offsets = self.structures.offsets
        for b in np.flatnonzero(self.structures.periodic.all(axis=1)):
            some = q[int(offsets[b]) : int(offsets[b + 1])]
            try:
                self.calculator.potential.check_net_charge(net_charge(some))
            except ValueError as error:
                raise in_structure(error, int(b), len(self.structures)) from error

    def _each(self) -> Iterator[tuple[int, slice, LongRange]]:
        """Number, points and modes of every structure that has points."""
        offsets, structures, modes_of = self.structures.offsets, self.structures, self.calculator.long_range
        for b in range(len(structures)):
            some = slice(int(offsets[b]), int(offsets[b + 1]))
            if some.start == some.stop:
                continue
            try:
                far = modes_of(structures.positions[some], structures.cell[b], structures.periodic[b])
            except (ValueError, MemoryError) as error:
                raise in_structure(error, b, len(structures)) from error
            yield b, some, far

    def _background(self, b: int, potential: Potential | None = None) -> float:
        """B/V."""
        if not self.structures.periodic[b].all():
            return 0.0
        return (potential or self.calculator.potential).background / float(self.structures.volume[b])

    @staticmethod
    def _cast(far: LongRange, *arrays: np.ndarray | None) -> list:
        """Arrays of the dtype of a plan."""
        return [None if a is None else np.ascontiguousarray(a, dtype=far.plan.dtype) for a in arrays]

    def _near(self, form: PairForm, q: np.ndarray, virial: bool = False) -> PairSum:
        return near_sum(self.calculator.neighbours, form, q, virial=virial, **self._where())

    def _near_jvp(self, form: PairForm, q, dq, along: Direction) -> np.ndarray:
        """A_SR q̇ + Ȧ_SR q."""
        structures, dx, da = self.structures, along.positions, None
        if along.strain is not None:
            strain = along.strain[structures.structure_of]
            moved = np.einsum("na,nab->nb", structures.positions, strain)
            dx, da = moved if dx is None else dx + moved, structures.cell @ along.strain
        tangent = PairTangent(dx, dq, da)
        return near_jvp(self.calculator.neighbours, form, q, tangent, **self._where())

    # ------------------------------------------------------------------ values and tangents
    def apply(self, q: np.ndarray) -> np.ndarray:
        """A q.

        Parameters
        ----------
        q : (N, C)
            Charges.
        """
        out = self._near(self.calculator.form, q).potential - self.calculator.potential.value_at_r0 * q
        for b, some, far in self._each():
            out[some] += far.plan.convolve(*self._cast(far, q[some]), far.kernel)
            out[some] -= self._background(b) * q[some].sum(axis=0)
        return out

    def jvp(self, q: np.ndarray, dq: np.ndarray | None, along: Direction) -> np.ndarray:
        """A q̇ + Ȧ q.

        Parameters
        ----------
        q, dq : (N, C)
            Charges, and how they change; None where they do not.
        along : Direction
            How points and cells do.
        """
        dq = np.zeros_like(q) if dq is None else dq
        out = self._near_jvp(self.calculator.form, q, dq, along) - self.calculator.potential.value_at_r0 * dq
        for b, some, far in self._each():
            f, df, dx = self._cast(far, q[some], dq[some], None if along.positions is None else along.positions[some])
            out[some] += far.plan.jvp(f, far.kernel, dpoints=dx, dvalues=df)
            background = self._background(b)
            out[some] -= background * dq[some].sum(axis=0)
            if along.strain is not None:
                out[some] += far.plan.convolve(f, StrainedKernel(far.kernel, along.strain[b]))
                out[some] += np.trace(along.strain[b]) * background * q[some].sum(axis=0)
        return out

    # ------------------------------------------------------------------ the transpose
    def vjp(self, p: np.ndarray, q: np.ndarray, wrt: set[str]) -> Bars:
        """A p (N, C), and ∂(pᵀA q) by positions (N, 3) and by strains (B, 3, 3), None where they are not wanted.

        Parameters
        ----------
        p, q : (N, C)
            Charges; p = q takes about half the time.
        wrt : set of {"points", "cell"}
            What is wanted.
        """
        if not wrt:
            return self.apply(p), None, None
        same = bool(np.array_equal(p, q))
        value, gradient, strain = self._near_vjp(p, q, same, "cell" in wrt)
        value -= self.calculator.potential.value_at_r0 * p
        for b, some, far in self._each():
            f, g = self._cast(far, q[some], p[some])
            if same:
                part, factor = far.plan.energy(f, far.kernel, wrt=tuple(wrt)), 2.0
                value[some] += part.output
            else:
                part, factor = far.plan.vjp(f, far.kernel, g, wrt=(*wrt, "values")), 1.0
                value[some] += part.values
            background, net = self._background(b), p[some].sum(axis=0)
            value[some] -= background * net
            if "points" in wrt:
                gradient[some] += factor * part.points
            if strain is not None:
                strain[b] += factor * part.cell + background * float(net @ q[some].sum(axis=0)) * np.eye(3)
        return value, gradient if "points" in wrt else None, strain

    def _near_vjp(self, p, q, same: bool, virial: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The same of pairs: pᵀA q = ½ [E(p + q) − E(p − q)] with E(q) = ½ qᵀA q, p as long as q in each structure."""
        form = self.calculator.form
        if same:
            near = self._near(form, q, virial)
            return near.potential.copy(), 2.0 * near.gradient, None if near.strain is None else 2.0 * near.strain
        of_p, of_q = (self._by_structure((a * a).sum(axis=1)) for a in (p, q))
        both = (of_p > 0) & (of_q > 0)
        scale = np.sqrt(np.where(both, of_q, 1.0) / np.where(both, of_p, 1.0))
        rate = scale[self.structures.structure_of][:, None]
        plus, minus = (self._near(form, rate * p + sign * q, virial) for sign in (1.0, -1.0))
        value = 0.5 * (plus.potential + minus.potential) / rate
        gradient = 0.5 * (plus.gradient - minus.gradient) / rate
        if plus.strain is None or minus.strain is None:
            return value, gradient, None
        return value, gradient, 0.5 * (plus.strain - minus.strain) / scale[:, None, None]

    def _by_structure(self, values: np.ndarray) -> np.ndarray:
        """Sums over the points of each structure, (B,)."""
        return np.bincount(self.structures.structure_of, weights=values, minlength=len(self.structures))

    # ------------------------------------------------------------------ by the parameters
    def parameters(self, p: np.ndarray, q: np.ndarray) -> dict[str, np.ndarray]:
        """∂_θ(pᵀA q) of every structure, (B, *shape of θ) by name.

        Parameters
        ----------
        p, q : (N, C)
            Charges.
        """
        far: list[dict[str, np.ndarray]] = [{} for _ in range(len(self.structures))]
        same = bool(np.array_equal(p, q))
        for b, some, modes in self._each():
            f, g = self._cast(modes, q[some], p[some])
            if same:
                part = modes.plan.energy(f, modes.kernel, wrt=("parameters",)).parameters
                far[b] = {name: 2.0 * value for name, value in part.items()}
            else:
                far[b] = modes.plan.vjp(f, modes.kernel, g, wrt=("parameters",)).parameters

        def near(potential: Potential, form: PairForm) -> np.ndarray:
            """Of one derived potential, (B,)."""
            return self._local(potential, p, q, self._near(form, q).potential)

        return self._collected(near, far)

    def parameters_jvp(self, p, q, dp, dq, along: Direction) -> dict[str, np.ndarray]:
        """∂_θ(ṗᵀA q + pᵀA q̇ + pᵀȦ q) of every structure, (B, *shape of θ) by name.

        Parameters
        ----------
        p, q, dp, dq : (N, C)
            Charges, and how they change; None where these do not.
        along : Direction
            How points and cells do.
        """
        dp, dq = (np.zeros_like(q) if each is None else each for each in (dp, dq))
        far: list[dict[str, np.ndarray]] = [{} for _ in range(len(self.structures))]
        for b, some, modes in self._each():
            dx = None if along.positions is None else along.positions[some]
            f, g, df, dg, dx = self._cast(modes, q[some], p[some], dq[some], dp[some], dx)
            moved = modes.plan.parameters_jvp(f, modes.kernel, g, dpoints=dx, dvalues=df, dcotangent=dg)
            if along.strain is not None:
                strained = StrainedKernel(modes.kernel, along.strain[b])
                more = modes.plan.vjp(f, strained, g, wrt=("parameters",)).parameters
                moved = {name: value + more[name] for name, value in moved.items()}
            far[b] = moved

        def near(potential: Potential, form: PairForm) -> np.ndarray:
            """Of one derived potential, (B,)."""
            total = self._local(potential, dp, q, self._near(form, q).potential)
            total += self._local(potential, p, dq, self._near_jvp(form, q, dq, along))
            return total if along.strain is None else total + self._background_of_strain(potential, p, q, along.strain)

        return self._collected(near, far)

    def _local(self, potential: Potential, p: np.ndarray, q: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Σ p (A_SR q − v_LR(0) q − B Q/V) of every structure, (B,), with another potential's."""
        total = self._by_structure(np.einsum("nc,nc->n", p, near - potential.value_at_r0 * q))
        nets = [np.stack([self._by_structure(c) for c in a.T], axis=1) for a in (p, q)]
        backgrounds = np.array([self._background(b, potential) for b in range(len(self.structures))])
        return total - backgrounds * np.einsum("bc,bc->b", *nets)

    def _background_of_strain(self, potential: Potential, p, q, strain: np.ndarray) -> np.ndarray:
        """How −B P Q/V changes along a strain, (B,)."""
        nets = [np.stack([self._by_structure(c) for c in a.T], axis=1) for a in (p, q)]
        backgrounds = np.array([self._background(b, potential) for b in range(len(self.structures))])
        return np.trace(strain, axis1=1, axis2=2) * backgrounds * np.einsum("bc,bc->b", *nets)

    def _collected(self, near: Callable[[Potential, PairForm], np.ndarray], far: list[dict]) -> dict[str, np.ndarray]:
        """Derivatives by all parameters: those of pairs, selves and backgrounds, and of modes."""
        result = {}
        for name, value in self.calculator.potential.parameters.items():
            several = [near(potential, form) for potential, form in self.calculator.derived(name)]
            result[name] = np.stack(several, axis=1).reshape(len(self.structures), *value.shape)
            for b, part in enumerate(far):
                if part:
                    result[name][b] += part[name]
        return result
