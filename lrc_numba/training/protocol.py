"""The training protocol of the LRC paper: stages of growing batches, Adam, and a learning rate that decays in steps.

The rate is 1e-3 × 0.95 per 10 epochs, read in three ways: "epochs" counts the epochs of all stages; "stages" counts
them anew in each stage, which begins at 1e-3 again; "steps", the authors' code, counts 10 ⌊samples/8⌋ optimiser steps,
which are 10 epochs of the first stage and more of the later ones.

Two more schedules look at the whole run: "cosine" falls from the rate to ``last`` of it, and "one-cycle" rises from a
25th of it to the rate over the first 30% of the steps before that. ``warmup`` steps go up to the rate linearly.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, cos, inf, pi

from .. import arguments

__all__ = ["PAPER", "QUICK", "Protocol", "Stage"]


COUNTING = ("steps", "epochs", "stages")
SCHEDULES = ("decay", "cosine", "one-cycle")
RISE, LOWEST = 0.3, 1 / 25  # of a cycle: the share of steps in which the rate rises, and where it begins


@dataclass(frozen=True)
class Stage:
    """A number of epochs with one batch size."""

    batch: int
    epochs: int

    def __post_init__(self) -> None:
        for name in ("batch", "epochs"):
            object.__setattr__(self, name, arguments.as_count(name, getattr(self, name), 1))


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
    schedule : {"decay", "cosine", "one-cycle"}
        How the rate changes, see the module; ``decay``, ``every`` and ``counting`` are for the first.
    warmup : int
        Steps in which the rate rises linearly.
    last : float
        Where "cosine" and "one-cycle" end, in units of the rate.
    """

    stages: tuple[Stage, ...]
    rate: float = 1e-3
    decay: float = 0.95
    every: int = 10
    counting: str = "steps"
    schedule: str = "decay"
    warmup: int = 0
    last: float = 1e-3

    def __post_init__(self) -> None:
        numbers: dict[str, float] = {name: arguments.as_real(name, getattr(self, name)) for name in ("decay", "last")}
        numbers["rate"] = arguments.as_positive("rate", self.rate, inf)
        numbers["every"] = arguments.as_count("every", self.every, 1)
        numbers["warmup"] = arguments.as_count("warmup", self.warmup, 0)
        for name, number in numbers.items():
            object.__setattr__(self, name, number)
        arguments.as_choice("counting", self.counting, COUNTING)
        arguments.as_choice("schedule", self.schedule, SCHEDULES)
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay: expected a number above 0 and up to 1, got {self.decay}")
        if not 0 <= self.last <= 1:
            raise ValueError(f"last: expected a share of the rate, from 0 to 1, got {self.last}")
        if not isinstance(self.stages, tuple) or not all(isinstance(stage, Stage) for stage in self.stages):
            raise TypeError(f"stages: expected a tuple of Stage, got {self.stages!r}")
        if not self.stages:
            raise ValueError("stages: expected at least one, got none")

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
        early = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule != "decay":
            return early * self.rate * self._share_at(step / max(1, self.total_steps(samples)))
        return early * self._decayed(step, epochs, samples)

    def _share_at(self, done: float) -> float:
        """The share of the rate when a part of the steps is done, by "cosine" or "one-cycle"."""
        low = self.last
        if self.schedule == "one-cycle":
            if done < RISE:
                return LOWEST + (1 - LOWEST) * 0.5 * (1 - cos(pi * done / RISE))
            done = (done - RISE) / (1 - RISE)
        return low + (1 - low) * 0.5 * (1 + cos(pi * min(done, 1.0)))

    def _decayed(self, step: int, epochs: int, samples: int) -> float:
        """The rate that decays in steps."""
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
