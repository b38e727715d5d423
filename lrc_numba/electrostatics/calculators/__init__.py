"""Calculators: pairs and modes put together."""

from .calculator import Calculator
from .ewald import EwaldCalculator
from .mesh import MeshCalculator
from .operator import ChargeOperator, Direction
from .result import Result

__all__ = ["Calculator", "ChargeOperator", "Direction", "EwaldCalculator", "MeshCalculator", "Result"]
