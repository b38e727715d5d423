"""Potentials and how they are divided into parts of short and of long range."""

from .combined import CombinedPotential
from .inverse_power import CoulombPotential, InversePowerLawPotential
from .potential import Potential
from .prolate import ProlateCoulombPotential
from .spline import SplinePotential

__all__ = [
    "CombinedPotential",
    "CoulombPotential",
    "InversePowerLawPotential",
    "Potential",
    "ProlateCoulombPotential",
    "SplinePotential",
]
