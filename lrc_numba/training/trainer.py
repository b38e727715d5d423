"""Force matching: the loop, with checkpoints from which it goes on with the same numbers.

Which snapshots make a batch is drawn from (seed, stage, epoch) alone, so a checkpoint needs no state of a generator; it
holds the parameters, Adam's moments, and where in which epoch they are.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..files import replaced
from ..networks import Adam, ShortRangeNetwork
from ..networks.storage import VERSION as NETWORK_VERSION
from .protocol import Protocol

__all__ = ["Trainer", "TrainingError", "force_error"]

VERSION = 1


class TrainingError(RuntimeError):
    """The loss is no number any more, or the network refuses a batch."""


@contextmanager
def _interrupts_between_steps() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, which by itself would stop in the middle of a step; pressed again, it does that."""
    pressed: list[bool] = []

    def note(number: int, frame) -> None:
        """The handler of the signal."""
        if pressed:
            signal.default_int_handler(number, frame)
        pressed.append(True)

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def force_error(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Relative ℓ² error of forces: over the true ones (the paper), and over the predicted ones (the authors' code)."""
    if np.shape(found) != np.shape(wanted) or not np.any(wanted):
        raise ValueError(f"forces: expected two of one shape, not all zero, got {np.shape(found)}, {np.shape(wanted)}")
    distance = float(np.linalg.norm(found - wanted))
    return {"true": distance / float(np.linalg.norm(wanted)), "predicted": distance / float(np.linalg.norm(found))}


@dataclass
class Trainer:
    """A network, its data and how far it has come.

    Parameters
    ----------
    network : ShortRangeNetwork
        Trained in place.
    points, forces : (B, N, d)
        Snapshots.
    protocol : Protocol
        Stages and learning rate.
    energies : (B,) array, optional
        U of the snapshots; with them the loss has a term w (U − U*)².
    energy_weight : float
        w.
    seed : int
        Of the order of the snapshots.
    checkpoint : str or Path, optional
        Where to keep the state.
    log : str or Path, optional
        Where to write the losses, a JSON line for each epoch.
    save_every : float
        Seconds between two checkpoints.

    Attributes
    ----------
    step, stage, epoch, batch : int
        Optimiser steps done; and where the next one is.
    epochs : int
        Epochs done in all stages.
    total : float
        Sum of the losses of this epoch.
    """

    network: ShortRangeNetwork
    points: np.ndarray
    forces: np.ndarray
    protocol: Protocol
    energies: np.ndarray | None = None
    energy_weight: float = 1.0
    seed: int = 0
    checkpoint: Path | None = None
    log: Path | None = None
    save_every: float = 120.0
    step: int = 0
    stage: int = 0
    epoch: int = 0
    batch: int = 0
    epochs: int = 0
    total: float = 0.0
    adam: Adam = field(init=False)

    def __post_init__(self) -> None:
        self.checkpoint, self.log = (None if path is None else Path(path) for path in (self.checkpoint, self.log))
        self.points, self.forces = np.asarray(self.points), np.asarray(self.forces)
        self.energies = None if self.energies is None else np.asarray(self.energies)
        if not self.points.size:
            raise ValueError(f"points: expected at least one snapshot of one point, got shape {self.points.shape}")
        if self.points.shape != self.forces.shape or self.points.ndim != 3:
            raise ValueError(
                f"forces: expected the shape (B, N, d) of the points, got {self.forces.shape} for {self.points.shape}"
            )
        if not np.isfinite(self.forces).all():
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(self.forces))[0])
            raise ValueError(f"forces: expected finite numbers, got {self.forces[first]} at index {first}")
        if self.energies is not None and self.energies.shape != self.points.shape[:1]:
            raise ValueError(f"energies: expected shape {self.points.shape[:1]}, got {self.energies.shape}")
        if self.energies is not None and not np.isfinite(self.energies).all():
            raise ValueError("energies: expected finite numbers")
        self.adam = Adam(self.network.parameters.flat.size)
        data = [a for a in (self.points, self.forces, self.energies) if a is not None]
        self._fingerprint = sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in data)).hexdigest()[:16]
        self._whole = True  # parameters, moments and counters are of one step

    # ------------------------------------------------------------------ the loop
    @property
    def finished(self) -> bool:
        """Whether all stages are done."""
        return self.stage >= len(self.protocol.stages)

    def run(self, steps: int | None = None, progress: bool = True) -> None:
        """Train to the end, or for so many steps; a checkpoint of the last whole step is left whatever ends it.

        Parameters
        ----------
        steps : int, optional
            At most so many.
        progress : bool
            Show a bar.

        Raises
        ------
        TrainingError
            With step and batch, where the loss is no number or the network refuses the points.
        FileExistsError
            Where there is a checkpoint or a log of another run, which ``resume`` was not called to go on with.
        """
        for path in (self.checkpoint, self.log):
            if self.step == 0 and path is not None and path.exists() and path.stat().st_size:
                raise FileExistsError(f"{path} is there; resume() goes on from it, a new run needs it removed")
        samples, begun = len(self.points), self.step
        total = self.protocol.total_steps(samples)
        end = total if steps is None else min(total, self.step + steps)
        saved = time.monotonic()
        bar = tqdm(total=total, initial=self.step, file=sys.stderr, leave=False, disable=not progress)
        with bar, _interrupts_between_steps() as interrupted:
            try:
                while self.step < end:
                    loss = self._one_step(samples)
                    bar.update()
                    if self.step % 20 == 0:
                        bar.set_postfix(stage=self.stage + 1, loss=f"{loss:.3e}")
                    if time.monotonic() - saved > self.save_every:
                        self.save()
                        saved = time.monotonic()
                    if interrupted():
                        raise KeyboardInterrupt
            finally:
                if self._whole and self.step > begun:
                    self.save()

    def _one_step(self, samples: int) -> float:
        stage = self.protocol.stages[self.stage]
        order = np.random.default_rng([self.seed, self.stage, self.epoch]).permutation(samples)
        chosen = order[self.batch * stage.batch : (self.batch + 1) * stage.batch]
        energies = () if self.energies is None else (self.energies[chosen], self.energy_weight)
        at = f"at step {self.step}, stage {self.stage + 1}, epoch {self.epoch}, batch {self.batch}"
        at += f" (snapshots {chosen.tolist()}); the parameters are those before this step"
        try:
            loss, gradient = self.network.loss_gradient(self.points[chosen], self.forces[chosen], *energies)
        except ValueError as wrong:
            raise TrainingError(f"{wrong}, {at}") from wrong
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise TrainingError(f"the loss is {loss} {at}")
        rate = self.protocol.rate_at(self.step, self.epochs, samples)
        self._whole = False
        self.adam.step(self.network.parameters.flat, gradient, rate)
        self.step, self.batch, self.total = self.step + 1, self.batch + 1, self.total + loss * len(chosen)
        if self.batch == self.protocol.steps_per_epoch(self.stage, samples):
            self._end_epoch(samples, rate)
        self._whole = True
        return loss

    def _end_epoch(self, samples: int, rate: float) -> None:
        row = {"step": self.step, "stage": self.stage + 1, "epoch": self.epoch, "loss": self.total / samples}
        if self.log is not None:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row | {"rate": rate}) + "\n")
        self.total, self.batch, self.epoch, self.epochs = 0.0, 0, self.epoch + 1, self.epochs + 1
        if self.epoch == self.protocol.stages[self.stage].epochs:
            self.stage, self.epoch = self.stage + 1, 0

    # ------------------------------------------------------------------ checkpoints
    def _identity(self) -> str:
        """What a checkpoint must agree with."""
        settings = self.network.settings()
        about = {"versions": [VERSION, NETWORK_VERSION], "network": settings, "seed": self.seed}
        about["protocol"] = self.protocol.record()
        about["energies"] = None if self.energies is None else self.energy_weight
        about |= {"samples": list(self.points.shape), "data": self._fingerprint}
        return json.dumps(about, sort_keys=True, default=str)

    def save(self) -> None:
        """Write the state, whole or not at all."""
        if self.checkpoint is None:
            return
        numbers = np.array([self.step, self.stage, self.epoch, self.batch, self.epochs, self.adam.steps])
        with replaced(self.checkpoint) as file:
            np.savez(
                file,
                identity=np.array(self._identity()),
                numbers=numbers,
                total=np.array(self.total),
                parameters=self.network.parameters.flat,
                mean=self.adam.mean,
                square=self.adam.square,
            )

    def resume(self) -> bool:
        """Go on from the checkpoint; False where there is none.

        Raises
        ------
        ValueError
            Where it is damaged, or of another network, protocol or data.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return False
        try:
            with np.load(self.checkpoint, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            identity, total = str(state["identity"]), float(state["total"])
            step, stage, epoch, batch, epochs, adam_steps = state["numbers"].tolist()
            arrays = [state[name] for name in ("parameters", "mean", "square")]
        except Exception as wrong:
            raise ValueError(f"checkpoint: {self.checkpoint} is damaged ({wrong}); nothing was changed") from wrong
        if identity != self._identity():
            raise ValueError(
                f"checkpoint: {self.checkpoint} is of another network, protocol or data; nothing was changed"
            )
        own = (self.network.parameters.flat, self.adam.mean, self.adam.square)
        if [a.shape for a in arrays] != [a.shape for a in own]:
            raise ValueError(f"checkpoint: {self.checkpoint} is damaged (wrong shapes); nothing was changed")
        for mine, saved in zip(own, arrays, strict=True):
            mine[...] = saved
        self.step, self.stage, self.epoch, self.batch, self.epochs = step, stage, epoch, batch, epochs
        self.adam.steps, self.total = adam_steps, total
        self._cut_log()
        return True

    def _cut_log(self) -> None:
        """Forget what was logged after the checkpoint."""
        if self.log is None or not self.log.exists():
            return
        kept = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if row["step"] <= self.step:
                kept.append(line)
        with replaced(self.log) as file:
            file.write("".join(line + "\n" for line in kept).encode())
