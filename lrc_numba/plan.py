r"""The public face of the engine: ``LRCPlan``.

    u_i = Σ_j f_j φ(x_i − x_j)   over all periodic images, φ band-limited to the kept modes

computed as points → grid → modes → × multiplier → grid → points by ``engine.operator.Operator``. What a user passes in
is checked and flattened by ``planning``, goes through the operator or a derivative of it, and gets its shape back.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from functools import partial
from typing import Self

import numpy as np

from .engine.grid import Grid, good_size
from .engine.operator import Operator
from .geometry.cell import Cell
from .gradient import Gradient
from .machine.alone import Idle, alone
from .machine.workspace import Workspace
from .multipliers import Multiplier
from .planning.calls import Call, is_complex, parts_of_complex, refuse_complex
from .planning.choices import Choices, check_eps
from .planning.gradients import energy_gradient, names_of_energy, names_of_vjp, parameters_jvp, refuse_energy, vjp
from .planning.guard import computes, in_range
from .planning.linearised import Linearised, Linearising
from .planning.meshes import Mesh, MeshStages
from .planning.points import GivenPoints, Points, describe_memory
from .planning.preparation import Preparation
from .planning.repeats import Repeats
from .planning.window_shape import WindowShape

__all__ = ["Gradient", "LRCPlan", "Linearised", "Mesh", "WindowShape", "check_eps", "good_size"]


class LRCPlan(MeshStages, Repeats, Linearising):
    """A prepared long-range convolution.

    Parameters
    ----------
    box : float, (d,) or (d, d) array
        Box length(s), or a lattice whose rows are the lattice vectors. Units of length.
    modes : int or d ints
        Fourier modes per axis; those with |n| ≤ (modes − 1) // 2 are kept.
    eps : float
        ℓ² error allowed against the direct Fourier sum, relative to it or to terms that cancel; ≥ 1e-5 in float32.
    window : {"kaiser_bessel", "gaussian", "gaussian_paper"} or WindowShape
        A family, of which the narrowest that keeps eps is taken. The last is the paper's Appendix B to the letter: no
        oversampling, and no promise about eps. A ``WindowShape`` is a window of the user's own; it needs ``nodes``,
        and eps makes no promise: ``print(plan)`` estimates the alias.
    nodes : int or d ints, optional
        Grid nodes per axis, at least 2K + 1 for modes with |n| ≤ K, best even products of 2, 3 and 5; or chosen.
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
    A plan keeps its workspace between calls, so one plan serves one thread of the user's at a time. The tabulated
    multiplier is kept too, for as long as the same multiplier comes in the same ``state``: its parameters, its other
    attributes, and what its class defines. A multiplier whose state cannot be told for certain is tabulated in every
    call, see ``Multiplier.state``; a result never depends on what was computed before. Of large results that nobody
    holds any longer, the memory of the last four is kept for the next.

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
        window: str | WindowShape = "kaiser_bessel",
        nodes: int | tuple[int, ...] | None = None,
        gradient: str = "exact",
        dtype=np.float64,
        threads: int | None = None,
        backend: str = "cpu",
        dim: int | None = None,
    ):
        choices = Choices(box, modes, eps, window, gradient, dtype, threads, backend, dim, nodes)
        self.choices, self.eps, self.window, self.gradient = choices, choices.eps, choices.window, choices.gradient
        self.dtype, self.threads, self.backend = choices.dtype, choices.threads, choices.backend
        self._grid: Grid | None = None
        self._points: Points | None = None
        self._preparation, self._kept_spaces, self._idle = Preparation(choices), [], Idle()
        self._fixed = True
        if choices.dim is not None:
            self._use(choices.grid(int(choices.dim), None, None))

    def __setattr__(self, name: str, value) -> None:
        if not name.startswith("_") and getattr(self, "_fixed", False):
            raise AttributeError(f"{name}: a plan is fixed when it is made, but for set_cell; make another one")
        object.__setattr__(self, name, value)

    def __copy__(self) -> Self:
        return deepcopy(self)  # two plans must not share a workspace

    @property
    def grid(self) -> Grid:
        """Sizes, window and tables; a ValueError while the dimension is not known."""
        if self._grid is None:
            raise ValueError("dim: neither box nor modes tells the dimension; call set_points first or pass dim")
        return self._grid

    @property
    def window_shape(self) -> WindowShape:
        """The window of the grid with its shape and degree; a ValueError while the dimension is not known."""
        return WindowShape.of(self.grid.window)

    @property
    def n_points(self) -> int:
        """Points, or targets where those are more, all snapshots together; 0 before ``set_points``."""
        return 0 if self._points is None else self._points.batch * self._points.most

    @property
    def nbytes(self) -> int:
        """Bytes of the workspace; what else is kept between calls is small beside it."""
        return 0 if self._grid is None else self._operator.space.nbytes

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
        self._sort(GivenPoints.of(points, targets, self.choices, self._grid, self.nbytes, self._ranks))
        return self

    def _sort(self, given: GivenPoints) -> None:
        """Take points that are checked."""
        self._points = None  # until both sources and targets are ready
        self._preparation.new_points()
        self._use(given.grid)
        self._points = given.sort(self._operator)

    @alone
    def set_cell(self, box, points=None, targets=None) -> Self:
        """Go on in another cell, with the same modes, nodes, window and workspace. Returns the plan.

        The one choice of a plan that may change, as at constant pressure. Results are those of a new plan with this
        cell, the same nodes and the same window, bit for bit. Tables of the lattice and of multipliers are made anew
        when they are needed; this call by itself takes some 0.1 ms.

        Parameters
        ----------
        box : float, (d,) or (d, d) array
            As for ``LRCPlan``; of as many dimensions.
        points, targets
            As for ``set_points``. Without points the plan has none afterwards: they are folded into the cell.

        Raises
        ------
        ValueError, TypeError, MemoryError
            As ``LRCPlan`` and ``set_points``; the plan is then as it was, with the exceptions that ``set_points`` has.
        RuntimeError
            Where the plan is at work in another thread.
        """
        if targets is not None and points is None:
            raise ValueError("targets: expected points with them")
        choices, grid = self.choices.with_box(box), self._grid
        if grid is not None:
            grid = grid.with_cell(Cell(choices.box, grid.dim))
        given = None if points is None else GivenPoints.of(points, targets, choices, grid, self.nbytes, self._ranks)
        self.choices.box = choices.box
        self._points = None
        self._preparation.new_cell()
        if grid is not None:
            self._use(grid, self._operator.space)
        if given is not None:
            self._sort(given)
        return self

    def _use(self, grid: Grid, space: Workspace | None = None) -> None:
        if grid is not self._grid:
            self._grid = grid
            self._operator = Operator(grid, self.threads, self.gradient == "spectral", space, ranks=self._ranks)

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
        wanted = names_of_vjp(wrt, multiplier)
        call = self._call(values, multiplier, exclude_self)
        g, size = call.cotangent("cotangent", cotangent)
        compute = partial(vjp, self._operator, call, multiplier, g, wanted, exclude_self)
        if not wanted & {"parameters", "cell"} and call.safe_vjp(size, self.grid.steepest):
            return compute()
        return in_range(self, lambda: dict(values=values, multiplier=multiplier, cotangent=cotangent), compute)

    @alone
    def energy(
        self, values, multiplier: Multiplier, *, wrt: Collection[str] = ("points",), exclude_self: bool = False
    ) -> Gradient:
        """Gradient of E = ½ Σ f·u for a φ̂ that is real and the same for every channel, so that K is symmetric.

        Then ∂E/∂x_i = Σ_c f_i^c ∇u^c(x_i) and ∂E/∂f = u: with the channels of f alone, one pass over the points each
        way, where ``vjp(values, multiplier, values / 2)``, which gives the same, takes twice as many channels.

        Parameters
        ----------
        values, multiplier, exclude_self
            As for ``convolve``.
        wrt : collection of {"points", "values", "parameters", "cell", "cells"}
            Which gradients are wanted. "cell" is that by one strain of all snapshots, (d, d), "cells" that by a strain
            of each, (B, d, d) for points (B, N, d), in ``Gradient.cell``; both need what ``vjp`` says.

        Returns
        -------
        Gradient
            ``output`` is u, and so is ``values``: E is ``np.sum(values * output) / 2``.

        Raises
        ------
        ValueError
            For points with targets, for multipliers that are complex or have channels.
        NotImplementedError
            For a derivative that the multiplier does not define.
        """
        refuse_complex(self.dtype, values=values)
        wanted = names_of_energy(wrt, multiplier)
        call = self._call(values, multiplier, exclude_self)
        refuse_energy(call, multiplier)
        compute = partial(energy_gradient, self._operator, call, multiplier, wanted, exclude_self)
        if not wanted & {"parameters", "cell", "cells"} and call.safe_vjp(call.size, self.grid.steepest):
            return compute()
        return in_range(self, lambda: dict(values=values, multiplier=multiplier), compute)

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
        values, multiplier, cotangent, exclude_self, dpoints, dvalues, dtargets
            As for ``vjp`` and ``jvp``.
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
        return parameters_jvp(self._operator, call, multiplier, g, dg, tangents, exclude_self)

    # ------------------------------------------------------------------ a call
    def _call(self, values, multiplier: Multiplier, exclude_self: bool) -> Call:
        """The arguments of a call, checked and flattened."""
        return self._preparation.call(self._points, self._grid, self.nbytes, values, multiplier, exclude_self)
