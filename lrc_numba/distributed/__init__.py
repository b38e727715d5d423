"""Convolutions, electrostatics and networks whose points are shared out over the processes of an MPI communicator."""

from .charges import DistributedCalculator
from .network import DistributedNetwork
from .plan import DistributedPlan
from .ranks import Ranks

__all__ = ["DistributedCalculator", "DistributedNetwork", "DistributedPlan", "Ranks"]
