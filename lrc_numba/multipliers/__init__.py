"""Fourier multipliers φ̂(k): the base class, its arithmetic, and the named radial kernels."""

from .composites import ChannelMatrix, Product, Scaled, Sum
from .multiplier import Multiplier, Table
from .radial import ExponentialKernel, Gaussian, InversePower, RadialSpline, SumOfGaussians, Yukawa

__all__ = [
    "ChannelMatrix",
    "ExponentialKernel",
    "Gaussian",
    "InversePower",
    "Multiplier",
    "Product",
    "RadialSpline",
    "Scaled",
    "Sum",
    "SumOfGaussians",
    "Table",
    "Yukawa",
]
