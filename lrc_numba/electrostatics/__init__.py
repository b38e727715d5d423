"""Range-separated electrostatics: potentials, calculators, and what stands around them."""

from .calculators import (
    Calculator,
    DipoleEwaldCalculator,
    DipoleMeshCalculator,
    EwaldCalculator,
    MeshCalculator,
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

__all__ = [
    "Calculator",
    "CombinedPotential",
    "CoulombPotential",
    "DipoleEwaldCalculator",
    "DipoleMeshCalculator",
    "EwaldCalculator",
    "InversePowerLawPotential",
    "MeshCalculator",
    "Potential",
    "ProlateCoulombPotential",
    "Result",
    "SplinePotential",
]
