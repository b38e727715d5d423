"""Networks for potential energies, with forces, stress and the gradient of a loss by hand.

``EnergyNetwork`` is a program of ``parts``; ``ShortRangeNetwork`` and ``FullRangeNetwork`` are those of the LRC paper,
``MessagePassingNetwork`` is one for molecules and materials.
"""

from .composed import MessagePassingNetwork
from .energy import EnergyNetwork
from .layers.parameters import Parameters
from .loss import LossWeights, Prediction
from .models import FullRangeNetwork, ShortRangeNetwork
from .short_range import Scales

__all__ = [
    "EnergyNetwork",
    "FullRangeNetwork",
    "LossWeights",
    "MessagePassingNetwork",
    "Parameters",
    "Prediction",
    "Scales",
    "ShortRangeNetwork",
]
