"""Training of energy networks: by the protocol of the LRC paper, and what else one may want."""

from ..networks import LossWeights
from .adam import Adam
from .levenberg import levenberg_marquardt
from .polish import Polish, polish
from .progress import Progress
from .protocol import PAPER, QUICK, Protocol, Stage
from .trainer import Trainer, TrainingError, force_error
from .two_scale import train_two_scales

__all__ = [
    "PAPER",
    "QUICK",
    "Adam",
    "LossWeights",
    "Polish",
    "Progress",
    "Protocol",
    "Stage",
    "Trainer",
    "TrainingError",
    "force_error",
    "levenberg_marquardt",
    "polish",
    "train_two_scales",
]
