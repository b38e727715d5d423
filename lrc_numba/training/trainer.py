"""The training loop of force matching, with checkpoints from which a run continues with the same numbers.

Which snapshots make a batch is drawn from (seed, stage, epoch) alone, so a checkpoint needs no state of a generator; it
holds the parameters, Adam's moments, and where in which epoch they are.
"""

from __future__ import annotations

import operator
import sys
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import arguments
from ..geometry.structures import Structures
from ..networks import EnergyNetwork, LossWeights
from ..networks.checks import as_energies, as_forces, check_some
from .adam import Adam
from .checkpoint import Checkpoint, Log, State, TrainingError, locked, sketch
from .progress import Progress
from .protocol import PAPER, Protocol
from .shares import Shares
from .signals import signals_between_steps

__all__ = ["Trainer", "TrainingError", "force_error"]


def force_error(forces: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Relative ℓ² error of forces: over the true ones (the paper), and over the predicted ones (the authors' code)."""
    if np.shape(forces) != np.shape(wanted) or not np.any(wanted):
        raise ValueError(f"forces: expected two of one shape, not all zero, got {np.shape(forces)}, {np.shape(wanted)}")
    if not (np.isfinite(forces).all() and np.isfinite(wanted).all()):
        raise ValueError("forces: expected finite numbers")
    distance, true, predicted = (float(np.linalg.norm(x)) for x in (forces - wanted, wanted, forces))
    return {"true": distance / true, "predicted": distance / predicted if predicted else np.inf}


@dataclass
class Trainer:
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
    energy_weight : float
        w.
    weights : LossWeights, optional
        Of the terms of the loss; by default that of forces is 1, that of energies w where there are any.
    validation : Structures, optional
        Not learned from; the parameters with the smallest loss there are kept, and are those of the network at the end.
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
        Seconds between two checkpoints.
    comm : mpi4py.MPI.Intracomm, optional
        Processes that share the snapshots of every batch; each of them has a trainer with the same network, data and
        settings. The first of them writes checkpoint and log, and shows the bar; any number of them goes on from there.

    Attributes
    ----------
    progress : Progress
        Counters of steps, epochs and stages, and the best loss on ``validation``.
    adam : Adam
        Moments of the gradient.
    """

    network: EnergyNetwork
    points: Structures | np.ndarray
    forces: np.ndarray | None = None
    protocol: Protocol = PAPER
    energies: np.ndarray | None = None
    energy_weight: float = 1.0
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
        self.checkpoint, self.log = (None if path is None else Path(path) for path in (self.checkpoint, self.log))
        if self.checkpoint is not None and self.log is not None and self.checkpoint.resolve() == self.log.resolve():
            raise ValueError(f"log: expected another file than the checkpoint, got {self.log} for both")
        self._shares = Shares(self.comm)
        self._files = (self.checkpoint, self.log) if self._shares.leads else (None, None)
        self.seed = operator.index(self.seed)
        if not isinstance(self.protocol, Protocol):
            raise TypeError(f"protocol: expected a Protocol, got {self.protocol!r}")
        self.data = self._given_data()
        with_energies = self.energy_weight if self.data.energies is not None else 0.0
        self._weights = self.weights or LossWeights(energy=with_energies)
        self._weights.check(self.data)
        if self.validation is not None:
            self.validation = self.network.as_structures(self.validation)
            if not len(self.validation):
                raise ValueError("validation: expected at least one structure, got none")
            self._weights.check(self.validation)
        if self.patience is not None and (self.validation is None or self.patience < 1):
            raise ValueError(f"patience: expected at least one epoch, and validation data, got {self.patience}")
        if self.largest_gradient is not None:
            arguments.as_positive("largest_gradient", self.largest_gradient, np.inf)
        self._free = self._free_parameters()
        self.adam = Adam(self.network.parameters.flat.size)
        self.best = self.network.parameters.flat.copy()
        self._log = Log(self._files[1])
        self._sketches = _sketches("", self.data)
        if self.validation is not None:
            self._sketches |= _sketches("validation ", self.validation)
        self._settings()  # on all ranks an error where they are missing
        self._checkpoint = None if self._files[0] is None else Checkpoint(self._files[0], self._identity())
        self._shares.agree(self._identity, self.network.parameters)
        self._sound = True  # parameters, moments and counters are of one step, and the loss was a number
        self._saved = -np.inf  # when
        self._goes_on = False  # from the checkpoint and the log that are there

    def _given_data(self) -> Structures:
        """The data as structures, of the dtype of the network where they come as arrays."""
        network = self.network
        if isinstance(self.points, Structures):
            if self.forces is not None or self.energies is not None:
                raise ValueError("forces, energies: expected none beside Structures, which hold their own")
            data = network.as_structures(self.points)
            if not len(data.positions):
                raise ValueError("points: expected at least one structure of one point, got none")
            return data
        points = arguments.as_points("points", self.points, network.dtype, network.dim)
        if points.ndim != 3:
            raise ValueError(f"points: expected snapshots (B, N, d), got shape {points.shape}")
        check_some(points)
        forces = as_forces(self.forces, points.shape, network.dtype).reshape(-1, network.dim)
        energies = None
        if self.energies is not None:
            energies = as_energies(self.energies, len(points), self.energy_weight)
        return replace(network.as_structures(points), forces=forces, energies=energies)

    def _free_parameters(self) -> np.ndarray | None:
        """Which parameters are trained; None for all."""
        if not self.frozen:
            return None
        free, parameters = np.ones(self.network.parameters.flat.size, dtype=bool), self.network.parameters
        for prefix in self.frozen:
            names = [name for name in parameters if name.startswith(prefix)]
            if not names:
                raise ValueError(f"frozen: expected beginnings of {list(parameters)}, got {prefix!r}")
            for name in names:
                free[parameters.offsets[name] : parameters.offsets[name] + parameters[name].size] = False
        return free

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
        shares, progress = self._shares, progress and self._shares.leads
        with shares.together("run"), signals_between_steps() as interrupted, locked(*self._files):
            self._check_files()
            samples, begun = len(self.data), self.step
            total = self.protocol.total_steps(samples)
            end = total if steps is None else min(total, begun + steps)
            with tqdm(total=total, initial=begun, file=sys.stderr, leave=False, disable=not progress) as bar:
                try:
                    while self.step < end and not self.finished:
                        loss = self._one_step(samples)
                        bar.update()
                        if self.step % 20 == 0:
                            stage = min(self.progress.stage + 1, len(self.protocol.stages))
                            bar.set_postfix(stage=stage, loss=f"{loss:.3e}")
                        if shares.any(interrupted()):
                            raise KeyboardInterrupt
                finally:
                    if self._sound and self.step > begun:
                        self.save()
            self._keep_the_best()

    def _keep_the_best(self) -> None:
        """Of a finished run, the parameters that were best on the validation data."""
        if self.validation is not None and self.finished:
            self.network.parameters.flat[...] = self.best

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
        """The loss on the validation data; the parameters are kept where it is the smallest so far."""
        if self.validation is None:
            return {}
        progress = self.progress
        try:
            loss = self._shares.loss_alone(self.network, self.validation, self._weights)
        except (MemoryError, ValueError) as wrong:
            raise TrainingError(
                f"{wrong}, in the validation after step {progress.step}; the network is as trained up "
                "to there, the checkpoint from before"
            ) from wrong
        progress.waited += 1
        if loss < progress.best:
            progress.best, progress.waited = loss, 0
            self.best[...] = self.network.parameters.flat
        return {"validation": loss}

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
            self.network.parameters.flat[...], self.best[...] = flat, best
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
