"""Networks for potential energies, with forces and the gradient of a force loss by hand (LRC paper, section 4)."""

from .adam import Adam
from .descriptors import Scales
from .network import FullRangeNetwork, ShortRangeNetwork
from .parameters import Parameters

__all__ = ["Adam", "FullRangeNetwork", "Parameters", "Scales", "ShortRangeNetwork"]
