"""The oversampled grid of a plan: its sizes, its padding, its tiles, and the window sampled for it.

Everything has three axes inside; a 1-D or 2-D problem has leading axes of one node with a window of width one. So there
is one code for every dimension, and the compiler removes the loops that run once.

Padding. A point at grid coordinate g touches the nodes start … start + w − 1 with start = ⌊g − w/2⌋ + 1, folded into
[0, n). The array has room for all of them, n + w − 1 nodes per axis (more along the last, where a whole vector is
stored, and along the second where that suits a cache), so the inner loops never wrap. Spreading ends by adding the
padding onto the nodes it stands for, interpolation begins by filling it; that of rows the transforms take with them,
where they are our own (``folds_rows``).

Tiles. Points are sorted by tile, a block of grid nodes that contains their ``start``: what the points of a tile touch
stays in a cache. A small grid is one tile, and its points are not sorted at all. A tile is at least as long as a window
less one, so it shares nodes with the tiles next to it only; ``schedule`` lives on that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from ...geometry.cell import Cell
from ...geometry.modes import ModeSet, highest_mode
from ...machine.backends import Backend, load
from ...machine.cpu.lanes import SIDE, row_length, vector_lanes
from ...machine.memory import account
from ..window.choose import Window, choose_window, paper_window
from .cache_layout import spread_out
from .sizes import choose_sizes, good_size, highest_ratio

__all__ = ["Grid", "embed"]


def embed(values: tuple[int, ...], fill: int) -> tuple[int, int, int]:
    """d numbers as three, with ``fill`` for the axes in front that are not there."""
    return (fill,) * (3 - len(values)) + tuple(values)  # type: ignore[return-value]


def _kept_indices(kept: int, nodes: int) -> np.ndarray:
    """Where the kept modes stand among ``nodes`` frequencies: 0, 1, …, K, −K, …, −1."""
    top = kept // 2
    return np.concatenate([np.arange(top + 1), np.arange(nodes - top, nodes)])


def _width(eps: float, ratio: float) -> int:
    return choose_window("kaiser_bessel", eps, ratio).width


@dataclass
class Grid:
    """Sizes and tables that the kernels need.

    Parameters
    ----------
    cell : Cell
        The periodic cell.
    modes : tuple of int
        Modes along each of the d axes.
    eps : float
        Relative ℓ² error asked for.
    window_name : str
        The window family.
    dtype : dtype
        float32 or float64.
    points : int
        Points per snapshot, which decide how large a grid is worth its transforms.
    backend : Backend
        Where tables and arrays live, and whose loops work on them.

    Raises
    ------
    ValueError
        When ``eps`` cannot be kept.
    """

    cell: Cell
    modes: tuple[int, ...]
    eps: float
    window_name: str
    dtype: np.dtype
    points: int
    backend: Backend = field(default_factory=lambda: load("cpu"))
    mode_set: ModeSet = field(init=False)
    window: Window = field(init=False)
    n: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.mode_set = ModeSet(self.cell, self.modes)
        kept = tuple(highest_mode(m) for m in self.modes)
        if self.window_name == "gaussian_paper":
            self.n = tuple(2 * top + 1 for top in kept)
            self.window = paper_window()
        else:
            double = tuple(good_size(2 * (2 * top + 1)) for top in kept)
            # The cost model knows the Kaiser–Bessel family; Gaussians need the room of an oversampling of 2.
            model = self.window_name == "kaiser_bessel"
            self.n = choose_sizes(kept, self.eps, self.points, self.dtype.name, _width) if model else double
            try:
                self.window = self._narrowest(kept)
            except ValueError:  # the model was too hopeful about a small grid
                self.n = double
                self.window = self._narrowest(kept)

    def _narrowest(self, kept: tuple[int, ...]) -> Window:
        return choose_window(self.window_name, self.eps, highest_ratio(kept, self.n))

    @cached_property
    def dim(self) -> int:
        """Number of dimensions d."""
        return self.cell.dim

    @cached_property
    def stored(self) -> tuple[int, int, int]:
        """Stored modes per axis, three of them."""
        return embed(self.mode_set.shape, 1)

    @cached_property
    def complex(self) -> np.dtype:
        """The dtype of modes."""
        return np.dtype(np.complex64 if self.dtype == np.float32 else np.complex128)

    @cached_property
    def nodes(self) -> tuple[int, int, int]:
        """Grid nodes per axis, three of them."""
        return embed(self.n, 1)

    @cached_property
    def smooth(self) -> bool:
        """Whether every axis has a length that our own transforms can do."""
        return all(good_size(n) == n for n in self.n)

    @cached_property
    def reach(self) -> tuple[int, int, int]:
        """Nodes under the window per axis."""
        return embed((self.window.width,) * self.dim, 1)

    @cached_property
    def _supports(self) -> tuple[tuple, tuple]:
        first, second, third = self.reach
        windows = (0,) * first, (0,) * second, (0,) * third, first
        return (*windows, (0,) * third), (*windows, (0,) * row_length(third))

    def supports(self, pair: int) -> tuple:
        """The same for the loops: three tuples, whose *lengths* the compiler knows, the first as a number, and a row.

        Parameters
        ----------
        pair : int
            How many channels lie side by side, 1 or 2; with 2 a row is longer than a window.
        """
        return self._supports[pair - 1]

    def pair(self, channels: int, *, reading: bool) -> int:
        """How many channels lie side by side on the grid, 1 or 2, whichever is faster.

        Where they do, rows are whole lines of a cache (``simd_pairs``). Spreading, bound by its stores, gains or loses
        nothing; reading, bound by arithmetic on what a window does not cover, gains where the windows of two channels,
        each by itself, would hardly fit into the cache.

        Parameters
        ----------
        channels : int
            How many there are.
        reading : bool
            Whether the grid will be interpolated; it is spread to otherwise.
        """
        wanted = not reading or (self.dim == 3 and self.window.width > 8)
        return 2 if self._may_pair and wanted and channels % 2 == 0 else 1

    def together(self, shape: tuple[int, ...]) -> int:
        """How many channels lie side by side in grids of a shape (B, C or pairs, planes, rows, numbers per row)."""
        return shape[4] // self.padded[2]

    @cached_property
    def folds_rows(self) -> bool:
        """Whether the transforms fold the padding of the last axis in and fill it, on their way through the rows."""
        return self.dim > 1 and self.smooth and self.backend.name == "cpu"

    @cached_property
    def _may_pair(self) -> bool:
        """Whether there is anything to gain, and the transforms know how."""
        return self.folds_rows and self.dtype == np.float64

    def rows(self, channels: int) -> int:
        """Rows under the window of a point, all channels together, and the sixteen that the window itself costs."""
        return self.reach[0] * self.reach[1] * channels + 16

    @cached_property
    def padded(self) -> tuple[int, int, int]:
        """Nodes per axis with padding.

        Rows are kept off multiples of 512 bytes, which would share sets of a cache; in three dimensions ``spread_out``
        does better.
        """
        width, itemsize = self.window.width, self.dtype.itemsize
        first, second, last = (n + w - 1 for n, w in zip(self.nodes, self.reach, strict=True))
        last = -(-(self.n[-1] + vector_lanes(width)) // 8) * 8 + 8
        if last * itemsize % 512 == 0:
            last += 8
        if self.dim == 3:
            length, sets = vector_lanes(width) * itemsize, self.backend.points.SETS
            second, last = spread_out(second, last, width, length, sets, itemsize)
        return first, second, last

    @cached_property
    def tile_shifts(self) -> tuple[int, int, int]:
        """Nodes per tile and axis as powers of two: room for a window, and for a vector along the last axis."""
        if prod(self.padded) * self.dtype.itemsize <= self.backend.points.ONE_TILE[self.dim]:
            return embed(tuple((n - 1).bit_length() for n in self.n), 0)
        across, along = max(self.window.width - 1, 8), max(vector_lanes(self.window.width), 16)
        sizes = {1: (2048,), 2: (max(across, 16), max(along, 32)), 3: (across, across, along)}[self.dim]
        return embed(tuple((size - 1).bit_length() for size in sizes), 0)

    @cached_property
    def tile(self) -> tuple[int, int, int]:
        """Nodes per tile and axis."""
        first, second, third = (1 << shift for shift in self.tile_shifts)
        return first, second, third

    @cached_property
    def tiles(self) -> tuple[int, int, int]:
        """Tiles per axis."""
        first, second, third = (-(-n // t) for n, t in zip(self.nodes, self.tile, strict=True))
        return first, second, third

    @cached_property
    def pencils(self) -> tuple[int, int]:
        """Slabs per snapshot and pencils per slab, see ``schedule``."""
        there = self.tiles[3 - self.dim :]
        return there[0], there[1] if self.dim > 1 else 1

    @cached_property
    def block(self) -> tuple[int, int, int]:
        """Nodes that the windows of the points of one tile can reach."""
        within = (min(t, n) for t, n in zip(self.tile, self.nodes, strict=True))
        reach = (*self.reach[:2], self.polynomials.shape[1])
        first, second, third = (t + r - 1 for t, r in zip(within, reach, strict=True))
        return first, second, third + SIDE - third % SIDE if self._may_pair else third

    @cached_property
    def to_grid(self) -> np.ndarray:
        """(d, d) matrix J: a displacement dx is dx @ J grid cells."""
        return self.backend.arrays.asarray(np.ascontiguousarray(self.cell.inverse * np.array(self.n)))

    @cached_property
    def inverse(self) -> np.ndarray:
        """(d, d): points @ inverse are fractional coordinates."""
        return self.backend.arrays.asarray(self.cell.inverse)

    @cached_property
    def shift(self) -> np.ndarray:
        """(d,) what is added to the grid coordinate before folding, so that its floor is the first node touched."""
        return np.full(self.dim, 1.0 - self.window.width / 2)

    @cached_property
    def polynomials(self) -> np.ndarray:
        """(degree + 1, lanes) coefficients of ψ, highest power first."""
        table = self.window.coefficients
        out = np.zeros((len(table), vector_lanes(self.window.width)), dtype=self.dtype)
        out[:, : self.window.width] = table
        return self.backend.arrays.asarray(out)

    @cached_property
    def corrections(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Per axis 1/ψ̂² on the kept modes in stored order."""
        axes = [np.ones(1, dtype=self.dtype)] * (3 - self.dim)
        for axis, n in zip(self.mode_set.axes, self.n, strict=True):
            correction = self.window.transform(axis / n)
            axes.append(np.power(correction, -2.0, out=correction).astype(self.dtype, copy=False))
        first, second, last = (self.backend.arrays.asarray(axis) for axis in axes)
        return first, second, last

    @cached_property
    def mode_weights(self) -> np.ndarray:
        """How many modes each index of the last axis stands for, (m,)."""
        weights = self.mode_set.weights[: self.mode_set.shape[-1]]
        return self.backend.arrays.asarray(weights.astype(self.dtype))

    @cached_property
    def wavevectors(self) -> np.ndarray:
        """k of the stored modes, (m, m, m, d), radians per unit length."""
        k = self.mode_set.k.reshape(*self.stored, self.dim)
        return self.backend.arrays.asarray(k.astype(self.dtype))

    @cached_property
    def kept(self) -> tuple:
        """Where the kept modes stand in (B, C, ·, ·, ·), the transform of whole grids."""
        lengths = zip(self.stored[:2], self.nodes[:2], strict=True)
        first, second = (self.backend.arrays.asarray(_kept_indices(kept, n)) for kept, n in lengths)
        return slice(None), slice(None), first[:, None], second, slice(self.mode_set.shape[-1])

    def memory(self, points: int, batch: int, channels: int, wrt: Collection[str] = (), *, targets: bool = True) -> int:
        """Bytes that are needed beyond what a user holds, ``account`` added up.

        Parameters
        ----------
        points, batch, channels, wrt, targets
            As for ``account``; memory is to be there for targets, too, where nobody says that there are none.
        """
        return sum(self.account(points, batch, channels, wrt, targets=targets).values())

    def account(
        self, points: int, batch: int, channels: int, wrt: Collection[str] = (), *, targets: bool = False
    ) -> dict[str, int]:
        """What a plan, a multiplier like the named kernels and a call take at once, in bytes; nothing is allocated.

        Parameters
        ----------
        points : int
            Per snapshot.
        batch : int
            Snapshots.
        channels : int
            Channels of the values and of the result.
        wrt : collection of {"points", "values", "parameters"}
            What a gradient is asked for; none for ``convolve``.
        targets : bool
            Whether there are targets, as many as points.

        Returns
        -------
        dict of str to int
            By what they are for; see ``memory.account``.
        """
        return account(self, points, batch, channels, wrt, targets)
