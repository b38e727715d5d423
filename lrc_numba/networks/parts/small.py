r"""Convolutions of few points, or with few modes, without a grid, which would be mostly empty: called as plans are.

    pairs   u_i = Σ_j G_ij f_j,   G_ij = (1/V) Σ_k φ̂(k) cos k·(x_i − x_j)        D_ij = ∇G(x_i − x_j)
    modes   u_i = (1/V) Σ_k φ̂(k) e^{ik·x_i} Σ_j f_j e^{−ik·x_j}

G and D are sums over the modes themselves, so exact, or without images the kernel itself; for N points and M modes they
cost 2 N² M and 6 N² M operations, and all that follows costs N² a channel. Points and kernels that come again, as in
training, find theirs still there. Sums over modes cost 8 N M operations a channel.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...geometry.cell import Cell
from ...geometry.modes import ModeSet
from ...machine.memory import available_memory, check_memory
from ...multipliers.multiplier import Multiplier
from .linearised import LinearisesSums

__all__ = [
    "MOST",
    "MOST_MODES",
    "SmallGradient",
    "SmallPlan",
    "Tables",
    "modes_worth_a_grid",
    "points_worth_a_grid",
]

# Borders measured by ``validation.attention``, part methods.
MOST = 512  # points, for many channels: with more of them a grid is faster, if matrices are used but a few times
MOST_MODES = 170  # stored, for many channels and points: with more of them a grid is faster
PHASES = 28  # channels whose products take as long as making the phases of a sum over modes
FEW = 1300  # points that take as long on a grid as the grid itself
KEPT = 2**28  # bytes of matrices
AT_ONCE = 2**22  # numbers, of points times modes
NUMBERS = 16  # for each mode: wavevectors, their squares and lengths, weights, a kernel and its derivative


def points_worth_a_grid(most: int, channels: int) -> int:
    """Up to how many points in a cell matrices of pairs are used.

    Parameters
    ----------
    most : int
        For many channels.
    channels : int
        That there are.
    """
    return int(most * channels / (channels + PHASES))


def modes_worth_a_grid(most: int, points: int, channels: int) -> int:
    """Up to how many stored modes sums over them are faster than a grid.

    Parameters
    ----------
    most : int
        For many points and channels.
    points, channels : int
        That there are.
    """
    return int(most * channels / (channels + PHASES) * (1 + FEW / max(points, 1)))


@dataclass
class SmallGradient:
    """What ``SmallPlan.vjp`` returns.

    Attributes
    ----------
    points : (B, N, d) or None
        Σ g·∂u/∂x; None where it was not asked for.
    values : (B, N, C) or None
        Σ g·∂u/∂f, likewise.
    parameters : dict of str to ndarray
        Σ g·∂u/∂θ.
    """

    points: np.ndarray | None
    values: np.ndarray | None
    parameters: dict[str, np.ndarray]


class Tables:
    """Matrices that were used last, up to ``KEPT`` bytes of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, np.ndarray] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The matrix of a key, made where it is not there.

        Parameters
        ----------
        key : tuple
            All it depends on.
        make : function
            Makes it.
        """
        matrix = self._kept.pop(key, None)
        if matrix is None:
            matrix = make()
            self._bytes += matrix.nbytes
        self._kept[key] = matrix
        while self._bytes > KEPT and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return matrix


class SmallPlan(LinearisesSums):
    """Convolution with one kernel for all channels; called as ``LRCPlan`` is.

    Parameters
    ----------
    cell : (d, d) array or None
        Lattice vectors; None without images, for kernels with ``free`` and ``free_derivatives``.
    modes : tuple of int
        Along each axis; d of any where there is no cell.
    dtype : dtype
        Of results.
    tables : Tables
        Shared with other plans.

    Raises
    ------
    MemoryError
        Where a kernel is so narrow that its modes do not fit.
    """

    def __init__(self, cell: np.ndarray | None, modes: tuple[int, ...], dtype: np.dtype, tables: Tables):
        self.dtype, self.dim, self._tables = dtype, len(modes), tables
        self._modes: ModeSet | None = None
        if cell is None:
            self._name: tuple = ("free", dtype.str)
            return
        self._modes = ModeSet(Cell(cell, len(cell)), modes)
        needed = NUMBERS * 8 * self._modes.size
        check_memory("cell", f"{np.diag(cell).tolist()} with {modes} modes of a long range", needed, available_memory)
        self._name = cell.tobytes(), modes, dtype.str

    @property
    def nbytes(self) -> int:
        """Bytes of modes that are kept between calls; matrices are the tables'."""
        return 0 if self._modes is None else NUMBERS * 8 * self._modes.size

    def set_points(self, points: np.ndarray) -> None:
        """Points (B, N, d) of the calls that follow.

        Parameters
        ----------
        points : (B, N, d)
            Units of length.
        """
        self._points = np.asarray(points, dtype=np.float64)

    # ------------------------------------------------------------------ matrices
    def _phases(self, points: np.ndarray, spectrum: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """k, weights φ̂/V, and cosines and sines (N, modes), some modes at a time; those that carry nothing left out."""
        modes = self._modes
        assert modes is not None
        weights = modes.weights * spectrum / modes.cell.volume
        kept = np.flatnonzero(np.abs(weights) > 1e-18 * np.abs(weights).max(initial=0.0))
        most = max(AT_ONCE // len(points), 1)
        for some in (kept[lo : lo + most] for lo in range(0, len(kept), most)):
            phases = points @ modes.k[some].T
            yield modes.k[some], weights[some], np.cos(phases), np.sin(phases)

    def _value_sums(self, points: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        """G (N, N) of one snapshot, for φ̂ on the stored modes."""
        matrix = np.zeros((len(points), len(points)))
        for _, w, cosine, sine in self._phases(points, spectrum):
            both = np.concatenate([cosine, sine], axis=1)
            for sign in (1.0, -1.0):
                some = np.tile(sign * w > 0, 2)
                if some.any():
                    root = both[:, some] * np.sqrt(np.abs(np.tile(w, 2)[some]))
                    matrix += sign * (root @ root.T)  # a symmetric product, half of the work
        return matrix.astype(self.dtype)

    def _slope_sums(self, points: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        """D (N, N, d) likewise."""
        slopes = np.zeros((len(points), len(points), self.dim))
        for k, w, cosine, sine in self._phases(points, spectrum):
            for a in range(self.dim):
                half = (sine * (w * k[:, a])) @ cosine.T
                slopes[..., a] += half.T - half
        return slopes.astype(self.dtype)

    def _free(self, points: np.ndarray, evaluate, slopes: bool) -> np.ndarray:
        """G (N, N), or D (N, N, d), of one snapshot without images, from φ and φ′/r of squares of distances."""
        apart = points[:, None] - points[None]
        made = evaluate(np.einsum("ija,ija->ij", apart, apart))[int(slopes)]
        return (made[..., None] * apart if slopes else made).astype(self.dtype)

    def _of(self, multiplier: Multiplier, slopes: bool = False) -> np.ndarray:
        """G (B, N, N), or D (B, N, N, d)."""
        state, modes = multiplier.state(), self._modes
        if modes is None:
            evaluate = lambda r2: multiplier.free(r2, self.dim)  # type: ignore[attr-defined]  # noqa: E731
            make = lambda points: self._free(points, evaluate, slopes)  # noqa: E731
        else:
            sums = self._slope_sums if slopes else self._value_sums
            make = lambda points: sums(points, multiplier.values(modes).reshape(-1))  # noqa: E731

        def kept(points: np.ndarray) -> np.ndarray:
            """Made where it is not there yet."""
            if state is None:
                return make(points)
            return self._tables.get((self._name, state, slopes, points.tobytes()), lambda: make(points))

        return np.stack([kept(points) for points in self._points])

    def _of_parameters(self, multiplier: Multiplier, slopes: bool = False) -> dict[str, list[np.ndarray]]:
        """Derivatives of G, or of D, by every number of each parameter."""
        modes, result = self._modes, {}
        for name, value in multiplier.parameters.items():
            matrices = []
            for i in range(value.size):
                if modes is None:

                    def evaluate(r2: np.ndarray, name=name, i=i) -> tuple[np.ndarray, np.ndarray]:
                        both = multiplier.free_derivatives(r2, self.dim)[name]  # type: ignore[attr-defined]
                        first, second = (each.reshape(-1, *r2.shape)[i] for each in both)
                        return first, second

                    each = [self._free(points, evaluate, slopes) for points in self._points]
                else:
                    every = np.broadcast_to(multiplier.derivatives(modes)[name], (*value.shape, modes.size))
                    sums, own = self._slope_sums if slopes else self._value_sums, every.reshape(-1, modes.size)[i]
                    each = [sums(points, own) for points in self._points]
                matrices.append(np.stack(each))
            result[name] = matrices
        return result

    @staticmethod
    def _moved(slopes: np.ndarray, dpoints: np.ndarray) -> np.ndarray:
        """Ġ (B, N, N)."""
        apart = dpoints[:, :, None] - dpoints[:, None]
        return np.einsum("bija,bija->bij", slopes, apart)

    def convolve(self, values: np.ndarray, multiplier: Multiplier) -> np.ndarray:
        """u (B, N, C).

        Parameters
        ----------
        values : (B, N, C)
            f.
        multiplier : Multiplier
            φ̂, of shape ().
        """
        return self._of(multiplier) @ values

    def jvp(self, values: np.ndarray, multiplier: Multiplier, dpoints=None, dvalues=None) -> np.ndarray:
        """u̇ (B, N, C).

        Parameters
        ----------
        values, multiplier
            As for ``convolve``.
        dpoints : (B, N, d), optional
            ẋ.
        dvalues : (B, N, C), optional
            ḟ.
        """
        out = np.zeros_like(values) if dvalues is None else self._of(multiplier) @ dvalues
        return out if dpoints is None else out + self._moved(self._of(multiplier, slopes=True), dpoints) @ values

    def vjp(self, values: np.ndarray, multiplier: Multiplier, cotangent: np.ndarray, wrt=()) -> SmallGradient:
        """Gradient of Σ g·u.

        Parameters
        ----------
        values, multiplier
            As for ``convolve``.
        cotangent : (B, N, C)
            g.
        wrt : collection of {"points", "values", "parameters"}
            What is wanted.
        """
        products, points, of_values, parameters = cotangent @ values.transpose(0, 2, 1), None, None, {}
        if "points" in wrt:
            slopes = self._of(multiplier, slopes=True)
            points = np.einsum("bij,bija->bia", products + products.transpose(0, 2, 1), slopes)
        if "values" in wrt:
            of_values = self._of(multiplier) @ cotangent
        if "parameters" in wrt:
            for name, matrices in self._of_parameters(multiplier).items():
                each = [float(np.einsum("bij,bij->", products, own)) for own in matrices]
                parameters[name] = np.array(each).reshape(multiplier.parameters[name].shape)
        return SmallGradient(points, of_values, parameters)

    def parameters_jvp(
        self,
        values: np.ndarray,
        multiplier: Multiplier,
        cotangent: np.ndarray,
        dpoints=None,
        dvalues=None,
        dcotangent=None,
    ) -> dict[str, np.ndarray]:
        """Derivative of ``vjp(…).parameters`` along a direction.

        Parameters
        ----------
        values, multiplier, cotangent, dpoints, dvalues
            As for ``vjp`` and ``jvp``.
        dcotangent : (B, N, C), optional
            ġ.
        """
        if not multiplier.parameters:
            return {}
        products = cotangent @ values.transpose(0, 2, 1)
        moved = np.zeros_like(products)
        if dvalues is not None:
            moved = moved + cotangent @ dvalues.transpose(0, 2, 1)
        if dcotangent is not None:
            moved = moved + dcotangent @ values.transpose(0, 2, 1)
        result = {}
        for name, matrices in self._of_parameters(multiplier).items():
            result[name] = np.array([float(np.einsum("bij,bij->", moved, own)) for own in matrices])
        if dpoints is not None:
            for name, matrices in self._of_parameters(multiplier, slopes=True).items():
                along = [self._moved(slopes, dpoints) for slopes in matrices]
                result[name] += np.array([float(np.einsum("bij,bij->", products, each)) for each in along])
        result = {name: value.reshape(multiplier.parameters[name].shape) for name, value in result.items()}
        return result
