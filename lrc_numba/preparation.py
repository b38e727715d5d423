"""What a plan holds: its choices, its grid, its points; and what it makes of what a user passes in."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from inspect import signature
from math import prod, sqrt
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np

from . import arguments
from .engine.deconvolution.stage import MultiplierTable
from .engine.grid.grid import Grid
from .engine.operator import Operator
from .engine.points.stage import SortedPoints
from .engine.window.choose import WINDOWS, accuracy_floor
from .geometry.cell import Cell, as_box
from .gradient import Gradient
from .machine import backends
from .machine.memory import WORTH_A_LOOK, check_memory
from .multipliers.multiplier import Multiplier

__all__ = ["Preparation", "alone", "computes"]

GRADIENTS = ("exact", "spectral")
LINEAR = ("values", "cotangent", "dpoints", "dvalues", "dtargets", "dcotangent")  # what results are linear in
P = ParamSpec("P")
R = TypeVar("R")


def alone(method: Callable[P, R]) -> Callable[P, R]:
    """A method of a plan that raises a RuntimeError while the plan is at work, in another thread or further up."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        idle: list = args[0]._idle  # type: ignore[attr-defined]
        if not _taken(idle):
            raise _at_work(method.__name__)
        try:
            return method(*args, **kwargs)
        finally:
            idle.append(None)

    return call


def computes(method: Callable[P, R]) -> Callable[P, R]:
    """A method that works ``alone`` and raises a ValueError where its results are beyond the range of the dtype."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        plan: Any = args[0]
        idle: list = plan._idle
        if not _taken(idle):
            raise _at_work(method.__name__)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked at
                result = method(*args, **kwargs)
            if not plan._in_range(result):
                raise plan._beyond_range(signature(method).bind(*args, **kwargs).arguments)
            return result
        finally:
            idle.append(None)

    return call


def _taken(idle: list) -> bool:
    """Whether this thread took the one entry; of two at once one gets it."""
    try:
        idle.pop()
    except IndexError:
        return False
    return True


def _at_work(name: str) -> RuntimeError:
    return RuntimeError(
        f"{name}: the plan is at work already, and has one workspace; make a plan for every thread, as with "
        "copy.copy(plan)"
    )


class Preparation:
    """The part of ``plan.LRCPlan`` that computes nothing; its parameters are described there."""

    def __init__(
        self,
        box,
        modes,
        *,
        eps: float = 1e-6,
        window: str = "kaiser_bessel",
        gradient: str = "exact",
        dtype=np.float64,
        threads: int | None = None,
        backend: str = "cpu",
        dim: int | None = None,
    ):
        # Copies: a plan does not change with what it was made of.
        self._box = as_box(box)
        arguments.refuse_masked("modes", modes)
        self._modes = modes.tolist() if isinstance(modes, (np.ndarray, np.generic)) else deepcopy(modes)
        self.dtype = arguments.as_dtype(dtype)
        self.eps = arguments.as_positive("eps", eps, 1.0)
        self.window = arguments.as_choice("window", window, WINDOWS)
        self.gradient = arguments.as_choice("gradient", gradient, GRADIENTS)
        self.backend = arguments.as_choice("backend", backend, backends.BACKENDS)
        self._backend = backends.load(backend)
        self._on_device = False
        self.threads = arguments.as_threads(threads, self._backend.parallel.available_threads())
        self._grid: Grid | None = None
        self._sources: SortedPoints | None = None
        self._targets: SortedPoints | None = None
        self._shapes: tuple[tuple[int, ...], tuple[int, ...] | None] = ((), None)
        self._operator: Operator
        self._light = 0  # so many channels on the grid need so little memory that nobody looks whether it is there
        self._tabulated: tuple | None = None
        self._idle = [None]  # empty while the plan is at work
        self._fixed = True
        if dim is None:
            known = [len(a) for a in (self._box, self._modes) if isinstance(a, (list, tuple)) or np.ndim(a) > 0]
            dim = known[0] if known else None
        elif not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
            raise TypeError(f"dim: expected an int or None, got {dim!r}")
        if dim is not None:
            self._use(self._grid_for(int(dim), None))

    def __setattr__(self, name: str, value) -> None:
        if not name.startswith("_") and getattr(self, "_fixed", False):
            raise AttributeError(f"{name}: a plan is fixed when it is made; make another one")
        object.__setattr__(self, name, value)

    def __copy__(self) -> Self:
        return deepcopy(self)  # two plans must not share a workspace

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_idle": [None]}  # a copy has nothing to do yet

    def _grid_for(self, dim: int, points: int | None) -> Grid:
        """The grid for so many points per snapshot, about as many as there are modes if that is not known."""
        old = self._grid
        if old is not None:
            if old.points == points:
                return old
            modes, cell = old.modes, old.cell
        else:
            if dim not in (1, 2, 3):
                raise ValueError(f"dim: expected 1, 2 or 3 dimensions, as box and modes say, got {dim}")
            modes, cell = arguments.as_modes(self._modes, dim), Cell(self._box, dim)
            self._check_memory("modes", modes, 16 * prod(m + 16 for m in modes))
            floor = accuracy_floor(self.dtype, modes)
            if self.window != "gaussian_paper" and self.eps < floor:
                raise ValueError(
                    f"eps: {self.eps:g} is out of reach in {self.dtype.name} with modes={modes}; "
                    f"expected at least {floor:.1e}"
                )
        points = prod(modes) if points is None else points
        grid = Grid(cell, modes, self.eps, self.window, self.dtype, points, self._backend)
        if old is None:
            self._check_memory("modes", modes, grid.memory(0, 1, 1))
        if old is not None and old.n == grid.n:
            old.points = grid.points
            return old
        return grid

    def _use(self, grid: Grid) -> None:
        if grid is not self._grid:
            self._grid = grid
            self._operator = Operator(grid, self.threads, self.gradient == "spectral")

    def _check_memory(self, name: str, what: object, needed: int) -> None:
        check_memory(name, what, needed, self._backend.arrays.available_memory)

    def _array(self, name: str, value) -> np.ndarray:
        """``value``, checked, where the back end works on it."""
        return arguments.as_array(name, value, self.dtype, self._backend.arrays)

    def _given(self, array):
        """A result where the points came from."""
        return array if self._on_device or array is None else self._backend.arrays.to_host(array)

    @property
    def grid(self) -> Grid:
        """Sizes, window and tables; a ValueError while the dimension is not known."""
        if self._grid is None:
            raise ValueError("dim: neither box nor modes tells the dimension; call set_points first or pass dim")
        return self._grid

    def __repr__(self) -> str:
        if self._grid is None:
            return (
                f"LRCPlan(box={self._box}, modes={self._modes}, eps={self.eps:g}; the points will tell the dimension)"
            )
        g, w = self._grid, self._grid.window
        alias = w.alias(max(max((m - 1) // 2, 0.5) / n for m, n in zip(g.modes, g.n, strict=True)))
        rows = [
            f"LRCPlan in {g.dim} dimension(s), {g.dtype.name}, backend {self.backend}, {self.threads} thread(s)",
            f"  cell      {g.cell!r}",
            f"  modes     {g.modes}, {g.mode_set.size} stored",
            f"  grid      {g.n}, oversampling {', '.join(f'{n / m:.2f}' for n, m in zip(g.n, g.modes, strict=True))}",
            f"  window    {w.name}, width {w.width}, shape {w.shape[0]:.2f}, {w.shape[1]:g}, degree {w.degree}",
            f"  error     asked {self.eps:g}; law 6·alias = {6 * alias:.1e}",
            f"  gradient  {self.gradient}",
            f"  memory    {self._stated()}",
        ]
        if self._sources is not None:
            rows.append(f"  points    {self._shapes[0]}" + (f", targets {self._shapes[1]}" if self._shapes[1] else ""))
        return "\n".join(rows)

    def _stated(self) -> str:
        """What one channel of all snapshots takes."""
        points, batch, targets = 0, 1, self._targets is not self._sources
        if self._sources is not None and self._targets is not None:
            batch, points = self._sources.batch[0], max(self._sources.batch[1], self._targets.batch[1])
        plain, gradient = (
            self.grid.memory(points, batch, 1, wrt, targets=targets) / 2**20 for wrt in ((), ("points", "values"))
        )
        return f"{plain:.1f} MiB for a channel, {gradient:.1f} MiB with its gradient"

    # ------------------------------------------------------------------ points
    @alone
    def set_points(self, points, targets=None) -> Self:
        """Fold and sort the points. Returns the plan.

        Parameters
        ----------
        points : (N, d) or (B, N, d) array
            Sources, anywhere in space; B snapshots are independent of each other.
        targets : (T, d) or (B, T, d) array, optional
            Where u is wanted; at the points by default.

        Raises
        ------
        ValueError, TypeError, MemoryError
            Naming the argument, what came and what was expected. The plan then still has the points that it had; but
            where the system runs out of memory while the new ones are sorted, or the user interrupts that, it has none.
        RuntimeError
            Where the plan is at work in another thread.
        """
        arrays, on_device = self._backend.arrays, hasattr(points, "__cuda_array_interface__")
        dim, reach, away = self._grid.dim if self._grid else None, 0.0, 0.0
        arguments.points_shape("points", points, dim, arrays)
        points, reach = arguments.measured_array("points", points, self.dtype, arrays)
        if targets is not None:
            arguments.points_shape("targets", targets, points.shape[-1], arrays)
            targets, away = arguments.measured_array("targets", targets, self.dtype, arrays)
            if targets.shape[:-2] != points.shape[:-2]:
                raise ValueError(f"targets: expected as many snapshots as points, {points.shape}, got {targets.shape}")
        batch = 1 if points.ndim == 2 else points.shape[0]
        most = max(points.shape[-2], 0 if targets is None else targets.shape[-2])
        if batch * most >= 2**31:
            raise ValueError(f"points: expected fewer than 2^31 of them, got {batch * most}")
        grid = self._grid_for(points.shape[-1], most)
        held = self._operator.space.nbytes if self._grid is not None else 0
        self._check_memory("points", f"{points.shape} with modes={grid.modes}", grid.memory(most, batch, 1) - held)
        self._check_places("points", points, reach, grid)
        if targets is not None:
            self._check_places("targets", targets, away, grid)
        self._sources = self._targets = None  # until both are ready
        self._light = 0
        self._use(grid)
        sources = self._operator.sort("points", points.reshape(-1, grid.dim), batch)
        if targets is not None:
            self._targets = self._operator.sort("targets", targets.reshape(-1, grid.dim), batch)
        self._sources, self._targets = sources, self._targets or sources
        self._shapes, self._on_device = (points.shape, None if targets is None else targets.shape), on_device
        return self

    def _check_places(self, name: str, points: np.ndarray, squares: float, grid: Grid) -> None:
        """A ValueError where a point is too far away to have a place in the cell, before others lose their memory."""
        # Fractional coordinates are at most |x| over the smallest height; half of 2^52 leaves room for rounding.
        if sqrt(squares) >= 2.0**51 * grid.cell.smallest_height:
            Operator(grid, self.threads, False).sort(name, points.reshape(-1, grid.dim), 1)  # somewhere else

    # ------------------------------------------------------------------ results
    def _in_range(self, result) -> bool:
        """Whether all numbers of a result are finite."""
        arrays = self._backend.arrays
        if type(result) is np.ndarray:
            return arguments.all_finite(result, arrays)
        if isinstance(result, Gradient):
            parts = [result.output, result.points, result.values, result.targets, *(result.parameters or {}).values()]
        else:
            parts = list(result.values()) if isinstance(result, dict) else [result]
        return all(part is None or arguments.all_finite(part, arrays) for part in parts)

    def _beyond_range(self, given: dict) -> ValueError:
        """Which argument is to blame: of what is multiplied with each other, what is largest."""
        arrays, sizes = self._backend.arrays, {}
        for name in LINEAR:
            if given.get(name) is not None and (array := self._array(name, given[name])).size:
                sizes[name] = float(arrays.xp.abs(array).max())
        largest = max(sizes, key=sizes.__getitem__, default="")
        # A product of two numbers is beyond the range only where one of them is beyond its root.
        count = max(1, self.grid.mode_set.size, *(len(p.coordinates) for p in self._points()))
        if not largest or sizes[largest] * count < sqrt(np.finfo(self.dtype).max):
            return ValueError(f"multiplier: results with {given['multiplier']!r} are beyond the range of {self.dtype}")
        return ValueError(
            f"{largest}: expected numbers whose results are within the range of {self.dtype}, "
            f"got up to {sizes[largest]:.3g}"
        )

    # ------------------------------------------------------------------ arguments
    def _table(self, multiplier: Multiplier, grid: Grid) -> MultiplierTable:
        if not isinstance(multiplier, Multiplier):
            raise TypeError(f"multiplier: expected a Multiplier, got {type(multiplier).__name__}")
        state, kept = multiplier.state(), self._tabulated
        if state is None or kept is None or kept[0] is not multiplier or kept[1] != state:
            kept = (multiplier, state, MultiplierTable(multiplier, grid))
            self._tabulated = kept if state is not None else None
        return kept[2]

    def _points(self) -> tuple[SortedPoints, SortedPoints]:
        if self._sources is None or self._targets is None:
            raise ValueError("points: none are set; call set_points first")
        return self._sources, self._targets

    def _flat(self, name: str, value, shape: tuple[int, ...], channels: int | None) -> tuple[np.ndarray, bool]:
        """(B·N, C) from (*shape,) or (*shape, C), and whether there was a channel axis; None is ones."""
        if value is None:
            return self._backend.arrays.xp.ones((prod(shape), 1), dtype=self.dtype), False
        array = self._array(name, value)
        has_axis = array.ndim == len(shape) + 1
        if array.shape[: len(shape)] != shape or array.ndim not in (len(shape), len(shape) + 1):
            raise ValueError(f"{name}: expected shape {shape} or {(*shape, 'C')}, as points has, got {array.shape}")
        if array.shape == (*shape, 0):
            raise ValueError(f"{name}: expected at least one channel, got shape {array.shape}")
        flat = array.reshape(-1, array.shape[-1] if has_axis else 1)
        if channels is not None and flat.shape[1] != channels:
            raise ValueError(f"{name}: expected {channels} channel(s), got shape {array.shape}")
        return flat, has_axis

    def _inputs(self, values, multiplier, exclude_self: bool):
        """Checked and flattened: sources, targets, table, values, output shape."""
        sources, targets = self._points()
        if exclude_self and targets is not sources:
            raise ValueError("exclude_self: targets are not the points, so there is no self to exclude")
        table = self._table(multiplier, self.grid)
        flat, has_axis = self._flat("values", values, self._shapes[0][:-1], None)
        out = table.channels_out(flat.shape[1])
        places = (self._shapes[1] or self._shapes[0])[:-1]
        # Values and tangents, or values and cotangents, may lie on the grid together; ik makes d channels of one.
        most = 2 * max(flat.shape[1], out) * (self.grid.dim if self.gradient == "spectral" else 1)
        if most > self._light:
            needed = self.grid.memory(max(sources.batch[1], targets.batch[1]), sources.batch[0], most)
            self._check_memory("values", f"{flat.shape[1]} channel(s) to {out}", needed - self._operator.space.nbytes)
            if needed <= WORTH_A_LOOK:
                self._light = most
        return sources, targets, table, flat, places if not has_axis and table.per_channel else (*places, out)

    def _displacement(self, name: str, value, shape: tuple[int, ...]) -> np.ndarray | None:
        if value is None:
            return None
        if (found := self._backend.arrays.shape(value)) != shape:
            raise ValueError(f"{name}: expected the shape of the points, {shape}, got {found}")
        return self._array(name, value).reshape(-1, shape[-1])
