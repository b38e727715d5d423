"""Force matching by the protocol of the LRC paper."""

from .adam import Adam
from .progress import Progress
from .protocol import PAPER, QUICK, Protocol, Stage
from .trainer import Trainer, TrainingError, force_error

__all__ = ["PAPER", "QUICK", "Adam", "Progress", "Protocol", "Stage", "Trainer", "TrainingError", "force_error"]
