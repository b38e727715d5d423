r"""Short-range descriptors, eqs (9)–(14) of the LRC paper, with what force matching needs of them.

With s = |x_i − x_j| and r = 1/s, both normalised by a mean and a standard deviation (a hat), over neighbours within R:

    D₁ᵢ = Σ_j f₁(q̂_ij) w_ij        D₂ᵢ = Σ_j f₂(r̂_ij) w_ij        w = r̂ S(s)

q is s in one dimension and the unit vector (x_i − x_j)/s in more. S is 1 for ``cutoff="paper"``, where the energy jumps
when a neighbour crosses R; with ``cutoff="smooth"`` S = 1 − 10 t³ + 15 t⁴ − 6 t⁵, t = s/R, goes to zero at R with two
continuous derivatives.

    vjp        D̄ → x̄
    jvp        ẋ → Ḋ
    vjp_pair   (D̄, Ḋ̄) → the gradients of f₁ and f₂; positions and their tangents are constants there
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .mlp import Layers, Perceptron, Views
from .pairs import Pairs, gather_add, gather_dot, scatter_add

__all__ = ["Descriptor", "Scales"]

WIDTHS = (2, 4, 8, 16, 32)


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

    @staticmethod
    def of(pairs: Pairs, dim: int) -> Scales:
        """From the pairs of some snapshots; a ValueError where there are too few to tell."""
        if len(pairs) < 2:
            raise ValueError(f"points: expected at least two pairs within the cutoff to normalise by, got {len(pairs)}")
        inverse = 1.0 / pairs.distance
        if dim == 1:
            mean, std = float(pairs.distance.mean()), float(pairs.distance.std())
        else:  # the unit vectors of j seen from i and of i seen from j: their mean is zero
            mean, std = 0.0, float(np.sqrt(np.mean((pairs.displacement / pairs.distance[:, None]) ** 2)))
        return Scales(mean, std or 1.0, float(inverse.mean()), float(inverse.std()) or 1.0)


@dataclass
class _Features:
    """What a set of pairs means to the networks, and how that moves with the positions."""

    unit: np.ndarray
    r: np.ndarray
    r_slope: np.ndarray
    switch: np.ndarray
    switch_slope: np.ndarray
    weight: np.ndarray
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
        return 2 * WIDTHS[-1]

    # ------------------------------------------------------------------ pairs
    def _features(self, pairs: Pairs) -> _Features:
        s = pairs.distance
        unit = pairs.displacement / s[:, None]
        r = (1.0 / s - self.scales.r_mean) / self.scales.r_std
        r_slope = -1.0 / (s * s * self.scales.r_std)
        switch, switch_slope = np.ones_like(s), np.zeros_like(s)
        if self.smooth:
            t = s / self.cutoff
            switch = 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t)
            switch_slope = -30.0 * (t * (1.0 - t)) ** 2 / self.cutoff
        q = s[:, None] if self.dim == 1 else np.concatenate([unit, -unit])
        q = (q - self.scales.q_mean) / self.scales.q_std
        return _Features(unit, r, r_slope, switch, switch_slope, r * switch, q)

    def _sides(self, values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """f₁ as i sees j, and as j sees i: the same in one dimension."""
        return (values, values) if self.dim == 1 else (values[:count], values[count:])

    def forward(self, views: Views, pairs: Pairs, points: int) -> tuple[np.ndarray, tuple]:
        """D (points, 64) and the tape.

        Parameters
        ----------
        views : mapping
            Weights and biases.
        pairs : Pairs
            Neighbours.
        points : int
            How many points there are.
        """
        features = self._features(pairs)
        one, tape_one = self.angular.forward(views, features.q)
        two, tape_two = self.radial.forward(views, features.r[:, None])
        out = self._sum(pairs, points, features.weight, one, two)
        return out, (pairs, features, one, tape_one, two, tape_two)

    def _sum(self, pairs: Pairs, points: int, weight: np.ndarray, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        sums = [np.zeros((points, WIDTHS[-1]), dtype=one.dtype) for _ in range(2)]
        scatter_add(pairs.first, pairs.second, weight, *self._sides(one, len(pairs)), sums[0])
        scatter_add(pairs.first, pairs.second, weight, two, two, sums[1])
        return np.concatenate(sums, axis=1)

    def _spread(self, pairs: Pairs, weight: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The transpose of ``_sum`` in f₁ and f₂."""
        halves = np.ascontiguousarray(rows[:, : WIDTHS[-1]]), np.ascontiguousarray(rows[:, WIDTHS[-1] :])
        same = self.dim == 1
        one = np.empty((len(pairs) * (1 if same else 2), WIDTHS[-1]), dtype=rows.dtype)
        two = np.empty((len(pairs), WIDTHS[-1]), dtype=rows.dtype)
        gather_add(pairs.first, pairs.second, weight, halves[0], same, *self._sides(one, len(pairs)))
        gather_add(pairs.first, pairs.second, weight, halves[1], True, two, two)
        return one, two

    def vjp(self, views: Views, tape: tuple, cotangent: np.ndarray) -> np.ndarray:
        """x̄ (points, d) from D̄ (points, 64)."""
        pairs, features, one, tape_one, two, tape_two = tape
        count = len(pairs)
        one_bar, two_bar = self._spread(pairs, features.weight, cotangent)
        weight_bar = np.zeros_like(features.weight)
        halves = np.ascontiguousarray(cotangent[:, : WIDTHS[-1]]), np.ascontiguousarray(cotangent[:, WIDTHS[-1] :])
        gather_dot(pairs.first, pairs.second, halves[0], *self._sides(one, count), weight_bar)
        gather_dot(pairs.first, pairs.second, halves[1], two, two, weight_bar)
        q_bar = self.angular.vjp(views, tape_one, one_bar) / self.scales.q_std
        r_bar = self.radial.vjp(views, tape_two, two_bar)[:, 0] + weight_bar * features.switch
        s_bar = r_bar * features.r_slope + weight_bar * features.r * features.switch_slope
        if self.dim == 1:
            moved = (s_bar + q_bar[:, 0])[:, None] * features.unit
        else:
            unit_bar = q_bar[:count] - q_bar[count:]
            along = np.einsum("pa,pa->p", features.unit, unit_bar)[:, None] * features.unit
            moved = s_bar[:, None] * features.unit + (unit_bar - along) / pairs.distance[:, None]
        out = np.zeros((len(cotangent), self.dim), dtype=cotangent.dtype)
        scatter_add(pairs.first, pairs.second, np.ones_like(features.weight), moved, -moved, out)
        return out

    def jvp(self, views: Views, tape: tuple, tangent: np.ndarray) -> tuple[np.ndarray, tuple]:
        """Ḋ (points, 64) from ẋ (points, d), and the tangents that ``vjp_pair`` needs."""
        pairs, features, one, tape_one, two, tape_two = tape
        moved = tangent[pairs.first] - tangent[pairs.second]
        ds = np.einsum("pa,pa->p", features.unit, moved)
        dr = features.r_slope * ds
        dweight = dr * features.switch + features.r * features.switch_slope * ds
        if self.dim == 1:
            dq = ds[:, None]
        else:
            turned = (moved - ds[:, None] * features.unit) / pairs.distance[:, None]
            dq = np.concatenate([turned, -turned])
        done, tangents_one = self.angular.jvp(views, tape_one, dq / self.scales.q_std)
        dtwo, tangents_two = self.radial.jvp(views, tape_two, dr[:, None])
        out = self._sum(pairs, len(tangent), features.weight, done, dtwo)
        out += self._sum(pairs, len(tangent), dweight, one, two)
        return out, (dweight, tangents_one, tangents_two)

    def vjp_pair(
        self,
        views: Views,
        tape: tuple,
        tangents: tuple,
        cotangent: np.ndarray,
        cotangent_of_tangent: np.ndarray,
        gradient: Views,
    ) -> None:
        """Add to the gradients of f₁ and f₂.

        Parameters
        ----------
        views, tape, tangents
            From ``forward`` and ``jvp``.
        cotangent, cotangent_of_tangent : (points, 64)
            Of D and Ḋ.
        gradient : mapping
            Added to.
        """
        pairs, features, _, tape_one, _, tape_two = tape
        dweight, tangents_one, tangents_two = tangents
        bars = self._spread(pairs, features.weight, cotangent)
        more = self._spread(pairs, dweight, cotangent_of_tangent)
        dbars = self._spread(pairs, features.weight, cotangent_of_tangent)
        chains: tuple[tuple[Perceptron, Layers, Layers], ...] = (
            (self.angular, tape_one, tangents_one),
            (self.radial, tape_two, tangents_two),
        )
        for (network, kept, moved), bar, extra, dbar in zip(chains, bars, more, dbars, strict=True):
            network.vjp_pair(views, kept, moved, bar + extra, dbar, gradient, inputs_too=False)
