"""Long-range convolution of point clouds in NumPy and Numba, with every derivative written by hand."""

from . import direct
from .convolution import lrc_convolve
from .multipliers.composites import ChannelMatrix, Product, Scaled, Sum
from .multipliers.multiplier import Multiplier, Table
from .multipliers.radial import ExponentialKernel, Gaussian, InversePower, RadialSpline, SumOfGaussians, Yukawa
from .plan import Gradient, LRCPlan, WindowShape

__version__ = "0.1.0"

__all__ = [
    "ChannelMatrix",
    "ExponentialKernel",
    "Gaussian",
    "Gradient",
    "InversePower",
    "LRCPlan",
    "Multiplier",
    "Product",
    "RadialSpline",
    "Scaled",
    "Sum",
    "SumOfGaussians",
    "Table",
    "WindowShape",
    "Yukawa",
    "direct",
    "lrc_convolve",
]
