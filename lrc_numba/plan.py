r"""The public face of the engine: ``LRCPlan``.

    u_i = Σ_j f_j φ(x_i − x_j)   over all periodic images, φ band-limited to the kept modes

computed as points → grid → modes → × multiplier → grid → points by ``operator.Operator``. Here arguments are checked,
flattened and given their names back.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from .gradient import Gradient
from .multipliers.multiplier import Multiplier
from .preparation import Preparation

__all__ = ["Gradient", "LRCPlan"]


class LRCPlan(Preparation):
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
        rounding; of the second, eps is promised against the gradient of the exact kernel.
    dtype : float32 or float64
        Of points, values and results.
    threads : int, optional
        At most so many; all processors by default. Results do not depend on it, bit for bit. Without meaning on a GPU.
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
    multiplier is kept too, for as long as the same multiplier comes with the same ``parameters``. Results are the
    user's; of large ones that nobody holds any longer, the memory of the last four is kept for the next.
    """

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
        return self._given(out.reshape(shape))

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
        moved, read, tangent = self._tangents(flat, sources is targets, dpoints, dvalues, dtargets)
        out = self._operator.jvp(sources, targets, table, flat, tangent, moved, read)[1]
        if exclude_self:
            out = out - table.self_interaction(tangent)
        return self._given(out.reshape(shape))

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
        g = self._cotangent("cotangent", cotangent, shape, targets.count, table.channels_out(flat.shape[1]))
        results = self._operator.vjp(sources, targets, table, flat, g, wanted)
        out, dvalues, dsources, dtargets, cotangent = results
        parameters = None
        if cotangent is not None:
            pairs = [(g, flat)] if exclude_self else []
            parameters = self._parameter_gradient(cotangent, table, multiplier, pairs)
        if exclude_self:
            out = out - table.self_interaction(flat)
            if dvalues is not None:
                dvalues = dvalues - (g * table.at_zero[0, 0] if table.per_channel else g @ table.at_zero)
        given = self._shapes[0][:-1] if values is None else self._backend.arrays.shape(values)
        moved = dtargets.reshape(self._shapes[1]) if "points" in wanted and self._shapes[1] else None
        return Gradient(
            output=self._given(out.reshape(shape)),
            points=self._given(dsources.reshape(self._shapes[0]) if "points" in wanted else None),
            values=self._given(dvalues.reshape(given) if "values" in wanted else None),
            parameters=parameters,
            targets=self._given(moved),
        )

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
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        moved, read, tangent = self._tangents(flat, sources is targets, dpoints, dvalues, dtargets)
        g = self._cotangent("cotangent", cotangent, shape, targets.count, table.channels_out(flat.shape[1]))
        dg = self._backend.arrays.xp.zeros_like(g)
        if dcotangent is not None:
            dg = self._cotangent("dcotangent", dcotangent, shape, *g.shape)
        found = self._operator.table_jvp(sources, targets, table, flat, tangent, g, dg, moved, read)
        pairs = [(dg, flat), (g, tangent)] if exclude_self else []
        return self._parameter_gradient(found, table, multiplier, pairs)

    def _tangents(self, flat, same: bool, dpoints, dvalues, dtargets) -> tuple:
        """How sources and targets move, and ḟ."""
        if dtargets is not None and same:
            raise ValueError("dtargets: there are no targets; dpoints moves the points")
        moved = self._displacement("dpoints", dpoints, self._shapes[0])
        read = moved if same else self._displacement("dtargets", dtargets, self._shapes[1] or ())
        tangent = self._backend.arrays.xp.zeros_like(flat)
        if dvalues is not None:
            tangent = self._flat("dvalues", dvalues, self._shapes[0][:-1], flat.shape[1])[0]
        return moved, read, tangent

    def _cotangent(self, name: str, value, shape: tuple[int, ...], count: int, channels: int) -> np.ndarray:
        if (found := self._backend.arrays.shape(value)) != shape:
            raise ValueError(f"{name}: expected the shape of the output, {shape}, got {found}")
        return self._array(name, value).reshape(count, channels)

    def _parameter_gradient(self, cotangent, table, multiplier, own_pairs) -> dict[str, np.ndarray]:
        """∂L/∂θ from the cotangent of φ̂, with the part that leaving out φ(0) contributes: Σ g f of ``own_pairs``."""
        mode_set, to_host = self.grid.mode_set, self._backend.arrays.to_host
        cotangent = to_host(cotangent)
        for g, flat in own_pairs:
            own = (g * flat).sum() if table.per_channel else g.T @ flat
            own = np.reshape(to_host(own), table.shape)[..., None] / self.grid.cell.volume
            cotangent = cotangent - own * mode_set.weights
        return multiplier.vjp(mode_set, cotangent.astype(np.complex128))
