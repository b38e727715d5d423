r"""Fourier multipliers φ̂(k): their values, their parameters, their parameter gradients, their real-space kernels.

A multiplier maps modes to numbers. Its shape says what it does with channels:

    ()                 the same kernel for every channel: C in, C out
    (C_out,)           one channel in, C_out channels out
    (C_out, C_in)      C_in channels in, C_out out:  u^o = Σ_c φ^{oc} * f^c

A kernel of one's own takes a few lines: name the parameters, give the values and their derivatives.

    class Screened(Multiplier):
        def __init__(self, strength, length):
            super().__init__(strength=strength, length=length)

        def values(self, modes):
            strength, length = self.columns()
            return strength / (1 + modes.k2 * length**2)

        def derivatives(self, modes):
            strength, length = self.columns()
            down = 1 + modes.k2 * length**2
            return {"strength": 1 / down, "length": -2 * strength * length * modes.k2 / down**2}

``modes`` is a ``geometry.modes.ModeSet``: ``modes.k2``, ``modes.norm`` (n_modes,), ``modes.k`` (n_modes, d),
``modes.cell.volume``. Values have shape (*shape, n_modes), real for an even kernel,
complex with φ̂(−k) = conj φ̂(k) otherwise. Constraints on the parameters go into ``_check``, and the derivative by the
cell needs ``k2_derivative`` (or ``cell_vjp`` for a kernel that is not radial).

Kernels add, subtract, multiply (a convolution of the two), and take numbers as factors: ``2 * kernel - other / 3``.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import refuse_masked
from ..geometry.modes import ModeSet
from .fingerprint import Described, Uncertain, describe, describe_class, is_fixed
from .parameters import ParameterView, as_number, as_numbers, as_parameter

if TYPE_CHECKING:
    from .composites import Product, Sum

__all__ = ["Multiplier", "Table", "sum_to"]


class Multiplier(Described):
    """Base class. Subclasses give ``values`` and ``derivatives``; everything else follows.

    Parameters
    ----------
    **parameters : array_like
        Named parameters. They are broadcast against each other to the channel shape (), (C_out,) or (C_out, C_in) and
        stored as float64.

    Raises
    ------
    ValueError
        When the parameters do not broadcast, have more than two axes, or are not finite.
    TypeError
        When a parameter is not real.
    """

    __array_ufunc__ = None  # arrays and NumPy's numbers on the left leave the operation to the multiplier

    def __init__(self, **parameters):
        self._parameters = {name: as_parameter(self, name, value) for name, value in parameters.items()}
        self._check_shapes()
        self._check()

    def _check_shapes(self) -> None:
        """Raise where the parameters do not fit together; shapes never change afterwards."""
        shapes = {name: value.shape for name, value in self._parameters.items()}
        try:
            shape = np.broadcast_shapes(*shapes.values())
        except ValueError:
            raise ValueError(f"{type(self).__name__}: parameters do not fit together, got shapes {shapes}") from None
        if len(shape) > 2:
            raise ValueError(f"{type(self).__name__}: expected shapes (), (C_out,) or (C_out, C_in), got {shapes}")

    def _check(self) -> None:
        """Raise where ``self._parameters`` may not have their values; called by ``__init__`` and after every write."""

    def _check_positive(self, name: str) -> None:
        if not (value := self._parameters[name] > 0).all():
            raise ValueError(f"{type(self).__name__}: {name} must be positive, got {self._parameters[name][~value][0]}")

    def _write(self, name: str, value) -> None:
        """Put ``value`` into a parameter; where it does not pass the checks the old one stays."""
        array, new = self._parameters[name], as_parameter(self, name, value)
        if new.shape != array.shape:
            raise ValueError(f"{type(self).__name__}: {name} keeps its shape {array.shape}, got shape {new.shape}")
        old = array.copy()
        array[...] = new
        try:
            self._check()
        except BaseException:
            array[...] = old
            raise

    def _components(self) -> tuple[tuple[str, Multiplier], ...]:
        """The multipliers that this one is made of, each with the prefix of its parameters."""
        return ()

    @property
    def parameters(self) -> MutableMapping[str, np.ndarray]:
        """The parameters by name, float64; the next call uses what is written to them, see ``ParameterView``."""
        return ParameterView(self)

    def state(self) -> tuple | None:
        """What φ̂ depends on, to tell whether a table of it is still good; None where that cannot be told for certain.

        Equal states mean equal φ̂. The state holds every attribute of the instance, and what the classes of the user's
        among its own define, by value: numbers, strings, arrays by their bytes, multipliers by their states, and these
        in lists, tuples, dicts and sets; functions by code, defaults and the globals that they name. Objects of other
        classes, closures, bound methods and modules but for Python's ``math``, NumPy and SciPy make it None, and φ̂ is
        then computed in every call. A subclass that knows better returns its own tuple.
        """
        kind, parameters = type(self), self._parameters
        if len(vars(self)) == 1 and is_fixed(kind):  # type: ignore[arg-type]  # a named kernel: nothing but its parameters
            return kind, kind.values, tuple([(n, a.dtype.str, a.shape, a.tobytes()) for n, a in parameters.items()])
        try:
            attributes = [(name, describe(value)) for name, value in vars(self).items()]
            return describe_class(kind), kind.values, tuple(attributes)
        except (Uncertain, RecursionError):
            return None

    def columns(self) -> list[np.ndarray]:
        """The parameters in order, each with a last axis of length 1 that broadcasts over the modes."""
        return [value[..., None] for value in self._parameters.values()]

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂ on the modes, (*shape, n_modes)."""
        raise NotImplementedError(f"{type(self).__name__} must define values(modes)")

    def checked_values(self, modes: ModeSet) -> np.ndarray:
        """What ``values`` returns, an array of finite numbers of the right shape.

        Parameters
        ----------
        modes : ModeSet
            The modes.

        Raises
        ------
        TypeError, ValueError
            Where they are no numbers, or masked; where the shape is wrong, or one is not finite.
        MemoryError
            Where they do not fit into memory.
        """
        name = f"{type(self).__name__}.values"
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite is an error below
            try:
                values = self.values(modes)
            except MemoryError as error:
                raise MemoryError(
                    f"multiplier: {name} on {modes.size} modes does not fit into memory: {error}"
                ) from None
        refuse_masked(f"multiplier: {name}", values)
        try:
            array = np.asarray(values)
        except ValueError:
            raise ValueError(
                f"multiplier: {name} must return shape (*channels, {modes.size}), got {values!r}"
            ) from None
        if array.dtype.kind not in "biufc":
            raise TypeError(f"multiplier: {name} must return real or complex numbers, got dtype {array.dtype}")
        if array.shape[-1:] != (modes.size,) or array.ndim > 3:
            raise ValueError(f"multiplier: {name} must return shape (*channels, {modes.size}), got {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"multiplier: {self!r} is not finite on all modes")
        return array

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        """∂φ̂/∂parameter by name, each broadcastable to (*shape, n_modes)."""
        raise NotImplementedError(f"{type(self).__name__} must define derivatives(modes) to be differentiated")

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        """Gradient with respect to the parameters of Σ_k Re(φ̂(k) · cotangent(k)).

        Parameters
        ----------
        modes : ModeSet
            The modes.
        cotangent : (*shape, n_modes) complex or float
            What the change of φ̂ is multiplied with.

        Returns
        -------
        dict of str to ndarray
            Per parameter, an array of the parameter's shape.
        """
        gradients = {}
        for name, derivative in self.derivatives(modes).items():
            refuse_masked(f"multiplier: {type(self).__name__}.derivatives", derivative)
            dense = np.broadcast_to(derivative, np.broadcast_shapes(np.shape(derivative), cotangent.shape))
            per_channel = np.einsum("...m,...m->...", dense, cotangent).real
            gradients[name] = np.asarray(sum_to(per_channel, self._parameters[name].shape))
        return gradients

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        """dφ̂/d(k²) of a radial φ̂, broadcastable to (*shape, n_modes); any finite number where k = 0."""
        raise NotImplementedError(
            f"{type(self).__name__} must define k2_derivative(modes) to be differentiated by cell"
        )

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        r"""Gradient with respect to a strain of the cell of Σ_k Re(φ̂(k) · cotangent(k)).

        Under a → a(1 + ε) for the lattice vectors a (rows) wavevectors change by dk = −ε k, so that a radial φ̂ has

            ∂/∂ε_ab = −2 Σ_k Re(cotangent dφ̂/dk²) k_a k_b

        Parameters
        ----------
        modes, cotangent
            As for ``vjp``.

        Returns
        -------
        (d, d) float64 ndarray
            ∂/∂ε_ab at ε = 0.
        """
        slope = self.k2_derivative(modes)
        refuse_masked(f"multiplier: {type(self).__name__}.k2_derivative", slope)
        weights = (slope * cotangent).real.reshape(-1, modes.size).sum(axis=0)
        return -2.0 * (modes.k.T * weights) @ modes.k

    def _check_cell(self) -> None:
        """Raise where the derivative by the cell is missing, or is one of other ``values``, further up."""
        for _, part in self._components():
            part._check_cell()
        ancestors = type(self).__mro__
        depth = {
            name: next(i for i, owner in enumerate(ancestors) if name in vars(owner))
            for name in ("values", "k2_derivative", "cell_vjp")
        }
        if min(depth["k2_derivative"], depth["cell_vjp"]) > depth["values"]:
            raise NotImplementedError(
                f"{type(self).__name__} must define k2_derivative(modes), or cell_vjp(modes, cotangent), beside values "
                "to be differentiated by the cell"
            )

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        """The real-space kernel φ(r) of one image, (*shape, *r.shape); NotImplementedError where it is not known.

        Parameters
        ----------
        r : array
            Distances, units of length.
        dim : int
            Number of dimensions.
        """
        raise NotImplementedError(f"{type(self).__name__} has no known real-space kernel in {dim} dimension(s)")

    def __add__(self, other) -> Sum | Multiplier:
        from .composites import Sum

        # The sum of a list begins with the number 0.
        is_zero = isinstance(other, Real) and not isinstance(other, bool) and other == 0
        return self if is_zero else Sum(self, other)

    def __radd__(self, other) -> Multiplier:
        return self + other

    def __sub__(self, other) -> Multiplier:
        return self + (-other if isinstance(other, Multiplier) else other)

    def __rsub__(self, other) -> Multiplier:
        return -self + other

    def __neg__(self) -> Multiplier:
        return -1.0 * self

    def __mul__(self, other) -> Product | Multiplier:
        from .composites import Product, Scaled

        return Product(self, other) if isinstance(other, Multiplier) else Scaled(other, self)

    __rmul__ = __mul__  # of numbers alone; with a multiplier on the left its own __mul__ comes first

    def __truediv__(self, other) -> Multiplier:
        return self * (1.0 / as_number(self, "a divisor", other))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={np.array2string(value, threshold=6)}" for name, value in self._parameters.items())
        return f"{type(self).__name__}({inside})"


def sum_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo broadcasting: sum ``array`` over the axes along which a parameter of ``shape`` was repeated."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    repeated = tuple(a for a, length in enumerate(shape) if length == 1 and array.shape[a] != 1)
    return array.sum(axis=repeated, keepdims=True) if repeated else array


class Table(Multiplier):
    """One number per mode, each a parameter of its own.

    Parameters
    ----------
    values : (*shape, 2K_1 + 1, …, K_d + 1) float or complex array
        In the layout of ``ModeSet.shape``, that of ``numpy.fft.rfftn``. Only the Hermitian part of the plane n_d = 0
        acts. A complex table is stored as the two parameters ``real`` and ``imag``. A strain of the cell leaves the
        numbers as they are.
    dim : int
        Number of mode axes d.
    """

    def __init__(self, values, dim: int):
        if not isinstance(dim, Integral) or isinstance(dim, bool):
            raise TypeError(f"Table: dim must be an int, got {dim!r}")
        if not 1 <= dim <= 3:
            raise ValueError(f"Table: dim must be 1, 2 or 3, got {dim}")
        array = as_numbers(self, "values", values, "iufc")
        if array.ndim not in (dim, dim + 1, dim + 2):
            raise ValueError(f"Table: expected {dim} mode axes after at most two channel axes, got shape {array.shape}")
        split = array.ndim - int(dim)
        self._channels: tuple[int, ...] = array.shape[:split]
        self._grid: tuple[int, ...] = array.shape[split:]
        super().__init__(**({"real": array.real, "imag": array.imag} if array.dtype.kind == "c" else {"real": array}))

    def _check_shapes(self) -> None:
        """Nothing to check: both are of one array."""

    def values(self, modes: ModeSet) -> np.ndarray:
        if self._grid != modes.shape:
            raise ValueError(f"Table: expected values for modes of shape {modes.shape}, got {self._grid}")
        table = self._parameters["real"]
        if "imag" in self._parameters:
            table = table + 1j * self._parameters["imag"]
        return table.reshape((*self._channels, modes.size))

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        gradient = sum_to(cotangent, (*self._channels, modes.size)).reshape(self._channels + self._grid)
        return {"real": gradient.real} | ({"imag": -gradient.imag} if "imag" in self._parameters else {})

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        """Zero: the numbers belong to the modes n, wherever a strain of the cell puts their wavevectors."""
        return np.zeros((*self._channels, modes.size))
