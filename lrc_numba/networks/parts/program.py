r"""Straight-line code of parts: which part reads what and writes what, and the four passes through all of it.

Structures are shared out in shares, each a job of a thread; parts that look at all structures at once, such as a
convolution, run in between. What lies between two parts belongs to a share, so arrays stay small and threads never
wait for each other within a run of local parts; shares do not depend on the number of threads, and neither do results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from ...machine.cpu import parallel
from ...machine.workspace import Workspaces
from ..layers.parameters import Parameters
from .part import GEOMETRY, Motion, Part, Scene, Tape

__all__ = ["Program", "Run", "Step"]


@dataclass(frozen=True)
class Step:
    """One line of a program.

    Attributes
    ----------
    part : Part
        What is done.
    inputs : tuple of str
        Names of what it reads.
    output : str
        Name of what it writes.
    """

    part: Part
    inputs: tuple[str, ...]
    output: str


@dataclass
class Run:
    """One evaluation of a program: the shares, and what its passes keep.

    Attributes
    ----------
    whole : Scene
        All structures.
    shares : list of Scene
        Some structures each.
    points, structures : list of slice
        Where the points and the structures of a share are among all.
    tapes : list of list of Tape
        For every step, one tape for each share, or one alone.
    values : list of dict
        For every share, arrays by name.
    """

    whole: Scene
    shares: list[Scene]
    points: list[slice]
    structures: list[slice]
    tapes: list[list[Tape]] = field(default_factory=list)
    values: list[dict] = field(default_factory=list)


class Program:
    """Steps in order; every name is written once, before it is read. Those that the output does not need are left out.

    Parameters
    ----------
    steps : sequence of Step
        The lines.
    output : str
        The name of the result, a number for each point.
    """

    def __init__(self, steps: Sequence[Step], output: str):
        self.steps, self.output = tuple(steps), output
        needed = self._needed(output)
        self.steps = tuple(step for step in self.steps if step.output in needed)
        self.moves, self.learns = {GEOMETRY}, set[str]()
        known = {GEOMETRY}
        for step in self.steps:
            if not set(step.inputs) <= known or step.output in known:
                raise ValueError(f"steps: {step.output} reads {step.inputs}, but only {sorted(known)} are written yet")
            known.add(step.output)
            if self.moves & set(step.inputs):
                self.moves.add(step.output)
            if step.part.shapes() or self.learns & set(step.inputs):
                self.learns.add(step.output)
        if output not in known:
            raise ValueError(f"output: {output} is written by no step")
        lines = range(len(self.steps))
        self._runs = [(whole, list(line)) for whole, line in groupby(lines, lambda i: self.steps[i].part.whole)]

    @property
    def parts(self) -> list[Part]:
        """The parts, each once, in order."""
        return list({id(step.part): step.part for step in self.steps}.values())

    def _needed(self, name: str) -> set[str]:
        """Names that lead to another one, and that itself."""
        needed = {name}
        for step in reversed(self.steps):
            if step.output in needed:
                needed.update(step.inputs)
        return needed

    # ------------------------------------------------------------------ the four passes
    def forward(
        self, run: Run, parameters: Parameters, spaces: Workspaces, keep: bool, until: str | None = None
    ) -> list[np.ndarray]:
        """The output of every share.

        Parameters
        ----------
        run : Run
            Filled.
        parameters : Parameters
            Of all parts.
        spaces : Workspaces
            Memory, one for each line and share, which the next ``forward`` uses again.
        keep : bool
            Whether ``jvp`` and ``vjp_dual`` follow.
        until : str, optional
            The name of what is wanted, where that is not the output: only what it needs is done.
        """
        if until is not None and until not in (known := [step.output for step in self.steps]):
            raise ValueError(f"name: expected one of {', '.join(map(repr, known))}, got {until!r}")
        needed = self._needed(until or self.output)
        run.values = [{} for _ in run.shares]
        run.tapes = [[] for _ in self.steps]
        for i, step in enumerate(self.steps):
            scenes = [run.whole] if step.part.whole else run.shares
            for share, scene in enumerate(scenes):
                space = spaces.of(i + share * len(self.steps))  # of its own: a part may be in two lines
                run.tapes[i].append(Tape(scene, parameters, space, keep=keep))
        for whole, lines in self._runs:
            lines = [i for i in lines if self.steps[i].output in needed]
            if whole:
                for i in lines:
                    self._forward_whole(run, i)
                continue

            def work(share: int, lines=lines) -> None:
                values = run.values[share]
                for i in lines:
                    step, tape = self.steps[i], run.tapes[i][share]
                    values[step.output] = step.part.forward(tape, *(values.get(name) for name in step.inputs))

            _each(work, len(run.shares), run.whole.threads)
        return [values[until or self.output] for values in run.values]

    def _forward_whole(self, run: Run, i: int) -> None:
        step, tape = self.steps[i], run.tapes[i][0]
        out = step.part.forward(tape, *(_joined(run.values, name) for name in step.inputs))
        for values, points in zip(run.values, run.points, strict=True):
            values[step.output] = out[points]

    def jvp(self, run: Run, direction: Motion) -> list[np.ndarray]:
        """The tangent of the output of every share; of an output that does not read the geometry it is zero.

        Parameters
        ----------
        run : Run
            Of a ``forward`` that was kept.
        direction : Motion
            Of all points.
        """
        tangents: list[dict] = [{GEOMETRY: motion} for motion in _split_motion(direction, run)]
        for whole, lines in self._runs:
            lines = [i for i in lines if self.steps[i].output in self.moves]
            if whole:
                for i in lines:
                    step = self.steps[i]
                    inputs = (direction if name == GEOMETRY else _joined(tangents, name) for name in step.inputs)
                    out = step.part.jvp(run.tapes[i][0], *inputs)
                    for values, points in zip(tangents, run.points, strict=True):
                        values[step.output] = out[points]
                continue

            def work(share: int, lines=lines) -> None:
                values = tangents[share]
                for i in lines:
                    step = self.steps[i]
                    values[step.output] = step.part.jvp(
                        run.tapes[i][share], *(values.get(name) for name in step.inputs)
                    )

            _each(work, len(run.shares), run.whole.threads)
        if self.output not in self.moves:
            return [np.zeros_like(values[self.output]) for values in run.values]
        return [values[self.output] for values in tangents]

    def vjp(
        self, run: Run, bars: list, gradient: Parameters | None = None, motion: bool = True, strained: bool = False
    ):
        """The gradient by the geometry, where that is wanted, and by the parameters, where ``gradient`` is given.

        Parameters
        ----------
        run : Run
            Of a ``forward``.
        bars : list of (n, 1) arrays
            The cotangent of the output of every share.
        gradient : Parameters, optional
            Added to.
        motion, strained : bool
            Whether the gradient by points, and by strains, is wanted.

        Returns
        -------
        Motion or None
            Of all points.
        """
        wanted = (self.moves if motion else set()) | (self.learns if gradient is not None else set())

        def reverse(step: Step, tape: Tape, bars: tuple, into: Parameters | None) -> tuple[tuple, ...]:
            tape.strained = strained
            return (step.part.vjp(tape, bars[0], into),)

        ends = self._reverse(run, (bars,), gradient, wanted, reverse)[0]
        return _join_motion([end.get(GEOMETRY) for end in ends], run, strained) if motion else None

    def vjp_dual(self, run: Run, bars: list, dbars: list, gradient: Parameters) -> None:
        """Add the gradient by the parameters of Σ (ȳ y + ẏ̄ ẏ).

        Parameters
        ----------
        run : Run
            Of a ``forward`` that was kept and a ``jvp``.
        bars, dbars : list of (n, 1) arrays
            The cotangents of the output of every share and of its tangent.
        gradient : Parameters
            Added to.
        """

        def reverse(step: Step, tape: Tape, bars: tuple, into: Parameters | None) -> tuple[tuple, ...]:
            assert into is not None
            if step.output in self.moves:
                return step.part.vjp_dual(tape, bars[0], bars[1], into)
            return step.part.vjp(tape, bars[0], into), (None,) * len(step.inputs)

        self._reverse(run, (bars, dbars), gradient, self.learns, reverse)

    # ------------------------------------------------------------------ backwards
    def _reverse(
        self, run: Run, outer: tuple[list, ...], gradient: Parameters | None, wanted: set[str], reverse: Callable
    ) -> list[list[dict]]:
        """From cotangents of the output to those of all that is wanted, for one kind of them or two at a time."""
        bars: list[list[dict]] = [[{self.output: bar} for bar in kind] for kind in outer]
        gradients = None if gradient is None else [Parameters(gradient.shapes, gradient.flat.dtype) for _ in run.shares]
        for whole, lines in reversed(self._runs):
            lines = [i for i in reversed(lines) if self.steps[i].output in wanted]
            if whole:
                for i in lines:
                    self._reverse_whole(run, i, bars, gradient, wanted, reverse)
                continue

            def work(share: int, lines=lines) -> None:
                for i in lines:
                    step, tape = self.steps[i], run.tapes[i][share]
                    above = tuple(kind[share].pop(step.output, None) for kind in bars)
                    if above[0] is None:
                        continue
                    tape.wanted = tuple(name in wanted for name in step.inputs)
                    below = reverse(step, tape, above, None if gradients is None else gradients[share])
                    for kind, parts in zip(bars, below, strict=True):
                        _add(kind[share], step.inputs, parts, tape.wanted)

            _each(work, len(run.shares), run.whole.threads)
        if gradient is not None and gradients is not None:
            for part in gradients:
                gradient.flat += part.flat
        return bars

    def _reverse_whole(
        self, run: Run, i: int, bars: list[list[dict]], gradient: Parameters | None, wanted: set[str], reverse: Callable
    ) -> None:
        step, tape = self.steps[i], run.tapes[i][0]
        if step.output not in bars[0][0]:
            return
        above = tuple(np.concatenate([values.pop(step.output) for values in kind]) for kind in bars)
        tape.wanted = tuple(name in wanted for name in step.inputs)
        for kind, parts in zip(bars, reverse(step, tape, above, gradient), strict=True):
            shares = [_share_of(part, run) for part in parts]
            for number, values in enumerate(kind):
                _add(values, step.inputs, [share[number] for share in shares], tape.wanted)


def _each(work: Callable[[int], None], count: int, threads: int) -> None:
    """Do ``work`` for every share, on threads."""

    def _some(_: int, lo: int, hi: int) -> None:
        for share in range(lo, hi):
            work(share)

    parallel.run(_some, parallel.even(count, threads))


def _joined(values: list[dict], name: str):
    """An array of all points from those of the shares; None where there is none, as of the geometry."""
    if name not in values[0]:
        return None
    return np.concatenate([each[name] for each in values]) if len(values) > 1 else values[0][name]


def _add(bars: dict, names: tuple[str, ...], parts: Sequence, wanted: tuple[bool, ...]) -> None:
    for name, part, is_wanted in zip(names, parts, wanted, strict=True):
        if is_wanted and part is not None:
            bars[name] = bars[name] + part if name in bars else part


def _share_of(value, run: Run) -> list:
    """What the shares get of a cotangent of all points."""
    if value is None:
        return [None] * len(run.shares)
    return _split_motion(value, run) if isinstance(value, Motion) else [value[points] for points in run.points]


def _split_motion(motion: Motion, run: Run) -> list[Motion]:
    strain = motion.strain
    return [
        Motion(motion.points[points], None if strain is None else strain[some])
        for points, some in zip(run.points, run.structures, strict=True)
    ]


def _join_motion(parts: list[Motion | None], run: Run, strained: bool) -> Motion:
    """The gradient by all points, zero where nothing depends on them."""
    positions = run.whole.structures.positions
    out = Motion(np.zeros(positions.shape, run.whole.dtype))
    if strained:
        out.strain = np.zeros((len(run.whole.structures), positions.shape[1], positions.shape[1]))
    for part, points, some in zip(parts, run.points, run.structures, strict=True):
        if part is None:
            continue
        out.points[points] = part.points
        if out.strain is not None and part.strain is not None:
            out.strain[some] = part.strain
    return out
