"""From what a user passes in to the arrays (B·N, C) that the operator takes, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from types import ModuleType

import numpy as np

from .. import arguments
from ..engine.deconvolution import MultiplierTable
from ..engine.points import SortedPoints
from ..engine.tangents import Tangents
from .points import Points

__all__ = ["Call", "as_names", "is_complex", "parts_of_complex", "refuse_complex"]

WRT = ("points", "values", "parameters", "cell")
# Squares of results below which nothing overflows: windows and their corrections are far from the root that is left.
SAFE = {4: 1e40, 8: 1e300}  # by bytes of a number


@dataclass(slots=True)
class Call:
    """What one call works on: its points, f and φ̂, checked and flattened.

    Attributes
    ----------
    points : Points
        Where from, where to.
    table : MultiplierTable
        φ̂.
    values : (B·N, C_in)
        f.
    values_shape, shape : tuple of int
        Of f and of u, as the user sees them.
    size : float
        A bound of (Σ|f|)²; infinity where that is beyond the range of float64.
    dtype : dtype
        Of the plan.
    arrays : module
        Of the back end.
    """

    points: Points
    table: MultiplierTable
    values: np.ndarray
    values_shape: tuple[int, ...]
    shape: tuple[int, ...]
    size: float
    dtype: np.dtype
    arrays: ModuleType

    @classmethod
    def of(cls, points: Points, table: MultiplierTable, values, dtype: np.dtype, arrays: ModuleType) -> Call:
        """The call with the ``values`` that a user passes in.

        Parameters
        ----------
        points : Points
            Of the plan.
        table : MultiplierTable
            φ̂.
        values : (N,), (N, C), with B in front for snapshots, or None
            f; None is ones.
        dtype : dtype
            Of the plan.
        arrays : module
            Of the back end.
        """
        own, read = points.shape[:-1], (points.targets_shape or points.shape)[:-1]
        flat, has_axis, squares = flat_values("values", values, own, dtype, arrays)
        c_out = table.channels_out(flat.shape[1])
        shape = read if not has_axis and table.per_channel else (*read, c_out)
        return cls(
            points, table, flat, (*own, flat.shape[1]) if has_axis else own, shape, squares * flat.size, dtype, arrays
        )

    @property
    def channels(self) -> tuple[int, int]:
        """C_in and C_out."""
        return self.values.shape[1], self.table.channels_out(self.values.shape[1])

    @property
    def operands(self) -> tuple[SortedPoints, SortedPoints, MultiplierTable, np.ndarray]:
        """Sources, targets, φ̂ and f, as the operator takes them."""
        return self.points.sources, self.points.targets, self.table, self.values

    @property
    def safe(self) -> bool:
        """Whether f and φ̂ are so small that u, and all on the way to it, are within the range of the dtype."""
        # |u_i| ≤ Σ|f| Σ|φ̂|/V, and a sum is at most the root of its length times its squares.
        return self.size * self.table.squares * self.table.table.size < SAFE[self.dtype.itemsize]

    def safe_vjp(self, size: float, steepest: float) -> bool:
        """Whether that holds for the gradients by points and by values, too.

        Parameters
        ----------
        size : float
            A bound of (Σ|g|)².
        steepest : float
            A bound of the slopes of φ over its values, inverse length.
        """
        pair = max(self.size, size, self.size * size * max(1.0, steepest * steepest))
        return pair * max(1.0, self.table.squares * self.table.table.size) < SAFE[self.dtype.itemsize]

    def cotangent(self, name: str, value) -> tuple[np.ndarray, float]:
        """g (B·T, C_out) from what a user passes in, and a bound of (Σ|g|)².

        Parameters
        ----------
        name : str
            What to call it in a message.
        value : array of the shape of the output
            g.
        """
        if (given := self.arrays.shape(value)) != self.shape:
            raise ValueError(f"{name}: expected the shape of the output, {self.shape}, got {given}")
        array, squares = arguments.measured_array(name, value, self.dtype, self.arrays)
        shape = self.points.targets.count, self.table.channels_out(self.values.shape[1])
        return array.reshape(shape), squares * array.size

    def tangents(self, dpoints, dvalues, dtargets) -> Tangents:
        """ḟ (B·N, C_in), and how sources (B·N, d) and targets (B·T, d) move; one array where those are the same points.

        Parameters
        ----------
        dpoints, dvalues, dtargets
            As for ``LRCPlan.jvp``.
        """
        same = self.points.targets is self.points.sources
        if dtargets is not None and same:
            raise ValueError("dtargets: there are no targets; dpoints moves the points")
        dsources = self._displacement("dpoints", dpoints, self.points.shape)
        moved = dsources if same else self._displacement("dtargets", dtargets, self.points.targets_shape or ())
        df = self.arrays.xp.zeros_like(self.values)
        if dvalues is not None:
            shape = self.points.shape[:-1]
            df = flat_values("dvalues", dvalues, shape, self.dtype, self.arrays, self.values.shape[1])[0]
        return Tangents(df, dsources, moved)

    def _displacement(self, name: str, value, shape: tuple[int, ...]) -> np.ndarray | None:
        if value is None:
            return None
        if (given := self.arrays.shape(value)) != shape:
            raise ValueError(f"{name}: expected the shape of the points, {shape}, got {given}")
        return arguments.as_array(name, value, self.dtype, self.arrays).reshape(-1, shape[-1])

    def table_cotangent(self, cotangent, own_pairs: list, over_ranks: Callable) -> np.ndarray:
        """S on the host, (*shape, n_modes) in double precision, with what leaving out φ(0) contributes.

        Parameters
        ----------
        cotangent : (*shape, n_modes) complex, or float where S is real
            S.
        own_pairs : list of two arrays
            g and f, whose Σ_i g_i f_i is left out; none where nothing is.
        over_ranks : function
            From a sum over points to that over the points of all processes.
        """
        cotangent = self.arrays.to_host(cotangent)
        for g, f in own_pairs:
            own = over_ranks((g * f).sum() if self.table.per_channel else g.T @ f)
            cotangent = cotangent - self.table.own_cotangent(self.arrays.to_host(own))
        return cotangent.astype(np.complex128 if cotangent.dtype.kind == "c" else np.float64)

    def returned(self, array, shape: tuple[int, ...]):
        """A result in the shape and in the place that the user expects.

        Parameters
        ----------
        array : array or None
            None stays None.
        shape : tuple of int
            As the user sees it.
        """
        if array is None:
            return None
        array = array.reshape(shape)
        return array if self.points.on_device else self.arrays.to_host(array)


def flat_values(
    name: str, value, shape: tuple[int, ...], dtype: np.dtype, arrays: ModuleType, channels: int | None = None
) -> tuple[np.ndarray, bool, float]:
    """(B·N, C) from (*shape,) or (*shape, C), whether there was a channel axis, and Σ of squares; None is ones.

    Parameters
    ----------
    name : str
        What to call it in a message.
    value : array_like or None
        What came.
    shape : tuple of int
        (N,) or (B, N).
    dtype : dtype
        Of the plan.
    arrays : module
        Of the back end that works on it.
    channels : int, optional
        How many are expected; any number by default.
    """
    if value is None:
        return arrays.xp.ones((prod(shape), 1), dtype=dtype), False, float(prod(shape))
    array, squares = arguments.measured_array(name, value, dtype, arrays)
    has_axis = array.ndim == len(shape) + 1
    if array.shape[: len(shape)] != shape or array.ndim not in (len(shape), len(shape) + 1):
        raise ValueError(f"{name}: expected shape {shape} or {(*shape, 'C')}, as points has, got {array.shape}")
    if array.shape == (*shape, 0):
        raise ValueError(f"{name}: expected at least one channel, got shape {array.shape}")
    flat = array.reshape(-1, array.shape[-1] if has_axis else 1)
    if channels is not None and flat.shape[1] != channels:
        raise ValueError(f"{name}: expected {channels} channel(s), got shape {array.shape}")
    return flat, has_axis, squares


def as_names(wrt, known: tuple[str, ...] = WRT) -> set[str]:
    """The gradients that are wanted, some of those ``known``."""
    wanted = (wrt,) if isinstance(wrt, str) else () if wrt is None else wrt
    if isinstance(wanted, Iterable):
        wanted = tuple(wanted)
    if not (isinstance(wanted, tuple) and all(isinstance(name, str) for name in wanted)):
        raise TypeError(f"wrt: expected a collection of names, got {wrt!r}")
    if not set(wanted) <= set(known):
        raise ValueError(f"wrt: expected some of {', '.join(map(repr, known))}, got {wrt!r}")
    return set(wanted)


def is_complex(values) -> bool:
    """Whether complex numbers came; what is no array of numbers at all is for others to refuse."""
    dtype = getattr(values, "dtype", None)
    if dtype is None and isinstance(values, (complex, list, tuple)):
        try:
            return np.iscomplexobj(np.asarray(values))
        except ValueError:
            return False
    return isinstance(dtype, np.dtype) and dtype.kind == "c"


def refuse_complex(dtype: np.dtype, **arrays) -> None:
    """A TypeError where an array is complex.

    Parameters
    ----------
    dtype : dtype
        Of the plan.
    **arrays : array_like
        By the names that the user knows.
    """
    for name, array in arrays.items():
        if is_complex(array):
            raise TypeError(
                f"{name}: expected {dtype.name}, as derivatives are of real numbers, got complex ones; pass the real "
                "and the imaginary part as two channels, or in two calls"
            )


def parts_of_complex(values, dtype: np.dtype, arrays: ModuleType) -> tuple:
    """The real and the imaginary part.

    Parameters
    ----------
    values : complex array_like
        What came.
    dtype : dtype
        Of the plan, and of the parts.
    arrays : module
        Of the back end.
    """
    expected = np.dtype(np.complex64 if dtype == np.float32 else np.complex128)
    if not hasattr(values, "dtype"):  # Python's own numbers come in no dtype
        array = np.asarray(values)
        return array.real.astype(dtype), array.imag.astype(dtype)
    if values.dtype.newbyteorder("=") != expected:
        raise TypeError(f"values: expected {dtype.name} (in which is computed) or {expected}, got {values.dtype}")
    array = values if hasattr(values, "real") else arrays.take("values", values)
    return array.real, array.imag
