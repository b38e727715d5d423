r"""Short-range descriptors, eqs (9)–(14) of the LRC paper, with what force matching needs of them.

With s = |x_i − x_j| and r = 1/s, both normalised by a mean and a standard deviation (a hat), over neighbours within R:

    D₁ᵢ = Σ_j f₁(q̂_ij) w_ij        D₂ᵢ = Σ_j f₂(r̂_ij) w_ij

q is s in one dimension and the unit vector (x_i − x_j)/s in more. ``cutoff_kind="paper"`` has w = r̂, so the energy
jumps when a neighbour crosses R. ``cutoff_kind="smooth"`` has w = S(s) r/std(r), where S = 1 − 10 t³ + 15 t⁴ − 6 t⁵ of
t = s/R goes to zero at R with two continuous derivatives. The mean is not taken off there: r̂ is zero where s is the
harmonic mean distance, and a pair with no weight there and at R could not attract at all distances between.
``cutoff_kind="split"`` has this w for D₂, and for D₁ an S that is 1 up to 0.6 R, so that far pairs are seen as well: of
the other one only 0.06 are left at 0.8 R.

One part, ``Descriptor``, with fused loops: f₁ and f₂ see every pair once, and in one dimension both ends of it alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.neighbours import Pairs
from ..machine.memory import available_memory, check_memory
from ..machine.workspace import Workspace
from .layers.parameters import Parameters
from .layers.perceptron import Perceptron
from .neighbour_sums import WIDTH, add_rows, dot_rows, spread_dual_rows, spread_rows
from .parts.geometry import gather_motion, scatter_motion
from .parts.part import Part, Tape
from .parts.radial import switch

__all__ = ["Descriptor", "Scales"]

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

    def __init__(self, dim: int, cutoff: float, cutoff_kind: str, scales: Scales):
        self.dim, self.cutoff, self.cutoff_kind, self.scales = dim, cutoff, cutoff_kind, scales
        self.angular, self.radial = Perceptron("f1", (dim, *WIDTHS)), Perceptron("f2", (1, *WIDTHS))

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
        """Bytes that ``forward`` and ``vjp`` take: the tapes and outputs of f₁ and f₂, and cotangents.

        Parameters
        ----------
        pairs : int
            Number of neighbours.
        itemsize : int
            Bytes of a float.
        """
        per_side = sum((self.dim, *WIDTHS)) + 2 * WIDTH
        return pairs * itemsize * ((1 if self.dim == 1 else 2) * per_side + sum((1, *WIDTHS)) + 2 * WIDTH)

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

    def _same(self, column: int) -> bool:
        """Whether i and j see the same: f₂ always, f₁ in one dimension."""
        return column == 1 or self.dim == 1

    def _sides(self, values: np.ndarray, count: int, column: int) -> tuple[np.ndarray, np.ndarray]:
        """f₁ or f₂, flattened, as i sees j, and as j sees i."""
        flat, half = values.ravel(), count * WIDTH
        return (flat, flat) if self._same(column) else (flat[:half], flat[half:])

    def forward(self, tape: Tape, _):
        scene, space = tape.scene, tape.space
        pairs = scene.pairs
        needed = (2 if tape.keep else 1) * self.memory(len(pairs), scene.dtype.itemsize) - space.nbytes
        what = f"{scene.count} of them with {len(pairs)} pairs within the cutoff"
        check_memory("points", what, needed, available_memory)
        features = self._features(pairs)
        f1, tape_1 = self.angular.forward(tape.parameters, features.q, space)
        f2, tape_2 = self.radial.forward(tape.parameters, features.r[:, None], space)
        tape.kept |= {"features": features, "f": (f1, f2), "tapes": (tape_1, tape_2)}
        return self._sum(pairs, scene.count, features.weights, f1, f2)

    def _sum(self, pairs: Pairs, points: int, weights: tuple, f1: np.ndarray, f2: np.ndarray) -> np.ndarray:
        out = np.zeros((points, self.width), dtype=f1.dtype)
        for column, values in enumerate((f1, f2)):
            left, right = self._sides(values, len(pairs), column)
            weight = weights[column % len(weights)]
            add_rows(pairs.first, pairs.second, weight, left, right, self.width, column * WIDTH, out.ravel())
        return out

    def _cotangents(self, use: str, pairs: Pairs, like: np.ndarray, space: Workspace) -> tuple[np.ndarray, np.ndarray]:
        """Memory for the cotangents of f₁ and of f₂."""
        sides = len(pairs) * (1 if self.dim == 1 else 2)
        f1_bar = space.take(f"{use} 1", (sides, WIDTH), like.dtype)
        return f1_bar, space.take(f"{use} 2", (len(pairs), WIDTH), like.dtype)

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        scene, features, values = tape.scene, tape.kept["features"], tape.kept["f"]
        pairs, count = scene.pairs, len(scene.pairs)
        bars, rows = self._cotangents("bars", pairs, bar, tape.space), np.ascontiguousarray(bar).ravel()
        weight_bars = tuple(np.zeros_like(weight) for weight in features.weights)
        for column, (row_bar, value) in enumerate(zip(bars, values, strict=True)):
            stride, start, same = self.width, column * WIDTH, self._same(column)
            number = column % len(weight_bars)
            left, right = self._sides(row_bar, count, column)
            spread_rows(pairs.first, pairs.second, features.weights[number], rows, stride, start, same, left, right)
            left, right = self._sides(value, count, column)
            dot_rows(pairs.first, pairs.second, rows, stride, start, left, right, weight_bars[number])
        tape_1, tape_2 = tape.kept["tapes"]
        q_bar = self.angular.vjp(tape.parameters, tape_1, bars[0], gradient) / self.scales.q_std
        r_bar = self.radial.vjp(tape.parameters, tape_2, bars[1], gradient)[:, 0]
        if not tape.wanted[0]:
            return (None,)
        s_bar = r_bar * features.r_slope
        for weight_bar, weight_slope in zip(weight_bars, features.weight_slopes, strict=True):
            s_bar += weight_bar * weight_slope
        if self.dim == 1:
            apart_bar = (s_bar + q_bar[:, 0])[:, None] * features.unit
        else:
            unit_bar = q_bar[:count] - q_bar[count:]
            along = np.einsum("pa,pa->p", features.unit, unit_bar)[:, None] * features.unit
            apart_bar = s_bar[:, None] * features.unit + (unit_bar - along) / pairs.distance[:, None]
        return (scatter_motion(scene, apart_bar, tape.strained),)

    def jvp(self, tape: Tape, motion):
        scene, features, (f1, f2) = tape.scene, tape.kept["features"], tape.kept["f"]
        moved = gather_motion(scene, motion)
        ds = np.einsum("pa,pa->p", features.unit, moved)
        dr, dweights = features.r_slope * ds, tuple(slope * ds for slope in features.weight_slopes)
        if self.dim == 1:
            dq = ds[:, None]
        else:
            dunit = (moved - ds[:, None] * features.unit) / scene.pairs.distance[:, None]
            dq = np.concatenate([dunit, -dunit])
        tape_1, tape_2 = tape.kept["tapes"]
        df1, tangents_1 = self.angular.jvp(tape.parameters, tape_1, dq / self.scales.q_std, tape.space)
        df2, tangents_2 = self.radial.jvp(tape.parameters, tape_2, dr[:, None], tape.space)
        tape.kept |= {"dweights": dweights, "tangents": (tangents_1, tangents_2)}
        out = self._sum(scene.pairs, scene.count, features.weights, df1, df2)
        out += self._sum(scene.pairs, scene.count, dweights, f1, f2)
        return out

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        # Of f₁ and f₂ alone: the geometry depends on no parameter.
        pairs, kept = tape.scene.pairs, tape.kept
        bars, dbars = (self._cotangents(use, pairs, bar, tape.space) for use in ("bars", "dbars"))
        rows, drows = (np.ascontiguousarray(each).ravel() for each in (bar, dbar))
        for column, (row_bar, row_dbar) in enumerate(zip(bars, dbars, strict=True)):
            number = column % len(kept["dweights"])
            spread_dual_rows(
                pairs.first,
                pairs.second,
                kept["features"].weights[number],
                kept["dweights"][number],
                rows,
                drows,
                self.width,
                column * WIDTH,
                self._same(column),
                *self._sides(row_bar, len(pairs), column),
                *self._sides(row_dbar, len(pairs), column),
            )
        chains = zip((self.angular, self.radial), kept["tapes"], kept["tangents"], bars, dbars, strict=True)
        for network, tape_f, tangents_f, f_bar, f_dbar in chains:
            network.vjp_dual(tape.parameters, tape_f, tangents_f, f_bar, f_dbar, gradient, inputs_too=False)
        return (None,), (None,)
