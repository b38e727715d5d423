"""Programs: which lines are done, what is refused, and that neither threads nor batches change a value."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights
from lrc_numba.networks.layers.perceptron import Perceptron
from lrc_numba.networks.long_range import CoulombKernel
from lrc_numba.networks.parts.convolution import Convolution, SeriesEnd
from lrc_numba.networks.parts.dense import Concatenate, Dense, Linear
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.geometry import Directions, Displacements, Distances
from lrc_numba.networks.parts.messages import Messages
from lrc_numba.networks.parts.part import GEOMETRY, Part
from lrc_numba.networks.parts.products import Add, Norm, Product
from lrc_numba.networks.parts.program import Program, Step
from lrc_numba.networks.parts.radial import RadialBasis
from lrc_numba.networks.parts.select import Select, Zeros

WIDTH, CUTOFF = 8, 1.5
TERMS = LossWeights(energy=0.3, forces=1.0, stress=0.5)


class Refuses(Part):
    """A part that is not to be asked."""

    rows = "points"

    def forward(self, tape, inputs):
        raise AssertionError("it was asked")


class Square(Part):
    """y = x², a part of a user's own."""

    def forward(self, tape, inputs):
        tape.kept["x"] = inputs
        return inputs**2

    def jvp(self, tape, tangent):
        tape.kept["dx"] = tangent
        return 2 * tape.kept["x"] * tangent

    def vjp(self, tape, bar, gradient=None):
        return (2 * tape.kept["x"] * bar,)

    def vjp_dual(self, tape, bar, dbar, gradient):
        x, dx = tape.kept["x"], tape.kept["dx"]
        return (2 * (x * bar + dx * dbar),), (2 * x * dbar,)


def lines(dim: int, long_range: bool = True) -> list[Step]:
    """A round of messages and a convolution; ``twice`` and ``squared`` are parts that are used in two lines each."""
    twice, squared = Dense(Perceptron("twice", (WIDTH, WIDTH))), Square()
    kernel = CoulombKernel(0.6, "far.", trainable=True)
    steps = [
        Step(Displacements(), (GEOMETRY,), "D"),
        Step(Distances(), ("D",), "r"),
        Step(Directions(), ("D", "r"), "u"),
        Step(RadialBasis(CUTOFF, 3, "inverse"), ("r",), "basis"),
        Step(Linear("radial", 3, 3 * WIDTH), ("basis",), "w"),
        Step(Embedding("embedding", SPECIES, WIDTH), (), "s0"),
        Step(Zeros(dim, WIDTH), (), "v0"),
        Step(Dense(Perceptron("send", (WIDTH, 3 * WIDTH), linear_end=True)), ("s0",), "x"),
        Step(Messages(), ("x", "w", "u", "v0"), "m"),
        Step(Select(0), ("m",), "ms"),
        Step(Select(slice(1, None)), ("m",), "mv"),
        Step(Norm(0.1), ("mv",), "|v|"),
        Step(twice, ("ms",), "s1"),
        Step(twice, ("s1",), "s2"),
        Step(squared, ("s2",), "s3"),
        Step(squared, ("s3",), "s4"),
        Step(Linear("charge", WIDTH, 2), ("s2",), "f"),
        Step(Convolution(kernel, SeriesEnd((9.0,)), 1e-5, "features", 1024), (GEOMETRY, "f"), "far"),
        Step(Concatenate(), ("s4", "|v|", "far") if long_range else ("s4", "|v|"), "all"),
        Step(Dense(Perceptron("mix", (2 * WIDTH + 2 * long_range, WIDTH))), ("all",), "mixed"),
        Step(Product("nc,nc->nc"), ("mixed", "s0"), "weighed"),
        Step(Add(), ("weighed", "s1"), "sum"),
        Step(Linear("energy", WIDTH, 1), ("sum",), "e"),
        Step(Dense(Perceptron("idle", (WIDTH, 4))), ("sum",), "idle"),
    ]
    return steps


def network_of(dim: int = 2, threads: int = 1, long_range: bool = True, dtype=np.float64) -> EnergyNetwork:
    """A network of a user's own."""
    program = Program(lines(dim, long_range), "e")
    return EnergyNetwork(program, cutoff=CUTOFF, dim=dim, full_pairs=True, dtype=dtype, threads=threads, seed=3)


def structures_of(counts: tuple[int, ...] = (4, 1, 3, 4, 2, 5, 3), dim: int = 2, seed: int = 0) -> Structures:
    """More structures than threads, of different cells."""
    return make_structures(dim, counts, seed=seed)


def test_lines_that_are_not_needed_are_left_out():
    """Neither done nor learned."""
    network = network_of()
    outputs = [step.output for step in network.program.steps]
    assert "idle" not in outputs
    assert outputs[-1] == "e"
    assert not [name for name in network.parameters if name.startswith("idle")]
    without = network_of(long_range=False)
    assert not {"f", "far"} & {step.output for step in without.program.steps}
    assert "far.sigma" not in without.parameters
    assert len([part for part in network.program.parts if part.name == "twice"]) == 1


def test_lines_in_a_wrong_order():
    """A ValueError that names the line: names are written once, and before they are read."""
    r, basis = Step(Distances(), ("D",), "r"), Step(RadialBasis(1.0, 1), ("r",), "e")
    first = Step(Displacements(), (GEOMETRY,), "D")
    for steps, message in (
        ((r, first, basis), r"steps: r reads \('D',\), but only \['geometry'\]"),
        ((first, basis), r"steps: e reads \('r',\)"),
        ((first, first, r, basis), "steps: D"),
        ((first, r, r, basis), "steps: r"),
        ((first, Step(Distances(), ("D",), GEOMETRY), Step(Add(), (GEOMETRY, "D"), "e")), "steps: geometry"),
        ((first, r), "output: e is written by no step"),
        ((), "output: e is written by no step"),
    ):
        with pytest.raises(ValueError, match=message):
            Program(steps, "e")


def test_two_parts_of_one_name():
    """Their parameters would be the same numbers."""
    steps = [
        Step(Embedding("s", SPECIES, 4), (), "s"),
        Step(Linear("net", 4, 8), ("s",), "t"),
        Step(Linear("net", 8, 1), ("t",), "e"),
    ]
    with pytest.raises(ValueError, match=r"program: .* got \['net.weight0'\] twice"):
        EnergyNetwork(Program(steps, "e"), cutoff=1.0, dim=1)


def test_threads_change_no_bit():
    """Energies, forces, stresses, the loss and its gradient."""
    structures = structures_of((3, 2) * 40)
    single, several = network_of(threads=1), network_of(threads=3)
    left, right = single.predict(structures, stress=True), several.predict(structures, stress=True)
    for name in ("energies", "potentials", "forces", "stress"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    (loss, gradient), (same, again) = single.loss(structures, TERMS), several.loss(structures, TERMS)
    assert loss == same
    np.testing.assert_array_equal(gradient, again)
    np.testing.assert_array_equal(several.loss(structures, TERMS)[1], gradient)


def test_batches_change_nothing():
    """One structure at a time, in another order, or all: 1e-12 is rounding of sums in another order."""
    structures, network = structures_of(), network_of()
    batch, order = len(structures), np.random.default_rng(0).permutation(len(structures))
    together, turned = network.predict(structures, stress=True), network.predict(structures[order], stress=True)
    alone = [network.predict(each, stress=True) for each in structures]
    for name in ("energies", "potentials", "forces", "stress"):
        wanted = getattr(together, name)
        scale = np.abs(wanted).max()
        parts = np.concatenate([getattr(each, name) for each in alone])
        np.testing.assert_allclose(parts, wanted, rtol=0, atol=1e-12 * scale)
        if name in ("energies", "stress"):
            np.testing.assert_allclose(getattr(turned, name), wanted[order], rtol=0, atol=1e-12 * scale)
    loss, gradient = network.loss(structures, TERMS)
    several = [network.loss(each, TERMS) for each in structures]
    assert sum(each[0] for each in several) / batch == pytest.approx(loss, rel=1e-12)
    mean = sum(each[1] for each in several) / batch
    np.testing.assert_allclose(mean, gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())


def test_a_part_in_two_lines():
    """It has one set of parameters, whose gradient is the sum of both; each line keeps what it needs of its own."""
    structures, network = structures_of((3, 2)), network_of()
    s2 = network.values(structures, "s2")
    weight, bias = network.parameters["twice.weight0"], network.parameters["twice.bias0"]
    s1 = np.tanh(network.values(structures, "ms") @ weight + bias)
    np.testing.assert_allclose(np.tanh(s1 @ weight + bias), s2, rtol=1e-12)
    _, gradient = network.loss(structures, TERMS)
    flat, generator = network.parameters.flat, np.random.default_rng(1)
    at, size = network.parameters.offsets["twice.weight0"], weight.size
    direction = np.zeros(flat.size)
    direction[at : at + size] = generator.standard_normal(size)
    start, h, losses = flat.copy(), 1e-4, []
    for step in (-2, -1, 1, 2):
        flat[...] = start + step * h * direction
        losses.append(network.loss_alone(structures, TERMS))
    flat[...] = start
    slope = (losses[0] - 8 * losses[1] + 8 * losses[2] - losses[3]) / (12 * h)
    assert slope == pytest.approx(direction @ gradient, rel=1e-8)


def test_until():
    """Values between two lines, and nothing after them; what is not written is said."""
    structures, network = structures_of((3, 2)), network_of()
    assert network.values(structures, "s0").shape == (5, WIDTH)
    assert network.values(structures, "far").shape == (5, 2)
    np.testing.assert_array_equal(network.values(structures, "e")[:, 0], network.predict(structures).potentials)
    for name in ("idle", "nothing", GEOMETRY):
        with pytest.raises(ValueError, match=f"name: expected one of .*'far'.*, got '{name}'"):
            network.values(structures, name)
    steps = [*lines(2)[:2], Step(Refuses(), ("r",), "e")]
    refusing = EnergyNetwork(Program(steps, "e"), cutoff=CUTOFF, dim=2)
    assert len(refusing.values(structures, "r"))
    with pytest.raises(AssertionError, match="it was asked"):
        refusing.values(structures, "e")


def test_energies_that_no_point_moves():
    """A program that reads species alone has no forces, and learns energies; forces teach it nothing."""
    steps = [Step(Embedding("embedding", SPECIES, 4), (), "s"), Step(Linear("energy", 4, 1), ("s",), "e")]
    network = EnergyNetwork(Program(steps, "e"), cutoff=CUTOFF, dim=2)
    structures = structures_of((3, 2))
    made = network.predict(structures, stress=True)
    assert not made.forces.any()
    assert not made.stress.any()
    _, gradient = network.loss(structures, LossWeights(energy=1.0, forces=0.0))
    _, same = network.loss(structures, LossWeights(energy=1.0, forces=1.0, stress=1.0))
    assert gradient.any()
    np.testing.assert_allclose(same, gradient, rtol=1e-13)


@pytest.mark.slow
def test_single_precision_is_that_of_double():
    """To the rounding of some thousand operations; the parameters are the same to 1e-7."""
    structures, double, single = structures_of((4, 1, 3)), network_of(), network_of(dtype=np.float32)
    double.parameters.flat[...] = single.parameters.flat
    wanted, made = double.predict(structures, stress=True), single.predict(structures, stress=True)
    for name in ("energies", "forces", "stress"):
        error = np.abs(getattr(made, name) - getattr(wanted, name)).max()
        assert error <= 1e-4 * np.abs(getattr(wanted, name)).max()
    (loss, gradient), (other, found) = double.loss(structures, TERMS), single.loss(structures, TERMS)
    assert found.dtype == np.float32
    assert other == pytest.approx(loss, rel=1e-4)
    assert np.linalg.norm(found - gradient) <= 1e-3 * np.linalg.norm(gradient)
