"""Modes × multiplier."""

from .stage import MultiplierTable, differentiate, multiply, multiply_vjp

__all__ = ["MultiplierTable", "differentiate", "multiply", "multiply_vjp"]
