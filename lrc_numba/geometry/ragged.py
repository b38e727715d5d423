"""Structures one after the other: where each begins, its lattice, and what its points have, checked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..arguments import refuse_masked

__all__ = [
    "as_lattices",
    "as_offsets",
    "as_points",
    "as_species",
    "first_dependent",
    "per_point",
    "per_structure",
    "real_numbers",
    "starts_of",
    "sums_of",
]

FLATTEST = 1e-12  # smallest singular value of unit vectors that count as independent: above rounding


def real_numbers(name: str, value) -> np.ndarray:
    """An array of integers or floats of any shape; a TypeError for others, and for masked arrays.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : array_like
        What came.
    """
    refuse_masked(name, value)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected an array, got rows of different lengths") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name}: expected real numbers, got {array.dtype}")
    return array


def as_offsets(offsets, count: int) -> np.ndarray:
    """Where structures begin, and the number of points, (B + 1,) int64.

    Parameters
    ----------
    offsets : (B + 1,) ints or None
        None: one structure.
    count : int
        Points of all structures together.
    """
    if offsets is None:
        return np.array([0, count], dtype=np.int64)
    refuse_masked("offsets", offsets)
    array = np.asarray(offsets)
    if array.ndim != 1 or len(array) < 1 or array.dtype.kind not in "iu":
        raise ValueError(f"offsets: expected B + 1 integers, got {offsets!r}")
    array = array.astype(np.int64)
    if array[0] != 0 or array[-1] != count or (np.diff(array) < 0).any():
        raise ValueError(f"offsets: expected numbers that rise from 0 to {count}, got {array.tolist()}")
    return array


def as_lattices(cell, periodic, dim: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Lattice vectors as rows, and along which of them structures are periodic: of each structure, or one for all.

    Parameters
    ----------
    cell : float, (d,), (d, d) or (B, d, d) array
        Length(s), lattice vectors, or those of every structure.
    periodic : bool, d bools or (B, d) bools
        Vectors along other axes may be anything.
    dim, batch : int
        d and B.

    Returns
    -------
    cells : (1 or B, d, d) float64
    flags : (1 or B, d) bool
    """
    flags = np.asarray(periodic)
    if flags.dtype.kind in "iu" and np.isin(flags, (0, 1)).all():
        flags = flags.astype(bool)
    if flags.dtype != np.bool_ or flags.shape not in ((), (dim,), (batch, dim), (1, dim)):
        raise ValueError(f"periodic: expected a bool, {dim} of them or shape ({batch}, {dim}), got {periodic!r}")
    flags = np.atleast_2d(np.broadcast_to(flags, (*flags.shape[:-1], dim)))
    cells = real_numbers("cell", cell).astype(np.float64)
    if not cells.ndim and not cells > 0:
        raise ValueError(f"cell: expected a length above 0, or None for structures without images, got {cell!r}")
    if cells.shape in ((), (dim,)):
        cells = np.diag(np.broadcast_to(cells, (dim,)))
    if cells.ndim == 2:
        cells = cells[None]
    if cells.shape not in ((1, dim, dim), (batch, dim, dim)):
        raise ValueError(
            f"cell: expected a length, {dim} of them, shape ({dim}, {dim}) or ({batch}, {dim}, {dim}), "
            f"got {np.shape(cell)}"
        )
    both = max(len(cells), len(flags)) if batch else 0
    cells, flags = np.broadcast_to(cells, (both, dim, dim)), np.broadcast_to(flags, (both, dim))
    infinite = ~np.isfinite(cells).all(axis=2) & flags
    if infinite.any():
        b = int(infinite.any(axis=1).argmax())
        raise ValueError(f"cell: expected finite lattice vectors, got {cells[b].tolist()} for structure {b}")
    return cells, flags


def first_dependent(cells: np.ndarray, flags: np.ndarray) -> int | None:
    """The first structure whose periodic vectors are linearly dependent or of length zero; None where there is none.

    Parameters
    ----------
    cells, flags : arrays
        Of ``as_lattices``.
    """
    rows = np.where(flags[:, :, None], cells, 0.0)
    length = np.linalg.norm(rows, axis=2, keepdims=True)
    rows = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    ranks = flags.sum(axis=1)
    # Largest first: as many as there are periodic vectors are above zero. A one in front is for those without any.
    values = np.linalg.svd(rows, compute_uv=False)
    least = np.concatenate([np.ones((len(rows), 1)), values], axis=1)[np.arange(len(rows)), ranks]
    return int((least <= FLATTEST).argmax()) if (least <= FLATTEST).any() else None


# ---------------------------------------------------------------------- arrays as they come
def starts_of(counts) -> np.ndarray:
    """Offsets (B + 1,) of so many points each.

    Parameters
    ----------
    counts : (B,) ints
        Points of each structure.
    """
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _is_ragged(value, ndim: int) -> bool:
    """Whether that is a sequence of arrays with so many axes, one for each structure."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not len(value):
        return False
    try:
        return np.ndim(value[0]) == ndim
    except ValueError:  # rows of different lengths, which ``real_numbers`` refuses by name
        return False


def as_points(value, offsets) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, d) and offsets (B + 1,).

    Parameters
    ----------
    value : (N, d) or (B, N, d) array, or sequence of (N_b, d) arrays
        Positions as a user has them.
    offsets : (B + 1,) ints or None
        Where structures begin, of (n, d) positions.
    """
    refuse_masked("positions", value)
    if offsets is None and _is_ragged(value, 2):
        parts = [real_numbers("positions", part).astype(np.float64) for part in value]
        dim = parts[0].shape[1]
        for b, part in enumerate(parts):
            if part.ndim != 2 or part.shape[1] != dim:
                raise ValueError(f"positions: expected shape (N, {dim}) for structure {b}, got {part.shape}")
        array, starts = np.concatenate(parts), starts_of([len(part) for part in parts])
    else:
        array = real_numbers("positions", value).astype(np.float64)
        if array.ndim != 2 and (array.ndim != 3 or offsets is not None):
            wanted = "(n, d), with offsets" if offsets is not None else "(N, d) or (B, N, d)"
            raise ValueError(f"positions: expected shape {wanted}, got {array.shape}")
        starts = as_offsets(offsets, len(array)) if array.ndim == 2 else starts_of([array.shape[1]] * len(array))
        array = array.reshape(-1, array.shape[-1])
    if array.shape[1] not in (1, 2, 3):
        raise ValueError(f"positions: expected 1, 2 or 3 dimensions, got {array.shape[1]}")
    return np.ascontiguousarray(array), starts


def per_point(name: str, value, offsets: np.ndarray, shape: tuple[int, ...] = ()) -> np.ndarray | None:
    """A row of a shape for each point, (n, *shape); None stays None.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : array_like or None
        Laid out as the positions; numbers for N points may stand for all structures of N points.
    offsets : (B + 1,) int64
        Where structures begin.
    shape : tuple of int
        Of what each point has.
    """
    if value is None:
        return None
    refuse_masked(name, value)
    counts, total = np.diff(offsets), int(offsets[-1])
    if _is_ragged(value, 1 + len(shape)) and len(value) == len(counts):
        parts = [real_numbers(name, part) for part in value]
        for b, part in enumerate(parts):
            if part.shape != (counts[b], *shape):
                raise ValueError(
                    f"{name}: expected shape {(int(counts[b]), *shape)} for structure {b}, got {part.shape}"
                )
        return np.concatenate(parts)
    array = real_numbers(name, value)
    one_size = len(counts) > 0 and bool((counts == counts[0]).all())
    size = int(counts[0]) if one_size else 0
    if array.shape == (total, *shape):
        return array
    if one_size and array.shape == (len(counts), size, *shape):
        return array.reshape(total, *shape)
    if not len(counts) and array.ndim == 2 + len(shape) and not len(array):  # no structures of any size
        return array.reshape(0, *shape)
    if one_size and not shape and array.shape == (size,):  # the same in all structures
        return np.tile(array, len(counts))
    raise ValueError(f"{name}: expected shape {(total, *shape)} for {total} points, got {array.shape}")


def as_species(array: np.ndarray | None, offsets: np.ndarray) -> np.ndarray | None:
    """Whole numbers as int64.

    Parameters
    ----------
    array : (n,) array or None
        Numbers.
    offsets : (B + 1,) int64
        Where structures begin.
    """
    if array is None or array.dtype.kind in "iu":
        return None if array is None else array.astype(np.int64)
    broken = ~((array == np.floor(array)) & (np.abs(array) < 2.0**63))  # infinite ones are none either
    if broken.any():
        i = int(broken.argmax())
        b = int(np.searchsorted(offsets, i, side="right")) - 1
        raise ValueError(f"species: expected integers, got {array[i]} for point {i - offsets[b]} of structure {b}")
    return array.astype(np.int64)


def per_structure(name: str, value, batch: int, shape: tuple[int, ...]) -> np.ndarray | None:
    """(B, *shape) float64; None stays None.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : array_like or None
        Of a single structure also without the first axis.
    batch : int
        B.
    shape : tuple of int
        Of what each structure has.
    """
    if value is None:
        return None
    array = real_numbers(name, value).astype(np.float64)
    if array.shape == shape and batch == 1:
        array = array[None]
    if array.shape != (batch, *shape):
        raise ValueError(f"{name}: expected shape {(batch, *shape)}, got {array.shape}")
    return np.ascontiguousarray(array)


def sums_of(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sums over the points of each structure, (B,).

    Parameters
    ----------
    values : (n,)
        A number for each point.
    offsets : (B + 1,) int64
        Where the points of each structure begin.
    """
    counts = np.diff(offsets)
    if len(counts) and (counts == counts[0]).all():
        return values.reshape(len(counts), -1).sum(axis=1)
    return np.array([values[lo:hi].sum() for lo, hi in pairwise(offsets)], values.dtype)
