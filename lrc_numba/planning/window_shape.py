"""A window that a user chose: its family, width, shape and degree."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from ..arguments import as_choice
from ..engine.window.choose import HAT, MAX_DEGREE, Window
from ..engine.window.given import FAMILIES, FITTED, given_window

__all__ = ["WindowShape"]


@dataclass(frozen=True)
class WindowShape:
    r"""A window ψ of ``LRCPlan``, chosen by the user.

    A plan with it needs ``nodes``, the sizes of its grid, and makes no promise about eps.

    Parameters
    ----------
    name : {"kaiser_bessel", "gaussian", "bspline", "lagrange"}
        Family. The first two are convolved with the hat function of two cells and are C¹. "bspline" is the cardinal
        B-spline, C^{w−2}. "lagrange" are the weights of interpolation through w nodes: for an even w continuous with
        slopes that jump at nodes, for an odd w with jumps half-way between nodes, as in the classical PME; energies
        are no smoother.
    width : int
        Nodes w under the window along each axis: 3 to 32 for the first two, 2 to 12 for "bspline" (the order), 3 to 7
        for "lagrange".
    shape : two floats, optional
        (β, ν) of K = ₀F₁(ν; (βs/2)²), "kaiser_bessel", or (a, 0) of K = e^{a(s² − 1)}, "gaussian", with
        s² = 1 − (2x/(w − 2))². By default the one with the smallest alias for the modes and nodes of a plan.
    degree : int, optional
        Of the polynomials that are fitted to these two, 2 to 20; by default the lowest with which the alias of a plan
        is about as small as it gets. That of the classical windows is w − 1.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    name: str
    width: int
    shape: tuple[float, float] | None = None
    degree: int | None = None

    def __post_init__(self) -> None:
        as_choice("name", self.name, tuple(FAMILIES))
        object.__setattr__(self, "width", _as_int("width", self.width, *FAMILIES[self.name]))
        if self.name not in FITTED:
            if self.shape is not None:
                raise ValueError(f"shape: the {self.name} window has none, got {self.shape!r}")
            if self.degree not in (None, self.width - 1):
                raise ValueError(f"degree: that of the {self.name} window is width − 1, got {self.degree!r}")
            object.__setattr__(self, "degree", self.width - 1)
            return
        if self.shape is not None:
            object.__setattr__(self, "shape", _as_shape(self.name, self.shape))
        if self.degree is not None:
            object.__setattr__(self, "degree", _as_int("degree", self.degree, HAT, MAX_DEGREE))

    def transform(self, kappa) -> np.ndarray:
        r"""ψ̂(κ) = ∫ ψ(x) cos(2πκx) dx, x in grid cells.

        A plan divides the modes of axis a by ψ̂(n_a/nodes_a)², so that a multiplier that has this factor for every
        axis undoes its correction. ψ is normalised as the plan has it: the weights of "bspline" and "lagrange" at a
        point add up to one, hence ψ̂(0) = 1, and that of "bspline" is sinc(κ)^w with sinc κ = sin(πκ)/(πκ); the other
        two are one at their peak.

        Parameters
        ----------
        kappa : float array
            Cycles per node.

        Returns
        -------
        float64 array
            Of the same shape; absolute errors are those of rounding.

        Raises
        ------
        ValueError
            Where shape or degree are left to a plan: ask for ``LRCPlan.window_shape``.
        """
        if self.name in FITTED and (self.shape is None or self.degree is None):
            raise ValueError(
                f"window: the shape and degree of {self!r} are left to a plan; take its window_shape instead"
            )
        numbers = np.asarray(kappa, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("kappa: expected finite numbers of cycles per node")
        return self.window(0.25).transform(numbers)

    def window(self, ratio: float) -> Window:
        """The engine's window on a grid whose highest mode over nodes, along the worst axis, is ``ratio``."""
        return given_window(self.name, self.width, self.shape, self.degree, ratio)

    @classmethod
    def of(cls, window: Window) -> WindowShape:
        """What the engine's ``window`` is, with its shape and degree."""
        return cls(window.name, window.width, window.shape or None, window.degree)  # type: ignore[arg-type]


def _as_int(name: str, value, lowest: int, highest: int) -> int:
    """An int in a range."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    number = int(value)
    if not lowest <= number <= highest:
        raise ValueError(f"{name}: expected {lowest} to {highest}, got {number}")
    return number


def _as_shape(name: str, value) -> tuple[float, float]:
    """(β, ν) or (a, 0)."""
    numbers = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,)
    if not all(isinstance(number, Real) and not isinstance(number, bool) for number in numbers):
        raise TypeError(f"shape: expected two numbers, got {value!r}")
    if len(numbers) != 2 or not np.isfinite(numbers).all() or min(numbers) < 0:
        raise ValueError(f"shape: expected two finite numbers that are not negative, got {value!r}")
    beta, nu = float(numbers[0]), float(numbers[1])
    if (nu > 0) != (name == "kaiser_bessel"):
        raise ValueError(f"shape: expected (β, ν) with ν > 0 for kaiser_bessel, (a, 0) for gaussian, got {value!r}")
    return beta, nu
