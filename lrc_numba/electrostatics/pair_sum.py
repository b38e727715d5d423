r"""Sums of a radial function over all pairs of charges within its cutoff, and their tangents.

    u_i = Σ_j q_j v(r_ij)        E = ½ Σ_i q_i u_i

over all images within the cutoff, those of i itself among them. ``pair_sum`` gives u, ∇E and dE/dε under the strain
x → x (1 + ε), a → a (1 + ε); ``pair_sum_jvp`` the tangents of u and ∇E. The search is that of
``geometry.neighbours``, the loops are in ``pair_kernels``. Full lists suit any number of threads; half lists are
worked on by two at most, and points with several charges in half lists by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import arguments
from ..geometry.neighbours import ImageLists, NeighbourList, Pairs, scatter_add
from ..machine.cpu import parallel
from .pair_kernels import add_weighted
from .pair_kernels_channels import sum_channels
from .pair_loops import WORTH_A_THREAD, PairLoops
from .radial_form import RadialForm

__all__ = [
    "PairSum",
    "PairTangent",
    "RadialForm",
    "by_structure",
    "check_listed",
    "is_apart",
    "moving_displacements",
    "pair_sum",
    "pair_sum_jvp",
    "strains_of_pairs",
]

APART = 1e-9  # cutoffs; two points nearer to each other than that are in one place
MATRIX = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]])  # where its entries are in what loops hold of it


@dataclass(frozen=True)
class PairSum:
    """Sums over pairs, or their tangents, of the dtype of the charges.

    Attributes
    ----------
    potential : (N,) or (N, C)
        u_i = Σ_j q_j v(r_ij), of the shape of the charges.
    gradient : (N, d)
        dE/dx_i of E = ½ Σ q u, summed over channels.
    strain : (B, d, d) or None
        dE/dε of every structure at fixed fractional coordinates, symmetric; None where it was not asked for.
    """

    potential: np.ndarray
    gradient: np.ndarray
    strain: np.ndarray | None = None


@dataclass(frozen=True)
class PairTangent:
    """A direction along which derivatives are taken; what is None does not move.

    Attributes
    ----------
    positions : (N, d), optional
        ẋ.
    charges : (N,) or (N, C), optional
        q̇.
    cell : (d, d) or (B, d, d), optional
        ȧ, of the lattice vectors at fixed positions; a strain ε is ẋ = x ε and ȧ = a ε together.
    """

    positions: np.ndarray | None = None
    charges: np.ndarray | None = None
    cell: np.ndarray | None = None


# ---------------------------------------------------------------------- arguments
def _checked(neighbours: NeighbourList, form: RadialForm, charges, positions, cell):
    """Charges (N, C) float64 and their dtype, and points (N, 3) and cells (1 or B, 3, 3)."""
    if not isinstance(neighbours, NeighbourList):
        raise TypeError(f"neighbours: expected a NeighbourList, got {type(neighbours).__name__}")
    if not isinstance(form, RadialForm):
        raise TypeError(f"form: expected a RadialForm, got {type(form).__name__}")
    check_listed("form", form.cutoff, neighbours)
    points, cells = neighbours.moved(positions, cell)
    dtype = arguments.common_dtype(charges=charges)
    given = arguments.as_array("charges", charges, dtype)
    if given.ndim not in (1, 2) or len(given) != len(points):
        raise ValueError(f"charges: expected shape ({len(points)},) or ({len(points)}, C), got {given.shape}")
    return given, dtype, points, cells


def check_listed(name: str, cutoff: float, neighbours: NeighbourList) -> None:
    """Raise a ValueError for a cutoff beyond what pairs were searched for.

    Parameters
    ----------
    name : str
        Of the argument with this cutoff.
    cutoff : float
        Units of length.
    neighbours : NeighbourList
        With a cutoff of its own.
    """
    if cutoff > neighbours.cutoff * (1 + 1e-12):
        raise ValueError(
            f"{name}: expected a cutoff up to that of the neighbours, {neighbours.cutoff:g}, got {cutoff:g}; search "
            "for neighbours, or make a calculator, with that one"
        )


def is_apart(closest: float, form: RadialForm) -> bool:
    """Whether no two points are in one place, or v has no pole.

    Parameters
    ----------
    closest : float
        The least r² of all pairs.
    form : RadialForm
        v.
    """
    return not form.exponents or closest >= (APART * form.cutoff) ** 2


def _check_apart(closest: float, neighbours: NeighbourList, form: RadialForm, positions, cell) -> None:
    """A ValueError that names two points in one place; only then pairs are looked through."""
    if not is_apart(closest, form):
        neighbours.lists.pairs(*neighbours.moved(positions, cell), np.float64).check_apart(np.inf, name="positions")


# ---------------------------------------------------------------------- sums
def pair_sum(
    neighbours: NeighbourList,
    form: RadialForm,
    charges,
    *,
    positions=None,
    cell=None,
    virial: bool = False,
    own: int | None = None,
) -> PairSum:
    """Potentials, the gradient of the energy and its derivative by the strain, over all pairs within a cutoff.

    Parameters
    ----------
    neighbours : NeighbourList
        Built, with a cutoff not below that of ``form``, half or full.
    form : RadialForm
        v.
    charges : (N,) or (N, C) float32 or float64
        q, of C channels that do not see each other.
    positions : (N, d), optional
        Where points are by now; where they were when the list was built by default.
    cell : optional
        Where that changed as well, as for ``NeighbourList.update``.
    virial : bool
        Whether the derivative by the strain is wanted.
    own : int, optional
        In full lists of one structure, only so many points count: the others are there as their neighbours, what they
        receive is not complete, and the strain is that of ½ Σ q u over these alone.

    Returns
    -------
    PairSum
        Computed in double precision; the same with any number of threads, bit for bit.

    Raises
    ------
    ValueError, TypeError
        Naming the argument; or two points of a structure in one place, where v has a pole.
    """
    given, dtype, points, cells = _checked(neighbours, form, charges, positions, cell)
    lists, several = neighbours.lists, given.ndim == 2 and given.shape[1] != 1
    values = given.astype(np.float64)
    if several:
        potential, gradient, strains, closest = _several(lists, form, values, points, cells, virial)
    else:
        loops = PairLoops(lists, form, points, cells, values.reshape(-1), virial)
        potential, gradient, strains, closest = loops.potential, loops.gradient, loops.strains, loops.closest
    _check_apart(float(closest.min(initial=np.inf)), neighbours, form, positions, cell)
    strain = None
    if virial:
        strain = by_structure(strains[:own], lists.offsets if own is None else np.array([0, own]))
    front = 3 - lists.dim
    return PairSum(
        potential.reshape(given.shape).astype(dtype, copy=False),
        np.ascontiguousarray(gradient[:, front:], dtype=dtype),
        None if strain is None else strain[:, front:, front:].astype(dtype),
    )


def _several(lists: ImageLists, form: RadialForm, charges, points, cells, virial: bool):
    """The same for several charges per point (N, C); the potential is (N, C)."""
    count, channels = charges.shape
    width = 4 if channels <= 4 else 8
    stride = -(-channels // width) * width
    padded, potential = np.zeros((count + 1, stride)), np.zeros((count + 1, stride))
    padded[:count, :channels] = charges
    rows, gradient = lists.place(points, cells, np.zeros(count)), np.zeros((count + 1, 3))
    strains, half = np.zeros((count if virial else 0, 6)), not lists.full
    shares = [0, count] if half else lists.shares(WORTH_A_THREAD)
    closest = np.empty(len(shares) - 1)
    layout = ((0,) * width, stride, padded.reshape(-1), half, potential.reshape(-1))
    parallel.run(sum_channels, shares, rows, *lists.for_loops(), *form.for_loops, *layout, gradient, strains, closest)
    return potential[:count, :channels], gradient[:count], strains, closest


def by_structure(strains: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Symmetric matrices (B, 3, 3) from what points have of them, always added up in the same order.

    Parameters
    ----------
    strains : (N, 6) float64
        See ``pair_kernels``.
    offsets : (B + 1,) int64
        Where structures begin.
    """
    begins = offsets[:-1]
    if len(offsets) == 2 and len(strains):
        return np.add.reduceat(strains, begins)[:, MATRIX]
    sums, filled = np.zeros((len(begins), 6)), np.diff(offsets) > 0
    if filled.any():
        sums[filled] = np.add.reduceat(strains, begins[filled])
    return sums[:, MATRIX]


def strains_of_pairs(lists: ImageLists, first: np.ndarray, pull: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Σ of pull displacementᵀ over the pairs of every structure, symmetric, (B, d, d).

    Parameters
    ----------
    lists : ImageLists
        Of the pairs.
    first : (P,) int64
        Their first points.
    pull, apart : (P, d) float64
        ∂E/∂x of the first point, and displacements, units of length.
    """
    structure, batch = lists.structure_of[first], len(lists.offsets) - 1
    strain = np.zeros((batch, lists.dim, lists.dim))
    for a, b in np.ndindex(lists.dim, lists.dim):
        strain[:, a, b] = np.bincount(structure, pull[:, a] * apart[:, b], minlength=batch)
    return (strain + strain.transpose(0, 2, 1)) / 2


# ---------------------------------------------------------------------- tangents
def pair_sum_jvp(
    neighbours: NeighbourList, form: RadialForm, charges, tangent: PairTangent, *, positions=None, cell=None
) -> PairSum:
    """Tangents of the potential and the gradient of ``pair_sum`` along positions, charges and cell.

    Pairs are arrays here, with some hundred bytes for each.

    Parameters
    ----------
    neighbours, form, charges, positions, cell
        As for ``pair_sum``.
    tangent : PairTangent
        The direction.

    Returns
    -------
    PairSum
        u̇ and the tangent of ∇E; no strain.

    Raises
    ------
    ValueError, TypeError
        As for ``pair_sum``.
    """
    given, dtype, points, cells = _checked(neighbours, form, charges, positions, cell)
    lists = neighbours.lists
    q = given.astype(np.float64).reshape(len(points), 1 if given.ndim == 1 else given.shape[1])
    dq = _like("tangent.charges", tangent.charges, given.shape).reshape(q.shape)
    pairs = lists.pairs(points, cells, np.float64)
    first, second, apart, squares = pairs.first, pairs.second, pairs.displacement, pairs.distance**2
    if form.exponents:
        pairs.check_apart(APART * form.cutoff, name="positions")
    moving = moving_displacements(tangent, pairs, lists)
    value, slope, bend = form.derivatives(squares)
    along = 2.0 * np.einsum("pa,pa->p", apart, moving)  # tangent of r²
    potential, gradient = np.zeros(q.shape), np.zeros((len(points), lists.dim))
    add_weighted(first, second, value, dq, not lists.full, potential)
    add_weighted(first, second, slope * along, q, not lists.full, potential)
    of_first, of_second = q[first], q[second]
    product = np.einsum("pc,pc->p", of_first, of_second)
    dproduct = np.einsum("pc,pc->p", dq[first], of_second) + np.einsum("pc,pc->p", of_first, dq[second])
    pull = (dproduct * slope + product * bend * along)[:, None] * apart + (product * slope)[:, None] * moving
    # The gradient of v by x_i is 2 v'(r²) d; full lists have every pair twice.
    scatter_add(first, second, (1.0 if lists.full else 2.0) * pull, gradient)
    return PairSum(potential.reshape(given.shape).astype(dtype, copy=False), gradient.astype(dtype, copy=False))


def _like(name: str, value, shape: tuple[int, ...]) -> np.ndarray:
    """A tangent of this shape in double precision; zeros for None."""
    if value is None:
        return np.zeros(shape)
    array = arguments.as_array(name, value, arguments.common_dtype(**{name: value})).astype(np.float64)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return array


def moving_displacements(tangent: PairTangent, pairs: Pairs, lists: ImageLists) -> np.ndarray:
    """Tangents of the displacements x_i − x_j − shift·a of pairs, (P, d) float64.

    Parameters
    ----------
    tangent : PairTangent
        ẋ and ȧ.
    pairs : Pairs
        Of ``lists``.
    lists : ImageLists
        Which images they are.

    Raises
    ------
    ValueError, TypeError
        For tangents of other shapes.
    """
    dim, batch = lists.dim, len(lists.offsets) - 1
    moving = np.zeros((len(pairs), dim))
    if tangent.positions is not None:
        dx = _like("tangent.positions", tangent.positions, (len(lists.home), dim))
        moving += dx[pairs.first] - dx[pairs.second]
    if tangent.cell is not None:
        shape = np.shape(tangent.cell)
        if shape not in ((dim, dim), (batch, dim, dim)):
            raise ValueError(f"tangent.cell: expected shape ({dim}, {dim}) or ({batch}, {dim}, {dim}), got {shape}")
        da = np.broadcast_to(_like("tangent.cell", tangent.cell, shape), (batch, dim, dim))
        moving -= np.einsum("pa,pab->pb", lists.shifts(), da[lists.structure_of[pairs.first]])
    return moving
