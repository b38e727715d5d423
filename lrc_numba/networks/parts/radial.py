r"""Functions of the distance of a pair that vanish at the cutoff R with two continuous derivatives.

switch    S(t) = 1 − 10 t³ + 15 t⁴ − 6 t⁵ of t = r/R, 0 from R on
Bessel    b_n(r) = √(2/R) sin(nπr/R)/r · S
inverse   b_p(r) = (ℓ/r)^p · S with a length ℓ, R by default

With a core of length c they are zero up to c, and rise to what they are above until 1.2 c, by 1 − S there. What reads
them then knows nothing of closer contacts, of which data have few, and says nothing of them.
"""

from __future__ import annotations

import numpy as np

from ... import arguments
from ..layers.parameters import Parameters
from .part import Part, Tape, expect_rows

__all__ = ["RadialBasis", "switch"]

KINDS = ("bessel", "inverse")
CORE_EDGE = 1.2  # cores from the origin, where functions that spare the core are what they would be without it


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


def _as_orders(orders) -> np.ndarray:
    """n or p of each function, positive integers."""
    if np.ndim(orders) == 0:
        return np.arange(1, arguments.as_count("orders", orders, 1) + 1)
    several = np.array([arguments.as_count("orders", order, 1) for order in orders], dtype=np.int64)
    if not several.size:
        raise ValueError("orders: expected at least one, got none")
    return several


class RadialBasis(Part):
    """Rows of functions of the distance, (P, 1) to (P, count).

    Parameters
    ----------
    cutoff : float
        R, units of length.
    orders : int or sequence of int
        n or p of each; a number stands for 1, 2, … up to it.
    kind : {"bessel", "inverse"}
        Which.
    length : float, optional
        ℓ, at which inverse powers are 1.
    core : float, optional
        c; 1.2 c has to be below the cutoff.
    """

    reads = "pairs"

    def __init__(self, cutoff: float, orders, kind: str = "bessel", *, length: float | None = None, core=None):
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {kind!r}")
        self.cutoff = self.reach = arguments.as_positive("cutoff", cutoff, np.inf)
        self.orders = _as_orders(orders)
        self.count, self.kind = len(self.orders), kind
        self.length = self.cutoff if length is None else arguments.as_positive("length", length, np.inf)
        self.core = None if core is None else arguments.as_positive("core", core, np.inf)
        if self.core is not None and CORE_EDGE * self.core >= self.cutoff:
            raise ValueError(f"core: expected below {cutoff / CORE_EDGE:g}, as the cutoff is {cutoff:g}, got {core}")

    def _unswitched(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The functions and their derivatives without the switch."""
        n = self.orders.astype(r.dtype)
        if self.kind == "inverse":
            value = (self.length / r) ** n
            return value, -n * value / r, n * (n + 1) * value / (r * r)
        k, scale = n * np.pi / self.cutoff, float(np.sqrt(2.0 / self.cutoff))
        sine, cosine = scale * np.sin(k * r), scale * np.cos(k * r)
        value = sine / r
        slope = (k * cosine - value) / r
        return value, slope, (-k * k * sine - 2.0 * slope) / r

    def _switch(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the functions are multiplied with, and its first and second derivative."""
        s, ds, dds = switch(r, self.cutoff)
        if self.core is None:
            return s, ds, dds
        t, dt, ddt = switch(np.maximum(r - self.core, 0.0), (CORE_EDGE - 1) * self.core)
        return s * (1 - t), ds * (1 - t) - s * dt, dds * (1 - t) - 2 * ds * dt - s * ddt

    def evaluate(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The functions and their first and second derivative, (P, count) each.

        Parameters
        ----------
        r : (P, 1)
            Distances.
        """
        f, df, ddf = self._unswitched(r)
        s, ds, dds = self._switch(r)
        return f * s, df * s + f * ds, ddf * s + 2.0 * df * ds + f * dds

    def forward(self, tape: Tape, r):
        expect_rows(r, 1)
        value, tape.kept["slope"], tape.kept["curve"] = self.evaluate(r)
        return value.astype(r.dtype, copy=False)

    def jvp(self, tape: Tape, dr):
        tape.kept["dr"] = dr
        return tape.kept["slope"] * dr

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        return (np.einsum("pn,pn->p", tape.kept["slope"], bar)[:, None],)

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        own = self.vjp(tape, bar)[0] + tape.kept["dr"] * np.einsum("pn,pn->p", tape.kept["curve"], dbar)[:, None]
        return (own,), self.vjp(tape, dbar)
