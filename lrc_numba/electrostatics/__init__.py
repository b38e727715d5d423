"""Range-separated electrostatics: potentials, calculators, and what stands around them."""

from .calculators import Calculator, EwaldCalculator, MeshCalculator, P3MCalculator, PMECalculator, Result
from .potentials import (
    CombinedPotential,
    CoulombPotential,
    InversePowerLawPotential,
    Potential,
    ProlateCoulombPotential,
)
from .tuning import tune

__all__ = [
    "Calculator",
    "CombinedPotential",
    "CoulombPotential",
    "EwaldCalculator",
    "InversePowerLawPotential",
    "MeshCalculator",
    "P3MCalculator",
    "PMECalculator",
    "Potential",
    "ProlateCoulombPotential",
    "Result",
    "tune",
]
