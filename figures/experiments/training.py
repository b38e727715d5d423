"""One task from its beginning, or from where it was left, to its result.

A folder for each task holds the checkpoint of Adam, the network after it, the last piece of the polish, the trained
network, a clock, and in the end the result. Files that depend on the polish have its iterations in their names. All are
written atomically, so that a process may be ended at any time; a lock sees to it that one process works in a folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from lrc_numba.files import replaced, write_json
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, LossWeights
from lrc_numba.training import Protocol, Trainer, TrainingError, force_error, levenberg_marquardt
from lrc_numba.training.checkpoint import locked
from validation.tools.common import environment

from .presets import FORMER, STREAMS, TEST_SETS
from .tasks import Task, Test, sources

__all__ = ["FIRST", "METHOD", "Busy", "Store", "errors_of", "run"]

SLICE = 250  # steps of Adam after which clock and progress are written
PIECE = 20  # iterations of Levenberg–Marquardt after which the network is kept
METHOD, FIRST = "Levenberg–Marquardt", "L-BFGS"  # of the polish; the second that of results that do not say it
KERNEL = ("lam", "beta", "amplitudes", "log_sigmas")  # parameters of kernels
UNIT = 3000.0  # how far these go while weights go by 1
FAR = 100.0  # spreads by which kinks of relus are out of the way of the polish
FORCES = LossWeights(forces=1.0)
LATE = ("f1", "f2")  # what the second of two scales leaves as it is
MOST_LOSSES = 200  # of a curve that is kept
VERSIONS = "versions.json"
SCALED_BY = 100  # snapshots that inputs are normalised by, as in the authors' code

Report = Callable[[str, float], None]


class Busy(RuntimeError):
    """Another process is at this task."""


@dataclass(frozen=True)
class Store:
    """Where tasks are kept.

    Attributes
    ----------
    root : Path
        With a folder for each task.
    recorded : dict
        Runs of records by key and polish, evaluated on the final tests: done, even where their folders are gone.
    """

    root: Path
    recorded: dict[tuple[str, int], dict] = field(default_factory=dict)

    def folder(self, task: Task) -> Path:
        """Of a task, whatever it was first made for."""
        present = sorted(self.root.glob(f"*-{task.key}"))
        return present[0] if present else self.root / task.name

    def path(self, task: Task, name: str, ending: str = ".json") -> Path:
        """Of a file that depends on the polish.

        Parameters
        ----------
        task : Task
            Which.
        name, ending : str
            Of the file.
        """
        return self.folder(task) / f"{name}-{task.training.polish}{ending}"

    def result(self, task: Task, name: str = "result") -> dict | None:
        """What came of it, or None.

        Parameters
        ----------
        task : Task
            Which.
        name : {"result", "final", "error"}
            Of the development tests, of the final ones, or what went wrong.
        """
        if (path := self.path(task, name)).exists():
            found = _read(path)
            if name == "result":
                return found if _polished_as_now(task, found) else None
            return None if name == "final" and found.get("stream") != STREAMS["final"] else found
        run = self.recorded.get((task.key, task.training.polish))
        if run is None or name == "error" or self.path(task, "result").exists() or not _polished_as_now(task, run):
            return None
        if any(set(errors) != {test.name for test in task.tests} for errors in run["errors"].values()):
            return None  # the table has other tests now
        tested = {"errors": run["errors"], "stream": run.get("final_stream", FORMER[0])}
        return tested if name == "final" else run | {"errors": run["development"]}

    def evaluated_before(self, task: Task) -> bool:
        """Whether its table has read the final tests by another polish, or by a training that this one replaces.

        Parameters
        ----------
        task : Task
            Which.
        """
        now, tested = STREAMS["final"], self.result(task, "final")
        if tested is not None and tested["stream"] == now:
            return False
        there = [(run["table"], run.get("final_stream")) for (key, _), run in self.recorded.items() if key == task.key]
        found = [_read(path) for path in self.folder(task).glob("final-*.json")]
        return (task.figure, now) in there + [(each.get("table"), each.get("stream")) for each in found]


def _polished_as_now(task: Task, found: dict) -> bool:
    """Whether a result is of the present optimiser, where it is of a polish."""
    return not task.training.polish or found.get("method", FIRST) == METHOD


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as wrong:
        raise SystemExit(f"{path}: no JSON, {wrong}; without that file it is made again") from wrong


class _Clock:
    """The processor's seconds of a task that may be interrupted.

    Parameters
    ----------
    path : Path
        Of a file with those up to now.
    """

    def __init__(self, path: Path):
        self.path = path
        self._before = json.loads(path.read_text())["seconds"] if path.exists() else 0.0
        self._start = time.process_time()

    def write(self) -> float:
        """Those up to now, which are written down."""
        seconds = self._before + time.process_time() - self._start
        write_json(self.path, {"seconds": seconds})
        return seconds


def run(task: Task, store: Store, report: Report = lambda _what, _share: None) -> dict:
    """Train, evaluate on the development tests, and keep the result, which is returned; at once where it is there.

    Parameters
    ----------
    task : Task
        What to do.
    store : Store
        Where.
    report : function
        Told what is done, and which share of it.

    Raises
    ------
    Busy
        Where another process is at it.
    """
    folder = store.folder(task)
    try:
        with locked(folder / "task"):
            return store.result(task) or _run(task, store, report)
    except TrainingError as wrong:
        if "is training with" in str(wrong):
            raise Busy(str(wrong)) from None
        raise


def _run(task: Task, store: Store, report: Report) -> dict:
    folder, training, first = store.folder(task), task.training, task.training.first
    report("data", 0.0)
    network, data = _begun(task, store, report)
    clock = _Clock(folder / "clock.json")
    frozen = () if task.small is None else LATE
    curves = {}
    if training.protocol is not None:
        curves["adam"] = _adam(network, data, task, training.protocol, frozen, folder / "adam.npz", report, clock)
    learned, errors, losses = {first: _lengths(network)}, {}, {}
    _finish(network, data)
    network.save(folder / f"network-{first}.npz")
    errors[first] = errors_of(network, task.tests, "development")
    losses[first] = network.loss_alone(data, FORCES)
    if training.polish:
        curves["polish"] = _polish(network, data, task, folder, frozen, report, clock)
        _finish(network, data)
        errors["polished"] = errors_of(network, task.tests, "development")
        losses["polished"] = network.loss_alone(data, FORCES)
        learned["polished"] = _lengths(network)
    network.save(store.path(task, "network", ".npz"))
    training_error = force_error(network.predict(data).forces, data.forces)["true"]
    result = {"name": task.name, "task": task.record(), "sources": "+".join(_versions(folder))}
    result["environment"] = environment(1)
    result["environment"].pop("command")
    result |= {"seconds": clock.write(), "parameters": int(network.parameters.flat.size), "losses": losses}
    result |= {"learned": learned, "curves": curves}
    result |= {"training_error": training_error, "errors": errors, "stream": "development", "method": METHOD}
    write_json(store.path(task, "result"), result)
    return json.loads(json.dumps(result))  # as it is read


def _begun(task: Task, store: Store, report: Report) -> tuple[EnergyNetwork, Structures]:
    """The network to begin with, and all snapshots."""
    data = task.system.draw(task.training.samples, task.training.drawn, STREAMS["training"] + task.seed)
    before = task.before()
    if before is None:
        network = task.model.make(task.system, task.seed)
        network.set_scales(data[: min(SCALED_BY, len(data))])
        return network, data
    first = run(before, Store(store.root), report)  # a record has no network to go on with
    _worked(store.folder(task), first["sources"].split("+"))
    return EnergyNetwork.load(store.path(before, "network", ".npz"), threads=1), data


def _adam(
    network: EnergyNetwork,
    data: Structures,
    task: Task,
    protocol: Protocol,
    frozen: tuple[str, ...],
    checkpoint: Path,
    report: Report,
    clock: _Clock,
) -> list[list[float]]:
    """Adam by the protocol, from its checkpoint if there is one; the curve of losses."""
    log = checkpoint.with_suffix(".jsonl")
    options = {"frozen": frozen, "seed": task.seed, "checkpoint": checkpoint, "log": log, "weights": FORCES}
    trainer = Trainer(network, data, protocol=protocol, **options)
    trainer.resume()
    total = protocol.total_steps(len(data))
    if not trainer.finished:
        _worked(checkpoint.parent, [sources()])
    while not trainer.finished:
        report(checkpoint.stem, trainer.step / total)
        trainer.run(SLICE, progress=False)
        clock.write()
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    thin = max(1, len(lines) // MOST_LOSSES)
    return [[line["step"], line["loss"]] for line in [*lines[:-1:thin], lines[-1]]]


def _polish(
    network: EnergyNetwork,
    data: Structures,
    task: Task,
    folder: Path,
    frozen: tuple[str, ...],
    report: Report,
    clock: _Clock,
) -> list[list[float]]:
    """The polish in pieces, going on after the last one that is there; what is there of a longer one is left alone.

    Iterations with the losses before and after each piece, of the snapshots that it saw.
    """
    most, done = task.training.polish, 0
    curve: list[list[float]] = []
    units = dict.fromkeys((name for name in KERNEL if name in network.parameters), UNIT)
    for path in folder.glob("levenberg-*.npz"):
        number = int(path.stem.partition("-")[2])
        if done < number <= most:
            with np.load(path) as piece:
                network.parameters.flat[...] = piece["parameters"]
                curve = piece["curve"].tolist() if "curve" in piece else []
            done = number
    while done < most:
        report("polish", done / most)
        piece, some = min(PIECE, most - done), _some(data, task.at_once, done)
        if isinstance(network, FullRangeNetwork):
            network.move_kinks(some, FAR, among=True)
        options = {"seed": done, "progress": False, "frozen": frozen, "units": units}
        made = levenberg_marquardt(network, some, FORCES, iterations=piece, **options)
        curve.append([done + piece, made.before, made.after])
        _worked(folder, [sources()])
        with replaced(folder / f"levenberg-{done + piece}.npz") as file:
            np.savez(file, parameters=network.parameters.flat, curve=np.array(curve))
        if done:
            (folder / f"levenberg-{done}.npz").unlink(missing_ok=True)
        done += piece
        clock.write()
    return curve


def _worked(folder: Path, versions: list[str]) -> None:
    """Note that these versions of the sources worked in a folder."""
    known = _versions(folder)
    if new := [version for version in versions if version not in known]:
        write_json(folder / VERSIONS, {"versions": known + new})


def _versions(folder: Path) -> list[str]:
    """Of the sources that worked in a folder; "earlier" for some of which that was not noted."""
    if (path := folder / VERSIONS).exists():
        return _read(path)["versions"]
    noted = [_read(path).get("sources", "").split("+") for path in sorted(folder.glob("result-*.json"))]
    if not noted:
        return ["earlier"] if (folder / "adam.npz").exists() or list(folder.glob("levenberg-*.npz")) else []
    return list(dict.fromkeys(version for versions in noted for version in versions if version))


def _some(data: Structures, most: int, seed: int) -> Structures:
    """At most so many snapshots, drawn at random."""
    if len(data) <= most:
        return data
    return data[np.sort(np.random.default_rng([seed, 1]).permutation(len(data))[:most])]


def _finish(network: EnergyNetwork, data: Structures) -> None:
    """What follows a training: kinks beyond the data move away, and the zero of the energy is fixed."""
    if isinstance(network, FullRangeNetwork):
        network.move_kinks(data)
    network.fix_energies(data, data.energies)


def _lengths(network: EnergyNetwork) -> dict[str, list[float]]:
    """Learned inverse lengths and strengths, where there are some."""
    return {name: network.parameters[name].tolist() for name in KERNEL if name in network.parameters}


@lru_cache(maxsize=5 * TEST_SETS)
def _drawn(test: Test, stream: str, number: int) -> Structures:
    """A set that all networks of a table are asked for, drawn once in a process."""
    return test.draw(stream, number)


def errors_of(network: EnergyNetwork, tests: tuple[Test, ...], stream: str) -> dict[str, dict[str, list[float]]]:
    """Relative errors of forces on every set of every test.

    Parameters
    ----------
    network : EnergyNetwork
        Trained.
    tests : tuple of Test
        What it is asked.
    stream : {"development", "final"}
        Of random numbers.
    """
    made = {}
    for test in tests:
        errors = []
        for number in range(test.sets):
            data = _drawn(test, stream, number)
            errors.append(force_error(network.predict(data).forces, data.forces))
        made[test.name] = {metric: [error[metric] for error in errors] for metric in ("true", "predicted")}
    return made
