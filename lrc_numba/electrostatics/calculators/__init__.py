"""Calculators: pairs and modes put together."""

from .calculator import Calculator
from .dipoles import DipoleEwaldCalculator, DipoleMeshCalculator
from .ewald import EwaldCalculator
from .mesh import MeshCalculator
from .result import Result

__all__ = ["Calculator", "DipoleEwaldCalculator", "DipoleMeshCalculator", "EwaldCalculator", "MeshCalculator", "Result"]
