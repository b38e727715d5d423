"""Choosing a calculator for an accuracy: estimates, a model of the cost, and a measurement."""

from .tune import tune

__all__ = ["tune"]
