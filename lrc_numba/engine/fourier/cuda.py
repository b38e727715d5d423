"""Transforms of grids on a device: all of them are a library's, on the device's own arrays."""

from __future__ import annotations

from .library import analyse, synthesise

__all__ = ["analyse", "multiplies_planes", "synthesise"]


def multiplies_planes(grid) -> bool:
    """Whether modes need not be written down between the transforms: never."""
    return False
