r"""The public face of the engine: ``LRCPlan``.

    u_i = Σ_j f_j φ(x_i − x_j)   over all periodic images, φ band-limited to the kept modes

computed as points → grid → modes → × multiplier → grid → points by ``engine.operator.Operator``. A plan is choices,
the grid that follows from them, and the operator on it. What a user passes in is checked and flattened by ``planning``,
goes through the operator or one of its derivatives, and results get their shapes and names.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from math import sqrt
from typing import Self

import numpy as np

from . import arguments
from .engine.deconvolution import MultiplierTable
from .engine.grid import Grid
from .engine.operator import Operator
from .gradient import Gradient, parameter_gradient, table_gradients
from .machine.memory import WORTH_A_LOOK
from .multipliers import Multiplier
from .planning.calls import Call, Points, as_names, describe_memory, is_complex, parts_of_complex, refuse_complex
from .planning.choices import Choices
from .planning.guard import alone, computes, in_range

__all__ = ["Gradient", "LRCPlan"]


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
        Derivative of the computed operator, or of the exact kernel. The first is the gradient of the computed energy to
        rounding; of the second, eps is promised against the gradient of the exact kernel, relative to its terms.
    dtype : float32 or float64
        Of points, values and results.
    threads : int, optional
        At most so many; by default the smallest of the processors that this process may use, ``NUMBA_NUM_THREADS`` and
        ``OMP_NUM_THREADS``, as they are when the plan is made. Results do not depend on it, bit for bit. Without
        meaning on a GPU.
    backend : {"cpu", "cuda"}
        Where to compute. With "cuda", where the points come as NumPy arrays, so do results; where they offer
        ``__cuda_array_interface__`` nothing is copied, and results stay on the device.
    dim : int, optional
        Number of dimensions; only needed to see the plan before ``set_points`` where ``box`` and ``modes`` do not tell.

    Raises
    ------
    ValueError, TypeError, MemoryError
        Naming the argument, what came and what was expected.
    ImportError, RuntimeError
        Where the back end lacks a package or a device; the message says what to do.

    Notes
    -----
    Which stage bounds which regime (``python -m validation.stages`` measures the first two):

    * a point or more for every few nodes: spreading and interpolation, three quarters of the time, bound by loads and
      stores in the first-level cache; sorting, an eighth, by the latency of memory;
    * fewer points: the transforms, and clearing and padding the grid, bound by the bandwidth of memory; where points
      keep to a part of the cell, only of the rows of the grid that their windows reach;
    * a grid that is one tile (in one dimension, and small ones in two): nothing is sorted;
    * below about a thousand points and modes: the interpreter, some 60 µs a call.

    A plan keeps its workspace between calls, so one plan serves one thread of the user's at a time. The tabulated
    multiplier is kept too, for as long as the same multiplier comes in the same ``state``: its parameters, its other
    attributes, and what its class defines. A multiplier whose state cannot be told for certain is tabulated in every
    call, see ``Multiplier.state``; a result never depends on what was computed before. Results are the user's; of large
    ones that nobody holds any longer, the memory of the last four is kept for the next.

    Snapshots of different N go together when the shorter ones are padded with points anywhere in the cell whose values
    are 0: they contribute nothing to other points, and their rows of u (and of gradients) are to be ignored; their rows
    of a cotangent must be 0.
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
        choices = Choices(box, modes, eps, window, gradient, dtype, threads, backend, dim)
        self.choices, self.eps, self.window, self.gradient = choices, choices.eps, choices.window, choices.gradient
        self.dtype, self.threads, self.backend = choices.dtype, choices.threads, choices.backend
        self._grid: Grid | None = None
        self._operator: Operator
        self._points: Points | None = None
        self._cheap = 0  # up to so many channels on the grid, free memory is not checked: they need too little
        self._tabulated: tuple | None = None
        self._idle = [None]  # empty while the plan is at work
        self._fixed = True
        if choices.dim is not None:
            self._use(choices.grid(int(choices.dim), None, None))

    def __setattr__(self, name: str, value) -> None:
        if not name.startswith("_") and getattr(self, "_fixed", False):
            raise AttributeError(f"{name}: a plan is fixed when it is made; make another one")
        object.__setattr__(self, name, value)

    def __copy__(self) -> Self:
        return deepcopy(self)  # two plans must not share a workspace

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_idle": [None]}  # a copy has nothing to do yet

    @property
    def grid(self) -> Grid:
        """Sizes, window and tables; a ValueError while the dimension is not known."""
        if self._grid is None:
            raise ValueError("dim: neither box nor modes tells the dimension; call set_points first or pass dim")
        return self._grid

    @property
    def n_points(self) -> int:
        """Points, or targets where those are more, all snapshots together; 0 before ``set_points``."""
        return 0 if self._points is None else self._points.batch * self._points.most

    def __repr__(self) -> str:
        return "\n".join(self.choices.describe(self._grid) + describe_memory(self._grid, self._points))

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
        arrays, on_device = self.choices.engine.arrays, hasattr(points, "__cuda_array_interface__")
        dim, targets_size = self._grid.dim if self._grid else None, 0.0
        arguments.points_shape("points", points, dim, arrays)
        points, size = arguments.measured_array("points", points, self.dtype, arrays)
        if targets is not None:
            arguments.points_shape("targets", targets, points.shape[-1], arrays)
            targets, targets_size = arguments.measured_array("targets", targets, self.dtype, arrays)
            if targets.shape[:-2] != points.shape[:-2]:
                raise ValueError(f"targets: expected as many snapshots as points, {points.shape}, got {targets.shape}")
        batch = 1 if points.ndim == 2 else points.shape[0]
        most = max(points.shape[-2], 0 if targets is None else targets.shape[-2])
        if batch * most >= 2**31:
            raise ValueError(f"points: expected fewer than 2^31 of them, got {batch * most}")
        grid = self.choices.grid(points.shape[-1], most, self._grid)
        held = self._operator.space.nbytes if self._grid is not None else 0
        needed = grid.memory(most, batch, 1, targets=targets is not None) - held
        self.choices.check_memory("points", f"{points.shape} with modes={grid.modes}", needed)
        self._check_positions("points", points, size, grid)
        if targets is not None:
            self._check_positions("targets", targets, targets_size, grid)
        self._points, self._cheap = None, 0  # until both are ready
        self._use(grid)
        sources = read = self._operator.sort("points", points.reshape(-1, grid.dim), batch)
        if targets is not None:
            read = self._operator.sort("targets", targets.reshape(-1, grid.dim), batch)
        self._points = Points(sources, read, points.shape, None if targets is None else targets.shape, on_device)
        return self

    def _use(self, grid: Grid) -> None:
        if grid is not self._grid:
            self._grid = grid
            self._operator = Operator(grid, self.threads, self.gradient == "spectral")

    def _check_positions(self, name: str, points: np.ndarray, squares: float, grid: Grid) -> None:
        """A ValueError where a point is too far away to have a place in the cell, before others lose their memory."""
        # Fractional coordinates are at most |x| over the smallest height; half of 2^52 leaves room for rounding.
        if sqrt(squares) >= 2.0**51 * grid.cell.smallest_height:
            Operator(grid, self.threads, False).sort(name, points.reshape(-1, grid.dim), 1)  # somewhere else

    # ------------------------------------------------------------------ the operator and its derivatives
    @alone
    def convolve(self, values, multiplier: Multiplier, *, exclude_self: bool = False) -> np.ndarray:
        """u_i = Σ_j φ(x_i − x_j) f_j.

        Parameters
        ----------
        values : (N,), (N, C), with B in front for snapshots, or None
            f; None is ones. Complex values (complex64 for float32) are two convolutions, and the result is complex.
        multiplier : Multiplier
            φ̂, of shape (), (C_out,) or (C_out, C_in).
        exclude_self : bool
            Leave out the image of i itself: u_i − φ(0) f_i.

        Returns
        -------
        ndarray
            (N,) if neither values nor multiplier has channels, else (N, C_out); (T, …) with targets; B in front.
        """
        if is_complex(values):
            parts = parts_of_complex(values, self.dtype, self.choices.engine.arrays)
            real, imag = (self._convolve(part, multiplier, exclude_self) for part in parts)
            return real + 1j * imag
        return self._convolve(values, multiplier, exclude_self)

    def _convolve(self, values, multiplier: Multiplier, exclude_self: bool) -> np.ndarray:
        """``convolve`` of real values."""
        call = self._call(values, multiplier, exclude_self)

        def compute() -> np.ndarray:
            out = self._operator.forward(*call.operands)
            if exclude_self:
                out -= call.table.self_interaction(call.values)
            return call.returned(out, call.shape)

        return compute() if call.safe else in_range(self, lambda: {"values": values, "multiplier": multiplier}, compute)

    @computes
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
        refuse_complex(self.dtype, values=values, dvalues=dvalues)
        call = self._call(values, multiplier, exclude_self)
        tangents = call.tangents(dpoints, dvalues, dtargets)
        out = self._operator.jvp(*call.operands, tangents)[1]
        if exclude_self:
            out = out - call.table.self_interaction(tangents.values)
        return call.returned(out, call.shape)

    @alone
    def vjp(
        self,
        values,
        multiplier: Multiplier,
        cotangent,
        *,
        wrt: Collection[str] = ("points", "values", "parameters"),
        exclude_self: bool = False,
    ) -> Gradient:
        """Gradient of Σ g·u with respect to points, values and parameters, the transpose of ``jvp``, and to the cell.

        Parameters
        ----------
        values, multiplier, exclude_self
            As for ``convolve``.
        cotangent : array of the shape of the output
            g.
        wrt : collection of {"points", "values", "parameters", "cell"}
            Which gradients are wanted; what is not wanted is not computed where that saves something. "cell" needs a
            multiplier with ``k2_derivative`` or ``cell_vjp``.

        Returns
        -------
        Gradient
            The gradients, and u.

        Raises
        ------
        NotImplementedError
            For a derivative that the multiplier does not define.
        """
        refuse_complex(self.dtype, values=values, cotangent=cotangent)
        wanted = as_names(wrt)
        if "cell" in wanted and isinstance(multiplier, Multiplier):
            multiplier._check_cell()
        call = self._call(values, multiplier, exclude_self)
        g, size = call.cotangent("cotangent", cotangent)

        def compute() -> Gradient:
            return self._vjp(call, multiplier, g, wanted, exclude_self)

        if not wanted & {"parameters", "cell"} and call.safe_vjp(size, self.grid.steepest):
            return compute()
        return in_range(self, lambda: dict(values=values, multiplier=multiplier, cotangent=cotangent), compute)

    def _vjp(self, call: Call, multiplier: Multiplier, g: np.ndarray, wanted: set[str], exclude_self: bool) -> Gradient:
        """``vjp`` of arguments that are checked."""
        points, table, of_table = call.points, call.table, wanted & {"parameters", "cell"}
        # Both of these follow from the cotangent of φ̂.
        result = self._operator.vjp(*call.operands, g, wanted - of_table | ({"table"} if of_table else set()))
        by_parameters, by_cell = None, None
        if of_table:
            of_phi = call.table_cotangent(result.table, [(g, call.values)] if exclude_self else [])
            by_parameters, by_cell = table_gradients(multiplier, self.grid.mode_set, of_phi, of_table)
        output, by_values, moved = result.output, result.values, "points" in wanted
        if exclude_self:
            output = output - table.self_interaction(call.values)
            if by_values is not None:
                by_values = by_values - table.self_interaction(g, adjoint=True)
        return Gradient(
            output=call.returned(output, call.shape),
            points=call.returned(result.sources if moved else None, points.shape),
            values=call.returned(by_values, call.values_shape),
            parameters=by_parameters,
            targets=call.returned(result.targets, points.targets_shape) if moved and points.targets_shape else None,
            cell=by_cell,
        )

    @computes
    def parameters_jvp(
        self,
        values,
        multiplier: Multiplier,
        cotangent,
        dpoints=None,
        dvalues=None,
        dcotangent=None,
        *,
        dtargets=None,
        exclude_self: bool = False,
    ) -> dict[str, np.ndarray]:
        """Derivative of ``vjp(…).parameters`` along a direction: what the gradient of a force loss needs.

        Parameters
        ----------
        values, multiplier, cotangent, exclude_self
            As for ``vjp``.
        dpoints, dvalues, dtargets
            As for ``jvp``.
        dcotangent : array of the shape of the output, optional
            ġ.

        Returns
        -------
        dict of str to ndarray
            For every parameter of the multiplier.
        """
        refuse_complex(self.dtype, values=values, cotangent=cotangent, dvalues=dvalues, dcotangent=dcotangent)
        call = self._call(values, multiplier, exclude_self)
        tangents = call.tangents(dpoints, dvalues, dtargets)
        g = call.cotangent("cotangent", cotangent)[0]
        dg = call.arrays.xp.zeros_like(g) if dcotangent is None else call.cotangent("dcotangent", dcotangent)[0]
        moved = self._operator.table_jvp(*call.operands, g, dg, tangents)
        moved = call.table_cotangent(moved, [(dg, call.values), (g, tangents.values)] if exclude_self else [])
        return parameter_gradient(multiplier, self.grid.mode_set, moved)

    # ------------------------------------------------------------------ a call
    def _call(self, values, multiplier: Multiplier, exclude_self: bool) -> Call:
        """The arguments of a call, checked and flattened."""
        points = self._points
        if points is None:
            raise ValueError("points: none are set; call set_points first")
        if exclude_self and points.targets_shape is not None:
            raise ValueError("exclude_self: targets are not the points, so there is no self to exclude")
        call = Call.of(points, self._table(multiplier), values, self.dtype, self.choices.engine.arrays)
        # Values and tangents, or values and cotangents, may lie on the grid together; ik makes d channels of one.
        most = 2 * max(call.channels) * (self.grid.dim if self.gradient == "spectral" else 1)
        if most > self._cheap or call.table.maps > most:
            targets, maps = points.targets_shape is not None, call.table.maps
            needed = self.grid.memory(points.most, points.batch, most, targets=targets, maps=maps)
            what = "{} channel(s) to {}".format(*call.channels)
            self.choices.check_memory("values", what, needed - self._operator.space.nbytes)
            if needed <= WORTH_A_LOOK:
                self._cheap = most
        return call

    def _table(self, multiplier: Multiplier) -> MultiplierTable:
        """φ̂ tabulated, anew where it may have changed."""
        if not isinstance(multiplier, Multiplier):
            raise TypeError(f"multiplier: expected a Multiplier, got {type(multiplier).__name__}")
        state, kept = multiplier.state(), self._tabulated
        if state is None or kept is None or kept[0] is not multiplier or kept[1] != state:
            self._tabulated = kept = None  # its memory may be wanted
            kept = (multiplier, state, MultiplierTable(multiplier, self.grid))
            self._tabulated = kept if state is not None else None
        return kept[2]
