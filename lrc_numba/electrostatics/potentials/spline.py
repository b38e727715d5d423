r"""Any radial function, from a table or as a function, divided at a smearing.

    v_LR = t_LR + S (v − t)      S(r) = γ(a, r²/2σ²)/Γ(a)      v_SR = t_SR + (1 − S)(v − t)

t is the tail, a potential that v is equal to beyond the end of its table (or 0), with its own division; S rises from
r^{2a} at 0 to 1 as fast as a Gaussian falls, so that v − t may be singular at 0, and for v = 1/r^p and a = p/2 this is
its usual division (eqs 10, 11 of Loche et al. 2025). The transform of the second term is a quadrature up to the end of
the table,

    v̂ = t̂ + 4π ∫₀^end S (v − t) sin(kr)/(kr) r² dr

whose integrand must have come to its end there. A spline of degree five through the table stands for v.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import Self

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.special import gammainc, gammaincc, gammainccinv, gammaln

from ... import arguments
from ..series import chebyshev_series
from .potential import Potential
from .radial_table import RadialTable, as_function

__all__ = ["SplinePotential", "TableEndsError"]

NODES = 16  # of Gauss and Legendre's rule within each interval
TURNS = 16.0  # k r over an interval at most: so many nodes integrate its waves to rounding
NOTHING = 1e-17  # of ∫ |v_LR − t_LR|: beyond where no more than that is left, there are no nodes
AT_ONCE = 4_000_000  # waves at nodes that are summed up at a time
INTERVALS = 64  # of functions, at least; of tables those between their radii
FARTHEST = 30.0  # wavenumbers over the inverse of the shortest length that are looked through for an end of v̂
NOISE = 1e-13  # of ∫ |v_LR − t_LR|: where v̂ is as small as the rounding of its series, there is no more to see


class TableEndsError(ValueError):
    """A table ends where what is of long range does not."""


class SplinePotential(Potential):
    """v(r) from a table, or as a function.

    Parameters
    ----------
    radii : (n,) array
        Of the table, rising, units of length; of a function the least and the greatest distance at which it is asked.
    values : (n,) array, or two functions
        v there; or v and its derivative as functions of an array of r.
    smearing : float, optional
        σ. Without one all of v is of long range, as for smooth functions: v is finite at 0, and the table begins there.
    tail : Potential, optional
        What v is equal to beyond the last radius, as ``CoulombPotential()``; 0 by default.
    order : float
        a, above half the power of the pole of v − t at 0. With odd powers of r in v − t times r to the power of the
        pole, as in e^{−r}/r, v̂ falls as k^{−2a−2} only, and a small order is an error where v̂ has no end within what is
        looked through; without any, as in 1/r, half the power of the pole is best.
    reciprocal : bool
        As for ``RadialTable``.
    transform : two arrays, optional
        Wavenumbers from 0 on and v̂ there, instead of a quadrature, without a tail.
    accuracy : float
        Allowed of the quadrature, over ∫ |v_LR − t_LR|: what the ends of the table leave out. A ValueError where that
        is more.
    prefactor, exclusion_radius, exclusion_degree, exclusion_part
        As for ``Potential``; the prefactor is that of v, tail included.

    Notes
    -----
    Sums over pairs take v as it is, in arrays (``PairFunction``): no polynomial in r² has the odd powers that a table
    may have. In torch-pme ``radii``, ``values`` and ``transform`` are r_grid, y_grid, k_grid and yhat_grid.
    """

    has_radial_form = False

    def __init__(
        self,
        radii,
        values,
        smearing: float | None = None,
        *,
        tail: Potential | None = None,
        order: float = 8.0,
        reciprocal: bool = False,
        transform=None,
        accuracy: float = 1e-9,
        prefactor: float = 1.0,
        **exclusion,
    ):
        super().__init__(smearing, prefactor, **exclusion)
        if tail is not None and not isinstance(tail, Potential):
            raise TypeError(f"tail: expected a Potential, got {type(tail).__name__}")
        if tail is not None and smearing is None:
            raise ValueError("smearing: expected one with a tail, got None")
        if tail is not None and transform is not None:
            raise ValueError("transform: expected none with a tail, which has its own")
        self.order = arguments.as_positive("order", order, np.inf)
        self.accuracy = arguments.as_positive("accuracy", accuracy, 1.0)
        self.tail = None if tail is None or smearing is None else tail.with_smearing(smearing)
        self.function, self.radii = as_function(radii, values, reciprocal)
        if smearing is None and self.radii[0] > 0:
            raise ValueError(f"radii: expected them from 0 on without a smearing, got {self.radii[0]:g}")
        self.transform = None
        if transform is not None:
            wavenumbers, transformed = transform
            self.transform = RadialTable(np.square(wavenumbers), transformed)
            if self.transform.radii[0] > 0:
                raise ValueError(f"transform: expected wavenumbers from 0 on, got {sqrt(self.transform.radii[0]):g}")
        self._derived = False
        self._reset()

    def _reset(self) -> None:
        """Forget what depends on the smearing."""
        self._series: list[Chebyshev | None] = [None]  # a list, so that ``key`` does not change when it is made
        self._nodes: list[tuple[float, np.ndarray, np.ndarray] | None] = [None]  # the first: up to which wavenumber

    def key(self) -> tuple:
        held = {name: value for name, value in vars(self).items() if name not in ("_series", "_nodes", "radii", "tail")}
        return type(self), tuple(held.items()), None if self.tail is None else self.tail.key()

    def __repr__(self) -> str:
        ends = f"{self.radii[0]:g} to {self.radii[-1]:g}"
        smearing, prefactor = f"smearing={self.smearing}", f"prefactor={self.prefactor:g}"
        return self._named(ends, smearing, f"tail={self.tail!r}", prefactor)

    def powers(self) -> list[tuple[float, float]]:
        return []

    # ------------------------------------------------------------------ in real space
    def _switch(self, r: np.ndarray) -> np.ndarray:
        """S, or ∂S/∂σ of a derivative by the smearing."""
        if self.smearing is None:
            return np.ones(r.shape)
        x = np.square(r) / (2 * self.smearing**2)
        return -2 / self.smearing * x * self._density(x) if self._derived else gammainc(self.order, x)

    def _density(self, x: np.ndarray) -> np.ndarray:
        """dS/dx = x^{a−1} e^{−x}/Γ(a)."""
        safe = np.maximum(x, 1e-300)
        return np.exp((self.order - 1) * np.log(safe) - safe - gammaln(self.order))

    def _switch_slope(self, r: np.ndarray) -> np.ndarray:
        """S′/r."""
        if self.smearing is None:
            return np.zeros(r.shape)
        x = np.square(r) / (2 * self.smearing**2)
        density = self._density(x) / self.smearing**2
        return -2 / self.smearing * (self.order - x) * density if self._derived else density

    def _own(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """v − t and its derivative up to the end of the table, without the prefactor; 0 beyond."""
        inside = r <= self.radii[-1]
        if (r < self.radii[0]).any():
            closest = float(r.min())
            raise ValueError(
                f"radii: v is known from {self.radii[0]:g} on, and was asked for at a distance of {closest:g}"
            )
        at = np.where(inside, r, self.radii[-1])
        value, slope = self.function(at), self.function.derivative(at)
        if self.tail is not None:
            value, slope = value - self.tail.bare(at), slope - at * self.tail.bare_slope(at)
        return np.where(inside, value, 0.0), np.where(inside, slope, 0.0)

    def bare(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        if self._derived:
            return np.zeros(r.shape)
        return self.prefactor * (self._own(r)[0] + (0.0 if self.tail is None else self.tail.bare(r)))

    def bare_slope(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        if self._derived:
            return np.zeros(r.shape)
        return self.prefactor * (self._own(r)[1] / r + (0.0 if self.tail is None else self.tail.bare_slope(r)))

    def long_range(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        within = np.maximum(r, self.radii[0])  # nearer than that S is next to nothing
        own = np.where(r < self.radii[0], 0.0, self._switch(r) * self._own(within)[0])
        return self.prefactor * (own + (0.0 if self.tail is None else self.tail.long_range(r)))

    def long_range_slope(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        within = np.maximum(r, max(self.radii[0], 1e-4 * self._shortest()))
        value, slope = self._own(within)
        own = np.where(r < self.radii[0], 0.0, self._switch_slope(r) * value + self._switch(r) * slope / within)
        return self.prefactor * (own + (0.0 if self.tail is None else self.tail.long_range_slope(r)))

    def short_range(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        if self.smearing is None:
            return np.zeros(r.shape)
        if self._derived:
            return -self.long_range(r)
        off = gammaincc(self.order, np.square(r) / (2 * self.smearing**2))
        return self.prefactor * (off * self._own(r)[0] + (0.0 if self.tail is None else self.tail.short_range(r)))

    def short_range_slope(self, r) -> np.ndarray:
        if self.smearing is None:
            return np.zeros(np.shape(r))
        return self.bare_slope(r) - self.long_range_slope(r)

    # ------------------------------------------------------------------ in Fourier space
    def _quadrature(self, highest: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and 4πr² S (v − t) times their weights, for waves up to ``highest`` at least."""
        held = self._nodes[0]
        if held is None or held[0] < highest:
            highest = max(highest, FARTHEST / self._shortest())
            edges, ends = self._intervals(highest), self.radii[[0, -1]]
            t, weights = np.polynomial.legendre.leggauss(NODES)
            half = np.diff(edges)[:, None] / 2
            r, weights = (edges[:-1, None] + half * (t + 1)).ravel(), (half * weights).ravel()
            density = 4 * pi * r**2 * self._switch(r) * self._own(r)[0]
            size = weights * np.abs(density)
            self._check_ends(np.maximum(ends, 1e-300), float(size.sum()))
            used = max(1, int(np.count_nonzero(np.cumsum(size[::-1])[::-1] > NOTHING * size.sum())))
            held = self._nodes[0] = highest, r[:used], (weights * density)[:used]
        return held[1:]

    def _intervals(self, highest: float) -> np.ndarray:
        """Edges of intervals within which v is smooth and waves turn by ``TURNS`` at most."""
        edges = self.radii
        if len(edges) <= INTERVALS:  # of a function, or of a short table
            edges = np.unique(np.concatenate([edges, np.linspace(edges[0], edges[-1], INTERVALS + 1)]))
        parts = np.ceil(np.diff(edges) * highest / TURNS).astype(int)
        starts = np.repeat(edges[:-1], parts)
        steps = np.arange(len(starts)) - np.repeat(np.cumsum(parts) - parts, parts)
        return np.append(starts + steps * np.repeat(np.diff(edges) / parts, parts), edges[-1])

    def _check_ends(self, ends: np.ndarray, total: float) -> None:
        """A ``TableEndsError`` where the ends leave out too much of ∫ |v_LR − t_LR|."""
        left = 4 * pi * ends**3 * np.abs(self._switch(ends) * self._own(ends)[0]) * (self.radii[[0, -1]] > 0)
        if self.transform is None and not self._derived and left.max() > self.accuracy * total:
            which = ("first", "last")[int(left.argmax())]
            raise TableEndsError(
                f"radii: beyond the {which} of them, {ends[left.argmax()]:g}, the transform misses about "
                f"{left.max() / max(total, 1e-300):.1e} of it, above accuracy={self.accuracy:g}; extend the table, "
                "pass the tail that v has, or a larger order or another smearing"
            )

    def _own_series(self, highest2: float) -> Chebyshev:
        """The transform of S (v − t) as a series in k²."""
        series = self._series[0]
        if series is None or series.domain[1] < highest2:
            highest2 = max(1.1 * highest2, (10 / self._shortest()) ** 2)
            r, weights = self._quadrature(sqrt(highest2))
            points = int(sqrt(highest2) * r[-1]) + 80

            def transform(k2: np.ndarray) -> np.ndarray:
                """∫ S (v − t) sin(kr)/(kr) 4πr² dr."""
                parts = np.array_split(np.sqrt(k2), len(k2) * len(r) // AT_ONCE + 1)
                return np.concatenate([np.sinc(k[:, None] * r / pi) @ weights for k in parts])

            series = self._series[0] = chebyshev_series(transform, 0.0, highest2, points)
        return series

    def _shortest(self) -> float:
        """A length on which v_LR changes."""
        return self.radii[-1] / 10 if self.smearing is None else self.smearing

    def _own_fourier(self, k2: np.ndarray, slope: bool) -> np.ndarray:
        """The transform of S (v − t), or its derivative by k²."""
        if self.transform is not None and not self._derived:
            inside = k2 <= self.transform.radii[-1]
            at = np.where(inside, k2, 0.0)
            return np.where(inside, self.transform.derivative(at) if slope else self.transform(at), 0.0)
        series = self._own_series(float(np.max(k2, initial=0.0)))
        return (series.deriv() if slope else series)(k2)

    def fourier(self, k2) -> np.ndarray:
        k2 = np.asarray(k2, dtype=np.float64)
        own = self._own_fourier(k2, False)
        return self.prefactor * (own + (0.0 if self.tail is None else self.tail.fourier(k2)))

    def fourier_slope(self, k2) -> np.ndarray:
        k2 = np.asarray(k2, dtype=np.float64)
        own = self._own_fourier(k2, True)
        return self.prefactor * (own + (0.0 if self.tail is None else self.tail.fourier_slope(k2)))

    def highest_wavenumber(self, tolerance: float) -> float:
        if self.transform is not None:
            return sqrt(float(self.transform.radii[-1]))
        k = np.linspace(0.0, FARTHEST / self._shortest(), 2401)[1:]
        size = np.abs(self._own_fourier(k**2, False)) * k**2
        # Beneath what is added up there is rounding, which the factor k² makes larger and larger.
        noise = NOISE * float(np.abs(self._quadrature()[1]).sum()) * k**2
        largest = size.max() if self.tail is None else max(size.max(), np.abs(self.tail.fourier(k**2) * k**2).max())
        above = np.flatnonzero(size > np.maximum(tolerance * largest, noise))
        own = float(k[above[-1]]) if len(above) else float(k[0])
        if own == k[-1] and not self._derived:
            raise ValueError(
                f"order: with {self.order:g} v̂ falls too slowly: at a wavenumber of {own:.3g} v̂ k² is still "
                f"{size[-1] / largest:.1e} of the largest, above {tolerance:.1e}; pass a larger order, or a k_cutoff"
            )
        return own if self.tail is None else max(own, self.tail.highest_wavenumber(tolerance))

    def reach(self, tolerance: float) -> float:
        if self.smearing is None:
            return self._shortest()
        own = sqrt(2 * gammainccinv(self.order, tolerance)) * self.smearing
        return own if self.tail is None else max(own, self.tail.reach(tolerance))

    # ------------------------------------------------------------------ numbers
    @property
    def value_at_r0(self) -> float:
        return float(self.long_range(np.zeros(1))[0])

    @property
    def value_at_k0(self) -> float:
        own = float(self._own_fourier(np.zeros(1), False)[0])
        return self.prefactor * (own + (0.0 if self.tail is None else self.tail.value_at_k0))

    @property
    def background(self) -> float:
        return 0.0 if self.tail is None else self.prefactor * self.tail.background

    def check_net_charge(self, net: np.ndarray) -> None:
        if self.tail is not None:
            self.tail.check_net_charge(net)

    def with_smearing(self, smearing: float) -> Self:
        other = super().with_smearing(smearing)
        other.tail = None if self.tail is None else self.tail.with_smearing(smearing)
        other._reset()
        return other

    def by_smearing(self) -> Self:
        if self.smearing is None or self.transform is not None:
            raise NotImplementedError("smearing: all of v is of long range, so there is no derivative by it")
        other = self.with_smearing(self.smearing)
        other._derived, other.tail = True, None if self.tail is None else self.tail.by_smearing()
        return other
