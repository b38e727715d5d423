"""Counters of a training."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

__all__ = ["Progress"]


@dataclass
class Progress:
    """The counters of the training loop.

    Attributes
    ----------
    step : int
        Optimiser steps done.
    stage, epoch, batch : int
        Where the next step is: in which stage, epoch of the stage and batch of the epoch, counted from 0.
    epochs : int
        Epochs done in all stages.
    total : float
        Losses of this epoch, summed over the snapshots that were seen in it.
    best : float
        The smallest loss on validation data.
    waited : int
        Epochs since then.
    """

    step: int = 0
    stage: int = 0
    epoch: int = 0
    batch: int = 0
    epochs: int = 0
    total: float = 0.0
    best: float = inf
    waited: int = 0
