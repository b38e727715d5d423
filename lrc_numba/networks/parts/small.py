r"""Convolutions of few points, or with few modes, without a grid, which would be mostly empty: called as plans are.

    pairs   u_i = Σ_j G_ij f_j,   G_ij = (1/V) Σ_k φ̂(k) cos k·(x_i − x_j)        D_ij = ∇G(x_i − x_j)
    modes   u_i = (1/V) Σ_k φ̂(k) e^{ik·x_i} Σ_j f_j e^{−ik·x_j}

G and D are sums over the modes themselves, so exact, or without images the kernel itself; for N points and M modes they
cost 8 N² M operations, and all that follows costs N² a channel. Points and kernels that come again, as in training,
find theirs still there. Sums over modes cost 8 N M operations a channel.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ...direct import DirectPlan
from ...geometry.cell import Cell
from ...geometry.modes import ModeSet
from ...machine.memory import available_memory, check_memory
from ...multipliers.multiplier import Multiplier
from .linearised import LinearisesSums

__all__ = ["MOST", "MOST_MODES", "ModePlan", "SmallGradient", "SmallPlan", "Tables", "modes_worth_a_grid"]

MOST = 256  # points; an estimate of where a grid begins to be faster
MOST_MODES = 285  # stored, for many channels: measured (``validation.attention``), with more of them a grid is faster
PHASES = 28  # channels whose products take as long as making the phases of a sum over modes
FEW = 1700  # points that take as long on a grid as the grid itself
KEPT = 2**28  # bytes of matrices
AT_ONCE = 2**22  # numbers, of points times modes
NUMBERS = 16  # for each mode: wavevectors, their squares and lengths, weights, a kernel and its derivative


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
    points : (B, N, d)
        Σ g·∂u/∂x.
    values : (B, N, C)
        Σ g·∂u/∂f.
    parameters : dict of str to ndarray
        Σ g·∂u/∂θ.
    """

    points: np.ndarray
    values: np.ndarray
    parameters: dict[str, np.ndarray]


class Tables:
    """Matrices that were used last, up to ``KEPT`` bytes of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple, make) -> tuple[np.ndarray, np.ndarray]:
        """The matrices of a key, made where they are not there.

        Parameters
        ----------
        key : tuple
            All they depend on.
        make : function
            Makes them.
        """
        found = self._kept.pop(key, None)
        if found is None:
            found = make()
            self._bytes += found[0].nbytes + found[1].nbytes
        self._kept[key] = found
        while self._bytes > KEPT and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._bytes -= old[0].nbytes + old[1].nbytes
        return found


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

    def set_points(self, points: np.ndarray) -> None:
        """Points (B, N, d) of the calls that follow.

        Parameters
        ----------
        points : (B, N, d)
            Units of length.
        """
        self._points = np.asarray(points, dtype=np.float64)

    def _sums(self, modes: ModeSet, points: np.ndarray, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """G (N, N) and D (N, N, d) of one snapshot, for φ̂ on the stored modes."""
        weights = modes.weights * spectrum / modes.cell.volume
        kept = np.flatnonzero(np.abs(weights) > 1e-18 * np.abs(weights).max(initial=0.0))
        matrix = np.zeros((len(points), len(points)))
        slopes = np.zeros((*matrix.shape, self.dim))
        most = max(AT_ONCE // len(points), 1)
        for some in (kept[lo : lo + most] for lo in range(0, len(kept), most)):
            k, w = modes.k[some], weights[some]
            phases = points @ k.T
            cosine, sine = np.cos(phases), np.sin(phases)
            matrix += (cosine * w) @ cosine.T + (sine * w) @ sine.T
            for a in range(self.dim):
                half = (sine * (w * k[:, a])) @ cosine.T
                slopes[..., a] += half.T - half
        return matrix.astype(self.dtype), slopes.astype(self.dtype)

    def _matrices(self, state: tuple | None, make) -> tuple[np.ndarray, np.ndarray]:
        """G (B, N, N) and D (B, N, N, d); ``make`` makes them of one snapshot."""
        pairs = []
        for points in self._points:
            own = lambda points=points: make(points)  # noqa: E731
            pairs.append(own() if state is None else self._tables.get((self._name, state, points.tobytes()), own))
        return np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])

    def _free(self, points: np.ndarray, evaluate) -> tuple[np.ndarray, np.ndarray]:
        """G (…, N, N) and D (…, N, N, d) of one snapshot without images, from φ and φ′/r of squares of distances."""
        apart = points[:, None] - points[None]
        values, slopes = evaluate(np.einsum("ija,ija->ij", apart, apart))
        return values.astype(self.dtype), (slopes[..., None] * apart).astype(self.dtype)

    def _of(self, multiplier: Multiplier) -> tuple[np.ndarray, np.ndarray]:
        state, modes = multiplier.state(), self._modes
        if modes is None:
            evaluate = lambda r2: multiplier.free(r2, self.dim)  # type: ignore[attr-defined]  # noqa: E731
            return self._matrices(state, lambda points: self._free(points, evaluate))
        return self._matrices(state, lambda points: self._sums(modes, points, multiplier.values(modes).reshape(-1)))

    def _of_parameters(self, multiplier: Multiplier) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
        """Derivatives of G and D by every number of each parameter."""
        modes, result = self._modes, {}
        for name, value in multiplier.parameters.items():
            pairs = []
            for i in range(value.size):
                if modes is None:

                    def evaluate(r2: np.ndarray, name=name, i=i) -> tuple[np.ndarray, np.ndarray]:
                        both = multiplier.free_derivatives(r2, self.dim)[name]  # type: ignore[attr-defined]
                        first, second = (each.reshape(-1, *r2.shape)[i] for each in both)
                        return first, second

                    pairs.append(self._matrices(None, lambda points, f=evaluate: self._free(points, f)))
                else:
                    every = np.broadcast_to(multiplier.derivatives(modes)[name], (*value.shape, modes.size))
                    own = every.reshape(-1, modes.size)[i]
                    pairs.append(self._matrices(None, lambda points, own=own: self._sums(modes, points, own)))
            result[name] = pairs
        return result

    def _moved(self, slopes: np.ndarray, dpoints: np.ndarray | None) -> np.ndarray | None:
        """Ġ (B, N, N)."""
        if dpoints is None:
            return None
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
        return self._of(multiplier)[0] @ values

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
        matrix, slopes = self._of(multiplier)
        moved, out = self._moved(slopes, dpoints), np.zeros_like(values)
        if dvalues is not None:
            out = out + matrix @ dvalues
        return out if moved is None else out + moved @ values

    def vjp(self, values: np.ndarray, multiplier: Multiplier, cotangent: np.ndarray, wrt=()) -> SmallGradient:
        """Gradient of Σ g·u.

        Parameters
        ----------
        values, multiplier
            As for ``convolve``.
        cotangent : (B, N, C)
            g.
        wrt : collection of str
            "parameters" among them, where those are wanted.
        """
        matrix, slopes = self._of(multiplier)
        products = cotangent @ values.transpose(0, 2, 1)
        points = np.einsum("bij,bija->bia", products + products.transpose(0, 2, 1), slopes)
        parameters = {}
        if "parameters" in wrt:
            for name, pairs in self._of_parameters(multiplier).items():
                each = [float(np.einsum("bij,bij->", products, own)) for own, _ in pairs]
                parameters[name] = np.array(each).reshape(multiplier.parameters[name].shape)
        return SmallGradient(points, matrix @ cotangent, parameters)

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
        for name, pairs in self._of_parameters(multiplier).items():
            each = []
            for own, slopes in pairs:
                total = np.einsum("bij,bij->", moved, own)
                along = self._moved(slopes, dpoints)
                each.append(float(total if along is None else total + np.einsum("bij,bij->", products, along)))
            result[name] = np.array(each).reshape(multiplier.parameters[name].shape)
        return result


class ModePlan(LinearisesSums):
    """Convolution with one kernel for all channels by sums over modes, one snapshot after the other.

    Parameters
    ----------
    cell : (d, d) array
        Lattice vectors.
    modes : tuple of int
        Along each axis.
    dtype : dtype
        Of results; sums are in double precision.
    """

    def __init__(self, cell: np.ndarray, modes: tuple[int, ...], dtype: np.dtype):
        self.dtype, self._make = dtype, lambda: DirectPlan(cell, modes)
        self._plans: list[DirectPlan] = []

    def set_points(self, points: np.ndarray) -> None:
        """Points (B, N, d) of the calls that follow.

        Parameters
        ----------
        points : (B, N, d)
            Units of length.
        """
        self._plans = [self._make().set_points(np.asarray(each, dtype=np.float64)) for each in points]

    def _each(self, method: str, multiplier: Multiplier, *arrays: np.ndarray | None, **options) -> list:
        """What a method of ``DirectPlan`` returns for every snapshot; ``arrays`` begin with the values."""
        made = []
        for b, plan in enumerate(self._plans):
            values, *others = (None if each is None else np.asarray(each[b], np.float64) for each in arrays)
            made.append(getattr(plan, method)(values, multiplier, *others, **options))
        return made

    def convolve(self, values: np.ndarray, multiplier: Multiplier) -> np.ndarray:
        """u (B, N, C).

        Parameters
        ----------
        values, multiplier
            As for ``SmallPlan.convolve``.
        """
        return np.stack(self._each("convolve", multiplier, values)).astype(self.dtype, copy=False)

    def jvp(self, values: np.ndarray, multiplier: Multiplier, dpoints=None, dvalues=None) -> np.ndarray:
        """u̇ (B, N, C).

        Parameters
        ----------
        values, multiplier, dpoints, dvalues
            As for ``SmallPlan.jvp``.
        """
        return np.stack(self._each("jvp", multiplier, values, dpoints, dvalues)).astype(self.dtype, copy=False)

    def vjp(self, values: np.ndarray, multiplier: Multiplier, cotangent: np.ndarray, wrt=()) -> SmallGradient:
        """Gradient of Σ g·u by what ``wrt`` names, "points" and "values" too.

        Parameters
        ----------
        values, multiplier, cotangent, wrt
            As for ``SmallPlan.vjp``.
        """
        made = self._each("vjp", multiplier, values, cotangent, wrt=wrt)
        stacked = {
            name: np.stack([getattr(each, name) for each in made]).astype(self.dtype, copy=False)
            for name in ("points", "values")
            if name in wrt
        }
        parameters = {}
        if "parameters" in wrt:
            parameters = {name: sum(each.parameters[name] for each in made) for name in multiplier.parameters}
        return SmallGradient(stacked.get("points"), stacked.get("values"), parameters)  # type: ignore[arg-type]

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
        values, multiplier, cotangent, dpoints, dvalues, dcotangent
            As for ``SmallPlan.parameters_jvp``.
        """
        made = self._each("parameters_jvp", multiplier, values, cotangent, dpoints, dvalues, dcotangent)
        return {name: sum(each[name] for each in made) for name in multiplier.parameters}
