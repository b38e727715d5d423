"""Range-separated electrostatics: potentials, calculators, and what stands around them.

>>> import numpy as np
>>> positions, charges = np.indices((2, 2, 2)).reshape(3, -1).T, (-1.0) ** np.indices((2, 2, 2)).sum(axis=0).ravel()
>>> calculator = tune(CoulombPotential(), positions, charges, cell=2.0, accuracy=1e-4, calculator="ewald")
>>> result = calculator.compute(positions, charges, cell=2.0, forces=True, stress=True)
>>> round(result.energy / 4, 2)  # of a pair of ions of rock salt; print(calculator) shows every choice
-1.75
"""

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
