"""The training loop of force matching, with checkpoints from which a run continues with the same numbers.

Which snapshots make a batch is drawn from (seed, stage, epoch) alone, so a checkpoint needs no state of a generator; it
holds the parameters, Adam's moments, and where in which epoch they are.
"""

from __future__ import annotations

import operator
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from .. import arguments
from ..geometry.structures import Structures
from ..machine.fixed import Fixed
from ..machine.signals import held_signals
from ..networks import EnergyNetwork, LossWeights
from ..networks.checks import check_data
from .adam import Adam
from .checkpoint import Checkpoint, Log, State, TrainingError, locked, sketch
from .data import as_data, as_validation, free_parameters, weights_for
from .progress import Progress
from .protocol import PAPER, Protocol
from .shares import Shares

__all__ = ["Trainer", "TrainingError", "force_error"]

GIVEN = ("network", "points", "forces", "energies", "energy_weight", "weights", "validation")  # what is read once
KEPT = ("frozen", "checkpoint", "log", "comm")


def force_error(forces: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Relative ℓ² error of forces: over the true ones (the paper), and over the predicted ones (the authors' code)."""
    if np.shape(forces) != np.shape(wanted) or not np.any(wanted):
        raise ValueError(f"forces: expected two of one shape, not all zero, got {np.shape(forces)}, {np.shape(wanted)}")
    if not (np.isfinite(forces).all() and np.isfinite(wanted).all()):
        raise ValueError("forces: expected finite numbers")
    distance, true, predicted = (float(np.linalg.norm(x)) for x in (forces - wanted, wanted, forces))
    return {"true": distance / true, "predicted": distance / predicted if predicted else np.inf}


@dataclass
class Trainer(Fixed):
    """Train a network on data by a protocol.

    Parameters
    ----------
    network : EnergyNetwork
        Trained in place.
    points : Structures, or (B, N, d) array in the box of the network
        What to learn from; structures hold the energies, forces and stress to learn.
    forces : (B, N, d), optional
        With points as an array: F*.
    protocol : Protocol
        Stages and learning rate.
    energies : (B,) array, optional
        With points as an array: U*; with them the loss has a term w (U − U*)².
    energy_weight : float, optional
        w, 1 by default; not beside ``weights``.
    weights : LossWeights, optional
        Of the terms of the loss; by default that of forces is 1, that of energies w where there are any.
    validation : Structures, optional
        Not learned from; the parameters with the smallest loss there are kept, and are those of the network at the end.
        Those that were changed meanwhile, as by ``polish``, are compared as well when it runs again.
    patience : int, optional
        Epochs without a smaller loss on ``validation`` after which the training ends.
    largest_gradient : float, optional
        Longer gradients are shortened to this norm.
    frozen : tuple of str
        Names of parameters, or their beginnings, that stay as they are.
    seed : int
        Of the order of the structures.
    checkpoint : str or Path, optional
        Where to keep the state.
    log : str or Path, optional
        Where to write the losses, a JSON line for each epoch.
    save_every : float
        Seconds between two checkpoints, 0 for one after every step; infinite for none before the end.
    comm : mpi4py.MPI.Intracomm, optional
        Processes that share the snapshots of every batch; each of them has a trainer with the same network, data and
        settings. The first of them writes checkpoint and log, and shows the bar; any number of them goes on from there.

    Attributes
    ----------
    progress : Progress
        Counters of steps, epochs and stages, and the best loss on ``validation``.
    adam : Adam
        Moments of the gradient.

    Raises
    ------
    ValueError, TypeError
        Before the first step, naming the argument, and of data, those for validation too, the structure and the point:
        of a species that the network does not know, without points, or without a cell where a stress is to be learned.
    """

    fixed: ClassVar[dict[str, str]] = dict.fromkeys((*GIVEN, *KEPT), "make another trainer")

    network: EnergyNetwork
    points: Structures | np.ndarray
    forces: np.ndarray | None = None
    protocol: Protocol = PAPER
    energies: np.ndarray | None = None
    energy_weight: float | None = None
    weights: LossWeights | None = None
    validation: Structures | None = None
    patience: int | None = None
    largest_gradient: float | None = None
    frozen: tuple[str, ...] = ()
    seed: int = 0
    checkpoint: Path | None = None
    log: Path | None = None
    save_every: float = 120.0
    comm: object = None
    progress: Progress = field(init=False, default_factory=Progress)
    adam: Adam = field(init=False)

    def __post_init__(self) -> None:
        files = {name: getattr(self, name) for name in ("checkpoint", "log")}
        vars(self).update({name: None if path is None else Path(path) for name, path in files.items()})
        if self.checkpoint is not None and self.log is not None and self.checkpoint.resolve() == self.log.resolve():
            raise ValueError(f"log: expected another file than the checkpoint, got {self.log} for both")
        self._shares = Shares(self.comm)
        self._files = (self.checkpoint, self.log) if self._shares.leads else (None, None)
        with self._shares.together("Trainer"):
            self._prepare()
            self._shares.agree(self._identity, self.network.parameters)
        self._sound = True  # parameters, moments and counters are of one step, and the loss was a number
        self._saved = -np.inf  # when
        self._goes_on = False  # from the checkpoint and the log that are there
        self._left = self.best.copy()  # the parameters as they were when something was last done here

    def _prepare(self) -> None:
        """Check all that was given."""
        self.seed = operator.index(self.seed)
        if not isinstance(self.protocol, Protocol):
            raise TypeError(f"protocol: expected a Protocol, got {self.protocol!r}")
        self.data = as_data(self.network, self.points, self.forces, self.energies)
        self._weights = weights_for(self.data, self.weights, self.energy_weight)
        check_data(self.network, self.data, self._weights)
        if self.validation is not None:
            vars(self)["validation"] = as_validation(self.network, self.validation, self._weights)
        if self.patience is not None:
            self.patience = arguments.as_count("patience", self.patience, 1)
            if self.validation is None:
                raise ValueError(f"patience: expected at least one epoch, and validation data, got {self.patience}")
        if self.largest_gradient is not None:
            arguments.as_positive("largest_gradient", self.largest_gradient, np.inf)
        if self.save_every != np.inf and arguments.as_real("save_every", self.save_every) < 0:
            raise ValueError(f"save_every: expected seconds from 0 on, got {self.save_every}")
        self._free = free_parameters(self.frozen, self.network.parameters)
        self.adam = Adam(self.network.parameters.flat.size)
        self.best = self.network.parameters.flat.copy()
        self._log = Log(self._files[1])
        self._sketches = _sketches("", self.data)
        if self.validation is not None:
            self._sketches |= _sketches("validation ", self.validation)
        self._settings()  # on all ranks an error where they are missing
        self._checkpoint = None if self._files[0] is None else Checkpoint(self._files[0], self._identity())

    # ------------------------------------------------------------------ the loop
    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.progress.step

    @property
    def finished(self) -> bool:
        """Whether all stages are done, or nothing got better for ``patience`` epochs."""
        ended = self.patience is not None and self.progress.waited >= self.patience
        return ended or self.progress.stage >= len(self.protocol.stages)

    def run(self, steps: int | None = None, progress: bool = True) -> None:
        """Train to the end, or for so many steps, and leave a checkpoint however it ends.

        The checkpoint is of the last whole step; where the loss is no number any more, it is the one saved before.

        Parameters
        ----------
        steps : int, optional
            At most so many.
        progress : bool
            Show a bar.

        Raises
        ------
        TrainingError
            With step and batch, where the loss is no number or the network refuses the points, or parameters such as a
            width that fell below zero, or for which the memory is not enough.
            And where another process is training with the checkpoint or the log, or went on with it meanwhile.
        FileExistsError
            Where there is a checkpoint or a log of another run, which ``resume`` was not called to go on with.
        ValueError
            Where settings changed since the checkpoint was read or written, such as scales or reference energies.
        """
        steps = None if steps is None else arguments.as_count("steps", steps, 0)
        shares, progress = self._shares, progress and self._shares.leads
        with shares.together("run"), held_signals(SIGINT, SIGTERM) as signals, locked(*self._files):
            self._check_files()
            better = self._see_changes()
            samples, begun = len(self.data), self.step
            total = self.protocol.total_steps(samples)
            end, stopped = total if steps is None else min(total, begun + steps), False
            with tqdm(total=total, initial=begun, file=sys.stderr, leave=False, disable=not progress) as bar:
                try:
                    while self.step < end and not self.finished and not stopped:
                        loss = self._one_step(samples)
                        bar.update()
                        if self.step % 20 == 0:
                            stage = min(self.progress.stage + 1, len(self.protocol.stages))
                            bar.set_postfix(stage=stage, loss=f"{loss:.3e}")
                        stopped = shares.any(bool(signals.came))
                finally:
                    if self._sound and (better or self.step > begun):
                        self.save()
                    self._left[...] = self.network.parameters.flat
            if stopped:
                raise shares.interrupted()
            self._keep_the_best()

    def _see_changes(self) -> bool:
        """Compare parameters that were changed since this trainer left them, as by ``polish``, with the best ones."""
        changed = not np.array_equal(self._left, self.network.parameters.flat)
        if self.validation is None or self.progress.best == np.inf or not self._shares.any(changed):
            return False
        best = self.progress.best
        return self._compare() < best

    def _keep_the_best(self) -> None:
        """Of a finished run, the parameters that were best on the validation data."""
        if self.validation is not None and self.finished:
            self.network.parameters.flat[...] = self.best
        self._left[...] = self.network.parameters.flat

    def _check_files(self) -> None:
        """Raise where checkpoint and log are not those of this run, or cannot be written to."""
        for path in self._files:
            if not self._goes_on and path is not None and path.exists() and path.stat().st_size:
                raise FileExistsError(f"{path} is there; resume() goes on from it, a new run needs it removed")
        if self._checkpoint is not None:
            self._checkpoint.identify(self._identity())  # settings may have changed since the trainer was made
            self._checkpoint.check_unchanged()
        self._goes_on = True
        self._log.begin()

    def _one_step(self, samples: int) -> float:
        progress = self.progress
        if progress.batch == self.protocol.steps_per_epoch(progress.stage, samples):
            raise TrainingError(f"the epoch up to step {progress.step} did not end; resume, or make another trainer")
        size = self.protocol.stages[progress.stage].batch
        order = np.random.default_rng([self.seed, progress.stage, progress.epoch]).permutation(samples)
        chosen = order[progress.batch * size : (progress.batch + 1) * size]
        at = f"at step {progress.step}, stage {progress.stage + 1}, epoch {progress.epoch}, batch {progress.batch}"
        at += f" (snapshots {chosen.tolist()})"
        try:
            loss, gradient = self._shares.loss(self.network, self.data, chosen, self._weights)
        except (MemoryError, ValueError) as wrong:  # of the points, or of parameters that have left where they belong
            self._sound = False
            raise self._shares.as_known(TrainingError(f"{wrong}, {at}"), wrong) from wrong
        self._sound = False
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise TrainingError(f"the loss is {loss}, or its gradient no number, {at}; the checkpoint is from before")
        if time.monotonic() - self._saved > self.save_every:  # only now is it known that the parameters are sound
            self.save()
        rate = self.protocol.rate_at(progress.step, progress.epochs, samples)
        self.adam.step(self.network.parameters.flat, self._limited(gradient), rate)
        progress.step, progress.batch = progress.step + 1, progress.batch + 1
        progress.total += loss * len(chosen)
        if progress.batch == self.protocol.steps_per_epoch(progress.stage, samples):
            self._end_epoch(samples, rate)
        self._sound = True
        return loss

    def _limited(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient, zero for what is frozen, and not too long."""
        if self._free is not None:
            gradient = np.where(self._free, gradient, 0)
        if self.largest_gradient is None:
            return gradient
        norm = float(np.linalg.norm(gradient))
        return gradient if norm <= self.largest_gradient else gradient * (self.largest_gradient / norm)

    def _validate(self) -> dict:
        """The loss on the validation data, for the log; epochs without a smaller one are counted."""
        if self.validation is None:
            return {}
        best = self.progress.best
        loss = self._compare()
        self.progress.waited = 0 if loss < best else self.progress.waited + 1
        return {"validation": loss}

    def _compare(self) -> float:
        """The loss on the validation data; the parameters are kept where it is the smallest so far."""
        progress = self.progress
        assert self.validation is not None
        try:
            loss = self._shares.loss_alone(self.network, self.validation, self._weights)
        except (MemoryError, ValueError) as wrong:
            raise TrainingError(
                f"{wrong}, in the validation after step {progress.step}; the network is as trained up "
                "to there, the checkpoint from before"
            ) from wrong
        if loss < progress.best:
            progress.best, self.best[...] = loss, self.network.parameters.flat
        return loss

    def _end_epoch(self, samples: int, rate: float) -> None:
        progress = self.progress
        record = {"step": progress.step, "stage": progress.stage + 1, "epoch": progress.epoch}
        self._log.append(record | {"loss": progress.total / samples, "rate": rate} | self._validate())
        progress.total, progress.batch = 0.0, 0
        progress.epoch, progress.epochs = progress.epoch + 1, progress.epochs + 1
        if progress.epoch == self.protocol.stages[progress.stage].epochs:
            progress.stage, progress.epoch = progress.stage + 1, 0

    # ------------------------------------------------------------------ checkpoints
    def _settings(self) -> dict | None:
        """Of the network; None where it has none, and there is nothing to be stored."""
        try:
            return self.network.settings()
        except NotImplementedError:
            if self.checkpoint is not None:
                raise
            return None

    def _identity(self) -> dict:
        """What a checkpoint must agree with."""
        about: dict = {"network": self._settings(), "protocol": self.protocol.record(), "seed": self.seed}
        about["weights"] = asdict(self._weights)
        about |= {"patience": self.patience, "largest_gradient": self.largest_gradient, "frozen": list(self.frozen)}
        about["data"] = self._sketches
        return about | {"samples": [len(self.data), len(self.data.positions), self.data.dim]}

    def save(self) -> None:
        """Write the state, atomically."""
        self._saved = time.monotonic()
        if self._checkpoint is not None:
            flat, adam = self.network.parameters.flat, self.adam
            self._checkpoint.write(State(self.progress, adam.steps, flat, adam.mean, adam.square, self.best))

    def resume(self) -> bool:
        """Continue from the checkpoint; False where there is none, and the log then begins anew.

        Raises
        ------
        ValueError
            Where it or the log is damaged or of something else, or it is of another network, protocol or data, or the
            log has epochs twice; nothing was changed then.
        TrainingError
            Where another process is training with them.
        """
        with self._shares.together("resume"):
            resumed = self._resume()
            state = (resumed, self.progress, self.adam, self._goes_on, self.network.parameters.flat, self.best)
            resumed, self.progress, self.adam, self._goes_on, flat, best = self._shares.first(state)
            self.network.parameters.flat[...], self._left[...], self.best[...] = flat, flat, best
            return resumed

    def _resume(self) -> bool:
        """``resume`` of the process that has the files."""
        if self._checkpoint is None or not any(p is not None and p.exists() for p in self._files):
            return False
        with locked(*self._files):
            if not self._checkpoint.path.exists():
                self._log.keep(self._log.until(0))
                return False
            flat = self.network.parameters.flat
            self._checkpoint.identify(self._identity(), anew=True)
            state = self._checkpoint.read(flat)
            lines = self._log.until(state.progress.step)
            flat[...], self.adam.mean[...], self.adam.square[...] = state.parameters, state.mean, state.square
            self.best[...] = state.best
            self.progress, self.adam.steps, self._goes_on = state.progress, state.adam_steps, True
            self._keep_the_best()
            self._log.keep(lines)
        return True


def _sketches(prefix: str, data: Structures) -> dict:
    """What identifies data, by the names of their arrays."""
    arrays = {each.name: getattr(data, each.name) for each in fields(data)}
    return {f"{prefix}{name}": sketch(array) for name, array in arrays.items() if array is not None}
