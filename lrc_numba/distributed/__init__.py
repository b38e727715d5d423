"""Convolutions, electrostatics and networks whose points are shared out over the processes of an MPI communicator."""

from .plan import DistributedPlan
from .ranks import Ranks

__all__ = ["DistributedPlan", "Ranks"]
