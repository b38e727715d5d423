"""The N-body potentials of the LRC paper and snapshots drawn for them."""

from .potentials import PairPotential
from .sampling import Snapshots, sample_points

__all__ = ["PairPotential", "Snapshots", "sample_points"]
