"""Calculators: pairs and modes put together."""

from .calculator import Calculator
from .dipoles import DipoleEwaldCalculator, DipoleMeshCalculator
from .ewald import EwaldCalculator
from .mesh import MeshCalculator
from .operator import ChargeOperator, Direction
from .p3m import P3MCalculator
from .pme import PMECalculator
from .result import Result

__all__ = [
    "Calculator",
    "ChargeOperator",
    "DipoleEwaldCalculator",
    "DipoleMeshCalculator",
    "Direction",
    "EwaldCalculator",
    "MeshCalculator",
    "P3MCalculator",
    "PMECalculator",
    "Result",
]
