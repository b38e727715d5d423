"""Modes × multiplier."""

from .stage import ModeProduct, MultiplierTable, differentiate, multiply, multiply_vjp

__all__ = ["ModeProduct", "MultiplierTable", "differentiate", "multiply", "multiply_vjp"]
