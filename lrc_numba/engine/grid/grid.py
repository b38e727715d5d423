"""The oversampled grid of a plan: its sizes and its window; what follows from them is in ``layout`` and ``tables``.

Everything has three axes inside; a 1-D or 2-D problem has leading axes of one node with a window of width one. So there
is one code for every dimension, and the compiler removes the loops that run once.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...geometry.cell import Cell
from ...geometry.modes import ModeSet, highest_mode
from ...machine.backends import Backend, load
from ...machine.cpu.lanes import row_length
from ..window.choose import Window, choose_window, paper_window
from .account import account
from .layout import Layout, embed
from .sizes import choose_sizes, good_size, highest_ratio
from .tables import Tables

__all__ = ["Grid"]

FEW = 2048  # points per snapshot


def _width(eps: float, ratio: float) -> int:
    return choose_window("kaiser_bessel", eps, ratio).width


@dataclass
class Grid:
    """Sizes and window of a grid.

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
    given_nodes : tuple of int, optional
        Nodes that somebody else chose, at least 2K + 1 of them for modes up to K.
    given_window : Window, optional
        A window that somebody else chose, for these nodes; ``eps`` is then without effect.

    Attributes
    ----------
    mode_set : ModeSet
        The stored half of the modes.
    window : Window
        ψ.
    n : tuple of int
        Nodes along each of the d axes.

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
    given_nodes: tuple[int, ...] | None = None
    given_window: Window | None = None
    mode_set: ModeSet = field(init=False)
    window: Window = field(init=False)
    n: tuple[int, ...] = field(init=False)
    _memory: dict = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.mode_set = ModeSet(self.cell, self.modes)
        kept = tuple(highest_mode(m) for m in self.modes)
        if self.given_nodes is not None:
            self.n = self.given_nodes
            self.window = self.given_window or self._narrowest(kept)
        elif self.window_name == "gaussian_paper":
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

    def with_cell(self, cell: Cell) -> Grid:
        """The same sizes, window, modes and layout in another cell of as many dimensions; tables without a cell shared.

        Parameters
        ----------
        cell : Cell
            Of the new grid.
        """
        new = copy(self)
        for name in ("steepest", "tables"):  # of the old cell
            new.__dict__.pop(name, None)
        new.cell, new.mode_set, new._memory = cell, self.mode_set.with_cell(cell), dict(self._memory)
        new.tables = Tables(new, self.tables)
        return new

    def for_points(self, points: int) -> Grid:
        """The same sizes, window and modes for another number of points: the grid itself where its layout is the same.

        Parameters
        ----------
        points : int
            Per snapshot.
        """
        if (points <= FEW) == self.has_few_points:
            self.points = points
            return self
        new = copy(self)
        new.__dict__.pop("layout", None)
        new.points, new._memory = points, {}
        return new

    # ------------------------------------------------------------------ sizes
    @cached_property
    def dim(self) -> int:
        """Number of dimensions d."""
        return self.cell.dim

    @cached_property
    def nodes(self) -> tuple[int, int, int]:
        """Grid nodes per axis, three of them."""
        return embed(self.n, 1)

    @cached_property
    def stored(self) -> tuple[int, int, int]:
        """Stored modes per axis, three of them."""
        return embed(self.mode_set.shape, 1)

    @cached_property
    def support(self) -> tuple[int, int, int]:
        """Nodes under the window per axis."""
        return embed((self.window.width,) * self.dim, 1)

    @cached_property
    def shift(self) -> float:
        """What is added to the grid coordinate before folding, so that its floor is the first node touched."""
        return 1.0 - self.window.width / 2

    @cached_property
    def steepest(self) -> float:
        """A bound of the slopes of what lies on the grid over its values, inverse length."""
        return 16.0 * max(self.n) / self.cell.smallest_height

    @cached_property
    def complex_dtype(self) -> np.dtype:
        """The dtype of modes."""
        return np.dtype(np.complex64 if self.dtype == np.float32 else np.complex128)

    @cached_property
    def smooth(self) -> bool:
        """Whether every axis has a length that our own transforms can do."""
        return all(good_size(n) == n for n in self.n)

    @cached_property
    def folds_rows(self) -> bool:
        """Whether the transforms fold the padding of the last axis in and fill it, on their way through the rows."""
        return self.dim > 1 and self.smooth and self.backend.arrays.OWN_TRANSFORMS

    def rows(self, channels: int) -> int:
        """Rows under the window of a point, all channels together, and the sixteen that the window itself costs."""
        return self.support[0] * self.support[1] * channels + 16

    # ------------------------------------------------------------------ channels interleaved on the grid
    @cached_property
    def may_interleave(self) -> bool:
        """Whether there is anything to gain, and the transforms know how."""
        return self.folds_rows and self.dtype == np.float64

    def interleave(self, channels: int, *, reading: bool) -> int:
        """How many channels to interleave on the grid, 1 or 2, whichever is faster.

        Where they are, rows are whole lines of a cache (``simd_interleaved``). Spreading, bound by its stores, gains or
        loses nothing; reading, bound by arithmetic on what a window does not cover, gains where the windows of two
        channels, each by itself, would hardly fit into the cache.

        Parameters
        ----------
        channels : int
            How many there are.
        reading : bool
            Whether the grid will be interpolated; it is spread to otherwise.
        """
        wanted = not reading or (self.dim == 3 and self.window.width > 8)
        return 2 if self.may_interleave and wanted and channels % 2 == 0 else 1

    def interleaved(self, shape: tuple[int, ...]) -> int:
        """How many channels are interleaved in grids of a shape (B, C or pairs, planes, rows, numbers per row)."""
        return shape[4] // self.layout.padded[2]

    @cached_property
    def _supports(self) -> tuple[tuple, tuple]:
        first, second, last = self.support
        windows = (0,) * first, (0,) * second, (0,) * last, first
        return (*windows, (0,) * last), (*windows, (0,) * row_length(last))

    def supports(self, interleaved: int) -> tuple:
        """``support`` for the loops: three tuples whose *lengths* the compiler knows, the first as a number, and a row.

        Parameters
        ----------
        interleaved : int
            How many channels are interleaved, 1 or 2; with 2 a row is longer than a window.
        """
        return self._supports[interleaved - 1]

    # ------------------------------------------------------------------ what follows
    @property
    def has_few_points(self) -> bool:
        """Whether there are so few points per snapshot that sorting them is not worth it; the layout depends on it."""
        return self.points <= FEW

    @cached_property
    def layout(self) -> Layout:
        """Padding and tiles."""
        return Layout.of(self)

    @cached_property
    def tables(self) -> Tables:
        """Arrays for the loops, each made when it is first asked for."""
        return Tables(self)

    def memory(
        self, points: int, batch: int, channels: int, wrt: Collection[str] = (), *, targets: bool = True, maps: int = 1
    ) -> int:
        """Bytes that are needed beyond what a user holds, ``account`` added up.

        Parameters
        ----------
        points, batch, channels, wrt, targets, maps
            As for ``account``; memory is to be there for targets, too, where nobody says that there are none.
        """
        key = (points, batch, channels, *wrt, targets, maps)
        if key not in self._memory:
            self._memory[key] = sum(self.account(points, batch, channels, wrt, targets=targets, maps=maps).values())
        return self._memory[key]

    def account(
        self, points: int, batch: int, channels: int, wrt: Collection[str] = (), *, targets: bool = False, maps: int = 1
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
        maps : int
            Pairs of an input and an output channel for which φ̂ has values: C_out · C_in, or 1.

        Returns
        -------
        dict of str to int
            By what they are for; see ``grid.account``.
        """
        return account(self, points, batch, channels, wrt, targets, maps)
