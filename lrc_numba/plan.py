r"""The public face of the engine: ``LRCPlan``.

    u_i = Σ_j f_j φ(x_i − x_j)   over all periodic images, φ band-limited to the kept modes

computed as points → grid → modes → × multiplier → grid → points by ``operator.Operator``. Here arguments are checked,
flattened and given their names back.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from math import prod

import numpy as np

from . import arguments
from .cell import Cell
from .cpu.parallel import available_threads
from .deconvolution import MultiplierTable
from .gradient import Gradient
from .grid import Grid
from .memory import check_memory
from .multipliers import Multiplier
from .operator import Operator
from .points import SortedPoints
from .windows import WINDOWS, accuracy_floor

__all__ = ["Gradient", "LRCPlan"]

BACKENDS = ("cpu",)
GRADIENTS = ("exact", "spectral")


class LRCPlan:
    """A prepared long-range convolution.

    Parameters
    ----------
    box : float, (d,) or (d, d) array
        Box length(s), or a lattice whose rows are the lattice vectors. Units of length.
    modes : int or d ints
        Fourier modes per axis; those with |n| ≤ (modes − 1) // 2 are kept.
    eps : float
        Relative ℓ² error allowed against the direct Fourier sum (relative to its terms, where those cancel); float32
        needs 1e-5 or more.
    window : {"kaiser_bessel", "gaussian", "gaussian_paper"}
        The last is the paper's Appendix B to the letter: no oversampling, and no promise about eps.
    gradient : {"exact", "spectral"}
        Derivative of the computed operator, or of the exact kernel.
    dtype : float32 or float64
        Of points, values and results.
    threads : int, optional
        At most so many; all processors by default. Results do not depend on it, bit for bit.
    backend : {"cpu"}
        Where to compute.
    dim : int, optional
        Number of dimensions; only needed to see the plan before ``set_points`` where ``box`` and ``modes`` do not tell.

    Raises
    ------
    ValueError, TypeError, MemoryError
        Naming the argument, what came and what was expected.

    Notes
    -----
    Which stage bounds which regime (``python -m validation.stages`` measures it):

    * a point or more for every few nodes: spreading and interpolation, three quarters of the time, bound by loads and
      stores in the first-level cache; sorting, an eighth, by the latency of memory;
    * fewer points: the transforms, and clearing and padding the grid, bound by the bandwidth of memory;
    * a grid that is one tile (in one dimension, and small ones in two): nothing is sorted, and the polynomials of the
      window take as long as what they weigh;
    * below about a thousand points and modes: the interpreter, some 50 µs a call.

    A plan keeps its workspace between calls, so one plan serves one thread of the user's at a time. The tabulated
    multiplier is kept too, for as long as the same multiplier comes with the same ``parameters``.
    """

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
        self._box, self._modes = box, modes
        self.dtype = arguments.as_dtype(dtype)
        self.eps = arguments.as_positive("eps", eps, 1.0)
        self.window = arguments.as_choice("window", window, WINDOWS)
        self.gradient = arguments.as_choice("gradient", gradient, GRADIENTS)
        self.backend = arguments.as_choice("backend", backend, BACKENDS)
        self.threads = arguments.as_threads(threads, available_threads())
        self._grid: Grid | None = None
        self._sources: SortedPoints | None = None
        self._targets: SortedPoints | None = None
        self._shapes: tuple[tuple[int, ...], tuple[int, ...] | None] = ((), None)
        self._operator: Operator
        self._tabulated: tuple | None = None
        self._fixed = True
        if dim is None:
            known = [len(a) for a in (box, modes) if isinstance(a, (list, tuple, np.ndarray)) and np.ndim(a) > 0]
            dim = known[0] if known else None
        elif not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
            raise TypeError(f"dim: expected an int or None, got {dim!r}")
        if dim is not None:
            self._use(self._grid_for(int(dim), None))

    def __setattr__(self, name: str, value) -> None:
        if not name.startswith("_") and getattr(self, "_fixed", False):
            raise AttributeError(f"{name}: a plan is fixed when it is made; make another one")
        object.__setattr__(self, name, value)

    def __copy__(self) -> LRCPlan:
        return deepcopy(self)  # two plans must not share a workspace

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
            check_memory("modes", modes, 16 * prod(m + 16 for m in modes))
            floor = accuracy_floor(self.dtype, modes)
            if self.window != "gaussian_paper" and self.eps < floor:
                raise ValueError(
                    f"eps: {self.eps:g} is out of reach in {self.dtype.name} with modes={modes}; "
                    f"expected at least {floor:.1e}"
                )
        grid = Grid(cell, modes, self.eps, self.window, self.dtype, prod(modes) if points is None else points)
        if old is not None and old.n == grid.n:
            old.points = grid.points
            return old
        return grid

    def _use(self, grid: Grid) -> None:
        if grid is not self._grid:
            self._grid = grid
            self._operator = Operator(grid, self.threads, self.gradient == "spectral")

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
            f"  memory    {g.memory(0, 1, 1) / 2**20:.1f} MiB per channel and snapshot",
        ]
        if self._sources is not None:
            rows.append(f"  points    {self._shapes[0]}" + (f", targets {self._shapes[1]}" if self._shapes[1] else ""))
        return "\n".join(rows)

    # ------------------------------------------------------------------ points
    def set_points(self, points, targets=None) -> LRCPlan:
        """Fold and sort the points. Returns the plan.

        Parameters
        ----------
        points : (N, d) or (B, N, d) array
            Sources, anywhere in space; B snapshots are independent of each other.
        targets : (T, d) or (B, T, d) array, optional
            Where u is wanted; at the points by default.
        """
        points = arguments.as_points("points", points, self.dtype, self._grid.dim if self._grid else None)
        if targets is not None:
            targets = arguments.as_points("targets", targets, self.dtype, points.shape[-1])
            if targets.shape[:-2] != points.shape[:-2]:
                raise ValueError(f"targets: expected as many snapshots as points, {points.shape}, got {targets.shape}")
        batch = 1 if points.ndim == 2 else points.shape[0]
        most = max(points.shape[-2], 0 if targets is None else targets.shape[-2])
        if batch * most >= 2**31:
            raise ValueError(f"points: expected fewer than 2^31 of them, got {batch * most}")
        grid = self._grid_for(points.shape[-1], most)
        held = self._operator.space.nbytes if self._grid is not None else 0
        check_memory("points", f"{points.shape} with modes={grid.modes}", grid.memory(most, batch, 1) - held)
        self._sources = self._targets = None  # until both are ready
        self._use(grid)
        sources = self._operator.sort("points", points.reshape(-1, grid.dim), batch)
        if targets is not None:
            self._targets = self._operator.sort("targets", targets.reshape(-1, grid.dim), batch)
        self._sources, self._targets = sources, self._targets or sources
        self._shapes = (points.shape, None if targets is None else targets.shape)
        return self

    # ------------------------------------------------------------------ arguments
    def _table(self, multiplier: Multiplier, grid: Grid) -> MultiplierTable:
        if not isinstance(multiplier, Multiplier):
            raise TypeError(f"multiplier: expected a Multiplier, got {type(multiplier).__name__}")
        state = multiplier.state()
        if self._tabulated is None or self._tabulated[0] is not multiplier or self._tabulated[1] != state:
            self._tabulated = (multiplier, state, MultiplierTable(multiplier, grid))
        return self._tabulated[2]

    def _points(self) -> tuple[SortedPoints, SortedPoints]:
        if self._sources is None or self._targets is None:
            raise ValueError("points: none are set; call set_points first")
        return self._sources, self._targets

    def _flat(self, name: str, value, shape: tuple[int, ...], channels: int | None) -> tuple[np.ndarray, bool]:
        """(B·N, C) from (*shape,) or (*shape, C), and whether there was a channel axis; None is ones."""
        if value is None:
            return np.ones((prod(shape), 1), dtype=self.dtype), False
        array = arguments.as_array(name, value, self.dtype)
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
        needed = self.grid.memory(max(sources.batch[1], targets.batch[1]), sources.batch[0], most)
        check_memory("values", f"{flat.shape[1]} channel(s) to {out}", needed - self._operator.space.nbytes)
        return sources, targets, table, flat, places if not has_axis and table.per_channel else (*places, out)

    def _displacement(self, name: str, value, shape: tuple[int, ...]) -> np.ndarray | None:
        if value is None:
            return None
        if np.shape(value) != shape:
            raise ValueError(f"{name}: expected the shape of the points, {shape}, got {np.shape(value)}")
        return arguments.as_array(name, value, self.dtype).reshape(-1, shape[-1])

    # ------------------------------------------------------------------ the operator and its derivatives
    def convolve(self, values, multiplier: Multiplier, *, exclude_self: bool = False) -> np.ndarray:
        """u_i = Σ_j φ(x_i − x_j) f_j.

        Parameters
        ----------
        values : (N,), (N, C), with B in front for snapshots, or None
            f; None is ones.
        multiplier : Multiplier
            φ̂, of shape (), (C_out,) or (C_out, C_in).
        exclude_self : bool
            Leave out the image of i itself: u_i − φ(0) f_i.

        Returns
        -------
        ndarray
            (N,) if neither values nor multiplier has channels, else (N, C_out); (T, …) with targets; B in front.
        """
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        out = self._operator.forward(sources, targets, table, flat)
        if exclude_self:
            out -= table.self_interaction(flat)
        return out.reshape(shape)

    def jvp(
        self, values, multiplier: Multiplier, dpoints=None, dvalues=None, *, dtargets=None, exclude_self: bool = False
    ) -> np.ndarray:
        """Derivative of ``convolve`` along a direction: u̇ = w + ẋ∘p.

        Parameters
        ----------
        values, multiplier, exclude_self
            As for ``convolve``.
        dpoints : array of the shape of the points, optional
            ẋ, units of length; where there are no targets the points move as sources and as targets.
        dvalues : array of the shape of ``values``, optional
            ḟ.
        dtargets : array of the shape of the targets, optional
            How the targets move, where there are any.
        """
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        if dtargets is not None and targets is sources:
            raise ValueError("dtargets: there are no targets; dpoints moves the points")
        moved = self._displacement("dpoints", dpoints, self._shapes[0])
        read = moved if targets is sources else self._displacement("dtargets", dtargets, self._shapes[1] or ())
        tangent = np.zeros_like(flat)
        if dvalues is not None:
            tangent = self._flat("dvalues", dvalues, self._shapes[0][:-1], flat.shape[1])[0]
        out = self._operator.jvp(sources, targets, table, flat, tangent, moved, read)[1]
        if exclude_self:
            out = out - table.self_interaction(tangent)
        return out.reshape(shape)

    def vjp(
        self,
        values,
        multiplier: Multiplier,
        cotangent,
        *,
        wrt: Collection[str] = ("points", "values", "parameters"),
        exclude_self: bool = False,
    ) -> Gradient:
        """Gradient of Σ g·u with respect to points, values and parameters: the transpose of ``jvp``.

        Parameters
        ----------
        values, multiplier, exclude_self
            As for ``convolve``.
        cotangent : array of the shape of the output
            g.
        wrt : collection of {"points", "values", "parameters"}
            Which gradients are wanted; what is not wanted is not computed where that saves something.

        Returns
        -------
        Gradient
            The gradients, and u.
        """
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        wanted = {wrt} if isinstance(wrt, str) else set(wrt or ())
        if not wanted <= {"points", "values", "parameters"}:
            raise ValueError(f"wrt: expected some of 'points', 'values' and 'parameters', got {wrt!r}")
        if np.shape(cotangent) != shape:
            raise ValueError(f"cotangent: expected the shape of the output, {shape}, got {np.shape(cotangent)}")
        g = arguments.as_array("cotangent", cotangent, self.dtype).reshape(
            targets.count, table.channels_out(flat.shape[1])
        )
        results = self._operator.vjp(sources, targets, table, flat, g, wanted)
        out, dvalues, dsources, dtargets, cotangent = results
        parameters = None
        if cotangent is not None:
            parameters = self._parameter_gradient(cotangent, table, multiplier, flat, g, exclude_self)
        if exclude_self:
            out = out - table.self_interaction(flat)
            dvalues = dvalues - (g * table.at_zero[0, 0] if table.per_channel else g @ table.at_zero)
        given = self._shapes[0][:-1] if values is None else np.shape(values)
        return Gradient(
            output=out.reshape(shape),
            points=dsources.reshape(self._shapes[0]) if "points" in wanted else None,
            values=dvalues.reshape(given) if "values" in wanted else None,
            parameters=parameters,
            targets=dtargets.reshape(self._shapes[1]) if "points" in wanted and self._shapes[1] else None,
        )

    def _parameter_gradient(self, cotangent, table, multiplier, flat, g, exclude_self) -> dict[str, np.ndarray]:
        """∂L/∂θ from the cotangent of φ̂, with the part that leaving out φ(0) contributes."""
        mode_set = self.grid.mode_set
        if exclude_self:
            own = np.einsum("ic,ic->", g, flat) if table.per_channel else np.einsum("io,ic->oc", g, flat)
            own = np.reshape(own, table.shape)[..., None] / self.grid.cell.volume
            cotangent = cotangent - own * mode_set.weights
        return multiplier.vjp(mode_set, cotangent.astype(np.complex128))
