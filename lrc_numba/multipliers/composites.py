"""Multipliers made of multipliers: sums, products, multiples, and one kernel mixed over channels."""

from __future__ import annotations

import numpy as np

from ..geometry.modes import ModeSet
from .multiplier import Multiplier, sum_to
from .parameters import as_number

__all__ = ["ChannelMatrix", "Product", "Scaled", "Sum"]


class _Binary(Multiplier):
    """Two multipliers, whose parameters are named ``left.…`` and ``right.…``."""

    def __init__(self, left: Multiplier, right: Multiplier):
        for side in (left, right):
            if not isinstance(side, Multiplier):
                raise TypeError(f"{type(self).__name__}: expected two multipliers, got {type(side).__name__}")
        super().__init__()
        self.left, self.right = left, right

    def _components(self) -> tuple[tuple[str, Multiplier], ...]:
        return ("left.", self.left), ("right.", self.right)

    def _cotangents(self, modes: ModeSet, cotangent: np.ndarray) -> list[np.ndarray]:
        """What the changes of the left and of the right φ̂ are multiplied with."""
        raise NotImplementedError

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        gradients: dict[str, np.ndarray] = {}
        for (prefix, side), own in zip(self._components(), self._cotangents(modes, cotangent), strict=True):
            gradients |= {prefix + name: gradient for name, gradient in side.vjp(modes, own).items()}
        return gradients

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        left, right = self._cotangents(modes, cotangent)
        return self.left.cell_vjp(modes, left) + self.right.cell_vjp(modes, right)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.left!r}, {self.right!r})"


class Sum(_Binary):
    """φ̂ = φ̂_left + φ̂_right, shapes broadcast."""

    def values(self, modes: ModeSet) -> np.ndarray:
        return self.left.values(modes) + self.right.values(modes)

    def _cotangents(self, modes: ModeSet, cotangent: np.ndarray) -> list[np.ndarray]:
        return [sum_to(cotangent, side.values(modes).shape) for side in (self.left, self.right)]

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        return self.left.k2_derivative(modes) + self.right.k2_derivative(modes)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        return self.left.kernel(r, dim) + self.right.kernel(r, dim)


class Product(_Binary):
    """φ̂ = φ̂_left · φ̂_right mode by mode and channel by channel, shapes broadcast: a convolution of two kernels."""

    def values(self, modes: ModeSet) -> np.ndarray:
        return self.left.values(modes) * self.right.values(modes)

    def _cotangents(self, modes: ModeSet, cotangent: np.ndarray) -> list[np.ndarray]:
        left, right = self.left.values(modes), self.right.values(modes)
        return [sum_to(cotangent * right, left.shape), sum_to(cotangent * left, right.shape)]

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        left, right = self.left.values(modes), self.right.values(modes)
        return self.left.k2_derivative(modes) * right + left * self.right.k2_derivative(modes)


class Scaled(Multiplier):
    """φ̂ = factor · φ̂_kernel, what ``2 * kernel``, ``-kernel`` and ``kernel / 3`` give.

    The factor is a fixed number and no parameter: the parameters are those of the kernel, by the same names.

    Parameters
    ----------
    factor : float
        A finite real number.
    kernel : Multiplier
        What it multiplies, of any shape.
    """

    def __init__(self, factor: float, kernel: Multiplier):
        if not isinstance(kernel, Multiplier):
            raise TypeError(f"Scaled: kernel must be a multiplier, got {type(kernel).__name__}")
        if np.ndim(factor) > 0:
            raise TypeError(
                f"Scaled: factor must be one real number, got shape {np.shape(factor)}; "
                "a ChannelMatrix takes one number for every output and input channel"
            )
        super().__init__()
        self.factor, self._kernel = as_number(self, "factor", factor), kernel

    def _components(self) -> tuple[tuple[str, Multiplier], ...]:
        return (("", self._kernel),)

    def values(self, modes: ModeSet) -> np.ndarray:
        return self.factor * self._kernel.values(modes)

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        return self._kernel.vjp(modes, self.factor * cotangent)

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        return self.factor * self._kernel.k2_derivative(modes)

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        return self._kernel.cell_vjp(modes, self.factor * cotangent)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        return self.factor * self._kernel.kernel(r, dim)

    def __repr__(self) -> str:
        return f"Scaled({self.factor:g}, {self._kernel!r})"


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

    def _components(self) -> tuple[tuple[str, Multiplier], ...]:
        return (("kernel.", self._kernel),)

    def _scalar(self, modes: ModeSet) -> np.ndarray:
        values = self._kernel.values(modes)
        if values.ndim != 1:
            raise ValueError(
                f"ChannelMatrix: kernel must have one channel, got a multiplier of shape {values.shape[:-1]}"
            )
        return values

    def values(self, modes: ModeSet) -> np.ndarray:
        return self._parameters["matrix"][..., None] * self._scalar(modes)

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        inner = self._kernel.vjp(modes, self._cotangent(cotangent))
        return {"matrix": (cotangent @ self._scalar(modes)).real} | {f"kernel.{k}": v for k, v in inner.items()}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        return self._parameters["matrix"][..., None] * self._kernel.k2_derivative(modes)

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        return self._kernel.cell_vjp(modes, self._cotangent(cotangent))

    def _cotangent(self, cotangent: np.ndarray) -> np.ndarray:
        """What the change of the scalar φ̂ is multiplied with."""
        return np.einsum("oc,ocm->m", self._parameters["matrix"], cotangent)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        return np.multiply.outer(self._parameters["matrix"], self._kernel.kernel(r, dim))
