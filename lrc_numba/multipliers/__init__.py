"""Fourier multipliers φ̂(k): the base class and its arithmetic, and the named radial kernels."""

from .multiplier import ChannelMatrix, Multiplier, Product, Sum, Table
from .radial import ExponentialKernel, Gaussian, InversePower, RadialSpline, SumOfGaussians, Yukawa

__all__ = [
    "ChannelMatrix",
    "ExponentialKernel",
    "Gaussian",
    "InversePower",
    "Multiplier",
    "Product",
    "RadialSpline",
    "Sum",
    "SumOfGaussians",
    "Table",
    "Yukawa",
]
