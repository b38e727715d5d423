"""Modes × multiplier."""

from .stage import ModeProduct, MultiplierTable, both_ways, differentiate, multiply, multiply_vjp, one_way

__all__ = ["ModeProduct", "MultiplierTable", "both_ways", "differentiate", "multiply", "multiply_vjp", "one_way"]
