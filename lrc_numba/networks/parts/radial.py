r"""Functions of the distance of a pair that vanish at the cutoff R with two continuous derivatives.

switch    S(t) = 1 − 10 t³ + 15 t⁴ − 6 t⁵ of t = r/R, 0 from R on
Bessel    b_n(r) = √(2/R) sin(nπr/R)/r · S
inverse   b_n(r) = (ℓ/r)^n · S with a length ℓ, R by default
"""

from __future__ import annotations

import numpy as np

from ..layers.parameters import Parameters
from .part import Part, Tape

__all__ = ["RadialBasis", "switch"]

KINDS = ("bessel", "inverse")


def switch(r: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """S and its first and second derivative by r.

    Parameters
    ----------
    r : array
        Distances.
    cutoff : float
        R.
    """
    t = np.minimum(r / cutoff, 1.0)
    value = 1.0 - t**3 * (10.0 - 15.0 * t + 6.0 * t * t)
    slope = -30.0 * (t * (1.0 - t)) ** 2 / cutoff
    return value, slope, -60.0 * t * (1.0 - t) * (1.0 - 2.0 * t) / cutoff**2


class RadialBasis(Part):
    """Rows of functions of the distance, (P, 1) to (P, count).

    Parameters
    ----------
    cutoff : float
        R, units of length.
    count : int
        How many.
    kind : {"bessel", "inverse"}
        Which.
    length : float, optional
        ℓ, at which inverse powers are 1.
    """

    def __init__(self, cutoff: float, count: int, kind: str = "bessel", length: float | None = None):
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}")
        self.cutoff, self.count, self.kind = cutoff, count, kind
        self.length = cutoff if length is None else length

    def _unswitched(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The functions and their derivatives without the switch."""
        n = np.arange(1, self.count + 1, dtype=r.dtype)
        if self.kind == "inverse":
            value = (self.length / r) ** n
            return value, -n * value / r, n * (n + 1) * value / (r * r)
        k, scale = n * np.pi / self.cutoff, float(np.sqrt(2.0 / self.cutoff))
        sine, cosine = scale * np.sin(k * r), scale * np.cos(k * r)
        value = sine / r
        slope = (k * cosine - value) / r
        return value, slope, (-k * k * sine - 2.0 * slope) / r

    def forward(self, tape: Tape, r):
        f, df, ddf = self._unswitched(r)
        s, ds, dds = switch(r, self.cutoff)
        tape.kept["slope"] = df * s + f * ds
        tape.kept["curve"] = ddf * s + 2.0 * df * ds + f * dds
        return (f * s).astype(r.dtype, copy=False)

    def jvp(self, tape: Tape, dr):
        tape.kept["dr"] = dr
        return tape.kept["slope"] * dr

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (np.einsum("pn,pn->p", tape.kept["slope"], bar)[:, None],)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        own = self.vjp(tape, bar)[0] + tape.kept["dr"] * np.einsum("pn,pn->p", tape.kept["curve"], dbar)[:, None]
        return (own,), self.vjp(tape, dbar)
