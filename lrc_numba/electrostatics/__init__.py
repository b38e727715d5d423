"""Range-separated electrostatics: potentials, calculators, and what stands around them."""

from .calculators import (
    Calculator,
    DipoleEwaldCalculator,
    DipoleMeshCalculator,
    EwaldCalculator,
    MeshCalculator,
    P3MCalculator,
    PMECalculator,
    Result,
)
from .potentials import (
    CombinedPotential,
    CoulombPotential,
    InversePowerLawPotential,
    Potential,
    ProlateCoulombPotential,
    SplinePotential,
)
from .tuning import tune

__all__ = [
    "Calculator",
    "CombinedPotential",
    "CoulombPotential",
    "DipoleEwaldCalculator",
    "DipoleMeshCalculator",
    "EwaldCalculator",
    "InversePowerLawPotential",
    "MeshCalculator",
    "P3MCalculator",
    "PMECalculator",
    "Potential",
    "ProlateCoulombPotential",
    "Result",
    "SplinePotential",
    "tune",
]
