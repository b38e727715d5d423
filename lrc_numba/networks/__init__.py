"""Networks for potential energies, with forces and the gradient of a force loss by hand (LRC paper, section 4)."""

from .adam import Adam
from .descriptors import Scales
from .full_range import FullRangeNetwork
from .network import ShortRangeNetwork
from .parameters import Parameters

__all__ = ["Adam", "FullRangeNetwork", "Parameters", "Scales", "ShortRangeNetwork"]
