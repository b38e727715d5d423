"""Calculators: pairs and modes put together."""

from .calculator import Calculator
from .ewald import EwaldCalculator
from .mesh import MeshCalculator
from .result import Result

__all__ = ["Calculator", "EwaldCalculator", "MeshCalculator", "Result"]
