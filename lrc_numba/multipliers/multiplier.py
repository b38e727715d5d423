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
            strength, length = self.columns(modes)
            return strength / (1 + modes.k2 * length**2)

        def derivatives(self, modes):
            strength, length = self.columns(modes)
            down = 1 + modes.k2 * length**2
            return {"strength": 1 / down, "length": -2 * strength * length * modes.k2 / down**2}

``modes`` is a ``geometry.modes.ModeSet``: ``modes.k2``, ``modes.norm`` (n_modes,), ``modes.k`` (n_modes, d),
``modes.cell.volume``. Values have shape (*shape, n_modes), real for an even kernel,
complex with φ̂(−k) = conj φ̂(k) otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..geometry.modes import ModeSet

__all__ = ["ChannelMatrix", "Multiplier", "Product", "Sum", "Table"]


class Multiplier:
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

    def __init__(self, **parameters):
        self._parameters: dict[str, np.ndarray] = {}
        for name, value in parameters.items():
            try:
                array = np.asarray(value)
            except ValueError:
                raise ValueError(f"{type(self).__name__}: {name} must be a number or an array, got {value!r}") from None
            if array.dtype.kind not in "iuf":
                raise TypeError(f"{type(self).__name__}: {name} must be real numbers, got dtype {array.dtype}")
            if not np.isfinite(array).all():
                raise ValueError(f"{type(self).__name__}: {name} must be finite, got {value}")
            self._parameters[name] = array.astype(np.float64)
        self._check_shapes()

    def _check_shapes(self) -> None:
        shapes = {name: value.shape for name, value in self._parameters.items()}
        try:
            shape = np.broadcast_shapes(*shapes.values())
        except ValueError:
            raise ValueError(f"{type(self).__name__}: parameters do not fit together, got shapes {shapes}") from None
        if len(shape) > 2:
            raise ValueError(f"{type(self).__name__}: expected shapes (), (C_out,) or (C_out, C_in), got {shapes}")

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """The parameters by name, float64; change them in place and the next call uses the new values."""
        return self._parameters

    def state(self) -> tuple:
        """What φ̂ depends on, to tell whether a table of it is still good: parameters, and all other attributes."""
        own = tuple(value.tobytes() for value in self._parameters.values())
        rest = tuple(
            value.state() if isinstance(value, Multiplier) else repr(value)
            for name, value in vars(self).items()
            if name != "_parameters"
        )
        return own + rest

    def columns(self, modes: ModeSet) -> list[np.ndarray]:
        """The parameters in order, each with a last axis of length 1 that broadcasts over the modes."""
        del modes  # the signature says what the result is for
        return [value[..., None] for value in self._parameters.values()]

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂ on the modes, (*shape, n_modes)."""
        raise NotImplementedError(f"{type(self).__name__} must define values(modes)")

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
            dense = np.broadcast_to(derivative, np.broadcast_shapes(np.shape(derivative), cotangent.shape))
            per_channel = np.einsum("...m,...m->...", dense, cotangent).real
            gradients[name] = _sum_to(per_channel, self._parameters[name].shape)
        return gradients

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

    def __add__(self, other: Multiplier) -> Sum:
        return Sum(self, other)

    def __mul__(self, other: Multiplier) -> Product:
        return Product(self, other)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={np.array2string(value, threshold=6)}" for name, value in self._parameters.items())
        return f"{type(self).__name__}({inside})"


def _sum_to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo broadcasting: sum ``array`` over the axes along which a parameter of ``shape`` was repeated."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    repeated = tuple(a for a, length in enumerate(shape) if length == 1 and array.shape[a] != 1)
    return array.sum(axis=repeated, keepdims=True) if repeated else array


class _Pair(Multiplier):
    """Two multipliers, whose parameters are named ``left.…`` and ``right.…``."""

    def __init__(self, left: Multiplier, right: Multiplier):
        for side in (left, right):
            if not isinstance(side, Multiplier):
                raise TypeError(f"{type(self).__name__}: expected two multipliers, got {type(side).__name__}")
        super().__init__()
        self.left, self.right = left, right

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """The parameters of both parts by prefixed name."""
        return {f"{side}.{k}": v for side in ("left", "right") for k, v in getattr(self, side).parameters.items()}

    def _join(self, left: dict, right: dict) -> dict[str, np.ndarray]:
        return {f"left.{k}": v for k, v in left.items()} | {f"right.{k}": v for k, v in right.items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.left!r}, {self.right!r})"


class Sum(_Pair):
    """φ̂ = φ̂_left + φ̂_right, shapes broadcast."""

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂ on the modes, see ``Multiplier.values``."""
        return self.left.values(modes) + self.right.values(modes)

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        """Gradient by name. Parameters as for ``Multiplier.vjp``."""
        sides = []
        for side in (self.left, self.right):
            shape = side.values(modes).shape
            sides.append(side.vjp(modes, _sum_to(cotangent, shape)))
        return self._join(*sides)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        """φ(r). Parameters as for ``Multiplier.kernel``."""
        left, right = self.left.kernel(r, dim), self.right.kernel(r, dim)
        axes = max(left.ndim, right.ndim)
        lead = [
            side.reshape(side.shape[: side.ndim - np.ndim(r)] + (1,) * (axes - side.ndim) + np.shape(r))
            for side in (left, right)
        ]
        return lead[0] + lead[1]


class Product(_Pair):
    """φ̂ = φ̂_left · φ̂_right mode by mode and channel by channel, shapes broadcast: a convolution of two kernels."""

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂ on the modes, see ``Multiplier.values``."""
        return self.left.values(modes) * self.right.values(modes)

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        """Gradient by name. Parameters as for ``Multiplier.vjp``."""
        left, right = self.left.values(modes), self.right.values(modes)
        return self._join(
            self.left.vjp(modes, _sum_to(cotangent * right, left.shape)),
            self.right.vjp(modes, _sum_to(cotangent * left, right.shape)),
        )


class ChannelMatrix(Multiplier):
    """φ̂(k) = A · φ̂_scalar(k): one kernel, and a matrix that mixes the channels.

    Parameters
    ----------
    matrix : (C_out, C_in) array
        The mixing matrix A, a parameter.
    kernel : Multiplier
        A multiplier of shape (); its parameters are named ``kernel.…``.
    """

    def __init__(self, matrix, kernel: Multiplier):
        super().__init__(matrix=matrix)
        if self._parameters["matrix"].ndim != 2:
            raise ValueError(
                f"ChannelMatrix: matrix must have shape (C_out, C_in), got {self._parameters['matrix'].shape}"
            )
        if not isinstance(kernel, Multiplier):
            raise TypeError(f"ChannelMatrix: kernel must be a multiplier, got {type(kernel).__name__}")
        self._kernel = kernel

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """The parameters of both parts by prefixed name."""
        return {**self._parameters, **{f"kernel.{k}": v for k, v in self._kernel.parameters.items()}}

    def _scalar(self, modes: ModeSet) -> np.ndarray:
        values = self._kernel.values(modes)
        if values.ndim != 1:
            raise ValueError(
                f"ChannelMatrix: kernel must have one channel, got a multiplier of shape {values.shape[:-1]}"
            )
        return values

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂ on the modes, see ``Multiplier.values``."""
        return self._parameters["matrix"][..., None] * self._scalar(modes)

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        """Gradient by name. Parameters as for ``Multiplier.vjp``."""
        matrix = self._parameters["matrix"]
        inner = self._kernel.vjp(modes, np.einsum("oc,ocm->m", matrix, cotangent))
        return {"matrix": (cotangent @ self._scalar(modes)).real} | {f"kernel.{k}": v for k, v in inner.items()}

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        """φ(r). Parameters as for ``Multiplier.kernel``."""
        return np.multiply.outer(self._parameters["matrix"], self._kernel.kernel(r, dim))


class Table(Multiplier):
    """One number per mode, each a parameter of its own.

    Parameters
    ----------
    values : (*shape, 2K_1 + 1, …, K_d + 1) float or complex array
        In the layout of ``ModeSet.shape``, that of ``numpy.fft.rfftn``. Only the Hermitian part of the plane n_d = 0
        acts. A complex table is stored as the two parameters ``real`` and ``imag``.
    dim : int
        Number of mode axes d.
    """

    def __init__(self, values, dim: int):
        array = np.asarray(values)
        if array.ndim not in (dim, dim + 1, dim + 2):
            raise ValueError(f"Table: expected {dim} mode axes after at most two channel axes, got shape {array.shape}")
        self._channels, self._grid = array.shape[: array.ndim - dim], array.shape[array.ndim - dim :]
        super().__init__()
        parts = {"real": array.real, "imag": array.imag} if np.iscomplexobj(array) else {"real": array}
        for name, part in parts.items():
            if part.dtype.kind not in "iuf" or not np.isfinite(part).all():
                raise ValueError(f"Table: values must be finite numbers, got dtype {array.dtype}")
            self._parameters[name] = part.astype(np.float64)

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂ on the modes, see ``Multiplier.values``."""
        if self._grid != modes.shape:
            raise ValueError(f"Table: expected values for modes of shape {modes.shape}, got {self._grid}")
        table = self._parameters["real"]
        if "imag" in self._parameters:
            table = table + 1j * self._parameters["imag"]
        return table.reshape((*self._channels, modes.size))

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        """Gradient by name. Parameters as for ``Multiplier.vjp``."""
        gradient = _sum_to(cotangent, (*self._channels, modes.size)).reshape(self._channels + self._grid)
        return {"real": gradient.real} | ({"imag": -gradient.imag} if "imag" in self._parameters else {})
