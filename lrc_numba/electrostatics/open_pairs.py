r"""The part of long range of few points in free space: a matrix of all pairs, called as plans are.

    u_i = Σ_j v_LR(r_ij) f_j        with v_LR(0) for j = i

For N points that is N² values of v_LR, which structures that come again, as in training, find still there; modes would
need a padded cell, where some 10⁵ of them stand for a molecule.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

import numpy as np

from ..gradient import Gradient
from ..multipliers import Multiplier
from .boundaries import LongRangeKernel
from .potentials import Potential
from .strained import StrainedKernel

__all__ = ["MOST_OPEN", "OpenPairs"]

MOST_OPEN = 256  # points: some ms; from there on a mesh of a padded cell may be faster
KEPT = 2**26  # bytes of matrices


class OpenPairs:
    """Sums over all pairs of one structure without images.

    Its kernels are a ``LongRangeKernel``, of which only the potential counts, and a ``StrainedKernel``. Values are
    (N, C) float64.
    """

    dtype = np.dtype(np.float64)

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._bytes = 0
        self.set_points(np.zeros((0, 3)))

    def set_points(self, positions: np.ndarray) -> OpenPairs:
        """The points of the calls that follow. Returns the plan.

        Parameters
        ----------
        positions : (N, 3) float64
            Units of length.
        """
        self._points, self._name = positions, positions.tobytes()
        self._apart = positions[:, None] - positions[None]
        return self

    # ------------------------------------------------------------------ matrices
    def _matrix(self, potential: Potential, slope: bool = False) -> np.ndarray:
        """v_LR of all pairs (N, N), or v_LR′/r."""
        key = self._name, _hashable(potential.key()), slope
        matrix = self._kept.pop(key, None)
        if matrix is None:
            r = np.sqrt(np.einsum("ija,ija->ij", self._apart, self._apart))
            matrix = np.asarray(potential.long_range_slope(r) if slope else potential.long_range(r), dtype=np.float64)
            self._bytes += matrix.nbytes
        self._kept[key] = matrix
        while self._bytes > KEPT and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return matrix

    def _of(self, kernel: Multiplier) -> np.ndarray:
        """The matrix of a kernel, (N, N): along a strain r² changes by 2 r·εr."""
        if isinstance(kernel, StrainedKernel):
            longer = np.einsum("ija,ab,ijb->ij", self._apart, kernel.strain, self._apart)
            return self._matrix(kernel.unstrained.potential, slope=True) * longer
        assert isinstance(kernel, LongRangeKernel)
        return self._matrix(kernel.potential)

    def _moved(self, kernel: LongRangeKernel, dpoints: np.ndarray) -> np.ndarray:
        """How the matrix changes, (N, N)."""
        along = np.einsum("ija,ija->ij", self._apart, dpoints[:, None] - dpoints[None])
        return self._matrix(kernel.potential, slope=True) * along

    @staticmethod
    def _by_parameters(kernel: Multiplier, function) -> dict[str, np.ndarray]:
        """A number for each of the parameters: ``function`` of the kernels that are the derivatives by them."""
        plain = kernel.unstrained if isinstance(kernel, StrainedKernel) else kernel
        assert isinstance(plain, LongRangeKernel)

        def number(derived: LongRangeKernel) -> np.ndarray:
            own = StrainedKernel(derived, kernel.strain) if isinstance(kernel, StrainedKernel) else derived
            return np.array([function(own)])

        made = plain.map_parameters(number)
        return {name: made[name].reshape(value.shape) for name, value in plain.potential.parameters.items()}

    # ------------------------------------------------------------------ called as plans are
    def convolve(self, values: np.ndarray, kernel: Multiplier) -> np.ndarray:
        """u (N, C).

        Parameters
        ----------
        values : (N, C)
            f.
        kernel : LongRangeKernel or StrainedKernel
            v_LR.
        """
        return self._of(kernel) @ values

    def jvp(self, values: np.ndarray, kernel: LongRangeKernel, *, dpoints=None, dvalues=None) -> np.ndarray:
        """u̇ (N, C).

        Parameters
        ----------
        values, kernel
            As for ``convolve``.
        dpoints, dvalues : (N, 3), (N, C), optional
            ẋ and ḟ.
        """
        out = np.zeros(values.shape) if dvalues is None else self._of(kernel) @ dvalues
        return out if dpoints is None else out + self._moved(kernel, dpoints) @ values

    def energy(self, values: np.ndarray, kernel: LongRangeKernel, *, wrt: Collection[str] = ("points",)) -> Gradient:
        """u and the gradient of ½ Σ f·u.

        Parameters
        ----------
        values, kernel
            As for ``convolve``.
        wrt : collection of {"points", "values", "parameters", "cell"}
            What is wanted.
        """
        half = self.vjp(values, kernel, values / 2, wrt=wrt)
        return Gradient(half.output, half.points, half.output, half.parameters, cell=half.cell)

    def vjp(self, values: np.ndarray, kernel: Multiplier, cotangent: np.ndarray, *, wrt: Collection[str]) -> Gradient:
        """u and the gradient of Σ g·u.

        Parameters
        ----------
        values, kernel
            As for ``convolve``.
        cotangent : (N, C)
            g.
        wrt : collection of {"points", "values", "parameters", "cell"}
            What is wanted; by parameters alone for a ``StrainedKernel``.
        """
        matrix, points, cell, parameters = self._of(kernel), None, None, None
        products = cotangent @ values.T
        if {"points", "cell"} & set(wrt):
            assert isinstance(kernel, LongRangeKernel)
            pull = self._matrix(kernel.potential, slope=True) * (products + products.T)
            points = np.einsum("ij,ija->ia", pull, self._apart)
            cell = 0.5 * np.einsum("ij,ija,ijb->ab", pull, self._apart, self._apart) if "cell" in wrt else None
        if "parameters" in wrt:
            parameters = self._by_parameters(kernel, lambda own: np.vdot(products, self._of(own)))
        return Gradient(matrix @ values, points, matrix @ cotangent, parameters, cell=cell)

    def parameters_jvp(
        self, values, kernel: LongRangeKernel, cotangent, dpoints=None, dvalues=None, dcotangent=None
    ) -> dict[str, np.ndarray]:
        """Derivative of ``vjp(…).parameters`` along a direction.

        Parameters
        ----------
        values, kernel, cotangent
            As for ``vjp``.
        dpoints, dvalues, dcotangent : arrays, optional
            ẋ, ḟ and ġ.
        """
        products, moved = cotangent @ values.T, np.zeros((len(values),) * 2)
        if dvalues is not None:
            moved += cotangent @ dvalues.T
        if dcotangent is not None:
            moved += dcotangent @ values.T

        def rate(own: LongRangeKernel) -> float:
            along = 0.0 if dpoints is None else float(np.vdot(products, self._moved(own, dpoints)))
            return along + float(np.vdot(moved, self._of(own)))

        return self._by_parameters(kernel, rate)


def _hashable(key):
    """A key without lists and arrays."""
    if isinstance(key, np.ndarray):
        return key.shape, key.tobytes()
    return tuple(map(_hashable, key)) if isinstance(key, (list, tuple)) else key
