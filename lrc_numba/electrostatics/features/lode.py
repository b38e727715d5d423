r"""Long-distance equivariant features: the potential around each atom, projected on radial functions and harmonics.

    X_i^{nlm} = ∫_{|x| < R} V_LR(x_i + x) g_nl(|x|) Y_lm(x̂) dx        V_LR(x) = (1/V) Σ_k v̂(k) S(k) e^{ik·x}

(section IV.E of Loche et al. 2025, J. Chem. Phys. 162, 142501; Grisafi, Ceriotti 2019). V_LR has no factor ½ here, and
the smoothed charge of i itself is in it. A projection of a convolution is a convolution: with plane waves expanded in
spherical waves, the multiplier of X^{nlm} is

    φ̂(k) = 4π i^l v̂(k) Y_lm(k̂) ∫₀^R j_l(kr) g_nl(r) r² dr

so all features are one convolution with one channel in and one out per (n, l, m): exact, and as many transforms as
there are features. The alternative, nodes of a quadrature around each atom as targets, needs some hundreds of them for
each atom, and has the quadrature's error beside that of the modes; ``lode_by_quadrature`` is there to compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from numbers import Integral

import numpy as np
from scipy.special import spherical_jn

from ... import arguments
from ...geometry.cell import Cell
from ...geometry.modes import ModeSet
from ...gradient import Gradient
from ...machine.cpu.parallel import available_threads
from ...machine.fixed import Fixed
from ...multipliers import Multiplier
from ...plan import LRCPlan
from ..boundaries import Boundary, LongRangeKernel
from ..checks import as_charges, as_structure, net_charge
from ..modes import modes_within
from ..potentials import Potential
from ..series import chebyshev_series
from .harmonics import number_of_harmonics, solid_harmonics

__all__ = ["LodeFeatures", "LodeKernel", "lode_by_quadrature", "monomial"]

SPARE = 60  # nodes and coefficients beyond those that oscillations need
RadialFunction = Callable[[np.ndarray, int, int], np.ndarray]


def monomial(r: np.ndarray, n: int, degree: int) -> np.ndarray:
    """g_nl = r^{l+2n}, with which features are moments of the potential.

    Parameters
    ----------
    r : array
        Distances.
    n, degree : int
        n and l.
    """
    return r ** (degree + 2 * n)


@dataclass(frozen=True)
class Projection:
    """What is projected on: g_nl and Y_lm within R.

    Attributes
    ----------
    radius : float
        R, units of length.
    n_max, l_max : int
        n < n_max and l ≤ l_max.
    radial : function
        g(r, n, l).
    """

    radius: float
    n_max: int
    l_max: int
    radial: RadialFunction

    @property
    def shape(self) -> tuple[int, int]:
        """(n_max, (l_max + 1)²)."""
        return self.n_max, number_of_harmonics(self.l_max)

    def transforms(self, k2: np.ndarray) -> np.ndarray:
        """4π ∫₀^R j_l(kr)/k^l g_nl r² dr of an array of k², (l_max + 1, n_max, k).

        j_l(kr)/k^l is a smooth function of k², and so is the integral: as a series, it is summed at all modes.
        """
        highest = float(np.sqrt(k2.max(initial=0.0))) * 1.01 + 1e-3 / self.radius
        count = int(highest * self.radius / 2) + SPARE
        t, weights = np.polynomial.legendre.leggauss(count)
        r, weights = (t + 1) * self.radius / 2, 4 * pi * weights * self.radius / 2
        out = np.empty((self.l_max + 1, self.n_max, len(k2)))
        for degree in range(self.l_max + 1):
            for n in range(self.n_max):
                weighted = weights * r**2 * self.radial(r, n, degree)

                def transform(s: np.ndarray, degree=degree, weighted=weighted) -> np.ndarray:
                    """The integral at wavenumbers √s > 0."""
                    k = np.sqrt(s)[:, None]
                    return (spherical_jn(degree, k * r) / k**degree) @ weighted

                out[degree, n] = chebyshev_series(transform, 0.0, highest**2, 2 * count)(k2)
        return out


class LodeKernel(LongRangeKernel):
    """φ̂ of all features, (n_max (l_max + 1)²,) channels from one.

    Parameters
    ----------
    potential, boundary
        As for ``LongRangeKernel``.
    projection : Projection
        On what.
    """

    def __init__(self, potential: Potential, boundary: Boundary, projection: Projection):
        super().__init__(potential, boundary)
        self.projection = projection

    def state(self) -> tuple:
        return LodeKernel, super().state(), self.projection

    def values(self, modes: ModeSet) -> np.ndarray:
        harmonics = solid_harmonics(modes.k, self.projection.l_max)
        radial = self.projection.transforms(modes.k2) * super().values(modes)
        degrees = np.floor(np.sqrt(np.arange(len(harmonics)))).astype(int)
        turned = radial[degrees].swapaxes(0, 1) * harmonics * (1j**degrees)[:, None]
        return turned.reshape(-1, modes.size)

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        raise NotImplementedError("features turn with the lattice; their derivatives by the cell are not there")


class LodeFeatures(Fixed):
    """Projections of the potential around each atom, of structures that are periodic along all axes.

    Parameters
    ----------
    potential : Potential
        With a smearing; its v_LR is projected.
    radius : float
        R, units of length.
    n_max, l_max : int
        Features have n < n_max and l ≤ l_max.
    radial : function, optional
        g(r, n, l), smooth for r up to R; r^{l+2n} by default.
    k_cutoff : float, optional
        Modes up to this wavenumber; by default up to where v̂ k² is below ``eps`` of what it is at 0.
    eps : float
        Accuracy of the sums over modes.
    threads : int, optional
        At most so many.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    fixed = dict.fromkeys(("potential", "eps", "threads", "projection", "k_cutoff"), "make other features")

    def __init__(
        self,
        potential: Potential,
        radius: float,
        n_max: int = 2,
        l_max: int = 2,
        *,
        radial: RadialFunction = monomial,
        k_cutoff: float | None = None,
        eps: float = 1e-6,
        threads: int | None = None,
    ):
        if not isinstance(potential, Potential):
            raise TypeError(f"potential: expected a Potential, got {type(potential).__name__}")
        if potential.exclusion is not None:
            raise ValueError(
                f"potential: features are projections of all of v_LR, got {potential!r}; pass one without an "
                "exclusion_radius, as features have no pairs that could leave out what is near"
            )
        for name, count, least in (("n_max", n_max, 1), ("l_max", l_max, 0)):
            if not isinstance(count, Integral) or isinstance(count, bool) or count < least:
                raise ValueError(f"{name}: expected a whole number from {least} on, got {count!r}")
        if not callable(radial):
            raise TypeError(f"radial: expected a function of r, n and l, got {radial!r}")
        self.potential, self.eps = potential, arguments.as_positive("eps", eps, 1.0)
        self.threads = arguments.as_threads(threads, available_threads())
        self.projection = Projection(arguments.as_positive("radius", radius, np.inf), int(n_max), int(l_max), radial)
        highest = potential.highest_wavenumber(self.eps) if k_cutoff is None else k_cutoff
        self.k_cutoff = arguments.as_positive("k_cutoff", highest, np.inf)
        self._plan: LRCPlan | None = None
        self._kernel: tuple[bytes, LodeKernel] | None = None

    def compute(self, positions, charges, cell) -> np.ndarray:
        """X, (N, C, n_max, (l_max + 1)²), harmonics in the order of ``solid_harmonics``.

        Parameters
        ----------
        positions : (N, 3) array
            Units of length.
        charges : (N,) or (N, C) array
            q, or what else the atoms carry, of C channels.
        cell : float, (3,) or (3, 3) array
            Length(s), or lattice vectors as rows.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what came and what was expected; for p = 3 with a net charge, as in calculators.
        """
        plan, kernel, values = self._prepared(positions, charges, cell)
        channels = [plan.convolve(values[:, c : c + 1], kernel) for c in range(values.shape[1])]
        return np.stack(channels, axis=1).reshape(*values.shape, *self.projection.shape)

    def vjp(self, positions, charges, cell, cotangent) -> Gradient:
        """Gradient of Σ cotangent · X: ``points`` (N, 3), and ``values`` (N, C) by the charges.

        Parameters
        ----------
        positions, charges, cell
            As for ``compute``.
        cotangent : (N, C, n_max, (l_max + 1)²) array
            What the change of X is multiplied with.
        """
        plan, kernel, values = self._prepared(positions, charges, cell)
        shape = (*values.shape, *self.projection.shape)
        given = arguments.as_array("cotangent", cotangent, np.dtype(np.float64))
        if given.shape != shape:
            raise ValueError(f"cotangent: expected shape {shape}, got {given.shape}")
        given = given.reshape(*values.shape, -1)
        of_channels = [
            plan.vjp(values[:, c : c + 1], kernel, given[:, c], wrt=("points", "values"))
            for c in range(values.shape[1])
        ]
        output = np.stack([gradient.output for gradient in of_channels], axis=1).reshape(shape)
        points = np.sum(np.array([gradient.points for gradient in of_channels]), axis=0)
        by_values = np.concatenate([gradient.values for gradient in of_channels], axis=1)
        return Gradient(output, points, by_values, None)

    def _prepared(self, positions, charges, cell) -> tuple[LRCPlan, LodeKernel, np.ndarray]:
        """A plan with its points, the kernel for its cell, and charges (N, C)."""
        structure = as_structure(positions, cell, True)
        if not structure.periodic.all():
            raise ValueError("cell: expected one, as features are of periodic structures, got none")
        points, lattice = structure.positions.astype(np.float64), structure.cell[0]
        values = as_charges(charges, len(points)).astype(np.float64)
        self.potential.check_net_charge(net_charge(values))
        if self._plan is None or self._kernel is None or self._kernel[0] != lattice.tobytes():
            self._plan = LRCPlan(lattice, modes_within(lattice, self.k_cutoff), eps=self.eps, threads=self.threads)
            boundary = Boundary(lattice, (True, True, True), None, 0.0, np.zeros(3), np.zeros((3, 3)))
            self._kernel = lattice.tobytes(), LodeKernel(self.potential, boundary, self.projection)
        return self._plan.set_points(points), self._kernel[1], values


def lode_by_quadrature(
    features: LodeFeatures, positions, charges, cell, radial_nodes: int = 12, angular_nodes: int = 8
) -> np.ndarray:
    """The same features from values of the potential at nodes around each atom: to see how fast that converges.

    Parameters
    ----------
    features : LodeFeatures
        What is projected on what, and with which modes.
    positions, charges, cell
        As for ``LodeFeatures.compute``.
    radial_nodes : int
        Of Gauss and Legendre's rule over r.
    angular_nodes : int
        Of the same rule over cos θ; there are twice as many angles φ, so all harmonics up to l = 2 angular_nodes − 1
        are integrated exactly.
    """
    points = arguments.as_points("positions", positions, np.dtype(np.float64), 3)
    projection, lattice = features.projection, Cell(cell, 3).matrix
    t, radial_weights = np.polynomial.legendre.leggauss(radial_nodes)
    r, radial_weights = (t + 1) * projection.radius / 2, radial_weights * projection.radius / 2
    cosine, polar_weights = np.polynomial.legendre.leggauss(angular_nodes)
    phi = 2 * pi * (np.arange(2 * angular_nodes) + 0.5) / (2 * angular_nodes)
    sine = np.sqrt(1 - cosine**2)[:, None]
    sphere = np.stack(np.broadcast_arrays(sine * np.cos(phi), sine * np.sin(phi), cosine[:, None]), axis=-1)
    sphere = sphere.reshape(-1, 3)
    on_sphere = np.repeat(polar_weights * pi / angular_nodes, 2 * angular_nodes)
    harmonics = solid_harmonics(sphere, projection.l_max) * on_sphere
    degrees = np.floor(np.sqrt(np.arange(len(harmonics)))).astype(int)
    g = np.array([[projection.radial(r, n, degree) for degree in degrees] for n in range(projection.n_max)])
    targets = (points[:, None, None] + r[:, None, None] * sphere).reshape(-1, 3)
    plan = LRCPlan(lattice, modes_within(lattice, features.k_cutoff), eps=features.eps, threads=features.threads)
    boundary = Boundary(lattice, (True, True, True), None, 0.0, np.zeros(3), np.zeros((3, 3)))
    kernel: Multiplier = LongRangeKernel(features.potential, boundary)
    values = np.asarray(charges, dtype=np.float64).reshape(len(points), -1)
    fields = plan.set_points(points, targets).convolve(values, kernel)
    fields = fields.reshape(len(points), radial_nodes, len(sphere), values.shape[1])
    return np.einsum("irsc,nlr,r,ls->icnl", fields, g, radial_weights * r**2, harmonics, optimize=True)
