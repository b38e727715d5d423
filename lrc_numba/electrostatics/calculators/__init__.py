"""Calculators: pairs and modes put together."""

from .calculator import Calculator
from .ewald import EwaldCalculator
from .mesh import MeshCalculator
from .p3m import P3MCalculator
from .pme import PMECalculator
from .result import Result

__all__ = ["Calculator", "EwaldCalculator", "MeshCalculator", "P3MCalculator", "PMECalculator", "Result"]
