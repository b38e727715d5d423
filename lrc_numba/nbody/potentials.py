r"""The black-box potentials of the LRC paper (section 5) on the torus: U = Σ_{i<j} ψ(x_i − x_j), ψ = Σ_c α_c ψ^{μ_c}.

    exponential        ψ^μ(r) = e^{−μr}                                      (eqs 3–5)
    screened Coulomb   −Δψ + μ²ψ = 4πδ, so ψ̂(k) = 4π/(k² + μ²)               (eqs 6–8; the authors' code has the 4π)

either for the nearest image alone, or summed over all of them, to rounding, by the splitting of ``splitting``. With τ,
the potential is smoothed by χ(k) = e^{−k²τ²/2}, as the authors do. ``pair`` sums for each displacement alone, which is
what ``energy_forces`` is tested against; that one takes milliseconds for hundreds of points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import arguments
from ..geometry.cell import minimum_image
from ..geometry.neighbours import NeighbourList, coincident, scatter_add
from .splitting import DIGITS, FarSum, GaussianMixture, RadialTable, sum_listed

__all__ = ["PairPotential"]

KINDS = ("exponential", "screened_coulomb")
APART = 1e-12  # box lengths; points nearer than that coincide
WIDTHS = 11.0  # √η in the shortest box length for sums over many pairs: balances images and modes
MOST_IMAGES = 10**7
LOOKED_FOR = 1e-3  # box lengths up to which pairs are looked for at least
TOGETHER = 1 << 20  # pairs of snapshots whose neighbours are looked for at once
LEAST = 1e-100  # of μ: its square does not underflow


@dataclass(frozen=True)
class PairPotential:
    """A pair potential on a periodic box.

    Parameters
    ----------
    kind : {"exponential", "screened_coulomb"}
        ψ^μ.
    box : float or d floats
        Box lengths.
    mu, alpha : float or C floats
        Inverse lengths μ_c > 0 and strengths α_c.
    images : bool
        Sum over all images; else the nearest alone.
    tau : float
        Smoothing length of the screened Coulomb potential, 0 for none.

    Raises
    ------
    ValueError
        For parameters that make no potential.
    """

    kind: str
    box: tuple[float, ...]
    mu: tuple[float, ...]
    alpha: tuple[float, ...]
    images: bool = True
    tau: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {self.kind!r}")
        for name in ("box", "mu", "alpha"):
            given = np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float64))
            if given.ndim != 1 or not np.isfinite(given).all():
                raise ValueError(f"{name}: expected a finite number or a few, got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(given.tolist()))
        if not 1 <= len(self.box) <= 3 or min(self.box) <= 0:
            raise ValueError(f"box: expected one to three positive lengths, got {self.box}")
        if len(self.mu) != len(self.alpha) or not self.mu or min(self.mu) < LEAST:
            raise ValueError(
                f"mu: expected as many numbers of {LEAST} or more as alpha has, got {self.mu} for {self.alpha}"
            )
        if self.images and self.kind == "exponential":
            number = np.prod([2.0 * (DIGITS / min(self.mu) / length + 0.5) for length in self.box])
            if number > MOST_IMAGES:
                raise ValueError(
                    f"mu: {min(self.mu)} is too small to sum an exponential over images, {number:.0e} of them"
                )
        if not 0 <= self.tau < np.inf or (self.tau > 0 and (self.kind != "screened_coulomb" or not self.images)):
            raise ValueError(f"tau: only the sum over images of the screened Coulomb is smoothed, got {self.tau}")

    @property
    def dim(self) -> int:
        """d."""
        return len(self.box)

    # ------------------------------------------------------------------ one pair
    def pair(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ψ (…,) and ∇ψ (…, d) of displacements (…, d) x_i − x_j that are not zero."""
        nearest = minimum_image(displacement, np.array(self.box))
        value, slope = np.zeros(nearest.shape[:-1]), np.zeros(nearest.shape)
        for mu, alpha in zip(self.mu, self.alpha, strict=True):
            if not self.images:
                term, gradient = self._radial(nearest, lambda r, mu=mu: self._free(r, mu))
            elif self.kind == "exponential":
                term, gradient = self._image_sum(nearest, mu)
            else:
                term, gradient = self._split_sum(nearest, mu)
            value += alpha * term
            slope += alpha * gradient
        return value, slope

    @staticmethod
    def _radial(displacement: np.ndarray, function) -> tuple[np.ndarray, np.ndarray]:
        """Value and gradient of a function of the distance that returns value and slope."""
        r = np.sqrt((displacement**2).sum(axis=-1))
        value, slope = function(r)
        return value, (slope / r)[..., None] * displacement

    def _free(self, r: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """ψ^μ and its slope without a box."""
        decay = np.exp(-mu * r)
        if self.kind == "exponential":
            return decay, -mu * decay
        if self.dim == 1:
            return 2 * np.pi / mu * decay, -2 * np.pi * decay
        if self.dim == 3:
            return decay / r, -decay * (mu + 1 / r) / r
        from scipy.special import k0, k1

        return 2 * k0(mu * r), -2 * mu * k1(mu * r)

    def _shifts(self, reach: float) -> np.ndarray:
        """Images within ``reach`` of a nearest one, which is at most half a box away along each axis."""
        axes = [np.arange(-n, n + 1) * length for length in self.box for n in [int(reach / length + 0.5)]]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dim)

    def _image_sum(self, nearest: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """Sum image by image, to rounding."""
        value, slope = np.zeros(nearest.shape[:-1]), np.zeros(nearest.shape)
        for shift in self._shifts(DIGITS / mu):
            image, gradient = self._radial(nearest + shift, lambda r: self._free(r, mu))
            value += image
            slope += gradient
        return value, slope

    # ------------------------------------------------------------------ the splitting
    @cached_property
    def _split(self) -> float:
        """η, where ages are split: the Gaussians then reach about as far as the box, in a dozen modes along an axis."""
        return max((min(self.box) / WIDTHS) ** 2, self.tau**2 / 2)

    def _mixture(self, mu: float) -> GaussianMixture:
        return GaussianMixture(self.kind, self.dim, mu, self.tau**2 / 2)

    def _split_sum(self, nearest: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """Sum the screened Coulomb potential over all images, term by term for each displacement."""
        eta, mixture = max((min(self.box) / 9.0) ** 2, self.tau**2 / 2), self._mixture(mu)
        far = FarSum(self.box, eta, lambda k2: mixture.far(k2, eta))
        value, slope = np.zeros(nearest.shape[:-1]), np.zeros(nearest.shape)
        for weight, vector in zip(far.weights.ravel(), far.k.reshape(-1, self.dim), strict=True):
            phase = nearest @ vector
            value += weight * np.cos(phase)
            slope -= (weight * np.sin(phase))[..., None] * vector
        if mixture.start < eta:
            for shift in self._shifts(np.sqrt(4 * eta * DIGITS)):
                near, over_r = mixture.near(((nearest + shift) ** 2).sum(axis=-1), eta)
                value += near
                slope += over_r[..., None] * (nearest + shift)
        return value, slope

    @cached_property
    def _near(self) -> RadialTable:
        """The sum of the terms up to η."""
        reach = np.sqrt(4 * self._split * DIGITS)
        if self.tau**2 / 2 >= self._split:  # all is smooth enough for the Fourier sum
            return RadialTable(np.zeros((1, 1)), 0, 0.0)

        def terms(square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, over_r = np.zeros(square.shape), np.zeros(square.shape)
            for alpha, mu in zip(self.alpha, self.mu, strict=True):
                parts = self._mixture(mu).near(square, self._split)
                value += alpha * parts[0]
                over_r += alpha * parts[1]
            return value, over_r

        return RadialTable.make(terms, APART * min(self.box), reach)

    @cached_property
    def _far(self) -> FarSum:
        """The sum of the terms from η on."""
        terms = [(alpha, self._mixture(mu)) for alpha, mu in zip(self.alpha, self.mu, strict=True)]

        def weight(k2: np.ndarray) -> np.ndarray:
            return np.sum([alpha * term.far(k2, self._split) for alpha, term in terms], axis=0)

        return FarSum(self.box, self._split, weight)

    # ------------------------------------------------------------------ configurations
    def energy_forces(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U (B,) and F (B, N, d) of snapshots (B, N, d), or U and F (N, d) of one; no two points may coincide."""
        potential, forces = self._potential_forces(points)
        return potential.sum(axis=-1), forces

    def potential(self, points: np.ndarray) -> np.ndarray:
        """½ Σ_{j≠i} ψ(x_i − x_j), (…, N)."""
        return self._potential_forces(points)[0]

    def _check_apart(self, square: float, i: int, j: int, snapshot: int) -> None:
        """Raise a ValueError where two points coincide, but for rounding."""
        if not square > (APART * min(self.box)) ** 2:
            raise coincident(i, j, snapshot, np.sqrt(square))

    def _potential_forces(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = arguments.as_points("points", points, np.dtype(np.float64), self.dim)
        snapshots = points if points.ndim == 3 else points[None]
        potential, forces = np.zeros(snapshots.shape[:2]), np.zeros(snapshots.shape)
        count = snapshots.shape[1]
        step = max(1, TOGETHER // max(count, 1) ** 2)
        for b in range(0, len(snapshots) if count > 1 else 0, step):
            sums = self._sums_over_images if self.images else self._sums_of_nearest
            potential[b : b + step], forces[b : b + step] = sums(snapshots[b : b + step], b)
        return potential.reshape(points.shape[:-1]), forces.reshape(points.shape)

    def _sums_over_images(self, snapshots: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """½ Σ_j ψ (B, N) and forces (B, N, d) of the snapshots from ``number`` on, split."""
        table, (batch, count, dim) = self._near, snapshots.shape
        points, offsets = snapshots.reshape(-1, dim), np.arange(0, batch * count + 1, count)
        # Also where no pair counts, two points in one place are looked for.
        kept = NeighbourList(max(np.sqrt(table.reach_square), LOOKED_FOR * min(self.box)), threads=1)
        lists = kept.search(points, self.box, offsets=offsets)
        rows = lists.place(*kept.moved(), np.zeros(len(points)))
        potential, forces = np.zeros(len(points)), np.zeros((len(points), 3))
        images = (0, 0, len(points), rows, *lists.for_loops())
        square, i, j = sum_listed(*images, table.rows, table.first, table.reach_square, potential, forces)
        self._check_apart(square, i % count, j % count, number + i // count)
        far = [self._far.sum_pairs(snapshot) for snapshot in snapshots]
        of_points = potential.reshape(batch, count) + [part[0] for part in far]
        return of_points, forces[:, 3 - dim :].reshape(snapshots.shape) + [part[1] for part in far]

    def _sums_of_nearest(self, snapshots: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """½ Σ_j ψ (B, N) and forces (B, N, d) of the snapshots from ``number`` on, from the nearest images alone."""
        sums = [self._sums_of_one(points, number + b) for b, points in enumerate(snapshots)]
        return np.stack([potential for potential, _ in sums]), np.stack([forces for _, forces in sums])

    def _sums_of_one(self, points: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """½ Σ_j ψ (N,) and forces (N, d) of snapshot ``number`` from the nearest images alone."""
        i, j = np.triu_indices(len(points), 1)
        nearest = minimum_image(points[i] - points[j], np.array(self.box))
        square = (nearest**2).sum(axis=-1)
        closest = square.argmin()
        self._check_apart(square[closest], i[closest], j[closest], number)
        value, slope = self.pair(nearest)
        forces = np.zeros(points.shape)
        scatter_add(i, j, -slope, forces)
        return (np.bincount(i, value, len(points)) + np.bincount(j, value, len(points))) / 2, forces
