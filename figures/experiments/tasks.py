"""One training as data: what is learned, by which network, how; and the name under which its result is kept.

The key of a task is a hash of all that the outcome of Adam depends on but the source code, whose hash is kept in the
result: a result of older sources stays, and says so. The polish is no part of the key, so that it can be made longer
later, and neither are tests, which are made of the trained network.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

import lrc_numba
from lrc_numba.geometry.structures import Structures
from lrc_numba.nbody import PairPotential
from lrc_numba.networks import EnergyNetwork
from lrc_numba.training import Protocol
from lrc_numba.training.levenberg import ROWS

from .changes import network_class
from .points import stratified, uniform
from .presets import STREAMS, TEST_SETS, TESTS

__all__ = ["Model", "Small", "System", "Task", "Test", "Training", "sources"]

SOURCES = ("nbody", "networks", "training")  # of the package: what decides on a training, beside the engine's sums
OWN = ("training.py", "tasks.py", "changes.py", "points.py")  # and of this folder
PASSES = 5  # of Levenberg–Marquardt, an iteration in gradients of all snapshots, beside rows, those of single ones
RESIDUALS = 100_000  # that Levenberg–Marquardt sees at once, some ten for each parameter of a network
AT_ONCE = 1 << 21  # pairs of points whose forces are summed at once


@dataclass(frozen=True)
class System:
    """A potential on a periodic box, and how its points are drawn.

    Attributes
    ----------
    kind : {"screened_coulomb", "exponential"}
        ψ^μ, summed over all images.
    cells : d ints
        Unit cells along each axis.
    mu, alpha : tuple of float
        Inverse lengths and strengths.
    cell : float
        Length of a unit cell.
    per_cell : int
        Points in each.
    delta : float
        Smallest distance.
    """

    kind: str
    cells: tuple[int, ...]
    mu: tuple[float, ...]
    alpha: tuple[float, ...]
    cell: float = 1.0
    per_cell: int = 2
    delta: float = 0.05

    @property
    def dim(self) -> int:
        """d."""
        return len(self.cells)

    @property
    def box(self) -> tuple[float, ...]:
        """Lengths."""
        return tuple(n * self.cell for n in self.cells)

    @property
    def points(self) -> int:
        """N."""
        return int(np.prod(self.cells)) * self.per_cell

    def times(self, factor: int) -> System:
        """The same potential and density in a box ``factor`` times as long along every axis."""
        return replace(self, cells=tuple(factor * n for n in self.cells))

    def draw(self, count: int, drawn: str, *seed: int) -> Structures:
        """Snapshots with energies and forces, exact up to rounding.

        Parameters
        ----------
        count : int
            Snapshots.
        drawn : {"stratified", "uniform"}
            How.
        *seed : int
            Of the generator.
        """
        rng = np.random.default_rng(list(seed))
        if drawn == "uniform":
            points = uniform(count, self.points, self.box, self.delta, rng)
        else:
            points = stratified(count, self.cells, self.per_cell, self.cell, self.delta, rng)
        potential, step = PairPotential(self.kind, self.box, self.mu, self.alpha), max(1, AT_ONCE // self.points**2)
        parts = [potential.energy_forces(points[b : b + step]) for b in range(0, count, step)]
        energies, forces = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Structures.from_arrays(points, np.array(self.box), energies=energies, forces=forces)


@dataclass(frozen=True)
class Model:
    """A network.

    Attributes
    ----------
    kind : {"short-range", "full-range"}
        Which.
    cutoff : float
        R.
    modes : int
        N_FFT along each axis, in the box of the system that is trained for; 0 without a long range.
    lam : tuple of float
        Start values of λ; without them blind, at 2/L and 20/L.
    change : str
        What is not as usual, see ``changes``.
    """

    kind: str
    cutoff: float
    modes: int = 0
    lam: tuple[float, ...] = ()
    change: str = ""

    def make(self, system: System, seed: int) -> EnergyNetwork:
        """An untrained network.

        Parameters
        ----------
        system : System
            Whose box it is for.
        seed : int
            Of the run.
        """
        made = network_class(self.kind, self.change)
        return made(
            system.box,
            self.cutoff,
            *([self.modes] if self.kind == "full-range" else []),
            **({"lam": self.lam} if self.lam else {}),
            seed=STREAMS["weights"] + seed,
            threads=1,
        )


@dataclass(frozen=True)
class Training:
    """How.

    Attributes
    ----------
    samples : int
        Snapshots.
    protocol : Protocol or None
        Of Adam, if that is wanted.
    polish : int
        Iterations of Levenberg–Marquardt afterwards.
    drawn : {"stratified", "uniform"}
        How snapshots are drawn.
    """

    samples: int
    protocol: Protocol | None
    polish: int = 0
    drawn: str = "stratified"

    @property
    def first(self) -> str:
        """Name of the stage before the polish."""
        return "start" if self.protocol is None else "adam"

    def gradients(self, most: int) -> int:
        """Gradients of single snapshots that it takes: a measure of its cost.

        Parameters
        ----------
        most : int
            Snapshots that the polish sees at once.
        """
        epochs = 0 if self.protocol is None else sum(stage.epochs for stage in self.protocol.stages)
        return self.samples * epochs + self.polish * (min(self.samples, most) * PASSES + ROWS)


@dataclass(frozen=True)
class Small:
    """The first scale of two: a training in a smaller box, after which f₁ and f₂ stay as they are.

    Attributes
    ----------
    system : System
        What is learned; the modes of the network are those in its box.
    training : Training
        How.
    """

    system: System
    training: Training


@dataclass(frozen=True)
class Test:
    """Fresh snapshots.

    Attributes
    ----------
    name : str
        In results.
    system : System
        The potential and its box.
    drawn : {"stratified", "uniform"}
        How points are drawn.
    count, sets : int
        Snapshots in a set; sets.
    """

    __test__ = False  # no test of pytest

    name: str
    system: System
    drawn: str = "stratified"
    count: int = TESTS
    sets: int = TEST_SETS

    def draw(self, stream: str, number: int) -> Structures:
        """One of the sets.

        Parameters
        ----------
        stream : {"development", "final"}
            Of random numbers.
        number : int
            Which set.
        """
        return self.system.draw(self.count, self.drawn, STREAMS[stream] + number, int(self.drawn == "uniform"))


@dataclass(frozen=True)
class Task:
    """One training with one seed.

    Attributes
    ----------
    figure, row, column : str
        What it is first made for; no part of its key.
    system, model, training : System, Model, Training
        What is learned, by what, how.
    seed : int
        Of data, weights and batches.
    small : Small, optional
        The first of two scales.
    tests : tuple of Test
        What it is asked afterwards.
    """

    figure: str
    row: str
    column: str
    system: System
    model: Model
    training: Training
    seed: int
    small: Small | None = None
    tests: tuple[Test, ...] = ()

    def record(self) -> dict:
        """All that the outcome depends on, as JSON can hold it; what is empty is left out."""
        own = ("figure", "row", "column", "tests")
        about = {name: value for name, value in asdict(self).items() if name not in own}
        return _pruned(about)

    @property
    def key(self) -> str:
        """A hash of ``record`` without the polish."""
        record = self.record()
        record["training"].pop("polish", None)
        return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def name(self) -> str:
        """For people, and for folders."""
        words = f"{self.figure}-{self.row}-{self.column}-{self.seed}"
        return f"{re.sub('[^A-Za-z0-9.-]+', '_', words)}-{self.key}"

    def before(self) -> Task | None:
        """The task of the first of two scales, which tasks of the same network share."""
        if self.small is None:
            return None
        training = self.small.training
        return replace(self, row="small", column="", system=self.small.system, training=training, small=None, tests=())

    @property
    def gradients(self) -> int:
        """A measure of its cost: gradients of single snapshots, times their points."""
        return self.training.gradients(self.at_once) * self.system.points

    @property
    def at_once(self) -> int:
        """Snapshots that the polish sees at once: each of its pieces others, where there are more."""
        return max(1, RESIDUALS // (self.system.points * self.system.dim))


def _pruned(about: dict) -> dict:
    """Without what is empty, so that a new field with an empty default changes no key."""
    kept = {name: _pruned(value) if isinstance(value, dict) else value for name, value in about.items()}
    return {name: value for name, value in kept.items() if value not in (None, "", (), {})}


@cache
def sources() -> str:
    """A hash of the code that trains, without its comments and docstrings."""
    root, digest = Path(lrc_numba.__file__).parent, sha256()
    files = [path for name in SOURCES for path in sorted((root / name).rglob("*.py"))]
    files += [Path(__file__).parent / name for name in OWN]
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                value = body[0].value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    del body[0]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:12]
