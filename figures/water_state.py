"""What is kept of the runs of ``figures.water``, and whether they are at their end."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from lrc_numba.files import replaced
from validation.tools.spce import COULOMBS, Box

__all__ = ["BINS", "EVERY", "STEP", "Preset", "State", "folder_of", "record_of"]

STEP, EVERY = 2.0, 50  # fs, and steps from one volume to the next
BINS = 160  # of g(r)


@dataclass(frozen=True)
class Preset:
    """How many molecules, picoseconds before and in the average and without thermostat, and the accuracy asked for."""

    molecules: int
    before: float
    average: float
    free: float
    accuracy: float = 1e-5

    @property
    def samples(self) -> int:
        """Volumes, also of the time before the average."""
        return round((self.before + self.average) * 1000 / STEP / EVERY)

    @property
    def energies(self) -> int:
        """Energies of the time without thermostat."""
        return round(self.free * 1000 / STEP / EVERY)


@dataclass
class State:
    """Where a run is.

    Attributes
    ----------
    box : Box
        Atoms, Å.
    velocities : (3 n, 3) array
        Å/fs.
    volumes : (samples,) array
        Å³.
    histogram : (3, BINS) array
        Pairs at a distance, as many as an ideal gas has.
    frames : int
        That were counted.
    energies : (m,) array
        Of the time without thermostat, kcal/mol.
    seconds : float
        Of a processor, that all of this took.
    """

    box: Box
    velocities: np.ndarray
    volumes: np.ndarray
    histogram: np.ndarray
    frames: int
    energies: np.ndarray
    seconds: float = 0.0

    def done(self, preset: Preset) -> bool:
        """Whether it is at the end.

        Parameters
        ----------
        preset : Preset
            How long.
        """
        return len(self.volumes) >= preset.samples and len(self.energies) >= preset.energies

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as file:
            np.savez(
                file,
                positions=self.box.positions,
                lengths=self.box.lengths,
                velocities=self.velocities,
                volumes=self.volumes,
                histogram=self.histogram,
                frames=self.frames,
                energies=self.energies,
                seconds=self.seconds,
            )

    @classmethod
    def load(cls, path: Path) -> State:
        """What ``save`` wrote."""
        with np.load(path) as a:
            box = Box(a["positions"], a["lengths"])
            seconds = float(a["seconds"]) if "seconds" in a else 0.0  # of a state that did not count them yet
            return cls(box, a["velocities"], a["volumes"], a["histogram"], int(a["frames"]), a["energies"], seconds)

    @classmethod
    def begin(cls, box: Box) -> State:
        """Of a run that has done nothing."""
        empty = np.empty(0)
        return cls(box, np.empty((0, 3)), empty, np.zeros((3, BINS)), 0, empty)


def folder_of(args, box: Box) -> Path:
    """Where states are kept: other water to begin with is another folder.

    Parameters
    ----------
    args : Namespace
        Options.
    box : Box
        To begin with.
    """
    name = f"{args.preset}-{args.seeds[0]}"
    if args.data is not None:
        name += "-" + sha256(box.positions.tobytes() + box.lengths.tobytes()).hexdigest()[:8]
    return args.folder / name


def record_of(path: Path, folder: Path, preset: Preset) -> dict | None:
    """The record of these states, where both are at their end; else None.

    Parameters
    ----------
    path : Path
        Of the record.
    folder : Path
        Of the states.
    preset : Preset
        How long.
    """
    files = [folder / f"{name}.npz" for name in COULOMBS]
    if not path.exists() or not all(file.exists() for file in files):
        return None
    record, states = json.loads(path.read_text(encoding="utf-8")), [State.load(file) for file in files]
    written = [run["volumes"] for run in record["runs"]]
    same = written == [np.round(state.volumes, 3).tolist() for state in states]
    return record if same and all(state.done(preset) for state in states) else None
