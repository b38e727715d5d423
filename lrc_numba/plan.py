r"""The public face of the engine: ``LRCPlan``.

    u_i = Σ_j f_j φ(x_i − x_j)   over all periodic images, φ band-limited to the kept modes

computed as points → grid → modes → × multiplier → grid → points by ``operator.Operator``. What a user passes in is
checked and flattened in ``preparation``; here it goes through the operator or one of its derivatives, and results get
their shapes and names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from .gradient import Gradient
from .multipliers.multiplier import Multiplier
from .preparation import Preparation, computes

__all__ = ["Gradient", "LRCPlan"]

WRT = ("points", "values", "parameters", "cell")


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
    multiplier is kept too, for as long as the same multiplier comes in the same ``state``: its parameters, its other
    attributes, and what its class defines. A multiplier whose state cannot be told for certain is tabulated in every
    call, see ``Multiplier.state``; a result never depends on what was computed before. Results are the user's; of large
    ones that nobody holds any longer, the memory of the last four is kept for the next.

    Snapshots of different N go together when the shorter ones are padded with points anywhere in the cell whose values
    are 0: they contribute nothing to other points, and their rows of u (and of gradients) are to be ignored; their rows
    of a cotangent must be 0.
    """

    # ------------------------------------------------------------------ the operator and its derivatives
    @computes
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
        if _is_complex(values):
            parts = self._parts_of_complex(values)
            real, imag = (self._convolve(part, multiplier, exclude_self) for part in parts)
            return real + 1j * imag
        return self._convolve(values, multiplier, exclude_self)

    def _convolve(self, values, multiplier: Multiplier, exclude_self: bool) -> np.ndarray:
        """The same for real values."""
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        out = self._operator.forward(sources, targets, table, flat)
        if exclude_self:
            out -= table.self_interaction(flat)
        return self._given(out.reshape(shape))

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
        _refuse_complex(self.dtype, values=values, dvalues=dvalues)
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        moved, read, tangent = self._tangents(flat, sources is targets, dpoints, dvalues, dtargets)
        out = self._operator.jvp(sources, targets, table, flat, tangent, moved, read)[1]
        if exclude_self:
            out = out - table.self_interaction(tangent)
        return self._given(out.reshape(shape))

    @computes
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
        _refuse_complex(self.dtype, values=values, cotangent=cotangent)
        wanted = _names(wrt)
        if "cell" in wanted and isinstance(multiplier, Multiplier):
            multiplier._check_cell()
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        g = self._cotangent("cotangent", cotangent, shape, targets.count, table.channels_out(flat.shape[1]))
        # The operator knows the cotangent of φ̂, from which both follow, as "parameters".
        through = wanted - {"cell"} | {"parameters"} if "cell" in wanted else wanted
        results = self._operator.vjp(sources, targets, table, flat, g, through)
        out, dvalues, dsources, dtargets, dtable = results
        parameters, cell = self._from_table(dtable, table, multiplier, wanted, [(g, flat)] if exclude_self else [])
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
            cell=cell,
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
        _refuse_complex(self.dtype, values=values, cotangent=cotangent, dvalues=dvalues, dcotangent=dcotangent)
        sources, targets, table, flat, shape = self._inputs(values, multiplier, exclude_self)
        moved, read, tangent = self._tangents(flat, sources is targets, dpoints, dvalues, dtargets)
        g = self._cotangent("cotangent", cotangent, shape, targets.count, table.channels_out(flat.shape[1]))
        dg = self._backend.arrays.xp.zeros_like(g)
        if dcotangent is not None:
            dg = self._cotangent("dcotangent", dcotangent, shape, *g.shape)
        dtable = self._operator.table_jvp(sources, targets, table, flat, tangent, g, dg, moved, read)
        pairs = [(dg, flat), (g, tangent)] if exclude_self else []
        return self._parameter_gradient(self._table_cotangent(dtable, table, pairs), multiplier)

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

    def _parts_of_complex(self, values) -> tuple:
        """The real and the imaginary part, in the dtype of the plan."""
        expected = np.dtype(np.complex64 if self.dtype == np.float32 else np.complex128)
        if not hasattr(values, "dtype"):  # Python's own numbers come in no dtype
            array = np.asarray(values)
            return array.real.astype(self.dtype), array.imag.astype(self.dtype)
        if values.dtype.newbyteorder("=") != expected:
            raise TypeError(
                f"values: expected {self.dtype.name} (the dtype of the plan) or {expected}, got {values.dtype}"
            )
        array = values if hasattr(values, "real") else self._backend.arrays.take("values", values)
        return array.real, array.imag

    def _table_cotangent(self, cotangent, table, own_pairs) -> np.ndarray:
        """The cotangent of φ̂ on the host, with the part that leaving out φ(0) contributes: Σ g f of ``own_pairs``."""
        to_host = self._backend.arrays.to_host
        cotangent = to_host(cotangent)
        for g, flat in own_pairs:
            own = (g * flat).sum() if table.per_channel else g.T @ flat
            own = np.reshape(to_host(own), table.shape)[..., None] / self.grid.cell.volume
            cotangent = cotangent - own * self.grid.mode_set.weights
        return cotangent.astype(np.complex128)

    def _from_table(self, dtable, table, multiplier: Multiplier, wanted: set[str], own_pairs) -> tuple:
        """The gradients that follow from the cotangent of φ̂, by the parameters and by the cell; None if not wanted."""
        if dtable is None:
            return None, None
        dtable = self._table_cotangent(dtable, table, own_pairs)
        parameters = self._parameter_gradient(dtable, multiplier) if "parameters" in wanted else None
        return parameters, self._cell_gradient(dtable, multiplier) if "cell" in wanted else None

    def _parameter_gradient(self, cotangent: np.ndarray, multiplier: Multiplier) -> dict[str, np.ndarray]:
        """∂L/∂θ from the cotangent of φ̂; scalars are arrays without axes."""
        gradients = multiplier.vjp(self.grid.mode_set, cotangent)
        return {name: np.asarray(gradient) for name, gradient in gradients.items()}

    def _cell_gradient(self, cotangent: np.ndarray, multiplier: Multiplier) -> np.ndarray:
        """∂L/∂ε from the cotangent of φ̂: how φ̂ changes with the wavevectors, and 1/V."""
        mode_set, dim = self.grid.mode_set, self.grid.dim
        strain = np.asarray(multiplier.cell_vjp(mode_set, cotangent), dtype=np.float64)
        if strain.shape != (dim, dim):
            name = f"{type(multiplier).__name__}.cell_vjp"
            raise ValueError(f"multiplier: {name} must return shape {(dim, dim)}, got {strain.shape}")
        total = np.sum(multiplier.values(mode_set) * cotangent).real
        return strain - total * np.eye(dim)


def _names(wrt) -> set[str]:
    """The gradients that are wanted."""
    wanted = (wrt,) if isinstance(wrt, str) else () if wrt is None else wrt
    if isinstance(wanted, Iterable):
        wanted = tuple(wanted)
    if not (isinstance(wanted, tuple) and all(isinstance(name, str) for name in wanted)):
        raise TypeError(f"wrt: expected a collection of names, got {wrt!r}")
    if not set(wanted) <= set(WRT):
        raise ValueError(f"wrt: expected some of {', '.join(map(repr, WRT))}, got {wrt!r}")
    return set(wanted)


def _is_complex(values) -> bool:
    """Whether complex numbers came; what is no array of numbers at all is for others to refuse."""
    dtype = getattr(values, "dtype", None)
    if dtype is None and isinstance(values, (complex, list, tuple)):
        try:
            return np.iscomplexobj(np.asarray(values))
        except ValueError:
            return False
    return isinstance(dtype, np.dtype) and dtype.kind == "c"


def _refuse_complex(dtype: np.dtype, **arrays) -> None:
    """Raise where an array is complex."""
    for name, array in arrays.items():
        if _is_complex(array):
            raise TypeError(
                f"{name}: expected {dtype.name}, as derivatives are of real numbers, got complex ones; pass the real "
                "and the imaginary part as two channels, or in two calls"
            )
