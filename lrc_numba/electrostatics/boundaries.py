r"""Which multiplier and which cell stand for a potential: periodic, a slab, a wire, or free space.

Along open axes the cell is padded, and the kernel is the potential cut off where no two points are that far apart, so
that images do not see each other (Vico, Greengard, Ferrando 2016; Rozzi et al. 2006). With h and k_z across and along
the normal of a slab, and k_z and k_p along and across the axis of a wire, Coulomb's 4π/k² becomes

    slab    4π/k² [1 + e^{−hR} ((k_z/h) sin k_zR − cos k_zR)]
    wire    4π/k² [1 + k_pR J₁(k_pR) K₀(|k_z|R) − |k_z|R J₀(k_pR) K₁(|k_z|R)]
    free    4π/k² (1 − cos kR)

times the transform χ of the smeared charge. R is the thickness of the points and the reach of the smearing, and the
period R more than that. In free space other potentials are cut off by an error function, and transformed by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.special import erfc, j0, j1, k0, k1

from ..geometry.modes import ModeSet
from ..multipliers import Multiplier
from .checks import check_room
from .potentials import CoulombPotential, Potential
from .series import chebyshev_series

__all__ = ["Boundary", "LongRangeKernel", "choose_boundary", "rounded_extents"]

TOLERANCE = 1e-16  # of v at the distance where v_LR counts as v
ROUNDING = 1e-12  # of the largest k²
WIDER = 1.02  # than the reach R was chosen for: 4e-16 of v is left then
STEP = 1.2  # between sizes up to which extents are rounded, so that few plans do, and points may move
SMALLEST = -8  # steps below the reach


@dataclass(frozen=True)
class Boundary:
    """The cell of the modes, and where the kernel is cut off.

    Attributes
    ----------
    cell : (3, 3) float64
        Lattice vectors; those of open axes are padded.
    periodic : tuple of bool
        Along which of them there are images.
    axis : (3,) float64 or None
        Normal of a slab, direction of a wire.
    radius : float
        R; 0 where all axes are periodic.
    extent : (3,) float64
        Up to which extents along the open axes of ``frame`` it serves, see ``rounded_extents``.
    frame : (3, 3) float64
        Unit vectors, rows, along which extents are measured; zeros for periodic axes.
    reach : float
        Of the short range that R was chosen for.
    """

    cell: np.ndarray
    periodic: tuple[bool, bool, bool]
    axis: np.ndarray | None
    radius: float
    extent: np.ndarray
    frame: np.ndarray
    reach: float = np.inf

    def serves(self, positions: np.ndarray, potential: Potential | None = None) -> bool:
        """Whether these points are as close together as R asks for, and the potential as short.

        Parameters
        ----------
        positions : (N, 3)
            Units of length.
        potential : Potential, optional
            Where its smearing may have changed.
        """
        if all(self.periodic):
            return True
        if potential is not None and self.radius and potential.reach(TOLERANCE) > WIDER * self.reach:
            return False
        return bool((_extents(positions, self.frame) <= self.extent * (1 + ROUNDING)).all())


def choose_boundary(potential: Potential, positions: np.ndarray, cell: np.ndarray, periodic) -> Boundary:
    """The padded cell for points and the axes along which they are periodic.

    Parameters
    ----------
    potential : Potential
        Its reach decides how much is padded.
    positions : (N, 3)
        Unwrapped along open axes.
    cell : (3, 3)
        Lattice vectors; points have to fit between those of open axes that are not zeros.
    periodic : three bools
        Along which of them there are images.

    Raises
    ------
    ValueError
        Where points stick out of the cell along an open axis, and for a potential that has no such kernel.
    """
    a, b, c = (bool(flag) for flag in periodic)
    flags = a, b, c
    if all(flags):
        return Boundary(cell, flags, None, 0.0, np.zeros(3), np.zeros((3, 3)))
    if any(flags) and not isinstance(potential, CoulombPotential):
        raise ValueError(
            f"periodic: {potential!r} has no kernel for slabs and wires; only Coulomb's has, so use all or no axes"
        )
    axis, frame = _frame(cell, flags)
    extents = _extents(positions, frame)
    check_room(positions, cell, flags)
    reach = potential.reach(TOLERANCE)
    extents = np.array(rounded_extents(potential, positions, cell, flags))
    smooth = 0.0 if isinstance(potential, CoulombPotential) else reach  # the error function's own width
    radius = float(np.linalg.norm(extents)) + reach + smooth
    padded = np.where(np.array(flags)[:, None], cell, frame * (extents + radius + reach + smooth)[:, None])
    return Boundary(padded, flags, axis, radius, extents, frame, reach)


def rounded_extents(potential: Potential, positions: np.ndarray, cell: np.ndarray, periodic) -> tuple[float, ...]:
    """Extents of points along open axes, rounded up to one of few sizes; zeros for periodic axes.

    What is computed then depends on the points alone, and not on those that came before.

    Parameters
    ----------
    potential, positions, cell, periodic
        As for ``choose_boundary``.
    """
    flags = tuple(bool(flag) for flag in periodic)
    if all(flags):
        return (0.0, 0.0, 0.0)
    frame = _frame(cell, flags)[1]
    unit = 2.0 ** np.rint(np.log2(potential.reach(TOLERANCE)))
    with np.errstate(divide="ignore"):
        steps = np.ceil(np.log(_extents(positions, frame) / unit) / np.log(STEP) - 1e-9)
    sizes = unit * STEP ** np.maximum(steps, SMALLEST)
    return tuple(np.where((frame != 0).any(axis=1), sizes, 0.0).tolist())


def _frame(cell: np.ndarray, periodic: tuple[bool, ...]) -> tuple[np.ndarray | None, np.ndarray]:
    """Normal or direction, and unit vectors along the open axes, which are orthogonal to the periodic ones."""
    rows, frame = np.flatnonzero(periodic), np.zeros((3, 3))
    open_rows = [a for a in range(3) if not periodic[a]]
    if len(rows) == 0:
        return None, np.eye(3)
    if len(rows) == 2:
        normal = np.cross(cell[rows[0]], cell[rows[1]])
        frame[open_rows[0]] = normal / np.linalg.norm(normal)
        return frame[open_rows[0]], frame
    direction = cell[rows[0]] / np.linalg.norm(cell[rows[0]])
    helper = np.eye(3)[np.argmin(np.abs(direction))]
    across = np.cross(direction, helper)
    frame[open_rows[0]] = across / np.linalg.norm(across)
    frame[open_rows[1]] = np.cross(direction, frame[open_rows[0]])
    return direction, frame


def _extents(positions: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """How far points extend along the rows of a frame, (3,)."""
    along = positions @ frame.T
    return np.ptp(along, axis=0) if len(along) else np.zeros(3)


class LongRangeKernel(Multiplier):
    """φ̂ of a potential's part of long range in some surroundings.

    Parameters
    ----------
    potential : Potential
        What is divided.
    boundary : Boundary
        Where images are.
    """

    def __init__(self, potential: Potential, boundary: Boundary):
        super().__init__()
        self.potential, self.boundary = potential, boundary
        self._series: tuple[tuple, Chebyshev] | None = None
        self._derived: tuple[tuple, dict[str, list[LongRangeKernel]]] | None = None

    def state(self) -> tuple:
        return type(self), id(self.boundary), self.potential.key()

    def values(self, modes: ModeSet) -> np.ndarray:
        k2 = np.where(modes.k2 > 0, modes.k2, 1.0)
        if all(self.boundary.periodic):
            return np.where(modes.k2 > 0, self.potential.fourier(k2), self.potential.value_at_k0)
        if not isinstance(self.potential, CoulombPotential):
            return self._table(modes)(modes.k2)
        bare = self.potential.prefactor * _CUT[sum(self.boundary.periodic)](*self._components_of_k(modes))[0]
        return bare * self.potential.cloud(modes.k2)

    # ------------------------------------------------------------------ by the parameters
    def by_parameters(self) -> dict[str, list[LongRangeKernel]]:
        """Kernels of the derivatives of the potential by each number of its parameters, by name."""
        key = self.potential.key()
        if self._derived is None or self._derived[0] != key:
            kernels: dict[str, list[LongRangeKernel]] = {}
            for name in self.potential.parameters:
                potentials = self.potential.derivatives(name)
                kernels[name] = [copy(self) for _ in potentials]
                for kernel, potential in zip(kernels[name], potentials, strict=True):
                    kernel.potential, kernel._series, kernel._derived = potential, None, None
            self._derived = key, kernels
        return self._derived[1]

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        """∂φ̂/∂θ for every parameter of the potential, (*shape of θ, modes); where R is stays."""
        return self.map_parameters(lambda kernel: kernel.values(modes))

    def map_parameters(self, function: Callable[[LongRangeKernel], np.ndarray]) -> dict[str, np.ndarray]:
        """A function (modes,) of all derived kernels, of the shapes of the parameters and the modes.

        Parameters
        ----------
        function : function
            Of a kernel.
        """
        shapes = {name: value.shape for name, value in self.potential.parameters.items()}
        return {
            name: np.stack([function(kernel) for kernel in kernels]).reshape(*shapes[name], -1)
            for name, kernels in self.by_parameters().items()
        }

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        return {name: slopes @ np.real(cotangent) for name, slopes in self.derivatives(modes).items()}

    # ------------------------------------------------------------------ by the cell
    def cell_jvp(self, modes: ModeSet, strain: np.ndarray) -> np.ndarray:
        """Tangent of φ̂ along a strain ε of the cell, (modes,); that of 1/V is none of it.

        Parameters
        ----------
        modes : ModeSet
            The modes.
        strain : (3, 3)
            ε: lattice vectors become a(1 + ε).
        """
        of_k2, of_along2, along = self._slopes(modes)
        moved = -2.0 * of_k2 * np.einsum("ma,ab,mb->m", modes.k, strain, modes.k)
        axis = self.boundary.axis
        if axis is None:
            return moved
        turned = axis @ strain @ axis
        if sum(self.boundary.periodic) == 1:
            return moved - 2.0 * of_along2 * along**2 * turned
        return moved + 2.0 * of_along2 * along * (along * turned - 2.0 * modes.k @ strain @ axis)

    def _slopes(self, modes: ModeSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dφ̂ by k² with what is along an axis held, by the square of that, and what is along it."""
        none, inside = np.zeros(modes.size), modes.k2 > 0
        if all(self.boundary.periodic):
            slope = self.potential.fourier_slope(np.where(inside, modes.k2, 1.0))
            return np.where(inside, slope, 0.0), none, none
        if not isinstance(self.potential, CoulombPotential):
            return self._table(modes).deriv()(modes.k2), none, none
        along, across2, radius = self._components_of_k(modes)
        bare, by_along2, by_across2 = _CUT[sum(self.boundary.periodic)](along, across2, radius)
        cloud, slope = (part(modes.k2) for part in (self.potential.cloud, self.potential.cloud_slope))
        factor = self.potential.prefactor
        return factor * (bare * slope + by_across2 * cloud), factor * (by_along2 - by_across2) * cloud, along

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        weights = np.real(cotangent)
        of_k2, of_along2, along = self._slopes(modes)
        strain, axis = -2.0 * (modes.k.T * (of_k2 * weights)) @ modes.k, self.boundary.axis
        if axis is None:
            return strain
        # Wavevectors change by −ε k; the components along and across follow the axis, which turns with the lattice.
        strain += self._by_axis(axis, modes, along, of_along2 * weights)
        return (strain + strain.T) / 2

    def _by_axis(self, axis: np.ndarray, modes: ModeSet, along: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Σ weights d(along²)/dε: of a normal n, d(k·n) = −2 k·εn + (k·n) n·εn; of a direction w, −(k·w) w·εw."""
        square = np.outer(axis, axis) * float(weights @ along**2)
        if sum(self.boundary.periodic) == 1:
            return -2.0 * square
        return -4.0 * np.outer((weights * along) @ modes.k, axis) + 2.0 * square

    def _components_of_k(self, modes: ModeSet) -> tuple[np.ndarray, np.ndarray, float]:
        """k along the axis, the square of what is across it, and R; the first is |k| and the second 0 in free space."""
        if self.boundary.axis is None:
            return np.zeros(modes.size), modes.k2, self.boundary.radius
        along = modes.k @ self.boundary.axis
        across2 = np.maximum(modes.k2 - along**2, 0.0)
        floor = ROUNDING * float(modes.k2.max(initial=0.0))  # what a tilted axis leaves of zero
        return np.where(along**2 > floor, along, 0.0), np.where(across2 > floor, across2, 0.0), self.boundary.radius

    def _table(self, modes: ModeSet) -> Chebyshev:
        """v̂ of v_LR times an error function, as a series in k²."""
        key = self.potential.key()
        if self._series is not None and self._series[0] == key and self._series[1].domain[1] >= modes.k2.max():
            return self._series[1]
        potential, reach = self.potential, self.boundary.reach
        highest = float(np.sqrt(modes.k2.max())) * 1.05
        width = reach / 8.5
        far = self.boundary.radius + reach
        t, weights = np.polynomial.legendre.leggauss(int(highest * far) + 80)
        r, weights = (t + 1) * far / 2, weights * far / 2
        cut = erfc((r - self.boundary.radius) / (np.sqrt(2) * width)) / 2
        weights = 4 * pi * weights * r**2 * potential.long_range(r) * cut

        def transform(k2: np.ndarray) -> np.ndarray:
            """∫ v_LR cut sin(kr)/(kr) 4πr² dr."""
            return np.sinc(np.sqrt(k2)[:, None] * r / pi) @ weights

        series = chebyshev_series(transform, 0.0, highest**2, int(highest * far / 2) + 80)
        self._series = key, series
        return series


def _free(_, k2: np.ndarray, radius: float) -> tuple[np.ndarray, ...]:
    """4π (1 − cos kR)/k², and its slopes by what is along and across: none, and by k²."""
    k = np.sqrt(k2)
    half = np.sinc(k * radius / (2 * pi))  # sin(kR/2)/(kR/2)
    value = 2 * pi * radius**2 * half**2
    z = k * radius
    small = z < 0.1
    safe = np.where(small, 1.0, z)
    # (z sin z / 2 − 1 + cos z)/z⁴ = −1/24 + z²/360 − z⁴/13440 + …
    bracket = np.where(
        small,
        -1 / 24 + z**2 / 360 - z**4 / 13440 + z**6 / 907200,
        (safe * np.sin(safe) / 2 - 1 + np.cos(safe)) / safe**4,
    )
    return value, np.zeros(k2.shape), 4 * pi * radius**4 * bracket


def _slab(kz: np.ndarray, h2: np.ndarray, radius: float) -> tuple[np.ndarray, ...]:
    """The kernel of a slab, and its slopes by k_z² and h²."""
    kz, h, k2 = np.abs(kz), np.sqrt(h2), kz**2 + h2
    flat, origin = h2 == 0, k2 == 0
    h, kz_safe, k2_safe = np.where(flat, 1.0, h), np.where(kz > 0, kz, 1.0), np.where(origin, 1.0, k2)
    decay, sine, cosine = np.exp(-h * radius), np.sin(kz * radius), np.cos(kz * radius)
    bracket = 1 + decay * (kz / h * sine - cosine)
    value = 4 * pi / k2_safe * bracket
    sinc = np.where(kz > 0, sine / kz_safe, radius)
    by_kz2 = decay * (sinc / h + radius * cosine / h + radius * sinc) / 2
    by_h2 = decay * (-radius * (kz / h * sine - cosine) - kz * sine / h**2) / (2 * h)
    of_kz2, of_h2 = (4 * pi / k2_safe * (part - bracket / k2_safe) for part in (by_kz2, by_h2))
    on_axis = 4 * pi / k2_safe * (1 - cosine - kz * radius * sine)
    by_axis = 4 * pi / k2_safe * (-(radius**2) * cosine / 2 - (1 - cosine - kz * radius * sine) / k2_safe)
    value = np.where(flat, np.where(origin, -2 * pi * radius**2, on_axis), value)
    # Along the normal nothing depends on h² to first order that a strain could reach: k is parallel to it.
    return value, np.where(flat, np.where(origin, 0.0, by_axis), of_kz2), np.where(flat, 0.0, of_h2)


def _wire(kz: np.ndarray, kp2: np.ndarray, radius: float) -> tuple[np.ndarray, ...]:
    """The kernel of a wire, and its slopes by k_z² and k_p²."""
    kz, kp, k2 = np.abs(kz), np.sqrt(kp2), kz**2 + kp2
    flat = kz == 0
    z, p = np.where(flat, 1.0, kz) * radius, kp * radius
    k2_safe = np.where(flat, 1.0, k2)
    ratio = np.where(p > 0, j1(p) / np.where(p > 0, p, 1.0), 0.5)
    bracket = 1 + p**2 * ratio * k0(z) - z * j0(p) * k1(z)
    value = 4 * pi / k2_safe * bracket
    # d(p J₁)/dp = p J₀, dK₀/dz = −K₁; d(z K₁)/dz = −z K₀, dJ₀/dp = −J₁
    by_kp2 = radius**2 / 2 * (j0(p) * k0(z) + ratio * z * k1(z))
    by_kz2 = radius**2 / 2 * (-(p**2) * ratio * k1(z) / z + j0(p) * k0(z))
    of_kz2, of_kp2 = (4 * pi / k2_safe * (part - bracket / k2_safe) for part in (by_kz2, by_kp2))
    on_plane, by_plane = _wire_plane(p, radius)
    return np.where(flat, on_plane, value), np.where(flat, 0.0, of_kz2), np.where(flat, by_plane, of_kp2)


def _wire_plane(p: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """−4π ∫₀^R r J₀(k_p r) ln r dr = −4πR² [ln R J₁(p)/p − (1 − J₀(p))/p²], p = k_pR, and its slope by k_p²."""
    small = p < 1e-2
    safe = np.where(small, 1.0, p)
    q = p**2
    first = np.where(small, 0.5 - q / 16 + q**2 / 384, j1(safe) / safe)
    second = np.where(small, 0.25 - q / 64 + q**2 / 2304, (1 - j0(safe)) / safe**2)
    # by p²: d(J₁/p) = (J₀ − 2 J₁/p)/2p², d((1 − J₀)/p²) = (J₁/p − 2 (1 − J₀)/p²)/2p²
    first_slope = np.where(small, -1 / 16 + q / 192, (j0(safe) - 2 * first) / (2 * safe**2))
    second_slope = np.where(small, -1 / 64 + q / 1152, (first - 2 * second) / (2 * safe**2))
    log = np.log(radius)
    value = -4 * pi * radius**2 * (log * first - second)
    return value, -4 * pi * radius**4 * (log * first_slope - second_slope)


_CUT = {0: _free, 1: _wire, 2: _slab}
