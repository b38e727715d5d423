"""Points in lattices of every kind, and their neighbours by trying all images: what the search is held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from lrc_numba.geometry.neighbours import Pairs

__all__ = ["Ragged", "by_key", "neighbours_of", "ragged"]

Key = tuple[int, ...]
KINDS = ("box", "triclinic", "left-handed", "needle", "plate")
PLACES = ("uniform", "clustered", "coincident", "edges", "far away", "square")
COUNTS = (0, 1, 2, 5, 12)
NEARLY = 1e-6  # of the cutoff: more than rounding, see ``rounding``


@dataclass(frozen=True)
class Ragged:
    """Structures one after the other, as ``find_pairs`` takes them.

    Attributes
    ----------
    positions : (n, d) array
        float32 or float64.
    cutoff : float
        In units of length.
    cell : (B, d, d) array or None
        What is passed.
    reduced : (B, d, d) array
        Vectors of the same lattices that are not skewed: of them few have to be tried.
    periodic : (B, d) bool
        Along which.
    offsets : (B + 1,) int64
        Where structures begin.
    """

    positions: np.ndarray
    cutoff: float
    cell: np.ndarray | None
    reduced: np.ndarray
    periodic: np.ndarray
    offsets: np.ndarray

    @property
    def dim(self) -> int:
        """d."""
        return self.positions.shape[1]

    def arguments(self) -> dict:
        """What ``find_pairs`` is called with besides positions and cutoff."""
        return {"cell": self.cell, "periodic": self.periodic, "offsets": self.offsets}

    def moved(self, steps: np.ndarray, strain: np.ndarray) -> Ragged:
        """Strained, and every point moved: x (1 + ε) + step."""
        grown = np.eye(len(strain)) + strain
        cell = None if self.cell is None else self.cell @ grown
        return replace(self, positions=self.positions @ grown + steps, cell=cell, reduced=self.reduced @ grown)

    def rounding(self) -> float:
        """What a displacement may be off by: of x and of whole vectors times their number, which may cancel."""
        largest = size = np.abs(self.positions).max(initial=1.0)
        for cell, periodic in zip([] if self.cell is None else self.cell, self.periodic, strict=False):
            rows = cell[periodic]
            largest = max(largest, size * np.linalg.norm(rows) * np.linalg.norm(np.linalg.pinv(rows)))
        kept = np.finfo(self.positions.dtype).eps * self.cutoff  # of what is in double precision until it is stored
        return 16 * np.finfo(np.float64).eps * largest + 2 * kept


@st.composite
def ragged(draw, dtypes=(np.float64, np.float32), crystals: bool = False) -> Ragged:
    """Batches of up to three structures of different sizes in lattices of one kind or in none.

    Parameters
    ----------
    dtypes : tuple of dtype
        Of the positions.
    crystals : bool
        No empty structures and no open axes, and cutoffs below one cell.
    """
    dim, batch = draw(st.sampled_from((3, 2, 1))), draw(st.sampled_from((1, 2) if crystals else (1, 3, 0, 2)))
    kind, layout = draw(st.sampled_from(KINDS)), draw(st.sampled_from(PLACES))
    counts = [draw(st.sampled_from(COUNTS[crystals:])) for _ in range(batch)]
    has_cell = crystals or draw(st.booleans())
    multiples = draw(st.sampled_from((0, 3, 100))) if has_cell else 0
    flags = np.array([[crystals or draw(st.booleans()) for _ in range(dim)] for _ in range(batch)], dtype=bool)
    flags = flags.reshape(batch, dim) & has_cell
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    reduced = np.array([_lattice(kind, dim, generator) for _ in range(batch)]).reshape(batch, dim, dim)
    cell = np.array([_skewed(a, p, multiples, generator) for a, p in zip(reduced, flags, strict=True)])
    points = [_points(layout, count, lattice, generator) for count, lattice in zip(counts, reduced, strict=True)]
    positions = np.concatenate([np.zeros((0, dim)), *points]).astype(draw(st.sampled_from(dtypes)))
    # Up to two and a half cells of unit volume, whose needles are a third of that thick.
    cutoff = draw(st.sampled_from((0.3, 0.7) if crystals else (0.3, 1.0, 0.7, 1.7, 2.5))) * generator.uniform(
        0.95, 1.05
    )
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Ragged(positions, cutoff, cell.reshape(batch, dim, dim) if has_cell else None, reduced, flags, offsets)


def _lattice(kind: str, dim: int, generator: np.random.Generator) -> np.ndarray:
    """Vectors of a lattice of volume one as rows, none of them nearly along others."""
    lengths = np.array({"needle": (0.6, 0.6, 1 / 0.36), "plate": (1.6, 1.6, 1 / 2.56)}.get(kind, (1.0, 1.0, 1.0)))
    lengths = lengths[3 - dim :] * generator.uniform(0.8, 1.2, dim)
    lattice = np.diag(lengths)
    if kind != "box":
        turn = np.linalg.qr(generator.standard_normal((dim, dim)))[0]
        lattice = (lattice + 0.3 * lengths.min() * generator.uniform(-1, 1, (dim, dim))) @ turn
    if (np.linalg.det(lattice) < 0) != (kind == "left-handed"):
        lattice[0] *= -1
    return lattice


def _skewed(lattice: np.ndarray, periodic: np.ndarray, multiples: int, generator: np.random.Generator) -> np.ndarray:
    """Other vectors of the same lattice: whole multiples of periodic ones are added to the others."""
    cell, axes = lattice.copy(), generator.permutation(np.flatnonzero(periodic))
    for a, axis in enumerate(axes):
        cell[axis] += generator.integers(-multiples, multiples + 1, a) @ lattice[axes[:a]]
    cell[~periodic] = np.nan  # nobody looks there
    return cell


def _points(layout: str, count: int, lattice: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(count, d) points, most of them in the cell."""
    dim = len(lattice)
    inside = generator.random((count, dim))
    if layout == "clustered":
        inside = 0.99 + 0.02 * inside
    elif layout == "coincident":
        inside = inside[:1].repeat(count, axis=0)
    elif layout == "edges":
        nearly = [0.0, 1.0, -1.0, np.nextafter(1.0, 0.0), np.nextafter(0.0, -1.0), 1e-17, -1e-17]
        inside[:, generator.integers(dim)] = generator.choice(nearly, count)
    elif layout == "square":
        inside = generator.integers(0, 4, (count, dim)) / 4
    elif layout == "far away":
        inside += generator.integers(-1000, 1000, (count, dim))
    return inside @ lattice


# ---------------------------------------------------------------------- all images, one after the other
def neighbours_of(points: Ragged, full: bool) -> tuple[dict[Key, np.ndarray], set[Key]]:
    """Displacements of all pairs by (i, j, whole vectors of ``reduced``); which of them rounding may decide.

    Of ``reduced`` and not of ``cell``, where far more images would have to be tried. Of a half list those with i < j,
    and of a point with its own images those where the first number that is not zero is positive.
    """
    pairs: dict[Key, np.ndarray] = {}
    undecided: set[Key] = set()
    for b, (lo, hi) in enumerate(zip(points.offsets[:-1], points.offsets[1:], strict=True)):
        x, rows = points.positions[lo:hi].astype(np.float64), points.reduced[b][points.periodic[b]]
        inverse = np.linalg.pinv(rows) if len(rows) else np.zeros((x.shape[1], 0))
        home = np.floor(x @ inverse)
        near = x - home @ rows
        # Coordinates of near points differ by less than one; planes of images are 1/‖column of the inverse‖ apart.
        most = np.ceil(points.cutoff * np.linalg.norm(inverse, axis=0)).astype(int) + 1
        for numbers in product(*(range(-m, m + 1) for m in most)):
            apart = near[:, None] - near[None] - np.array(numbers, dtype=np.float64) @ rows
            distance = np.linalg.norm(apart, axis=2)
            for i, j in np.argwhere(distance < points.cutoff * (1 + NEARLY)).tolist():
                shift = (np.array(numbers) + home[i] - home[j]).astype(int).tolist()
                key = (int(lo) + i, int(lo) + j, *shift)
                if (i == j and not any(numbers)) or not (full or _comes_first(key)):
                    continue
                pairs[key] = apart[i, j]
                if distance[i, j] > points.cutoff * (1 - NEARLY):
                    undecided.add(key)
    return pairs, undecided


def _comes_first(key: Key) -> bool:
    """Whether a pair is taken, not its mirror image."""
    i, j, *shift = key
    return i < j or (i == j and next((s > 0 for s in shift if s), False))


def by_key(pairs: Pairs, points: Ragged) -> dict[Key, np.ndarray]:
    """Displacements of pairs by (i, j, whole vectors of ``reduced``); an AssertionError where a pair comes twice.

    Of a half list, a point and its own image may come either way round: they are turned as in ``neighbours_of``.
    """
    keyed: dict[Key, np.ndarray] = {}
    x, structure = (
        points.positions.astype(np.float64),
        np.repeat(np.arange(len(points.periodic)), np.diff(points.offsets)),
    )
    for i, j, apart in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.displacement, strict=True):
        assert structure[i] == structure[j]
        rows = points.reduced[structure[i]][points.periodic[structure[i]]]
        numbers = (x[i] - x[j] - apart) @ np.linalg.pinv(rows) if len(rows) else np.zeros(0)
        shift = np.rint(numbers).astype(int).tolist()
        if not pairs.full and i == j and not _comes_first((i, j, *shift)):
            shift, apart = [-s for s in shift], -apart
        key = (i, j, *shift)
        assert key not in keyed
        keyed[key] = apart
    return keyed
