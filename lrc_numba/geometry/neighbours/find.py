"""From positions and cells to pairs of neighbours."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from math import sqrt
from typing import ClassVar

import numpy as np

from ... import arguments
from ...machine.cpu import parallel
from ...machine.cpu.recording import Recording
from ...machine.fixed import Fixed
from ...machine.memory import available_memory, check_memory
from ...machine.workspace import Workspace
from ..ragged import as_lattices, as_offsets, first_dependent
from . import bins as binning
from . import search
from .images import ImageLists
from .lattice import AXES, make_bricks
from .listing import Listing, largest_share
from .pairs import Pairs

__all__ = ["NeighbourList", "find_pairs"]

FARTHEST = 2.0**40  # cutoffs from the origin; beyond that rounding moves points by a thousandth of a cutoff


def find_pairs(
    positions,
    cutoff: float,
    cell=None,
    *,
    periodic=True,
    offsets=None,
    full: bool = False,
    threads: int | None = None,
    dtype=None,
) -> Pairs:
    """All pairs of points of a structure closer than a cutoff, periodic images included.

    Parameters
    ----------
    positions : (N, d) float32 or float64
        Anywhere in space, d = 1, 2 or 3; of several structures one after the other.
    cutoff : float
        Any length; a pair comes once for each of its images within it, and a point is paired with its own images.
    cell : None, float, (d,), (d, d) or (B, d, d) array
        None: no periodic images. Else length(s), lattice vectors as rows, or those of every structure.
    periodic : bool, d bools or (B, d) bools
        Along which lattice vectors.
    offsets : (B + 1,) ints, optional
        Where the points of each structure begin, and the number of all; one structure by default.
    full : bool
        Every pair as (i, j) and as (j, i); else once.
    threads : int, optional
        At most so many; they change no result.
    dtype : float32 or float64, optional
        Of displacements and distances; that of the positions by default.

    Returns
    -------
    Pairs
        Sorted by the first point. Distances are below the cutoff up to rounding.

    Raises
    ------
    ValueError, TypeError, MemoryError
        Naming the argument, what came and what was expected.
    """
    search_for = NeighbourList(cutoff, full=full, threads=threads, dtype=dtype)
    return search_for.build(positions, cell, periodic=periodic, offsets=offsets)


UNSTRAINED = np.eye(AXES)[None]


class NeighbourList(Fixed):
    """Neighbours with a skin: found once, and good as long as no point has moved by more than half the skin.

    Parameters
    ----------
    cutoff : float
        Up to which all pairs are wanted.
    skin : float
        How much further is searched, units of length.
    full, threads, dtype
        As for ``find_pairs``.
    ordered : bool
        Whether pairs that are wanted once come with i ≤ j; the other way they are found in half the time.
    """

    fixed: ClassVar[dict[str, str]] = dict.fromkeys(
        ("cutoff", "skin", "full", "ordered", "dtype", "threads"), "make another list, and build it"
    )

    def __init__(
        self,
        cutoff: float,
        skin: float = 0.0,
        *,
        full: bool = False,
        threads: int | None = None,
        dtype=None,
        ordered: bool = True,
    ):
        self.cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        no_skin = isinstance(skin, numbers.Real) and skin == 0
        self.skin = 0.0 if no_skin else arguments.as_positive("skin", skin, np.inf)
        self.full, self.ordered = bool(full), bool(ordered)
        self._kind = binning.EVERY if self.full else binning.LOWER if self.ordered else binning.FORWARD
        self.dtype = None if dtype is None else arguments.as_dtype(dtype)
        self.threads = arguments.as_threads(threads, parallel.available_threads())
        self._lists: ImageLists | None = None
        self._made: tuple | None = None  # bricks, and for which cells
        self._listing: tuple | None = None  # the last, what it is of, and memory that it shares with the next
        self._space = Workspace()
        self._positions = self._cells = self._periodic = np.zeros((0, AXES))
        self._given = np.dtype(np.float64)

    # ------------------------------------------------------------------ the search
    def build(self, positions, cell=None, *, periodic=True, offsets=None) -> Pairs:
        """Find the pairs closer than cutoff + skin.

        Parameters
        ----------
        positions, cell, periodic, offsets
            As for ``find_pairs``.
        """
        self.search(positions, cell, periodic=periodic, offsets=offsets)
        return self._pairs(self._positions, self._cells, self._given)

    def search(self, positions, cell=None, *, periodic=True, offsets=None, beside=None) -> ImageLists:
        """The same, but that no pairs are written down: for loops that work with lists of images.

        Parameters
        ----------
        positions, cell, periodic, offsets
            As for ``find_pairs``.
        beside : function, optional
            Without arguments: something else that another thread may do meanwhile.
        """
        given, points = _as_points(positions)
        offsets = as_offsets(offsets, len(points))
        _check_near(given, self.cutoff, offsets)
        cells, flags, bricks = self._bricks(cell, periodic, given.shape[1], len(offsets) - 1)
        reach, key = self.cutoff + self.skin, offsets.tobytes()
        if self._listing is None or self._listing[0] is not bricks or self._listing[1:3] != (key, reach):
            listing = Listing(bricks, offsets, given.shape[1], reach, self._kind, self.threads, self._space)
            self._listing = bricks, key, reach, listing
        self._lists = self._listing[3](points, beside)
        self._positions, self._cells, self._periodic, self._given = points.copy(), cells, flags, given.dtype
        return self._lists

    def _bricks(self, cell, periodic, dim: int, batch: int) -> tuple[np.ndarray, np.ndarray, tuple]:
        """Checked cells, along which of them there are images, and bricks of them: those of the search before, too."""
        key = None
        if isinstance(cell, np.ndarray) and isinstance(periodic, np.ndarray | bool):
            flags = np.asarray(periodic)
            key = dim, batch, cell.dtype, cell.shape, cell.tobytes(), flags.dtype, flags.shape, flags.tobytes()
            if self._made is not None and self._made[0] == key:
                return self._made[1]
        cells, flags = as_cells(cell, periodic, dim, batch)
        frames, steps = np.empty(cells.shape), np.empty(cells.shape)
        multiples, ranks = np.empty(cells.shape, dtype=np.int64), np.empty(len(cells), dtype=np.int64)
        bricks = (frames, steps, multiples, ranks)
        parallel.run(make_bricks, parallel.even(len(cells), self.threads, 1000), cells, flags, *bricks)
        self._made = None if key is None else (key, (cells, flags, bricks))
        return cells, flags, bricks

    def _pairs(self, points: np.ndarray, cells: np.ndarray, given: np.dtype) -> Pairs:
        lists, dtype = self.lists, self.dtype or given
        total = int(lists.to[-1])
        needed = total * (16 + dtype.itemsize * (lists.dim + 1))
        try:
            check_memory("cutoff", f"{self.cutoff:g} with {total} pairs", needed, available_memory)
        except MemoryError as error:
            share = largest_share(np.diff(lists.to[lists.offsets]), lists.offsets, self._cells)
            raise MemoryError(f"{error}; {share}") from None
        return lists.pairs(points, cells, dtype)

    # ------------------------------------------------------------------ moved points
    @property
    def lists(self) -> ImageLists:
        """Who is near whom, for loops over points; new arrays with every ``build``. A ValueError before the first."""
        if self._lists is None:
            raise ValueError("positions: no neighbours were found yet; call build first")
        return self._lists

    def is_outdated(self, positions, cell=None) -> bool:
        """Whether a pair within the cutoff may be missing, so that ``build`` has to be called again.

        Parameters
        ----------
        positions : (N, d)
            Of the same points, not folded back into the cell in between.
        cell : optional
            Where that changed as well; of cells that are periodic along all axes a small change is within the skin.
        """
        points, cells = self.moved(positions, cell)
        strains, shrinking = UNSTRAINED, 1.0
        if cells is not self._cells and not np.array_equal(cells, self._cells):
            front = AXES - self.lists.dim
            if not self._periodic[:, front:].all():
                return True
            strain = np.linalg.inv(self._cells[:, front:, front:]) @ cells[:, front:, front:]
            shrinking = float(np.linalg.svd(strain, compute_uv=False).min(initial=np.inf))
            strains = np.zeros((len(strain), AXES, AXES))
            strains[:, front:, front:] = strain
        squares = self._moved_by(points, strains, parallel.run)
        # A pair that is not listed was cutoff + skin apart: now that times ``shrinking``, less what both have moved.
        return shrinking * (self.cutoff + self.skin) - 2.0 * float(np.sqrt(squares.max())) < self.cutoff

    def _moved_by(self, points: np.ndarray, strains: np.ndarray, run) -> np.ndarray:
        """Squares of the largest distances that points have moved, one for each share of them."""
        shares = parallel.even(len(points), self.threads, 10_000)
        squares = np.zeros(len(shares) - 1)
        run(search.furthest, shares, points, self._positions, strains, self.lists.structure_of, squares)
        return squares

    def watch(self, points: np.ndarray) -> Callable[[], bool]:
        """A function that says ``is_outdated`` of what is in an array by then, in the same cell, and checks nothing.

        Parameters
        ----------
        points : (N, 3) float64
            Of the same points. Whoever searches again has to ask for another function.
        """
        recording = Recording()
        squares, farthest = self._moved_by(points, UNSTRAINED, recording.run), self.cutoff + self.skin

        def is_outdated() -> bool:
            """Whether a pair within the cutoff may be missing."""
            recording.again()
            return farthest - 2.0 * sqrt(squares.max()) < self.cutoff

        return is_outdated

    def update(self, positions, cell=None) -> Pairs:
        """The listed pairs at other positions; some may be up to cutoff + skin apart and more.

        Parameters
        ----------
        positions, cell
            As for ``is_outdated``.
        """
        points, cells = self.moved(positions, cell)
        return self._pairs(points, cells, as_positions(positions).dtype)

    def moved(self, positions=None, cell=None) -> tuple[np.ndarray, np.ndarray]:
        """Checked positions (N, 3) and lattice vectors (1 or B, 3, 3) for ``ImageLists``, float64, zeros in front.

        Parameters
        ----------
        positions, cell : optional
            As for ``is_outdated``; those with which the list was built by default.
        """
        lists, points = self.lists, self._positions
        if positions is not None:
            given, points = _as_points(positions)
            expected = (len(self._positions), lists.dim)
            if given.shape != expected:
                raise ValueError(f"positions: expected the {expected[0]} points of before, got {given.shape}")
            _check_near(given, self.cutoff, lists.offsets)
        if cell is None:
            return points, self._cells
        front = AXES - lists.dim
        cells, _ = as_cells(cell, self._periodic[:, front:], lists.dim, len(lists.offsets) - 1)
        return points, np.broadcast_to(cells, np.broadcast_shapes(cells.shape, self._cells.shape)).copy()


def as_positions(positions) -> np.ndarray:
    """Checked positions (N, d), float32 where they come so, else float64."""
    dtype = np.dtype(np.float32 if getattr(positions, "dtype", None) == np.float32 else np.float64)
    array = arguments.as_array("positions", positions, dtype)
    if array.ndim != 2 or array.shape[1] not in (1, 2, 3):
        raise ValueError(f"positions: expected shape (N, d) with d = 1, 2 or 3, got {array.shape}")
    return array


def _check_near(given: np.ndarray, cutoff: float, offsets: np.ndarray) -> None:
    """A ValueError that names a point so far away that distances are lost to rounding."""
    if len(given) and not max(given.max(), -given.min()) < FARTHEST * cutoff:  # no array of absolute values
        i = int(np.abs(given).max(axis=1).argmax())
        b = int(np.searchsorted(offsets, i, side="right")) - 1
        raise ValueError(
            f"positions: point {i - int(offsets[b])} of structure {b} is too far away for distances of {cutoff:g}, at "
            f"{given[i].tolist()}"
        )


def _as_points(positions) -> tuple[np.ndarray, np.ndarray]:
    """Checked positions, and the same in double precision with zeros in front, (N, 3)."""
    given = as_positions(positions)
    count, dim = given.shape
    if count >= 2**30:
        raise ValueError(f"positions: expected fewer than 2^30 points, got {count}")
    if dim == AXES and given.dtype == np.float64 and given.flags.writeable:  # of others loops would be compiled anew
        return given, given
    points = np.zeros((count, AXES))
    points[:, AXES - dim :] = given
    return given, points


def as_cells(cell, periodic, dim: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Lattice vectors (1 or B, 3, 3) float64 and along which of them structures are periodic (1 or B, 3).

    Parameters
    ----------
    cell, periodic
        As for ``find_pairs``.
    dim, batch : int
        d and B.
    """
    if cell is None:
        as_lattices(1.0, periodic, dim, batch)  # refuses what is no flag
        return np.zeros((1, AXES, AXES)), np.zeros((1, AXES), dtype=bool)
    own_cells, own_flags = as_lattices(cell, periodic, dim, batch)
    b = first_dependent(own_cells, own_flags)
    if b is not None:
        raise ValueError(f"cell: the periodic lattice vectors of structure {b} are linearly dependent, or nearly so")
    front = AXES - dim
    cells, flags = np.zeros((len(own_cells), AXES, AXES)), np.zeros((len(own_cells), AXES), dtype=bool)
    cells[:, front:, front:], flags[:, front:] = own_cells, own_flags
    cells[~flags] = 0.0
    return cells, flags
