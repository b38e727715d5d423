"""What a user chooses when a plan is made, checked; and the grid that follows from it."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import dataclass, field
from math import prod

import numpy as np

from .. import arguments
from ..engine.grid import Grid
from ..engine.grid.sizes import highest_ratio
from ..engine.window.choose import TRANSFORM_ERRORS, WINDOWS, Window, accuracy_floor
from ..geometry.cell import Cell, as_box
from ..geometry.modes import highest_mode
from ..machine import backends
from ..machine.memory import check_memory
from .window_shape import WindowShape

__all__ = ["GRADIENTS", "Choices", "check_eps"]

GRADIENTS = ("exact", "spectral")


def check_eps(eps: float, dtype: np.dtype, modes: tuple[int, ...] | None = None) -> None:
    """Raise a ValueError where rounding alone is more than an accuracy.

    Parameters
    ----------
    eps : float
        Relative ℓ² error.
    dtype : float32 or float64
        Of the convolution.
    modes : tuple of int, optional
        Along each axis; without them it is refused what no number of modes allows.
    """
    floor = accuracy_floor(dtype, modes or (1,))
    if eps < floor:
        where = "" if modes is None else f" with modes={modes}"
        raise ValueError(f"eps: {eps:g} is out of reach in {dtype.name}{where}; expected at least {floor:.1e}")


@dataclass
class Choices:
    """The arguments of ``LRCPlan``, where they are described; they are checked and copied here."""

    box: object
    modes: object
    eps: float = 1e-6
    window: str | WindowShape = "kaiser_bessel"
    gradient: str = "exact"
    dtype: np.dtype = np.float64  # type: ignore[assignment]
    wanted_threads: int | None = None
    backend: str = "cpu"
    dim: int | None = None
    nodes: object = None
    engine: backends.Backend = field(init=False)
    threads: int = field(init=False)

    def __post_init__(self) -> None:
        # Copies: a plan does not change with what it was made of.
        self.box = as_box(self.box)
        arguments.refuse_masked("modes", self.modes)
        is_array = isinstance(self.modes, (np.ndarray, np.generic))
        self.modes = self.modes.tolist() if is_array else deepcopy(self.modes)  # type: ignore[attr-defined]
        self.dtype = arguments.as_dtype(self.dtype)
        self.eps = arguments.as_positive("eps", self.eps, 1.0)
        self._check_window()
        self.gradient = arguments.as_choice("gradient", self.gradient, GRADIENTS)
        self.backend = arguments.as_choice("backend", self.backend, backends.BACKENDS)
        self.engine = backends.load(self.backend)
        self.threads = arguments.as_threads(self.wanted_threads, self.engine.parallel.available_threads())
        if self.dim is None:
            given = (self.box, self.modes, self.nodes)
            known = [len(a) for a in given if isinstance(a, (list, tuple)) or np.ndim(a) > 0]  # type: ignore[arg-type]
            self.dim = known[0] if known else None
        elif not isinstance(self.dim, (int, np.integer)) or isinstance(self.dim, bool):
            raise TypeError(f"dim: expected an int or None, got {self.dim!r}")

    def _check_window(self) -> None:
        """Window and nodes, as far as that is possible without the dimension."""
        if not isinstance(self.window, WindowShape):
            self.window = arguments.as_choice("window", self.window, WINDOWS)
        elif self.nodes is None:
            raise ValueError(f"nodes: the sizes of the grid must be given with window={self.window!r}")
        if self.nodes is not None:
            if self.window == "gaussian_paper":
                raise ValueError("nodes: the window 'gaussian_paper' has a grid of its own")
            arguments.refuse_masked("nodes", self.nodes)
            is_array = isinstance(self.nodes, (np.ndarray, np.generic))
            self.nodes = self.nodes.tolist() if is_array else deepcopy(self.nodes)  # type: ignore[attr-defined]

    def with_box(self, box) -> Choices:
        """The same choices in another box.

        Parameters
        ----------
        box : float, (d,) or (d, d) array
            As for ``LRCPlan``.
        """
        new = copy(self)
        new.box = as_box(box)
        return new

    def check_memory(self, name: str, what: object, needed: int) -> None:
        """A MemoryError where so many bytes are not to be had.

        Parameters
        ----------
        name : str
            The argument that asks for them.
        what : object
            How to describe what came.
        needed : int
            Bytes.
        """
        check_memory(name, what, needed, self.engine.arrays.available_memory)

    def grid(self, dim: int, points: int | None, old: Grid | None) -> Grid:
        """The grid for so many points per snapshot; the old one where that is as good.

        Parameters
        ----------
        dim : int
            Number of dimensions.
        points : int or None
            Per snapshot; about as many as there are modes if that is not known.
        old : Grid or None
            What the plan has.

        Raises
        ------
        ValueError, TypeError, MemoryError
            Naming the argument, before any work is done.
        """
        if old is not None and old.points == points:
            return old
        if old is not None and self.nodes is not None:
            return old if points is None else old.for_points(points)
        modes, cell = self._checked(dim) if old is None else (old.modes, old.cell)
        points = prod(modes) if points is None else points
        nodes, window = self._given(modes)
        name = self.window.name if isinstance(self.window, WindowShape) else self.window
        grid = Grid(cell, modes, self.eps, name, self.dtype, points, self.engine, nodes, window)
        if old is None:
            name, what = ("modes", modes) if nodes is None else ("nodes", nodes)
            self.check_memory(name, what, grid.memory(0, 1, 1))
        elif old.n == grid.n:
            return old.for_points(points)
        return grid

    def _checked(self, dim: int) -> tuple[tuple[int, ...], Cell]:
        """Modes and cell, now that the dimension is known."""
        if dim not in (1, 2, 3):
            raise ValueError(f"dim: expected 1, 2 or 3 dimensions, as box and modes say, got {dim}")
        modes, cell = arguments.as_modes(self.modes, dim), Cell(self.box, dim)
        self.check_memory("modes", modes, 16 * prod(m + 16 for m in modes))
        if self.window in WINDOWS and self.window != "gaussian_paper":
            check_eps(self.eps, self.dtype, modes)
        return modes, cell

    def _given(self, modes: tuple[int, ...]) -> tuple[tuple[int, ...] | None, Window | None]:
        """Nodes and window that the user chose, None where that is left to the grid."""
        if self.nodes is None:
            return None, None
        nodes, kept = arguments.as_modes(self.nodes, len(modes), "nodes"), tuple(highest_mode(m) for m in modes)
        fewest = tuple(2 * top + 1 for top in kept)
        if any(n < least for n, least in zip(nodes, fewest, strict=True)):
            raise ValueError(
                f"nodes: expected at least {fewest}, two for every mode above 0 along an axis and one more, for "
                f"modes={modes}, got {nodes}"
            )
        return nodes, self.window.window(highest_ratio(kept, nodes)) if isinstance(self.window, WindowShape) else None

    def describe(self, grid: Grid | None) -> list[str]:
        """Lines of text: every choice, also those that follow from others."""
        if grid is None:
            what = f"box={self.box}, modes={self.modes}, eps={self.eps:g}"
            return [f"LRCPlan({what}; the points will tell the dimension)"]
        window, sizes = grid.window, list(zip(grid.n, grid.modes, strict=True))
        alias = window.alias(max(max((m - 1) // 2, 0.5) / n for n, m in sizes))
        shape = f"shape {window.shape[0]:.2f}, {window.shape[1]:g}, " if window.shape else ""
        error = f"eps {self.eps:g}; law 6·alias = {TRANSFORM_ERRORS * alias:.1e}"
        if isinstance(self.window, WindowShape):
            error = f"estimated alias {alias:.1e} per axis and transform; eps makes no promise"
        return [
            f"LRCPlan in {grid.dim} dimension(s), {grid.dtype.name}, backend {self.backend}, {self.threads} thread(s)",
            f"  cell      {grid.cell!r}",
            f"  modes     {grid.modes}, {grid.mode_set.size} stored",
            f"  grid      {grid.n}, oversampling {', '.join(f'{n / m:.2f}' for n, m in sizes)}",
            f"  window    {window.name}, width {window.width}, {shape}degree {window.degree}",
            f"  error     {error}",
            f"  gradient  {self.gradient}",
        ]
