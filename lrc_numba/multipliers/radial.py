r"""The named radial kernels: each with its Fourier transform φ̂(|k|), derivatives and, where known, φ(r).

Transform convention φ̂(k) = ∫ φ(x) e^{−ik·x} dx over d-dimensional space. Every parameter may carry channel axes, see
``multipliers``. Lengths are in the units of the box, wavenumbers in their inverse.
"""

from __future__ import annotations

from math import gamma, pi

import numpy as np

from ..geometry.modes import ModeSet
from .multiplier import Multiplier
from .parameters import as_number, as_parameter

__all__ = ["ExponentialKernel", "Gaussian", "InversePower", "RadialSpline", "SumOfGaussians", "Yukawa"]


def _outer(r: np.ndarray, *parameters: np.ndarray) -> list[np.ndarray]:
    """Parameters with as many trailing axes of length 1 as ``r`` has."""
    return [p.reshape(p.shape + (1,) * np.ndim(r)) for p in parameters]


class Yukawa(Multiplier):
    r"""Screened Coulomb, φ̂(k) = 4πβ / (k² + λ²) (eq. 23 of arXiv 2010.05295).

    In real space 2πβ e^{−λr}/λ in one dimension, 2β K₀(λr) in two, β e^{−λr}/r in three.

    Parameters
    ----------
    beta : array_like
        Strength β.
    lam : array_like
        Inverse screening length λ, not zero.
    """

    def __init__(self, beta=1.0, lam=1.0):
        super().__init__(beta=beta, lam=lam)

    def _check(self) -> None:
        if (self._parameters["lam"] == 0).any():
            raise ValueError("Yukawa: lam must not be zero (the mode k = 0 would be infinite); use InversePower(1)")

    def values(self, modes: ModeSet) -> np.ndarray:
        beta, lam = self.columns()
        return 4 * pi * beta / (modes.k2 + lam**2)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        beta, lam = self.columns()
        shape = 4 * pi / (modes.k2 + lam**2)
        return {"beta": shape, "lam": -2 * beta * lam * shape**2 / (4 * pi)}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        beta, lam = self.columns()
        return -4 * pi * beta / (modes.k2 + lam**2) ** 2

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        from scipy.special import k0

        beta, lam = _outer(r, *self._parameters.values())
        lam = np.abs(lam)
        with np.errstate(divide="ignore"):
            if dim == 1:
                return 2 * pi * beta * np.exp(-lam * r) / lam
            return 2 * beta * k0(lam * r) if dim == 2 else beta * np.exp(-lam * r) / r


class ExponentialKernel(Multiplier):
    r"""φ(r) = a e^{−μr} (eqs 3–5 of arXiv 2010.05295).

    φ̂(k) = a c_d μ (k² + μ²)^{−(d+1)/2} with c_d = 2, 2π, 8π for d = 1, 2, 3.

    Parameters
    ----------
    mu : array_like
        Inverse length μ > 0.
    amplitude : array_like
        Strength a.
    """

    def __init__(self, mu=1.0, amplitude=1.0):
        super().__init__(mu=mu, amplitude=amplitude)

    def _check(self) -> None:
        self._check_positive("mu")

    def values(self, modes: ModeSet) -> np.ndarray:
        mu, amplitude = self.columns()
        return amplitude * self._shape(mu, modes)

    @staticmethod
    def _shape(mu: np.ndarray, modes: ModeSet) -> np.ndarray:
        return (2.0, 2 * pi, 8 * pi)[modes.dim - 1] * mu * (modes.k2 + mu**2) ** (-(modes.dim + 1) / 2)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        mu, amplitude = self.columns()
        shape = self._shape(mu, modes)
        logarithmic = 1 / mu - (modes.dim + 1) * mu / (modes.k2 + mu**2)
        return {"mu": amplitude * shape * logarithmic, "amplitude": shape}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        mu, _ = self.columns()
        return -(modes.dim + 1) / 2 * self.values(modes) / (modes.k2 + mu**2)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        mu, amplitude = _outer(r, *self._parameters.values())
        return amplitude * np.exp(-mu * r)


class SumOfGaussians(Multiplier):
    r"""φ(r) = Σ_g a_g e^{−r²/2σ_g²}, φ̂(k) = Σ_g a_g (2πσ_g²)^{d/2} e^{−σ_g²k²/2}: one channel, G terms.

    Parameters
    ----------
    amplitudes : (G,) array_like
        Strengths a_g at r = 0.
    sigmas : (G,) array_like
        Widths σ_g > 0.
    """

    def __init__(self, amplitudes, sigmas):
        given = {"amplitudes": amplitudes, "sigmas": sigmas}
        super().__init__(**{name: np.atleast_1d(as_parameter(self, name, value)) for name, value in given.items()})

    def _check_shapes(self) -> None:
        shapes = [value.shape for value in self._parameters.values()]
        if shapes[0] != shapes[1] or len(shapes[0]) != 1:
            raise ValueError(f"SumOfGaussians: amplitudes and sigmas must have one shape (G,), got {shapes}")

    def _check(self) -> None:
        self._check_positive("sigmas")

    def _terms(self, modes: ModeSet) -> np.ndarray:
        sigma = self._parameters["sigmas"][:, None]
        return (2 * pi * sigma**2) ** (modes.dim / 2) * np.exp(-(sigma**2) * modes.k2 / 2)

    def values(self, modes: ModeSet) -> np.ndarray:
        return self._parameters["amplitudes"] @ self._terms(modes)

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        amplitude, sigma = self._parameters["amplitudes"], self._parameters["sigmas"]
        weighted = self._terms(modes) * cotangent.real
        slope = amplitude * (modes.dim / sigma * weighted.sum(axis=1) - sigma * (weighted @ modes.k2))
        return {"amplitudes": weighted.sum(axis=1), "sigmas": slope}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        amplitude, sigma = self._parameters["amplitudes"], self._parameters["sigmas"]
        return (-0.5 * amplitude * sigma**2) @ self._terms(modes)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        amplitude, sigma = _outer(r, *self._parameters.values())
        return np.sum(amplitude * np.exp(-(r**2) / (2 * sigma**2)), axis=0)


class Gaussian(Multiplier):
    r"""φ̂(k) = a e^{−σ²k²/2}: the unit-weight Gaussian times a, φ(r) = a (2πσ²)^{−d/2} e^{−r²/2σ²}.

    As a factor in a product it is a smearing of the other kernel.

    Parameters
    ----------
    sigma : array_like
        Width σ > 0.
    amplitude : array_like
        Weight a.
    """

    def __init__(self, sigma=1.0, amplitude=1.0):
        super().__init__(sigma=sigma, amplitude=amplitude)

    def _check(self) -> None:
        self._check_positive("sigma")

    def values(self, modes: ModeSet) -> np.ndarray:
        sigma, amplitude = self.columns()
        return amplitude * np.exp(-(sigma**2) * modes.k2 / 2)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        sigma, amplitude = self.columns()
        shape = np.exp(-(sigma**2) * modes.k2 / 2)
        return {"sigma": -amplitude * sigma * modes.k2 * shape, "amplitude": shape}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        sigma, _ = self.columns()
        return -0.5 * sigma**2 * self.values(modes)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        sigma, amplitude = _outer(r, *self._parameters.values())
        return amplitude * (2 * pi * sigma**2) ** (-dim / 2) * np.exp(-(r**2) / (2 * sigma**2))


class InversePower(Multiplier):
    r"""The long-range part of a/r^p, smooth over a length σ (Ewald's splitting for p = 1).

    φ̂(k) = a π^{d/2} 2^{d−p} k^{p−d} Γ((d−p)/2, σ²k²/2) / Γ(p/2); 4πa e^{−σ²k²/2}/k² for p = 1, d = 3. In real space
    a P(p/2, r²/2σ²)/r^p.

    The mode k = 0, which is infinite for p < d, is left out: a neutralising background. Where ½ Σ f u and the pair sum
    of the short-range part a/r^p − φ(r) are added up for a cell of total charge Q = Σ f, the energy of that background
    is not included. It is minus half of Q²/V times the integral of the short-range part,

        E = −a Q² π^{d/2} (2σ²)^{(d−p)/2} / ((d−p) Γ(p/2) V),    −π a σ² Q² / V for p = 1, d = 3.

    Parameters
    ----------
    exponent : float
        p, with 0 < p < d; not a trainable parameter.
    sigma : array_like
        Smearing length σ > 0.
    amplitude : array_like
        Strength a.
    """

    def __init__(self, exponent: float = 1.0, sigma=1.0, amplitude=1.0):
        super().__init__(sigma=sigma, amplitude=amplitude)
        self.exponent = as_number(self, "exponent", exponent)
        if not 0 < self.exponent < 3:
            raise ValueError(f"InversePower: exponent must be a number between 0 and the dimension, got {exponent}")

    def _check(self) -> None:
        self._check_positive("sigma")

    def values(self, modes: ModeSet) -> np.ndarray:
        from scipy.special import gammaincc

        sigma, amplitude = self.columns()
        p, d = self.exponent, modes.dim
        if p >= d:
            raise ValueError(f"InversePower: exponent {p:g} must be below the dimension {d}")
        k2 = np.where(modes.k2 > 0, modes.k2, 1.0)
        constant = pi ** (d / 2) * 2 ** (d - p) * gamma((d - p) / 2) / gamma(p / 2)
        shape = constant * k2 ** ((p - d) / 2) * gammaincc((d - p) / 2, sigma**2 * k2 / 2)
        return np.where(modes.k2 > 0, amplitude * shape, 0.0)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        sigma, amplitude = self.columns()
        p, d = self.exponent, modes.dim
        # dΓ(s, x)/dx = −x^{s−1} e^{−x} cancels every power of k.
        constant = -2 * pi ** (d / 2) * 2 ** ((d - p) / 2) / gamma(p / 2)
        slope = constant * amplitude * sigma ** (d - p - 1) * np.exp(-(sigma**2) * modes.k2 / 2)
        unit = InversePower(p, sigma[..., 0]).values(modes)
        return {"sigma": np.where(modes.k2 > 0, slope, 0.0), "amplitude": unit}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        sigma, amplitude = self.columns()
        s = (modes.dim - self.exponent) / 2
        # φ̂ = a c k^{−2s} Γ(s, x) with x = σ²k²/2: the factor k^{−2s}, and dΓ(s, x)/dx = −x^{s−1} e^{−x}.
        constant = pi ** (modes.dim / 2) * 4**s / gamma(self.exponent / 2)
        incomplete = constant * amplitude * (sigma**2 / 2) ** s * np.exp(-(sigma**2) * modes.k2 / 2)
        k2 = np.where(modes.k2 > 0, modes.k2, 1.0)
        return np.where(modes.k2 > 0, -(s * self.values(modes) + incomplete) / k2, 0.0)

    def kernel(self, r: np.ndarray, dim: int) -> np.ndarray:
        from scipy.special import gammainc

        sigma, amplitude = _outer(r, *self._parameters.values())
        p = self.exponent
        value_at_r0 = (2 * sigma**2) ** (-p / 2) / gamma(p / 2 + 1)
        safe = np.where(r > 0, r, 1.0)
        return amplitude * np.where(r > 0, gammainc(p / 2, safe**2 / (2 * sigma**2)) / safe**p, value_at_r0)


class RadialSpline(Multiplier):
    r"""φ̂(|k|) as a cubic B-spline with free coefficients: a kernel with no formula behind it.

    Parameters
    ----------
    coefficients : (..., G) array_like
        Channel axes () , (C_out,) or (C_out, C_in), then the G ≥ 4 spline coefficients.
    cutoff : float
        Wavenumber at which the spline ends; φ̂ = 0 beyond. Knots are uniform on [0, cutoff].
    """

    def __init__(self, coefficients, cutoff: float):
        super().__init__(coefficients=coefficients)
        self.cutoff = as_number(self, "cutoff", cutoff)
        if not self.cutoff > 0:
            raise ValueError(f"RadialSpline: cutoff must be positive, got {cutoff}")

    def _check_shapes(self) -> None:
        shape = self._parameters["coefficients"].shape
        if len(shape) not in (1, 2, 3) or shape[-1] < 4:
            raise ValueError(f"RadialSpline: coefficients must have shape (..., G >= 4), got shape {shape}")

    def _knots(self) -> np.ndarray:
        count = self._parameters["coefficients"].shape[-1]
        return self.cutoff / (count - 3) * np.arange(-3, count + 1)

    def _basis(self, modes: ModeSet):
        from scipy.interpolate import BSpline

        inside = modes.norm < self.cutoff
        basis = BSpline.design_matrix(np.where(inside, modes.norm, 0.0), self._knots(), 3)
        return basis.multiply(inside[:, None]).tocsr()

    def values(self, modes: ModeSet) -> np.ndarray:
        coefficients = self._parameters["coefficients"]
        flat = coefficients.reshape(-1, coefficients.shape[-1])
        return (self._basis(modes) @ flat.T).T.reshape((*coefficients.shape[:-1], modes.size))

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        shape = self._parameters["coefficients"].shape
        gradient = (self._basis(modes).T @ cotangent.real.reshape(-1, modes.size).T).T
        return {"coefficients": gradient.reshape(shape)}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        """dφ̂/d(k²) = (dφ̂/d|k|) / 2|k|; 0 where k = 0 and where the spline has ended.

        At k = 0 a slope makes φ̂ a cone, whose derivative by k² is infinite, but what a strain changes there,
        −2 (dφ̂/dk²) k_a k_b, vanishes like |k|.
        """
        from scipy.interpolate import BSpline

        spline = BSpline(self._knots(), np.moveaxis(self._parameters["coefficients"], -1, 0), 3)
        inside = (modes.norm > 0) & (modes.norm < self.cutoff)
        norm = np.where(inside, modes.norm, 0.5 * self.cutoff)
        return np.where(inside, np.moveaxis(spline(norm, 1), 0, -1) / (2 * norm), 0.0)
