"""Force matching: the loop, with checkpoints from which it goes on with the same numbers.

Which snapshots make a batch is drawn from (seed, stage, epoch) alone, so a checkpoint needs no state of a generator; it
holds the parameters, Adam's moments, and where in which epoch they are.
"""

from __future__ import annotations

import json
import operator
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

from .. import arguments
from ..files import replaced
from ..networks import ShortRangeNetwork
from ..networks.checks import as_energies, as_forces, check_some
from ..networks.storage import VERSION as NETWORK_VERSION
from .adam import Adam
from .protocol import Protocol

__all__ = ["Trainer", "TrainingError", "force_error"]

VERSION = 2


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
    if not (np.isfinite(found).all() and np.isfinite(wanted).all()):
        raise ValueError("forces: expected finite numbers")
    distance, true, predicted = (float(np.linalg.norm(x)) for x in (found - wanted, wanted, found))
    return {"true": distance / true, "predicted": distance / predicted if predicted else np.inf}


def _rounded(array: np.ndarray) -> np.ndarray:
    """To six digits of the largest number: computed on another processor, data differ in the last ones."""
    return np.round(array / (np.abs(array).max() or 1.0), 6) + 0.0  # no −0


@dataclass
class Trainer:
    """A network, its data and how far it has come.

    Parameters
    ----------
    network : ShortRangeNetwork
        Trained in place.
    points, forces : (B, N, d)
        Snapshots, of the dtype of the network.
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
        self.seed = operator.index(self.seed)
        if not isinstance(self.protocol, Protocol):
            raise TypeError(f"protocol: expected a Protocol, got {self.protocol!r}")
        network = self.network
        self.points = arguments.as_points("points", self.points, network.dtype, network.dim)
        if self.points.ndim != 3:
            raise ValueError(f"points: expected snapshots (B, N, d), got shape {self.points.shape}")
        check_some(self.points)
        self.forces = as_forces(self.forces, self.points.shape, network.dtype)
        if self.energies is not None:
            self.energies = as_energies(self.energies, len(self.points), self.energy_weight)
        self.adam = Adam(self.network.parameters.flat.size)
        data = [_rounded(a) for a in (self.points, self.forces, self.energies) if a is not None]
        self._fingerprint = sha256(b"".join(a.tobytes() for a in data)).hexdigest()[:16]
        self._sound = True  # parameters, moments and counters are of one step, and the loss was a number
        self._saved = -np.inf  # when
        self._goes_on = False  # from the checkpoint and the log that are there

    # ------------------------------------------------------------------ the loop
    @property
    def finished(self) -> bool:
        """Whether all stages are done."""
        return self.stage >= len(self.protocol.stages)

    def run(self, steps: int | None = None, progress: bool = True) -> None:
        """Train to the end, or for so many steps; whatever ends it, a checkpoint is left.

        It is of the last whole step; but where the loss is no number any more, of the last save before, when it was.

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
            if not self._goes_on and path is not None and path.exists() and path.stat().st_size:
                raise FileExistsError(f"{path} is there; resume() goes on from it, a new run needs it removed")
        self._goes_on = True
        if self.log is not None:  # a place that cannot be written to is noticed now
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.open("a", encoding="utf-8").close()
        samples, begun = len(self.points), self.step
        total = self.protocol.total_steps(samples)
        end = total if steps is None else min(total, self.step + steps)
        bar = tqdm(total=total, initial=self.step, file=sys.stderr, leave=False, disable=not progress)
        with bar, _interrupts_between_steps() as interrupted:
            try:
                while self.step < end:
                    loss = self._one_step(samples)
                    bar.update()
                    if self.step % 20 == 0:
                        stage = min(self.stage + 1, len(self.protocol.stages))
                        bar.set_postfix(stage=stage, loss=f"{loss:.3e}")
                    if interrupted():
                        raise KeyboardInterrupt
            finally:
                if self._sound and self.step > begun:
                    self.save()

    def _one_step(self, samples: int) -> float:
        stage = self.protocol.stages[self.stage]
        order = np.random.default_rng([self.seed, self.stage, self.epoch]).permutation(samples)
        chosen = order[self.batch * stage.batch : (self.batch + 1) * stage.batch]
        energies = () if self.energies is None else (self.energies[chosen], self.energy_weight)
        at = f"at step {self.step}, stage {self.stage + 1}, epoch {self.epoch}, batch {self.batch}"
        at += f" (snapshots {chosen.tolist()})"
        try:
            loss, gradient = self.network.loss_gradient(self.points[chosen], self.forces[chosen], *energies)
        except ValueError as wrong:  # of the points, or of parameters that have become too large
            self._sound = False
            raise TrainingError(f"{wrong}, {at}") from wrong
        self._sound = False
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise TrainingError(f"the loss is {loss}, or its gradient no number, {at}; the checkpoint is from before")
        if time.monotonic() - self._saved > self.save_every:  # only now is it known that the parameters are sound
            self.save()
        rate = self.protocol.rate_at(self.step, self.epochs, samples)
        self.adam.step(self.network.parameters.flat, gradient, rate)
        self.step, self.batch, self.total = self.step + 1, self.batch + 1, self.total + loss * len(chosen)
        if self.batch == self.protocol.steps_per_epoch(self.stage, samples):
            self._end_epoch(samples, rate)
        self._sound = True
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
    def _identity(self) -> dict:
        """What a checkpoint must agree with."""
        about = {"versions": [VERSION, NETWORK_VERSION], "network": self.network.settings(), "seed": self.seed}
        about["protocol"] = self.protocol.record()
        about["energy_weight"] = None if self.energies is None else self.energy_weight
        about |= {"samples": list(self.points.shape), "data": self._fingerprint}
        return json.loads(json.dumps(about))  # as it is read: with lists for tuples

    def save(self) -> None:
        """Write the state, whole or not at all."""
        self._saved = time.monotonic()
        if self.checkpoint is None:
            return
        numbers = np.array([self.step, self.stage, self.epoch, self.batch, self.epochs, self.adam.steps])
        with replaced(self.checkpoint) as file:
            np.savez(
                file,
                identity=np.array(json.dumps(self._identity())),
                numbers=numbers,
                total=np.array(self.total),
                parameters=self.network.parameters.flat,
                mean=self.adam.mean,
                square=self.adam.square,
            )

    def resume(self) -> bool:
        """Go on from the checkpoint; False where there is none, and a log beside it then begins anew.

        Raises
        ------
        ValueError
            Where it or the log is damaged or of something else, or it is of another network, protocol or data; nothing
            was changed then.
        """
        if self.checkpoint is None:
            return False
        if not self.checkpoint.exists():
            self._write_log(self._logged_until(0))
            return False
        numbers, total, arrays = self._read_checkpoint(self.checkpoint)
        lines = self._logged_until(numbers[0])
        own = (self.network.parameters.flat, self.adam.mean, self.adam.square)
        for mine, saved in zip(own, arrays, strict=True):
            mine[...] = saved
        self.step, self.stage, self.epoch, self.batch, self.epochs, self.adam.steps = numbers
        self.total, self._goes_on = total, True
        self._write_log(lines)
        return True

    def _read_checkpoint(self, path: Path) -> tuple[list[int], float, list[np.ndarray]]:
        """Counters, sum of losses; parameters and moments."""
        wrong_file = f"checkpoint: {path} is damaged"
        try:
            with np.load(path, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            identity, total = dict(json.loads(str(state["identity"]))), float(state["total"])
            numbers = [int(number) for number in state["numbers"]]
            arrays = [state[name] for name in ("parameters", "mean", "square")]
        except (IsADirectoryError, PermissionError):
            raise
        except Exception as wrong:  # zip, array: a damaged file fails in many ways
            raise ValueError(f"{wrong_file} ({wrong}); nothing was changed") from wrong
        other = [name for name, value in self._identity().items() if identity.get(name) != value]
        if other:
            raise ValueError(f"checkpoint: {path} is of a run with other {', '.join(other)}; nothing was changed")
        if {a.shape for a in arrays} != {self.adam.mean.shape} or len(numbers) != 6:
            raise ValueError(f"{wrong_file} (wrong shapes); nothing was changed")
        if not all(np.isfinite(a).all() for a in arrays):
            raise ValueError(f"{wrong_file} (parameters that are no numbers); nothing was changed")
        return numbers, total, arrays

    def _logged_until(self, step: int) -> list[str]:
        """Lines of the log that are not after a step; a killed process may have left half a line at the end."""
        if self.log is None or not self.log.exists():
            return []
        kept, lines = [], self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines):
            try:
                at = json.loads(line)["step"]
                if at <= step:
                    kept.append(line)
            except (ValueError, TypeError, KeyError):
                if number < len(lines) - 1 or not line.startswith("{"):
                    raise ValueError(
                        f"log: {self.log} has no losses in line {number + 1}; nothing was changed"
                    ) from None
        return kept

    def _write_log(self, lines: list[str]) -> None:
        """In the place of what was logged after the checkpoint."""
        if self.log is None or not self.log.exists():
            return
        with replaced(self.log) as file:
            file.write("".join(line + "\n" for line in lines).encode())
