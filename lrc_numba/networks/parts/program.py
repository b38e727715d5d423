r"""Straight-line code of parts: which part reads what and writes what, and the four passes through all of it.

Structures are shared out in shares, each a job of a thread; parts that look at all structures at once, such as a
convolution, run in between. What lies between two parts belongs to a share, so arrays stay small and threads never
wait for each other within a run of local parts; shares do not depend on the number of threads, and neither do results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ...machine.fixed import Fixed
from ...machine.workspace import Workspaces
from ..layers.parameters import Parameters
from .needs import check_rows, named
from .part import GEOMETRY, Motion, Part, Tape, WrongShape
from .run import Run
from .schedule import Phase, Stage, execute, phases

__all__ = ["Program", "Step"]


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


class Program(Fixed):
    """Steps in order; every name is written once, before it is read. Those that the output does not need are left out.

    Parameters
    ----------
    steps : sequence of Step
        The lines.
    output : str
        The name of the result, a number for each point.

    Raises
    ------
    ValueError
        Naming the line: where names are read before they are written, inputs are missing, or rows are those of pairs
        and not of points. When it is evaluated, where widths do not fit together, or the result is no number.
    """

    fixed: ClassVar[dict[str, str]] = dict.fromkeys(("steps", "output"), "make another program")

    def __init__(self, steps: Sequence[Step], output: str):
        lines = tuple(steps)
        needed = _needed(lines, output)
        self.steps, self.output = tuple(step for step in lines if step.output in needed), output
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
        check_rows(self.steps, output)
        self._phases: dict[tuple, list[Phase]] = {}

    @property
    def parts(self) -> list[Part]:
        """The parts, each once, in order."""
        return list({id(step.part): step.part for step in self.steps}.values())

    # ------------------------------------------------------------------ passes that follow each other
    def evaluate(
        self,
        run: Run,
        parameters: Parameters,
        spaces: Workspaces,
        keep: bool,
        strained: bool,
        counted: np.ndarray | None = None,
    ) -> tuple[list[np.ndarray], Motion]:
        """``forward``, and the gradient of the sum of the outputs by the geometry: ``vjp`` with ones.

        Parameters
        ----------
        run, parameters, spaces, keep
            As for ``forward``.
        strained : bool
            Whether the gradient by strains is wanted.
        counted : (n,) bool, optional
            Points whose outputs are in the sum; all by default.
        """
        bars: list[dict] = [{} for _ in run.shares]

        def begin(share: int) -> None:
            """The cotangent of the output of a share."""
            bar = bars[share][self.output] = np.ones_like(self._result(run, share))
            if counted is not None:
                bar[...] = counted[run.points[share], None]

        stages = self._forward_stages(run, parameters, spaces, keep, _needed(self.steps, self.output))
        stages.append(Stage(begin))
        execute(stages + self._reverse_stages(run, [bars], None, None, self.moves, _vjp(strained)), run)
        ends = run.join([end.get(GEOMETRY) for end in bars], strained)
        return [values[self.output] for values in run.values], ends

    def differentiate(self, run: Run, direction: Motion, bars: list, dbars: list, gradient: Parameters) -> None:
        """``jvp`` along a direction and then ``vjp_dual``: the gradient of a loss.

        Parameters
        ----------
        run, direction, bars, dbars, gradient
            As for these two.
        """
        tangents: list[dict] = [{} for _ in run.shares]
        kinds = [[{self.output: bar} for bar in kind] for kind in (bars, dbars)]
        gradients = [gradient.like() for _ in run.shares]
        stages = self._jvp_stages(run, direction, tangents)
        stages += self._reverse_stages(run, kinds, gradient, gradients, self.learns, self._vjp_dual)
        execute(stages, run)
        _sum(gradient, gradients)

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
        name = until or self.output
        execute(self._forward_stages(run, parameters, spaces, keep, _needed(self.steps, name)), run)
        if until is None:
            return [self._result(run, share) for share in range(len(run.shares))]
        return [values[name] for values in run.values]

    def _result(self, run: Run, share: int) -> np.ndarray:
        """The output of a share; a ValueError where that is no number for each point."""
        result, wanted = run.values[share][self.output], (run.shares[share].count, 1)
        if result.shape != wanted:
            raise ValueError(
                f"output: expected {self.output!r} of shape {wanted}, one for each point, got {result.shape}"
            )
        return result

    def jvp(self, run: Run, direction: Motion) -> list[np.ndarray]:
        """The tangent of the output of every share; of an output that does not read the geometry it is zero.

        Parameters
        ----------
        run : Run
            Of a ``forward`` that was kept.
        direction : Motion
            Of all points.
        """
        tangents: list[dict] = [{} for _ in run.shares]
        execute(self._jvp_stages(run, direction, tangents), run)
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
        gradients = None if gradient is None else [gradient.like() for _ in run.shares]
        ends = [{self.output: bar} for bar in bars]
        execute(self._reverse_stages(run, [ends], gradient, gradients, wanted, _vjp(strained)), run)
        if gradient is not None and gradients is not None:
            _sum(gradient, gradients)
        return run.join([end.get(GEOMETRY) for end in ends], strained) if motion else None

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
        kinds = [[{self.output: bar} for bar in kind] for kind in (bars, dbars)]
        gradients = [gradient.like() for _ in run.shares]
        execute(self._reverse_stages(run, kinds, gradient, gradients, self.learns, self._vjp_dual), run)
        _sum(gradient, gradients)

    def _vjp_dual(self, step: Step, tape: Tape, bars: tuple, into: Parameters | None) -> tuple[tuple, ...]:
        """``vjp_dual`` of a part, or its ``vjp`` where nothing that it reads moves."""
        assert into is not None
        if step.output in self.moves:
            return step.part.vjp_dual(tape, bars[0], bars[1], into)
        return step.part.vjp(tape, bars[0], into), (None,) * len(step.inputs)

    # ------------------------------------------------------------------ forwards
    def _order(self, names: set[str], backwards: bool = False) -> list[Phase]:
        """Lines that write one of some names, in the order of a pass; found once for the same names."""
        key = frozenset(names), backwards
        if key not in self._phases:
            lines = [i for i, step in enumerate(self.steps) if step.output in names]
            needs = {i: {j for j in lines if self.steps[j].output in self.steps[i].inputs} for i in lines}
            if backwards:  # a cotangent is complete when those of all that read the output are
                lines, needs = lines[::-1], {i: {j for j in lines if i in needs[j]} for i in lines}
            self._phases[key] = phases(lines, needs, {i for i in lines if self.steps[i].part.whole})
        return self._phases[key]

    def _forward_stages(
        self, run: Run, parameters: Parameters, spaces: Workspaces, keep: bool, names: set[str]
    ) -> list[Stage]:
        """What fills ``run.values`` with these names."""
        run.values = [{} for _ in run.shares]
        run.tapes = [[] for _ in self.steps]
        for i, step in enumerate(self.steps):
            scenes = [run.whole] if step.part.whole else run.shares
            # A part may be in two lines.
            own = (spaces.of(i + number * len(self.steps)) for number in range(len(scenes)))
            run.tapes[i] = [Tape(scene, parameters, space, keep=keep) for scene, space in zip(scenes, own, strict=True)]

        def local(share: int, lines: list[int]) -> None:
            values = run.values[share]
            for i in lines:
                step = self.steps[i]
                inputs = [values.get(name) for name in step.inputs]
                values[step.output] = _forward(step, run.tapes[i][share], inputs)

        def whole(i: int) -> Callable[[], None]:
            step = self.steps[i]
            inputs = [run.joined(run.values, name) for name in step.inputs]
            output = _forward(step, run.tapes[i][0], inputs)
            return partial(run.share_out, output, step.output, run.values)

        return _stages(self._order(names), local, whole)

    def _jvp_stages(self, run: Run, direction: Motion, tangents: list[dict]) -> list[Stage]:
        """What fills ``tangents`` with those of everything that moves."""
        for values, motion in zip(tangents, run.split(direction), strict=True):
            values[GEOMETRY] = motion

        def local(share: int, lines: list[int]) -> None:
            values = tangents[share]
            for i in lines:
                step = self.steps[i]
                inputs = [values.get(name) for name in step.inputs]
                values[step.output] = step.part.jvp(run.tapes[i][share], *inputs)

        def whole(i: int) -> Callable[[], None]:
            step = self.steps[i]
            inputs = (direction if name == GEOMETRY else run.joined(tangents, name) for name in step.inputs)
            return partial(run.share_out, step.part.jvp(run.tapes[i][0], *inputs), step.output, tangents)

        return _stages(self._order(self.moves), local, whole)

    # ------------------------------------------------------------------ backwards
    def _reverse_stages(
        self,
        run: Run,
        bars: list[list[dict]],
        gradient: Parameters | None,
        gradients: list[Parameters] | None,
        wanted: set[str],
        reverse: Callable,
    ) -> list[Stage]:
        """From cotangents of the output in ``bars`` to those of all that is wanted, for one kind or two at a time."""

        def local(share: int, lines: list[int]) -> None:
            into = None if gradients is None else gradients[share]
            for i in lines:
                step = self.steps[i]
                above = tuple(kind[share].pop(step.output, None) for kind in bars)
                if above[0] is None:
                    continue
                tape = run.tapes[i][share]
                tape.wanted = tuple(name in wanted for name in step.inputs)
                below = reverse(step, tape, above, into)
                for kind, parts in zip(bars, below, strict=True):
                    _add(kind[share], step.inputs, parts, tape.wanted)

        def whole(i: int) -> Callable[[], None]:
            step, tape = self.steps[i], run.tapes[i][0]
            if step.output not in bars[0][0]:
                return lambda: None
            above = tuple(np.concatenate([values.pop(step.output) for values in kind]) for kind in bars)
            tape.wanted = tuple(name in wanted for name in step.inputs)
            below = reverse(step, tape, above, gradient)

            def finish() -> None:
                for kind, parts in zip(bars, below, strict=True):
                    shares = [run.shares_of(part) for part in parts]
                    for number, values in enumerate(kind):
                        _add(values, step.inputs, [share[number] for share in shares], tape.wanted)

            return finish

        return _stages(self._order(wanted, backwards=True), local, whole)


def _needed(steps: Sequence[Step], name: str) -> set[str]:
    """Names that lead to another one, and that itself."""
    needed = {name}
    for step in reversed(steps):
        if step.output in needed:
            needed.update(step.inputs)
    return needed


def _forward(step: Step, tape: Tape, inputs: Sequence) -> np.ndarray:
    """``forward`` of a part; errors of shapes name the line."""
    try:
        return step.part.forward(tape, *inputs)
    except WrongShape as wrong:
        raise ValueError(f"steps: {named(step)}: {wrong}") from None


def _stages(order: list[Phase], local: Callable, whole: Callable) -> list[Stage]:
    """What is done in each phase."""
    return [
        Stage(
            partial(local, lines=phase.local) if phase.local else None,
            None if phase.whole is None else partial(whole, phase.whole),
        )
        for phase in order
    ]


def _vjp(strained: bool) -> Callable:
    """``vjp`` of a part as ``_reverse_stages`` calls it."""

    def reverse(step: Step, tape: Tape, bars: tuple, into: Parameters | None) -> tuple[tuple, ...]:
        tape.strained = strained
        return (step.part.vjp(tape, bars[0], into),)

    return reverse


def _sum(gradient: Parameters, gradients: list[Parameters]) -> None:
    """Add what the shares have, in their order."""
    for part in gradients:
        gradient.flat += part.flat


def _add(bars: dict, names: tuple[str, ...], parts: Sequence, wanted: tuple[bool, ...]) -> None:
    for name, part, is_wanted in zip(names, parts, wanted, strict=True):
        if is_wanted and part is not None:
            bars[name] = bars[name] + part if name in bars else part
