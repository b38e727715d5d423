"""The training protocol of the LRC paper: stages of growing batches, Adam, and a learning rate that decays in steps.

The rate is 1e-3 × 0.95 per 10 epochs, read in three ways: "epochs" counts the epochs of all stages; "stages" counts
them anew in each stage, which begins at 1e-3 again; "steps", the authors' code, counts 10 ⌊samples/8⌋ optimiser steps,
which are 10 epochs of the first stage and more of the later ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, inf

import numpy as np

__all__ = ["PAPER", "QUICK", "Protocol", "Stage"]


COUNTING = ("steps", "epochs", "stages")


@dataclass(frozen=True)
class Stage:
    """A number of epochs with one batch size."""

    batch: int
    epochs: int

    def __post_init__(self) -> None:
        for name in ("batch", "epochs"):
            given = getattr(self, name)
            if not isinstance(given, (int, np.integer)) or given < 1:
                raise ValueError(f"{name}: expected an integer of at least one, got {given!r}")
            object.__setattr__(self, name, int(given))


@dataclass(frozen=True)
class Protocol:
    """Stages and learning rate.

    Parameters
    ----------
    stages : tuple of Stage
        One after the other.
    rate, decay : float
        First learning rate, and what it is multiplied with.
    every : int
        Epochs between two decays.
    counting : {"steps", "epochs", "stages"}
        How these epochs are counted, see the module.
    """

    stages: tuple[Stage, ...]
    rate: float = 1e-3
    decay: float = 0.95
    every: int = 10
    counting: str = "steps"

    def __post_init__(self) -> None:
        if self.counting not in COUNTING:
            raise ValueError(f"counting: expected one of {COUNTING}, got {self.counting!r}")
        if not isinstance(self.stages, tuple) or not all(isinstance(stage, Stage) for stage in self.stages):
            raise TypeError(f"stages: expected a tuple of Stage, got {self.stages!r}")
        if not self.stages:
            raise ValueError("stages: expected at least one, got none")
        if not (0 < self.rate < inf and 0 < self.decay <= 1 and self.every >= 1):
            raise ValueError(
                f"rate, decay, every: expected a positive rate, a decay up to 1 and a period of at least one epoch, "
                f"got {self.rate}, {self.decay}, {self.every}"
            )

    def steps_per_epoch(self, stage: int, samples: int) -> int:
        """Batches in one pass through the samples, the last of which may be smaller.

        Parameters
        ----------
        stage : int
            Counted from 0.
        samples : int
            How many snapshots there are.
        """
        return ceil(samples / self.stages[stage].batch)

    def total_steps(self, samples: int) -> int:
        """Optimiser steps of all stages."""
        return sum(s.epochs * self.steps_per_epoch(i, samples) for i, s in enumerate(self.stages))

    def rate_at(self, step: int, epochs: int, samples: int) -> float:
        """The learning rate.

        Parameters
        ----------
        step, epochs : int
            Optimiser steps and epochs done, in all stages.
        samples : int
            How many snapshots there are.
        """
        if self.counting == "steps":
            return self.rate * self.decay ** (step // (max(1, samples // 8) * self.every))
        if self.counting == "stages":
            for stage in self.stages[:-1]:
                if epochs < stage.epochs:
                    break
                epochs -= stage.epochs
        return self.rate * self.decay ** (epochs // self.every)

    def record(self) -> dict:
        """The protocol as a dict for JSON."""
        return asdict(self)


PAPER = Protocol(tuple(Stage(batch, epochs) for batch, epochs in ((8, 200), (16, 400), (32, 800), (64, 1600))))
QUICK = Protocol(tuple(Stage(batch, epochs) for batch, epochs in ((8, 80), (16, 160))), every=2)
