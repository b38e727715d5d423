"""Checkpoint and log of a training: reading, writing, whether they belong to a run, and locks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_npz, remove_unfinished, replaced
from ..networks.storage import VERSION as NETWORK_VERSION
from .progress import Progress

__all__ = ["Checkpoint", "Log", "State", "TrainingError", "locked", "sketch"]

FORMAT, VERSION = "lrc_numba checkpoint", 5
PROJECTIONS = 4
ARRAYS = ("parameters", "mean", "square", "best")
# Data computed on another processor differ in their last digits: of the spread around their mean, and of their norm.
TOLERANCE = {"float32": 1e-5, "float64": 1e-9}
ROUNDING = {"float32": 1e-6, "float64": 1e-12}


class TrainingError(RuntimeError):
    """The loss is no number any more, the network refuses a batch, or another process is at the same training."""


# ---------------------------------------------------------------------- data
def sketch(array: np.ndarray) -> dict:
    """Identify floats up to the last digits, by norms and sums with fixed weights; integers and flags by a hash.

    A hash of rounded numbers would tell data apart where one of them is rounded the other way; sums within a tolerance
    would not notice that one of many large integers is another. What is measured is less its mean, as energies may lie
    close together and far from zero; "norm" and "sums" are of the numbers themselves, for files that have no others.

    Parameters
    ----------
    array : ndarray
        Such as points, forces, energies, species or offsets.
    """
    if array.dtype.kind != "f":
        held = np.ascontiguousarray(array)
        return {"dtype": array.dtype.name, "hash": hashlib.sha256(held.tobytes()).hexdigest(), "shape": [*array.shape]}
    flat = array.ravel().astype(np.float64)
    mean = float(flat.mean()) if flat.size else 0.0
    ratios = np.sqrt(np.array([2.0, 3.0, 5.0, 7.0])[:PROJECTIONS])  # irrational, so weights do not repeat
    weights = [np.cos(2 * np.pi * (np.arange(flat.size) * ratio % 1.0)) for ratio in ratios]
    made: dict[str, Any] = {"dtype": array.dtype.name, "mean": mean, "size": int(flat.size)}
    for norm, sums, values in (("norm", "sums", flat), ("spread", "deviations", flat - mean)):
        made |= {norm: float(np.linalg.norm(values)), sums: [float(values @ each) for each in weights]}
    return made


def _same_sketch(saved: Any, own: dict) -> bool:
    """Whether two are of the same data."""
    if "hash" in own:
        return saved == own
    try:
        if saved["dtype"] != own["dtype"]:
            return False
        both, dtype = (saved, own), own["dtype"]
        if "spread" not in saved:  # written by an older version
            numbers = np.array([[s["norm"], *s["sums"]] for s in both])
            tolerance = TOLERANCE[dtype] * own["norm"]
        else:
            if saved["size"] != own["size"]:
                return False
            root = np.sqrt(own["size"])
            numbers = np.array([[root * s["mean"], s["spread"], *s["deviations"]] for s in both])
            tolerance = TOLERANCE[dtype] * own["spread"] + ROUNDING[dtype] * own["norm"]
        return bool((np.abs(numbers[0] - numbers[1]) <= tolerance).all())
    except (KeyError, TypeError, ValueError):
        return False


def _differing(saved: dict, own: dict) -> list[str]:
    """Names of what differs between two identities."""
    data, own_data = dict(saved.get("data", {})), own["data"]
    same = data.keys() == own_data.keys() and all(_same_sketch(data[name], own_data[name]) for name in own_data)
    names = [name for name, value in own.items() if name != "data" and saved.get(name) != value]
    return names if same else [*names, "data"]


# ---------------------------------------------------------------------- one process
@contextmanager
def locked(*paths: Path | None) -> Iterator[None]:
    """Lock files of a training while the block runs.

    The lock belongs to the open file ``.name.lock`` and so ends with the process, however that ends.

    Parameters
    ----------
    paths : Path or None
        Checkpoint and log.

    Raises
    ------
    TrainingError
        Where another process, or another trainer of this process, holds one of them.
    """
    with ExitStack() as held:
        for path in paths:
            if path is not None:
                held.enter_context(_locked(path))
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    descriptor = _take(lock, path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}".encode(), 0)
        yield
    finally:
        lock.unlink(missing_ok=True)  # before it is released: who opened the file meanwhile sees that it is gone
        os.close(descriptor)


def _take(lock: Path, path: Path) -> int:
    """Take the lock of ``path``; its descriptor."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise TrainingError(f"checkpoint, log: {holder} is training with {path}") from None
        except FileNotFoundError:  # removed between two looks
            pass
        except OSError as wrong:
            if wrong.errno not in (errno.ENOLCK, errno.ENOTSUP):
                os.close(descriptor)
                raise
            warnings.warn(f"{path}: files cannot be locked here, so see to it that one process trains", stacklevel=6)
            return descriptor
        os.close(descriptor)


# ---------------------------------------------------------------------- the checkpoint
@dataclass
class State:
    """Everything that changes in a training.

    Attributes
    ----------
    progress : Progress
        Counters.
    adam_steps : int
        Steps of the optimiser.
    parameters, mean, square, best : (n,) arrays
        Of the network, moments of the gradient, and the parameters that were best on validation data.
    """

    progress: Progress
    adam_steps: int
    parameters: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    best: np.ndarray


class Checkpoint:
    """The file from which a run continues.

    Parameters
    ----------
    path : Path
        Where it is or will be.
    identity : dict
        What it must agree with: settings that JSON can hold, and under "data" a ``sketch`` of each array.
    """

    def __init__(self, path: Path, identity: dict):
        self.path = path
        self._known: tuple[int, ...] | None = None  # the file that was read or written last
        self.identity: dict = {}
        self.identify(identity)

    def identify(self, identity: dict, anew: bool = False) -> None:
        """Take the present identity; a ValueError where a file that was read or written here has another one.

        Parameters
        ----------
        identity : dict
            As for a new one.
        anew : bool
            Whether the file is about to be read, so that what was known of it does not matter.
        """
        own = json.loads(json.dumps({"networks": NETWORK_VERSION} | identity))  # as it is read: with lists for tuples
        differing = _differing(self.identity, own) if self._known is not None and not anew else []
        if differing:
            raise ValueError(f"checkpoint: {self.path} is of a run with other {', '.join(differing)}")
        self.identity = own

    def write(self, state: State) -> None:
        """Write the state, atomically."""
        about = {"format": FORMAT, "version": VERSION, "identity": self.identity}
        about |= {"progress": asdict(state.progress), "adam_steps": state.adam_steps}
        header = np.array(json.dumps(about))
        arrays = {name: getattr(state, name) for name in ARRAYS}
        with replaced(self.path) as file:
            np.savez(file, header=header, **arrays)
        self._known = self._mark()

    def read(self, like: np.ndarray) -> State:
        """The state that was written; a ValueError where it is damaged or of another run.

        Parameters
        ----------
        like : (n,) array
            Parameters whose shape and dtype those of the file must have.
        """
        remove_unfinished(self.path)
        unchanged = "nothing was changed"
        try:
            about, arrays = read_npz(self.path, FORMAT, VERSION, ARRAYS, argument="checkpoint")
        except ValueError as wrong:
            raise ValueError(f"{wrong}; {unchanged}") from wrong
        try:
            differing = _differing(dict(about["identity"]), self.identity)
            progress, adam_steps = Progress(**about["progress"]), int(about["adam_steps"])
        except (KeyError, TypeError, ValueError) as wrong:
            raise ValueError(f"checkpoint: {self.path} is damaged ({wrong}); {unchanged}") from wrong
        if differing:
            raise ValueError(f"checkpoint: {self.path} is of a run with other {', '.join(differing)}; {unchanged}")
        if {a.shape for a in arrays} != {like.shape}:
            raise ValueError(f"checkpoint: {self.path} is damaged (wrong shapes); {unchanged}")
        if not all(np.isfinite(a).all() for a in arrays):
            raise ValueError(f"checkpoint: {self.path} is damaged (parameters that are no numbers); {unchanged}")
        self._known = self._mark()
        return State(progress, adam_steps, *arrays)

    def _mark(self) -> tuple[int, ...]:
        """What identifies the file on disk, to notice a replacement."""
        state = self.path.stat()
        return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size

    def check_unchanged(self) -> None:
        """Raise a TrainingError where another process wrote the file since it was last read or written here."""
        if self._known is not None and self.path.exists() and self._mark() != self._known:
            raise TrainingError(f"checkpoint: another process went on with {self.path}; resume() reads what it has")


# ---------------------------------------------------------------------- the log
class Log:
    """A JSON line for each epoch.

    Parameters
    ----------
    path : Path or None
        None writes nothing.
    """

    def __init__(self, path: Path | None):
        self.path = path

    def begin(self) -> None:
        """Create the log, or raise now where it cannot be written to."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("a", encoding="utf-8").close()

    def append(self, record: dict) -> None:
        """Write a line."""
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, allow_nan=False) + "\n")

    def until(self, step: int) -> list[str]:
        """Lines up to a step, of strictly increasing steps.

        A killed process may have left half a line at the end. A ValueError where lines are no losses, or epochs come
        twice, as where two processes wrote to the log.
        """
        if self.path is None or not self.path.exists():
            return []
        kept, lines, last = [], self.path.read_text(encoding="utf-8", errors="replace").splitlines(), -1
        for number, line in enumerate(lines):
            try:
                at = json.loads(line)["step"]
                in_time = at <= step
            except (ValueError, TypeError, KeyError):
                if number < len(lines) - 1 or not line.startswith("{"):
                    raise ValueError(
                        f"log: {self.path} has no losses in line {number + 1}; nothing was changed"
                    ) from None
                continue
            if in_time:
                if at <= last:
                    raise ValueError(
                        f"log: {self.path} has step {at} in line {number + 1} after step {last}, so more than one run "
                        "wrote to it; give another log, or leave one line for each epoch; nothing was changed"
                    )
                kept.append(line)
                last = at
        return kept

    def keep(self, lines: list[str]) -> None:
        """Replace the lines of an existing log, atomically."""
        if self.path is not None and self.path.exists():
            with replaced(self.path) as file:
                file.write("".join(line + "\n" for line in lines).encode())
