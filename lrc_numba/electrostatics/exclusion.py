r"""Exterior features: potentials without what is near, which a model of short range describes.

    V_i = ½ Σ_j q_j f(r_ij) v(r_ij)        f = ((1 − cos πr/R)/2)ⁿ for r < R, 1 beyond

(eq. 25 of Loche et al. 2025, J. Chem. Phys. 162, 142501; eq. 27 is f). Sums over modes stay as they are, and pairs make
up for it: to v_LR they add f v − v_LR. With f on v_LR alone, as some codes have it, they add −(1 − f) v_LR, and what
results depends on the smearing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from numbers import Integral

import numpy as np

from .. import arguments

__all__ = ["Exclusion"]

PARTS = ("whole", "long_range")


@dataclass(frozen=True)
class Exclusion:
    """f and what it is applied to.

    Attributes
    ----------
    radius : float
        R, units of length.
    degree : int
        n.
    part : {"whole", "long_range"}
        v, as in eq. 25, or v_LR, of which alone V is then made.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    radius: float
    degree: int = 1
    part: str = "whole"

    def __post_init__(self) -> None:
        object.__setattr__(self, "radius", arguments.as_positive("exclusion_radius", self.radius, np.inf))
        if not isinstance(self.degree, Integral) or isinstance(self.degree, bool) or self.degree < 1:
            raise ValueError(f"exclusion_degree: expected a whole number from 1 on, got {self.degree!r}")
        object.__setattr__(self, "degree", int(self.degree))  # as files hold it
        arguments.as_choice("exclusion_part", self.part, PARTS)

    @staticmethod
    def of(radius: float | None, degree: int, part: str) -> Exclusion | None:
        """The exclusion with what a user passes in; None without a radius.

        Parameters
        ----------
        radius, degree, part
            As for the class.
        """
        if radius is None:
            if (degree, part) != (1, "whole"):
                raise ValueError("exclusion_radius: expected one, as exclusion_degree or exclusion_part came, got None")
            return None
        return Exclusion(radius, degree, part)

    def settings(self) -> str:
        """As arguments of a potential, those that are not the default."""
        degree = "" if self.degree == 1 else f", exclusion_degree={self.degree}"
        part = "" if self.part == "whole" else f", exclusion_part={self.part!r}"
        return f"exclusion_radius={self.radius:g}{degree}{part}"

    def factor(self, r: np.ndarray) -> np.ndarray:
        """f(r) for an array of r."""
        return np.sin(np.minimum(r / self.radius, 1.0) * (pi / 2)) ** (2 * self.degree)

    def factor_slope(self, r: np.ndarray) -> np.ndarray:
        """f′(r)/r, which is finite at r = 0."""
        x = np.minimum(r / self.radius, 1.0)
        sine = np.sin(x * (pi / 2)) ** (2 * self.degree - 2)
        return self.degree * (pi / self.radius) ** 2 / 2 * sine * np.where(x < 1, np.sinc(x), 0.0)
