"""Molecular dynamics with a network or with point charges: a calculator for ASE (extra ``ase``)."""

from .calculator import COULOMB, LRCCalculator

__all__ = ["COULOMB", "LRCCalculator"]
