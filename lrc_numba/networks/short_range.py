r"""Short-range descriptors, eqs (9)–(14) of the LRC paper, with what force matching needs of them.

With s = |x_i − x_j| and r = 1/s, both normalised by a mean and a standard deviation (a hat), over neighbours within R:

    D₁ᵢ = Σ_j f₁(q̂_ij) w_ij        D₂ᵢ = Σ_j f₂(r̂_ij) w_ij

q is s in one dimension and the unit vector (x_i − x_j)/s in more. ``cutoff_kind="paper"`` has w = r̂, so the energy
jumps when a neighbour crosses R. ``cutoff_kind="smooth"`` has w = S(s) r/std(r), where S = 1 − 10 t³ + 15 t⁴ − 6 t⁵ of
t = s/R goes to zero at R with two continuous derivatives. The mean is not taken off there: r̂ is zero where s is the
harmonic mean distance, and a pair with no weight there and at R could not attract at all distances between.

    vjp        D̄ → x̄
    jvp        ẋ → Ḋ
    vjp_dual   (D̄, Ḋ̄) → the gradients of f₁ and f₂; positions and their tangents are constants there
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.neighbours import Pairs, scatter_add
from ..machine.workspace import Workspace
from .layers.parameters import Parameters
from .layers.perceptron import Perceptron
from .neighbour_sums import WIDTH, add_rows, dot_rows, spread_dual_rows, spread_rows

__all__ = ["Descriptor", "Scales"]

WIDTHS = (2, 4, 8, 16, WIDTH)


@dataclass(frozen=True)
class Scales:
    """Mean and standard deviation of q and of r over the neighbours seen.

    Attributes
    ----------
    q_mean, q_std, r_mean, r_std : float
        In units of length for s, without unit for the unit vector, in inverse length for r.
    """

    q_mean: float = 0.0
    q_std: float = 1.0
    r_mean: float = 0.0
    r_std: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(list(vars(self).values())).all() and min(self.q_std, self.r_std) > 0):
            raise ValueError(f"scales: expected finite means and positive deviations, got {self}")

    @staticmethod
    def of(pairs: Pairs, dim: int) -> Scales:
        """Measure them on neighbour pairs; a ValueError where there are fewer than two.

        A deviation that is rounding alone, as on a lattice, is replaced by 1.
        """
        if len(pairs) < 2:
            raise ValueError(f"points: expected at least two pairs within the cutoff to normalise by, got {len(pairs)}")
        inverse = 1.0 / pairs.distance
        if dim == 1:
            mean, std = float(pairs.distance.mean()), float(pairs.distance.std())
        else:  # the unit vectors of j seen from i and of i seen from j: their mean is zero
            mean, std = 0.0, float(np.sqrt(np.mean((pairs.displacement / pairs.distance[:, None]) ** 2)))
        r_mean, r_std = float(inverse.mean()), float(inverse.std())
        return Scales(mean, std if std > 1e-6 * mean else 1.0, r_mean, r_std if r_std > 1e-6 * r_mean else 1.0)


@dataclass
class _Features:
    """Inputs of f₁ and f₂ for every pair, the weights of their outputs, and slopes over the distance."""

    unit: np.ndarray
    r: np.ndarray
    r_slope: np.ndarray
    weight: np.ndarray
    weight_slope: np.ndarray
    q: np.ndarray


@dataclass
class Descriptor:
    """The two sums over neighbours.

    Parameters
    ----------
    dim : int
        d.
    cutoff : float
        R, units of length.
    smooth : bool
        Whether contributions vanish at R.
    scales : Scales
        Normalisation.
    """

    dim: int
    cutoff: float
    smooth: bool
    scales: Scales

    def __post_init__(self) -> None:
        self.angular = Perceptron("f1", (self.dim, *WIDTHS))
        self.radial = Perceptron("f2", (1, *WIDTHS))

    @property
    def networks(self) -> tuple[Perceptron, ...]:
        """f₁ and f₂."""
        return self.angular, self.radial

    @property
    def width(self) -> int:
        """Numbers per point."""
        return 2 * WIDTH

    def memory(self, pairs: int, itemsize: int) -> int:
        """Bytes that ``forward`` and ``vjp`` take: the tapes of f₁ and f₂, and cotangents.

        Parameters
        ----------
        pairs : int
            Number of neighbours.
        itemsize : int
            Bytes of a float.
        """
        per_side = sum((self.dim, *WIDTHS)) + WIDTH
        return pairs * itemsize * ((1 if self.dim == 1 else 2) * per_side + sum((1, *WIDTHS)) + WIDTH)

    # ------------------------------------------------------------------ pairs
    def _features(self, pairs: Pairs) -> _Features:
        s = pairs.distance
        unit = pairs.displacement / s[:, None]
        r = (1.0 / s - self.scales.r_mean) / self.scales.r_std
        r_slope = -1.0 / (s * s * self.scales.r_std)
        weight, weight_slope = r, r_slope
        if self.smooth:
            t = s / self.cutoff
            switch = 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t)
            switch_slope = -30.0 * (t * (1.0 - t)) ** 2 / self.cutoff
            weight = switch / (s * self.scales.r_std)
            weight_slope = r_slope * switch + switch_slope / (s * self.scales.r_std)
        q = s[:, None] if self.dim == 1 else np.concatenate([unit, -unit])
        q = (q - self.scales.q_mean) / self.scales.q_std
        return _Features(unit, r, r_slope, weight, weight_slope, q)

    def _same(self, column: int) -> bool:
        """Whether i and j see the same: f₂ always, f₁ in one dimension."""
        return column == 1 or self.dim == 1

    def _sides(self, values: np.ndarray, count: int, column: int) -> tuple[np.ndarray, np.ndarray]:
        """f₁ or f₂, flattened, as i sees j, and as j sees i."""
        flat, half = values.ravel(), count * WIDTH
        return (flat, flat) if self._same(column) else (flat[:half], flat[half:])

    def forward(self, views: Parameters, pairs: Pairs, points: int, space: Workspace) -> tuple[np.ndarray, tuple]:
        """D (points, 64) and the tape.

        Parameters
        ----------
        views : Parameters
            Weights and biases.
        pairs : Pairs
            Neighbours.
        points : int
            How many points there are.
        space : Workspace
            Where tapes live until the next call.
        """
        features = self._features(pairs)
        f1, tape_1 = self.angular.forward(views, features.q, space)
        f2, tape_2 = self.radial.forward(views, features.r[:, None], space)
        out = self._sum(pairs, points, features.weight, f1, f2)
        return out, (pairs, features, f1, tape_1, f2, tape_2)

    def _sum(self, pairs: Pairs, points: int, weight: np.ndarray, f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
        out = np.zeros((points, self.width), dtype=f1.dtype)
        for column, values in enumerate((f1, f2)):
            left, right = self._sides(values, len(pairs), column)
            add_rows(pairs.first, pairs.second, weight, left, right, self.width, column * WIDTH, out.ravel())
        return out

    def _cotangents(self, use: str, pairs: Pairs, like: np.ndarray, space: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Memory for the cotangents of f₁ and of f₂."""
        sides = len(pairs) * (1 if self.dim == 1 else 2)
        f1_bar = space.take(f"{use} 1", (sides, WIDTH), like.dtype)
        return f1_bar, space.take(f"{use} 2", (len(pairs), WIDTH), like.dtype)

    def vjp(self, views: Parameters, tape: tuple, cotangent: np.ndarray, space: Workspace) -> np.ndarray:
        """x̄ (points, d) from D̄.

        Parameters
        ----------
        views, tape
            From ``forward``.
        cotangent : (points, 64)
            D̄.
        space : Workspace
            For intermediate results.
        """
        pairs, features, f1, tape_1, f2, tape_2 = tape
        count = len(pairs)
        bars, rows = self._cotangents("bars", pairs, cotangent, space), cotangent.ravel()
        weight_bar = np.zeros_like(features.weight)
        for column, (bar, values) in enumerate(zip(bars, (f1, f2), strict=True)):
            stride, start, same = self.width, column * WIDTH, self._same(column)
            left, right = self._sides(bar, count, column)
            spread_rows(pairs.first, pairs.second, features.weight, rows, stride, start, same, left, right)
            left, right = self._sides(values, count, column)
            dot_rows(pairs.first, pairs.second, rows, stride, start, left, right, weight_bar)
        f1_bar, f2_bar = bars
        q_bar = self.angular.vjp(views, tape_1, f1_bar) / self.scales.q_std
        r_bar = self.radial.vjp(views, tape_2, f2_bar)[:, 0]
        s_bar = r_bar * features.r_slope + weight_bar * features.weight_slope
        if self.dim == 1:
            apart_bar = (s_bar + q_bar[:, 0])[:, None] * features.unit
        else:
            unit_bar = q_bar[:count] - q_bar[count:]
            along = np.einsum("pa,pa->p", features.unit, unit_bar)[:, None] * features.unit
            apart_bar = s_bar[:, None] * features.unit + (unit_bar - along) / pairs.distance[:, None]
        out = np.zeros((len(cotangent), self.dim), dtype=cotangent.dtype)
        scatter_add(pairs.first, pairs.second, apart_bar, out)
        return out

    def jvp(self, views: Parameters, tape: tuple, tangent: np.ndarray, space: Workspace) -> tuple[np.ndarray, tuple]:
        """Ḋ (points, 64), and the tangents that ``vjp_dual`` needs.

        Parameters
        ----------
        views, tape
            From ``forward``.
        tangent : (points, d)
            ẋ, units of length.
        space : Workspace
            Where tapes of tangents live until the next call.
        """
        pairs, features, f1, tape_1, f2, tape_2 = tape
        moved = tangent[pairs.first] - tangent[pairs.second]
        ds = np.einsum("pa,pa->p", features.unit, moved)
        dr, dweight = features.r_slope * ds, features.weight_slope * ds
        if self.dim == 1:
            dq = ds[:, None]
        else:
            dunit = (moved - ds[:, None] * features.unit) / pairs.distance[:, None]
            dq = np.concatenate([dunit, -dunit])
        df1, tangents_1 = self.angular.jvp(views, tape_1, dq / self.scales.q_std, space)
        df2, tangents_2 = self.radial.jvp(views, tape_2, dr[:, None], space)
        out = self._sum(pairs, len(tangent), features.weight, df1, df2)
        out += self._sum(pairs, len(tangent), dweight, f1, f2)
        return out, (dweight, tangents_1, tangents_2)

    def vjp_dual(
        self,
        views: Parameters,
        tape: tuple,
        tangents: tuple,
        cotangent: np.ndarray,
        cotangent_of_tangent: np.ndarray,
        gradient: Parameters,
        space: Workspace,
    ) -> None:
        """Add to the gradients of f₁ and f₂.

        Parameters
        ----------
        views, tape, tangents
            From ``forward`` and ``jvp``.
        cotangent, cotangent_of_tangent : (points, 64)
            Of D and Ḋ.
        gradient : Parameters
            Added to.
        space : Workspace
            For intermediate results.
        """
        pairs, features, _, tape_1, _, tape_2 = tape
        dweight, tangents_1, tangents_2 = tangents
        bars, dbars = (self._cotangents(use, pairs, cotangent, space) for use in ("bars", "dbars"))
        rows, drows, count = cotangent.ravel(), cotangent_of_tangent.ravel(), len(pairs)
        for column, (bar, dbar) in enumerate(zip(bars, dbars, strict=True)):
            spread_dual_rows(
                pairs.first,
                pairs.second,
                features.weight,
                dweight,
                rows,
                drows,
                self.width,
                column * WIDTH,
                self._same(column),
                *self._sides(bar, count, column),
                *self._sides(dbar, count, column),
            )
        chains = ((self.angular, tape_1, tangents_1), (self.radial, tape_2, tangents_2))
        for (network, tape_f, tangents_f), bar, dbar in zip(chains, bars, dbars, strict=True):
            network.vjp_dual(views, tape_f, tangents_f, bar, dbar, gradient, inputs_too=False)
