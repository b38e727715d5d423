"""Features of atoms that potentials of long range give."""

from .convergence import lode_convergence
from .lode import LodeFeatures, LodeKernel, lode_by_quadrature

__all__ = ["LodeFeatures", "LodeKernel", "lode_by_quadrature", "lode_convergence"]
