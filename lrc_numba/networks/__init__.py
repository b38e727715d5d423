"""Networks for potential energies, with forces and the gradient of a force loss by hand (LRC paper, section 4)."""

from .energy import ShortRangeNetwork
from .layers.parameters import Parameters
from .models import FullRangeNetwork
from .short_range import Scales

__all__ = ["FullRangeNetwork", "Parameters", "Scales", "ShortRangeNetwork"]
