"""Molecular dynamics with a network: a calculator for ASE (extra ``ase``)."""

from .calculator import LRCCalculator

__all__ = ["LRCCalculator"]
