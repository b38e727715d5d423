"""JᵀJ by its largest eigenvalues, from random combinations of the rows of J that come anew in every iteration."""

from __future__ import annotations

import numpy as np

__all__ = ["Curvature", "NoNumbers"]

FADING = 0.6  # weight of what is known of JᵀJ when new rows come
LEAST = 1e-13  # of it: smaller eigenvalues are rounding


class NoNumbers(ArithmeticError):
    """Derivatives that are none."""


class Curvature:
    """The largest eigenvalues of JᵀJ and their vectors.

    Parameters
    ----------
    size, rank : int
        Parameters; eigenvalues.
    generator : Generator
        Of the subspace to begin with.
    """

    def __init__(self, size: int, rank: int, generator: np.random.Generator):
        self.vectors = np.linalg.qr(generator.standard_normal((size, rank)))[0]
        self.values = np.zeros(rank)
        self._known = False

    def update(self, rows: np.ndarray) -> None:
        """Take in rows R with RᵀR = JᵀJ on average.

        Parameters
        ----------
        rows : (m, size) float32
            R; written over.
        """
        basis, largest = self.vectors.astype(np.float32), float(np.abs(rows).max(initial=0.0))
        if not np.isfinite(largest):
            raise NoNumbers
        unit = largest or 1.0  # so that squares are not too large for single precision
        rows /= unit
        if self._known:
            rows *= np.float32(np.sqrt(1 - FADING))
            rows = np.concatenate([rows, (np.sqrt(FADING * self.values) / unit).astype(np.float32)[:, None] * basis.T])
        for _ in range(1 if self._known else 2):
            basis = np.linalg.qr(rows.T @ (rows @ basis))[0]
        inside = (rows @ basis).astype(np.float64)
        values, turned = np.linalg.eigh(inside.T @ inside)
        self.values = np.maximum(values, LEAST * values[-1]) * unit**2
        self.vectors, self._known = basis.astype(np.float64) @ turned, True

    def solve(self, right: np.ndarray, damping: float) -> np.ndarray:
        """(JᵀJ + λ)⁻¹ of a vector.

        Parameters
        ----------
        right : (size,)
            The vector.
        damping : float
            λ.
        """
        inside = self.vectors.T @ right
        rest = right - self.vectors @ inside
        rest -= self.vectors @ (self.vectors.T @ rest)  # again, as vectors are orthonormal to single precision only
        return self.vectors @ (inside / (self.values + damping)) + rest / damping
