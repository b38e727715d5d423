"""Functions of a distance that are powers less a polynomial in its square, and zero from a cutoff on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import arguments

__all__ = ["RadialForm"]

SIZES = (
    *range(5, 18, 2),
    21,
    25,
    33,
    41,
)  # numbers of coefficients for which loops are compiled; more in steps of eight
STEP = 8


@dataclass(frozen=True)
class RadialForm:
    """v(r) = Σ_m a_m r^{−p_m} − P(2r²/r_c² − 1) for r < r_c, else 0.

    Attributes
    ----------
    exponents : tuple of float
        p_m > 0. A single 1 is fastest; of others whole numbers are far faster than others.
    strengths : tuple of float
        a_m, as many.
    coefficients : tuple of float
        Of P in powers of t = 2r²/r_c² − 1, lowest first; none for P = 0. Loops are compiled for some degrees, and
        zeros are added up to the next: 4, 6, …, 16, 20, 24, 32, 40 and further ones.
    cutoff : float
        r_c, units of length.
    """

    exponents: tuple[float, ...]
    strengths: tuple[float, ...]
    coefficients: tuple[float, ...]
    cutoff: float

    def __post_init__(self) -> None:
        for name in ("exponents", "strengths", "coefficients"):
            numbers = arguments.as_array(name, getattr(self, name), np.dtype(np.float64))
            if numbers.ndim != 1:
                raise ValueError(f"{name}: expected numbers one after the other, got shape {numbers.shape}")
            object.__setattr__(self, name, tuple(numbers.tolist()))
        if len(self.exponents) != len(self.strengths):
            raise ValueError(f"strengths: expected {len(self.exponents)}, one per exponent, got {len(self.strengths)}")
        if any(p <= 0 for p in self.exponents):
            raise ValueError(f"exponents: expected numbers above 0, got {self.exponents}")
        object.__setattr__(self, "cutoff", arguments.as_positive("cutoff", self.cutoff, np.inf))

    def derivatives(self, squares: np.ndarray, order: int = 2) -> list[np.ndarray]:
        """v and its first derivatives by r², as arrays: for few distances, or where speed does not matter.

        Parameters
        ----------
        squares : array
            r², above zero if there are powers.
        order : int
            How many derivatives.
        """
        inside = squares < self.cutoff**2
        u = np.where(inside, squares, self.cutoff**2)
        chain, t = 2.0 / self.cutoff**2, 2.0 * u / self.cutoff**2 - 1.0
        polynomial = np.polynomial.Polynomial(self.coefficients or (0.0,))
        results = [-(chain**k) * polynomial.deriv(k)(t) for k in range(order + 1)]
        for exponent, strength in zip(self.exponents, self.strengths, strict=True):
            term = strength * (1.0 / np.sqrt(u) if exponent == 1 else u ** (-0.5 * exponent))
            for k in range(order + 1):
                results[k] += term
                term = term * ((-0.5 * exponent - k) / u)
        return [np.where(inside, value, 0.0) for value in results]

    @property
    def padded_degree(self) -> int:
        """Degree of P as the loops have it."""
        return len(self.for_loops[4]) - 1

    @cached_property
    def for_loops(self) -> tuple:
        """What loops take, see ``pair_kernels``: exponents, strengths, coefficients, r_c², size and kind."""
        wanted = len(self.coefficients)
        size = next((size for size in SIZES if size >= wanted), -(-(wanted - 1) // STEP) * STEP + 1)
        value = np.zeros(size)
        value[: len(self.coefficients)] = np.negative(self.coefficients)
        slope = -4.0 / self.cutoff**2 * np.arange(1, size) * value[1:]
        kind = 0 if not self.exponents else 1 if self.exponents == (1.0,) else 2
        powers = np.array(self.exponents, dtype=np.float64), np.array(self.strengths, dtype=np.float64)
        return (*powers, np.concatenate([value, slope]), self.cutoff**2, (0,) * size, (0,) * kind)
