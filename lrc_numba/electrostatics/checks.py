"""What a user passes in, checked: one structure, and charges of its points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .. import arguments
from ..geometry.cell import reduced_lattice, skewness
from ..geometry.structures import Structures

__all__ = [
    "as_charges",
    "as_flags",
    "as_structure",
    "check_not_given",
    "check_room",
    "in_structure",
    "lattice_key",
    "net_charge",
    "plain_array",
    "with_short_vectors",
]

ROUNDING = 1e-12  # of lengths
SKEWED = 4.0  # lengths of lattice vectors over the volume: beyond, meshes would have so many nodes too many
NEUTRAL = 1e-10  # of Σ |q|: a net charge that is rounding


def as_structure(positions, cell, periodic) -> Structures:
    """One structure of three dimensions.

    Parameters
    ----------
    positions : (N, 3) array
        Units of length.
    cell : float, (3,) or (3, 3) array, optional
        Length(s), or lattice vectors as rows.
    periodic : bool or 3 bools
        Along which lattice vectors there are images; without a cell a single ``True`` is along none.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """
    try:
        shape = np.shape(positions)
    except ValueError:
        raise ValueError("positions: expected shape (N, 3), got rows of different lengths") from None
    if len(shape) != 2 or shape[1] != 3:
        raise ValueError(f"positions: expected shape (N, 3), got {shape}; several structures come as Structures")
    flags, single = as_flags(periodic), np.ndim(periodic) == 0
    if cell is None and not single and flags.any():
        raise ValueError(f"cell: expected one, as periodic={periodic!r} came, got none; pass a cell")
    if cell is None:
        flags = np.zeros(3, dtype=bool)
    return Structures.from_arrays(positions, np.zeros((3, 3)) if cell is None else cell, periodic=flags)


def with_short_vectors(structures: Structures) -> Structures:
    """The same structures, where lattice vectors are far from orthogonal with shorter ones of the same lattice.

    No sum over a lattice depends on its vectors, but how many modes and nodes it takes does. Cells that are not far
    from orthogonal stay as they are, so that small changes of a cell change nothing suddenly.

    Parameters
    ----------
    structures : Structures
        Of three dimensions; those that need nothing are returned themselves.
    """
    cells = None
    for flags in set(map(tuple, structures.periodic.tolist())):
        periodic = np.array(flags, dtype=bool)
        if sum(flags) < 2:
            continue
        same = np.flatnonzero((structures.periodic == periodic).all(axis=1))
        for b in same[skewness(structures.cell[same][:, periodic]) > SKEWED]:
            short = reduced_lattice(structures.cell[b][periodic])
            if skewness(short) < skewness(structures.cell[b][periodic]) / 2:
                cells = structures.cell.copy() if cells is None else cells
                cells[b, periodic] = short
    return structures if cells is None else replace(structures, cell=cells)


def as_flags(periodic) -> np.ndarray:
    """Along which of three axes there are images, (3,) bool.

    Parameters
    ----------
    periodic : bool or 3 bools
        0 and 1 are understood.

    Raises
    ------
    ValueError
        For anything else.
    """
    flags = plain_array(periodic)
    if flags is not None and flags.dtype.kind in "iu" and np.isin(flags, (0, 1)).all():
        flags = flags.astype(bool)
    if flags is None or flags.dtype != np.bool_ or flags.shape not in ((), (3,)):
        raise ValueError(f"periodic: expected a bool or 3 of them, got {periodic!r}")
    return np.broadcast_to(flags, (3,))


def plain_array(value) -> np.ndarray | None:
    """What came as an array, where it is one of numbers or bools without a mask; else None.

    Parameters
    ----------
    value : array_like
        Not checked.
    """
    array = value
    if type(value) is not np.ndarray:
        if arguments.is_masked(value):
            return None
        try:
            array = np.asarray(value)
        except (ValueError, TypeError):
            return None
    return array if array.dtype.kind in "biuf" else None


def lattice_key(cell, periodic) -> tuple | None:
    """What tells a cell and its flags from others, before they are checked; None where that is not possible.

    Parameters
    ----------
    cell, periodic
        As for ``as_structure``.
    """
    box = plain_array(cell)
    if box is not None and periodic is True:
        return box.dtype, box.shape, box.tobytes()
    flags = plain_array(periodic)
    if box is None or flags is None:
        return None
    return box.dtype, box.shape, box.tobytes(), flags.dtype, flags.shape, flags.tobytes()


def check_not_given(cell, periodic) -> None:
    """A ValueError where a cell or flags come beside structures, which have their own.

    Parameters
    ----------
    cell, periodic
        As for ``Calculator.compute``.
    """
    if cell is not None:
        raise ValueError(f"cell: expected none, as the structures have their own, got {cell!r}; change theirs")
    if periodic is not True:
        raise ValueError(f"periodic: expected none, as the structures have their own, got {periodic!r}; change theirs")


def as_charges(charges, count: int, offsets: np.ndarray | None = None) -> np.ndarray:
    """Charges (N, C) of float32 or float64.

    Parameters
    ----------
    charges : (N,) or (N, C) array
        q, C ≥ 1.
    count : int
        N.
    offsets : (B + 1,) int64, optional
        Where structures begin and end, for errors.

    Raises
    ------
    ValueError, TypeError
        Naming what came and what was expected; also for None.
    """
    if charges is None:
        raise ValueError("charges: expected them for every point, got none")
    try:
        shape = np.shape(charges)
    except ValueError:
        raise ValueError(f"charges: expected shape ({count},) or ({count}, C), got rows of different lengths") from None
    if offsets is not None and np.asarray(charges).dtype.kind == "f" and shape[:1] == (count,) and count:
        _check_finite(np.asarray(charges).reshape(count, -1), offsets)
    values = arguments.as_array("charges", charges, arguments.common_dtype(charges=charges))
    if values.ndim not in (1, 2) or len(values) != count or values.size < count:
        raise ValueError(f"charges: expected shape ({count},) or ({count}, C), as positions has, got {values.shape}")
    return values.reshape(count, 1 if values.ndim == 1 else values.shape[1])


def _check_finite(charges: np.ndarray, offsets: np.ndarray) -> None:
    """A ValueError that names the structure of the first charge that is no number."""
    wrong = np.flatnonzero(~np.isfinite(charges).all(axis=1))
    if len(wrong):
        b = int(np.searchsorted(offsets, wrong[0], side="right")) - 1
        value = next(q for q in charges[wrong[0]] if not np.isfinite(q))
        point = wrong[0] - offsets[b]
        raise ValueError(f"charges: expected finite numbers, got {value} for point {point} of structure {b}")


def in_structure(error: ValueError | MemoryError, b: int, count: int) -> ValueError | MemoryError:
    """An error of one of several structures that says which; of a single one it stays as it is.

    Parameters
    ----------
    error : ValueError or MemoryError
        What was raised.
    b, count : int
        Which structure, of how many.
    """
    if count == 1:
        return error
    kind = MemoryError if isinstance(error, MemoryError) else ValueError
    return kind(f"{error}; in structure {b}")


def net_charge(charges: np.ndarray, over_points: Callable | None = None) -> np.ndarray:
    """Q of every channel, (…, C) float64, 0 where it is rounding.

    Parameters
    ----------
    charges : (…, N, C)
        Of one structure, or of several with as many points.
    over_points : function, optional
        From sums over these points to those over all, where some belong to other processes.
    """
    sums = np.stack([charges.sum(axis=-2, dtype=np.float64), np.abs(charges).sum(axis=-2)])
    net, size = sums if over_points is None else over_points(sums)
    return np.where(np.abs(net) <= NEUTRAL * size, 0.0, net)


def check_room(positions: np.ndarray, cell: np.ndarray, periodic: tuple[bool, ...]) -> None:
    """A ValueError where points do not fit into a cell that was given for an open axis: they may have been wrapped.

    Parameters
    ----------
    positions : (N, 3)
        Units of length.
    cell : (3, 3)
        Lattice vectors; zeros for an open axis without a cell.
    periodic : three bools
        Along which of them there are images.
    """
    given = [a for a in range(3) if periodic[a] or cell[a].any()]
    basis = np.array(cell, dtype=np.float64)
    across = np.linalg.svd(basis[given])[2][len(given) :] if given else np.eye(3)
    basis[[a for a in range(3) if a not in given]] = across
    if not len(positions) or np.linalg.matrix_rank(basis) < 3:
        return
    inverse = np.linalg.inv(basis)
    for a in (a for a in given if not periodic[a]):
        height = 1 / float(np.linalg.norm(inverse[:, a]))
        extent = float(np.ptp(positions @ inverse[:, a])) * height
        if extent > height * (1 + ROUNDING):
            raise ValueError(
                f"positions: they extend over {extent:g} along open axis {a}, and the cell has {height:g}; unwrap them "
                "along it, or pass a cell with more vacuum (or zeros for this axis)"
            )
