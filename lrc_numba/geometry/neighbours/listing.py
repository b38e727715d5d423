"""A search from bricks to lists, for points that come again elsewhere: what does not depend on them is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ...machine.cpu import parallel
from ...machine.cpu.simd_compress import LANES
from ...machine.memory import available_memory, check_memory
from . import bins as binning
from . import search
from .images import ImageLists
from .lattice import AXES

__all__ = ["Listing", "largest_share"]

PER_IMAGE = 150  # bytes: of coordinates and whole vectors, twice, owner, order and at most four bins
MORE = 1.2  # times the images that are expected, for which there is room at once


def largest_share(numbers: np.ndarray, offsets: np.ndarray, cells: np.ndarray) -> str:
    """The structure that most is needed for, in words for an error.

    Parameters
    ----------
    numbers : (B,)
        What each structure needs, in any unit.
    offsets : (B + 1,) ints
        Where structures begin.
    cells : (1 or B, 3, 3) float64
        Lattice vectors, zeros for open axes.
    """
    b = int(np.argmax(numbers))
    lengths = np.linalg.norm(cells[min(b, len(cells) - 1)], axis=1)
    lengths = [f"{length:g}" for length in lengths if length > 0]
    cell = f"lattice vectors of length {', '.join(lengths)}" if lengths else "no periodic axes"
    return f"most of it for structure {b}, of {offsets[b + 1] - offsets[b]} points with {cell}"


class Listing:
    """Lists of structures whose cells and numbers of points stay the same; what every array holds is in ``search``.

    Parameters
    ----------
    bricks : four arrays
        ``frames``, ``steps``, ``numbers`` and ``ranks`` of ``lattice``.
    offsets : (B + 1,) int64
        Where structures begin.
    dim : int
        d.
    cutoff : float
        With the skin, units of length.
    kind : int
        EVERY, LOWER or FORWARD, see ``search``.
    threads : int
        At most so many.
    space : Workspace
        For what is not in the lists.
    """

    def __init__(self, bricks: tuple, offsets: np.ndarray, dim: int, cutoff: float, kind: int, threads: int, space):
        self._bricks, self._offsets, self._dim, self._cutoff, self._kind = bricks, offsets.copy(), dim, cutoff, kind
        self._threads, self._space, batch, self._count = threads, space, len(offsets) - 1, int(offsets[-1])
        self._what = f"{cutoff:g} with {self._count} points"
        self._structures = parallel.even(batch, threads, max(1, 500 * batch // max(self._count, 1)))
        self._structure_of = np.repeat(np.arange(batch), np.diff(offsets))
        self._grid: tuple | None = None
        self._shares: tuple[list[int], np.ndarray] | None = None  # of the search before, with room for a fifth more

    def _measured(self, points: np.ndarray) -> tuple:
        """Where bins are, where those of a structure begin, and its images; without open axes they always are there."""
        if self._grid is not None:
            return self._grid
        frames, steps, _, ranks = self._bricks
        batch = len(self._offsets) - 1
        low, width, dense = (np.empty((batch, AXES)) for _ in range(3))
        bins, expected = np.empty((batch, AXES), dtype=np.int64), np.empty(batch)
        where = (points, self._offsets, frames, steps, ranks, self._cutoff)
        parallel.run(binning.measure, self._structures, *where, low, width, dense, bins, expected)
        self._check_memory(PER_IMAGE, expected)
        grid = (low, width, dense, bins, _starts(bins.prod(axis=1)), _starts(MORE * expected + 64.0))
        if (ranks == AXES).all():
            self._grid = grid
        return grid

    def _check_memory(self, each: int, numbers: np.ndarray, structure_of: np.ndarray | None = None) -> None:
        """A MemoryError that names a structure, where so many bytes for each of the numbers are not free."""
        try:
            check_memory("cutoff", self._what, int(each * min(float(numbers.sum()), 1e17)), available_memory)
        except MemoryError as error:
            numbers = numbers if structure_of is None else np.bincount(structure_of, numbers)
            raise MemoryError(f"{error}; {largest_share(numbers, self._offsets, self._bricks[1])}") from None

    def __call__(self, points: np.ndarray, beside: Callable[[], object] | None = None) -> ImageLists:
        """Lists of images near each point.

        Parameters
        ----------
        points : (n, 3) float64
            Units of length, zeros in front where d < 3.
        beside : function, optional
            Called by another thread while images are found, which takes one.
        """
        low, width, dense, bins, first_bin, first_image = self._measured(points)
        find_images = partial(self._images, points, (low, dense, bins, first_bin), first_image)
        images, y, order, starts = find_images() if beside is None else parallel.both(find_images, beside)
        home, homes, owner, shift = images
        (_, steps, _, ranks), count, dummy = self._bricks, self._count, len(shift)
        near = (steps, ranks, self._kind, low, width, dense, bins, first_bin, starts, self._cutoff)
        who = (homes, owner, self._structure_of, y)
        where, counts = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        while True:
            shares, begins = self._shares or self._bounded(who, near)
            used, listed = np.zeros(len(shares) - 1, dtype=np.int64), np.empty(int(begins[-1]) + LANES, dtype=np.int32)
            parallel.run(search.find, shares, *who, order, *near, dummy, begins, used, listed, where, counts)
            if (used >= 0).all():
                break
            self._shares = None
        self._shares = shares, _starts(MORE * used + 64.0 * LANES)
        whose, full = (self._structure_of, self._offsets, self._dim), self._kind == binning.EVERY
        return ImageLists(*whose, home, homes, owner, shift, where, counts, listed, full, self._threads)

    def _bounded(self, who: tuple, near: tuple) -> tuple[list[int], np.ndarray]:
        """Shares of the search with room for all that may be near; lists are packed, share by share.

        Shares are even where points are as they were then; they change no result.
        """
        bounds = self._space.take("bounds", (self._count,), np.int64)
        parallel.run(search.bound, parallel.even(self._count, self._threads, 500), *who, *near, bounds)
        room = _starts(bounds)
        self._check_memory(4, bounds, self._structure_of)
        shares = parallel.weighted(room[:-1], int(room[-1]), self._threads, 2000)
        return shares, room[shares]

    def _images(self, points: np.ndarray, where: tuple, first_image: np.ndarray) -> tuple:
        """``home``, ``homes``, ``owner`` and ``shift``; ``y``, ``order`` and ``starts``.

        Images are found and counted, bin by bin, and then put where the counts before them end.
        """
        frames, steps, numbers, ranks = self._bricks
        first_bin, count, take = where[-1], self._count, self._space.take
        ends = take("ends", (len(self._offsets) - 1,), np.int64)
        starts, fill = (take(name, (int(first_bin[-1]) + 1,), np.int64) for name in ("starts", "fill"))
        bricks = (points, self._offsets, frames, steps, ranks, self._cutoff, self._kind, *where)
        run, shares = parallel.run, self._structures
        while True:
            found = self._room(int(first_image[-1]))
            starts.fill(0)
            run(binning.find_images, shares, *bricks, first_image, starts, *found, ends)
            if (ends <= first_image[1:]).all() or not parallel.runs():
                break
            first_image = _starts(ends - first_image[:-1])  # many more than in an even crowd
        np.cumsum(starts, out=starts)
        total = int(starts[-1])
        if total >= 2**31:
            share = largest_share(ends - first_image[:-1], self._offsets, steps)
            raise MemoryError(
                f"cutoff: {self._what} has {total} periodic images, and at most 2^31 can be sorted; {share}"
            )
        fill[...] = starts
        y, order = take("y", (AXES, total + LANES), np.float64), take("order", (total + LANES,), np.int32)
        y[:, total:], order[total:] = 0.0, 0
        home, homes, owner = (np.empty(n, np.int32) for n in (count, count, total + 1))
        owner[total], shift = count, np.empty((total, AXES), np.int64)
        bricks, results = (self._offsets, numbers, self._kind), (y, owner, shift, order, home, homes)
        run(binning.sort_images, shares, *bricks, first_bin, first_image, ends, *found, fill, *results)
        return (home, homes, owner, shift), y, order, starts

    def _room(self, most: int) -> tuple[np.ndarray, ...]:
        """For images as they are found: coordinates, owners, steps, where they were moved, and bins."""
        take = self._space.take
        return (
            take("found y", (most, AXES), np.float64),
            take("found owner", (most,), np.int32),
            take("found steps", (most, AXES), np.int64),
            take("found moved", (most,), np.int8),
            take("found bin", (most,), np.int64),
        )


def _starts(numbers: np.ndarray) -> np.ndarray:
    """Where each of consecutive pieces begins, and all of them end."""
    starts = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum(numbers.astype(np.int64), out=starts[1:])
    return starts
