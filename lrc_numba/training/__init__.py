"""Force matching by the protocol of the LRC paper."""

from .protocol import PAPER, QUICK, Protocol, Stage
from .trainer import Trainer, TrainingError, force_error

__all__ = ["PAPER", "QUICK", "Protocol", "Stage", "Trainer", "TrainingError", "force_error"]
