r"""Short-range descriptors, eqs (9)–(14) of the LRC paper, with what force matching needs of them.

With s = |x_i − x_j| and r = 1/s, both normalised by a mean and a standard deviation (a hat), over neighbours within R:

    D₁ᵢ = Σ_j f₁(q̂_ij) w_ij        D₂ᵢ = Σ_j f₂(r̂_ij) w_ij

q is s in one dimension and the unit vector (x_i − x_j)/s in more. ``cutoff_kind="paper"`` has w = r̂, so the energy
jumps when a neighbour crosses R. ``cutoff_kind="smooth"`` has w = S(s) r/std(r), where S = 1 − 10 t³ + 15 t⁴ − 6 t⁵ of
t = s/R goes to zero at R with two continuous derivatives. The mean is not taken off there: r̂ is zero where s is the
harmonic mean distance, and a pair with no weight there and at R could not attract at all distances between.
``cutoff_kind="split"`` has this w for D₂, and for D₁ an S that is 1 up to 0.6 R, so that far pairs are seen as well: of
the other one only 0.06 are left at 0.8 R.

One part, ``Descriptor``, with fused loops: f₂ sees every pair once, for both its ends, and so does f₁ in one dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.neighbours import Pairs
from ..machine.memory import available_memory, check_memory
from .layers.pair_sums import PairSum, Weighted
from .layers.parameters import Parameters
from .layers.perceptron import Perceptron
from .parts.geometry import gather_motion, scatter_motion
from .parts.part import Part, Tape
from .parts.radial import switch

__all__ = ["Descriptor", "Scales"]

WIDTH = 32  # of each sum
WIDTHS = (2, 4, 8, 16, WIDTH)
LEVEL = 0.6  # of the cutoff, up to which the first weight of "split" is 1


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
    """Inputs of f₁ and f₂ for every pair, the weights of their outputs, and slopes over the distance.

    There is a weight for each of the two, or one for both.
    """

    unit: np.ndarray
    r: np.ndarray
    r_slope: np.ndarray
    weights: tuple[np.ndarray, ...]
    weight_slopes: tuple[np.ndarray, ...]
    q: np.ndarray


class Descriptor(Part):
    """The two sums over neighbours, (n, 64): a part that reads the geometry; pairs come once.

    Parameters
    ----------
    dim : int
        d.
    cutoff : float
        R, units of length.
    cutoff_kind : {"smooth", "split", "paper"}
        How contributions end at R, see the module.
    scales : Scales
        Normalisation.
    """

    geometry, rows, pairs = True, "points", "half"

    def __init__(self, dim: int, cutoff: float, cutoff_kind: str, scales: Scales):
        self.reach = cutoff
        self.dim, self.cutoff, self.cutoff_kind, self.scales = dim, cutoff, cutoff_kind, scales
        self.angular, self.radial = Perceptron("f1", (dim, *WIDTHS)), Perceptron("f2", (1, *WIDTHS))
        self._sums = PairSum(self.angular, 0), PairSum(self.radial, WIDTH)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return self.angular.shapes() | self.radial.shapes()

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        self.angular.initialise(parameters, generator)
        self.radial.initialise(parameters, generator)

    @property
    def width(self) -> int:
        """Numbers per point."""
        return 2 * WIDTH

    def memory(self, pairs: int, itemsize: int) -> int:
        """Bytes that ``forward`` and ``vjp`` take: the tapes of f₁ and f₂, and features.

        Parameters
        ----------
        pairs : int
            Number of neighbours.
        itemsize : int
            Bytes of a float.
        """
        features = 6 + 4 * self.dim
        per_side = sum((self.dim, *WIDTHS)) + features
        return pairs * itemsize * ((1 if self.dim == 1 else 2) * per_side + sum((1, *WIDTHS)) + features)

    # ------------------------------------------------------------------ pairs
    def _features(self, pairs: Pairs) -> _Features:
        s = pairs.distance
        unit = pairs.displacement / s[:, None]
        r = (1.0 / s - self.scales.r_mean) / self.scales.r_std
        r_slope = -1.0 / (s * s * self.scales.r_std)
        weights: tuple[np.ndarray, ...] = (r,)
        weight_slopes: tuple[np.ndarray, ...] = (r_slope,)
        if self.cutoff_kind != "paper":
            fading, fading_slope, _ = switch(s, self.cutoff)
            weights = (fading / (s * self.scales.r_std),)
            weight_slopes = (r_slope * fading + fading_slope / (s * self.scales.r_std),)
        if self.cutoff_kind == "split":
            level, level_slope, _ = switch(np.maximum(s - LEVEL * self.cutoff, 0), (1 - LEVEL) * self.cutoff)
            weights, weight_slopes = (level, *weights), (level_slope, *weight_slopes)
        q = s[:, None] if self.dim == 1 else np.concatenate([unit, -unit])
        q = (q - self.scales.q_mean) / self.scales.q_std
        return _Features(unit, r, r_slope, weights, weight_slopes, q)

    def _of_rows(self, weights: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the rows of f₁ and of f₂: in more dimensions f₁ sees every pair from i, and then from j."""
        return weights[0] if self.dim == 1 else np.tile(weights[0], 2), weights[-1]

    def forward(self, tape: Tape, _):
        scene, space = tape.scene, tape.space
        pairs = scene.pairs
        needed = (2 if tape.keep else 1) * self.memory(len(pairs), scene.dtype.itemsize) - space.nbytes
        what = f"{scene.count} of them with {len(pairs)} pairs within the cutoff"
        check_memory("points", what, needed, available_memory)
        features = self._features(pairs)
        ends, inputs = np.stack([pairs.first, pairs.second]), (features.q, features.r[:, None])
        of_angular, of_radial = self._of_rows(features.weights)
        weighted = Weighted(ends if self.dim == 1 else ends.reshape(1, -1), of_angular), Weighted(ends, of_radial)
        out = np.zeros((scene.count, self.width), dtype=scene.dtype)
        tapes = [
            each.forward(tape.parameters, own, x, out, space)
            for each, own, x in zip(self._sums, weighted, inputs, strict=True)
        ]
        tape.kept |= {"features": features, "pairs": weighted, "tapes": tapes}
        return out

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        scene, features = tape.scene, tape.kept["features"]
        pairs, count, rows = scene.pairs, len(scene.pairs), np.ascontiguousarray(bar)
        own = zip(self._sums, tape.kept["pairs"], tape.kept["tapes"], strict=True)
        (q_bar, w1_bar), (r_bar, w2_bar) = (
            each.vjp(tape.parameters, weighted, kept, rows, gradient) for each, weighted, kept in own
        )
        if not tape.wanted[0]:
            return (None,)
        q_bar /= self.scales.q_std
        s_bar = r_bar[:, 0] * features.r_slope + w2_bar * features.weight_slopes[-1]
        s_bar += (w1_bar if self.dim == 1 else w1_bar[:count] + w1_bar[count:]) * features.weight_slopes[0]
        if self.dim == 1:
            apart_bar = (s_bar + q_bar[:, 0])[:, None] * features.unit
        else:
            unit_bar = q_bar[:count] - q_bar[count:]
            along = np.einsum("pa,pa->p", features.unit, unit_bar)[:, None] * features.unit
            apart_bar = s_bar[:, None] * features.unit + (unit_bar - along) / pairs.distance[:, None]
        return (scatter_motion(scene, apart_bar, tape.strained),)

    def jvp(self, tape: Tape, motion):
        scene, kept, features = tape.scene, tape.kept, tape.kept["features"]
        moved = gather_motion(scene, motion)
        ds = np.einsum("pa,pa->p", features.unit, moved)
        if self.dim == 1:
            dq = ds[:, None]
        else:
            dunit = (moved - ds[:, None] * features.unit) / scene.pairs.distance[:, None]
            dq = np.concatenate([dunit, -dunit])
        tangents = dq / self.scales.q_std, (features.r_slope * ds)[:, None]
        dweights = tuple(slope * ds for slope in features.weight_slopes)
        for weighted, moving in zip(kept["pairs"], self._of_rows(dweights), strict=True):
            weighted.dweights = moving
        out = np.zeros((scene.count, self.width), dtype=scene.dtype)
        kept["tangents"] = [
            each.jvp(tape.parameters, weighted, own, dx, out, tape.space)
            for each, weighted, own, dx in zip(self._sums, kept["pairs"], kept["tapes"], tangents, strict=True)
        ]
        return out

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        # Of f₁ and f₂ alone: the geometry depends on no parameter.
        kept, ups = tape.kept, (np.ascontiguousarray(bar), np.ascontiguousarray(dbar))
        for number, each in enumerate(self._sums):
            tapes = kept["tapes"][number], kept["tangents"][number]
            each.vjp_dual(tape.parameters, kept["pairs"][number], tapes, ups, gradient)
        return (None,), (None,)
