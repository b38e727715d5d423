"""One part at a time: its tangent, its transpose and the tangent of that against differences of its values.

With S(x, ẋ, θ) = ⟨ȳ, y⟩ + ⟨ẏ̄, ẏ⟩ the cotangents of ``vjp_dual`` are the derivatives of S by x, ẋ and θ. Differences are
those of fourth order: with h = 1e-3 they are off by 3e-14 fifth derivatives, and by 1e-13 from rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lrc_numba.geometry.neighbours import Pairs, find_pairs
from lrc_numba.geometry.structures import Structures
from lrc_numba.machine.workspace import Workspace
from lrc_numba.networks.layers.parameters import Parameters
from lrc_numba.networks.parts.part import Motion, Part, Scene, Tape

CUTOFF = 1.5
ROUNDING = 1e-13  # of sums of some thousand numbers in double precision


@dataclass
class Case:
    """A part with what it reads; None among the inputs is the geometry, and those that are ``still`` do not move."""

    part: Part
    inputs: tuple
    scene: Scene
    strained: bool = False
    still: tuple[int, ...] = ()
    step: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        self.parameters = Parameters(self.part.shapes(), np.float64)
        self.part.initialise(self.parameters, np.random.default_rng(self.seed))
        self.generator = np.random.default_rng(self.seed + 1)
        self.parameters.flat[...] *= self.generator.uniform(0.8, 1.2, self.parameters.flat.size)
        self.parameters.flat[...] += 0.01 * self.generator.random(self.parameters.flat.size)

    # ------------------------------------------------------------------ directions
    def random_like(self, value):
        """A random direction: a ``Motion`` for the geometry."""
        if value is not None:
            return self.generator.standard_normal(value.shape)
        structures = self.scene.structures
        strain = self.generator.standard_normal(structures.cell.shape) if self.strained else None
        return Motion(self.generator.standard_normal(structures.positions.shape), strain)

    def tangents(self) -> list:
        """ẋ."""
        return [None if i in self.still else self.random_like(x) for i, x in enumerate(self.inputs)]

    # ------------------------------------------------------------------ values at moved inputs
    def tape(self, h: float = 0.0, direction=None, turned: np.ndarray | None = None) -> tuple[Tape, list]:
        """A tape and the inputs, moved by h along a direction of them and of the parameters."""
        direction = direction or [None] * len(self.inputs)
        scene, inputs = self.scene, []
        for x, dx in zip(self.inputs, direction, strict=True):
            if isinstance(dx, Motion):
                scene = moved_scene(scene, dx, h)
            inputs.append(x if dx is None or x is None else x + h * dx)
        parameters = Parameters(self.parameters.shapes, np.float64)
        parameters.flat[...] = self.parameters.flat + (0.0 if turned is None else h * turned)
        wanted = (True,) * len(inputs)
        return Tape(scene, parameters, Workspace(), wanted, self.strained, True), inputs

    def value(self, h: float = 0.0, direction=None, turned=None) -> np.ndarray:
        """y."""
        tape, inputs = self.tape(h, direction, turned)
        return np.array(self.part.forward(tape, *inputs))

    def both(self, tangents, h: float = 0.0, direction=None, turned=None) -> tuple[Tape, np.ndarray, np.ndarray]:
        """The tape, y and ẏ."""
        tape, inputs = self.tape(h, direction, turned)
        y = np.array(self.part.forward(tape, *inputs))
        return tape, y, np.array(self.part.jvp(tape, *tangents))

    def slope(self, function: Callable) -> float | np.ndarray:
        """The derivative at zero."""
        h = self.step
        far, near = function(2 * h) - function(-2 * h), function(h) - function(-h)
        return (8 * near - far) / (12 * h)


def scene_of(structures: Structures, full: bool = False, cutoff: float = CUTOFF) -> Scene:
    """Structures with the pairs within a cutoff."""
    pairs = find_pairs(
        structures.positions,
        cutoff,
        structures.cell,
        periodic=structures.periodic,
        offsets=structures.offsets,
        full=full,
    )
    return Scene(structures, pairs, np.dtype(np.float64))


def moved_scene(scene: Scene, motion: Motion, h: float) -> Scene:
    """The same pairs of points that are moved, in cells that are strained: x(1 + hε) of x + hẋ."""
    old, pairs = scene.structures, scene.pairs
    of_point = np.repeat(np.arange(len(old)), old.counts)
    strain = np.zeros(old.cell.shape) if motion.strain is None else motion.strain
    factor = np.eye(old.dim) + h * strain
    positions = np.einsum("na,nab->nb", old.positions + h * motion.points, factor[of_point])
    cell = old.cell @ factor
    first, second = pairs.first, pairs.second
    lattice = old.positions[first] - old.positions[second] - pairs.displacement
    images = np.rint(np.einsum("pa,pab->pb", lattice, np.linalg.pinv(old.cell)[of_point[first]]))
    apart = positions[first] - positions[second] - np.einsum("pa,pab->pb", images, cell[of_point[first]])
    made = Pairs(first, second, apart, np.linalg.norm(apart, axis=1), pairs.offsets, pairs.full)
    return replace(scene, structures=replace(old, positions=positions, cell=cell), pairs=made)


def inner(left, right) -> float:
    """⟨left, right⟩ of arrays or motions, 0 where there is none."""
    if left is None or right is None:
        return 0.0
    if isinstance(left, Motion):
        return inner(left.points, right.points) + inner(left.strain, right.strain)
    assert left.shape == right.shape, f"shapes {left.shape} and {right.shape} differ"
    return float(np.sum(left * right))


def norm(value) -> float:
    """√⟨value, value⟩."""
    return float(np.sqrt(inner(value, value)))


# ---------------------------------------------------------------------- the checks
def jvp_error(case: Case) -> float:
    """Of ẏ against differences of y, relative to ẏ."""
    tangents = case.tangents()
    _, _, found = case.both(tangents)
    wanted = case.slope(lambda h: case.value(h, tangents))
    return norm(found - wanted) / norm(wanted)


def vjp_error(case: Case) -> float:
    """Of ⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩, relative to what both could be."""
    tangents = [case.random_like(x) for x in case.inputs]
    tape, y, dy = case.both(tangents)
    bar = case.random_like(y)
    bars = case.part.vjp(tape, bar)
    assert len(bars) == len(tangents)
    error = abs(inner(bar, dy) - sum(inner(b, t) for b, t in zip(bars, tangents, strict=True)))
    return error / (norm(bar) * norm(dy) + sum(norm(b) * norm(t) for b, t in zip(bars, tangents, strict=True)))


def blocks(parameters: Parameters, generator) -> list[np.ndarray]:
    """A random direction of each named parameter."""
    directions = []
    for name, shape in parameters.shapes.items():
        direction = Parameters(parameters.shapes, np.float64)
        direction[name][...] = generator.standard_normal(shape)
        directions.append(direction.flat)
    return directions


def gradient_error(case: Case) -> float:
    """Of θ̄ of ``vjp``, by every named parameter, relative to θ̄."""
    tape, inputs = case.tape()
    bar = case.random_like(np.array(case.part.forward(tape, *inputs)))
    gradient, errors = Parameters(case.parameters.shapes, np.float64), [0.0]
    gradient.flat[...] = 1.0  # it is added to
    case.part.vjp(tape, bar, gradient)
    gradient.flat[...] -= 1.0
    for turned in blocks(case.parameters, case.generator):
        wanted = case.slope(lambda h, turned=turned: inner(bar, case.value(h, None, turned)))
        errors.append(abs(wanted - turned @ gradient.flat) / (norm(gradient.flat) * norm(turned)))
    return max(errors)


def vjp_dual_error(case: Case) -> tuple[float, float]:
    """Of x̄ and ẋ̄, and of θ̄, of ``vjp_dual``."""
    tangents = case.tangents()
    tape, y, dy = case.both(tangents)
    bar, dbar = case.random_like(y), case.random_like(dy)
    tape.wanted = tuple(x is not None for x in case.inputs)
    gradient = Parameters(case.parameters.shapes, np.float64)
    bars, dbars = case.part.vjp_dual(tape, bar, dbar, gradient)

    def total(tangents, h=0.0, direction=None, turned=None) -> float:
        _, y, dy = case.both(tangents, h, direction, turned)
        return inner(bar, y) + inner(dbar, dy)

    errors, of_parameters = [0.0], [0.0]
    for i, x in enumerate(case.inputs):
        if x is None and (bars[i] is None or case.strained):
            continue  # a leaf, of which networks ask for no second derivatives; a strain of a strain is none of these
        step = [case.random_like(x) if j == i else None for j in range(len(case.inputs))]
        wanted = case.slope(lambda h, step=step: total(tangents, h, step))
        errors.append(abs(wanted - inner(bars[i], step[i])) / (norm(bars[i]) * norm(step[i])))

        def moving(h: float, i=i, step=step) -> float:
            along = list(tangents)
            along[i] = h * step[i] if along[i] is None else _moved(along[i], step[i], h)
            return total(along)

        wanted = case.slope(moving)
        errors.append(abs(wanted - inner(dbars[i], step[i])) / (norm(dbars[i]) * norm(step[i])))
    for turned in blocks(case.parameters, case.generator):
        wanted = case.slope(lambda h, turned=turned: total(tangents, h, None, turned))
        of_parameters.append(abs(wanted - turned @ gradient.flat) / (norm(gradient.flat) * norm(turned)))
    return max(errors), max(of_parameters)


def _moved(value, step, h: float):
    return Motion(value.points + h * step.points, value.strain) if isinstance(value, Motion) else value + h * step
