"""What networks and programs say where they are used in a way that would go wrong silently."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import (
    EnergyNetwork,
    FullRangeNetwork,
    LossWeights,
    MessagePassingNetwork,
    ShortRangeNetwork,
)
from lrc_numba.networks.layers.perceptron import Perceptron
from lrc_numba.networks.long_range import CoulombKernel
from lrc_numba.networks.parts.activation import Activation
from lrc_numba.networks.parts.attention import Attention, Heads
from lrc_numba.networks.parts.charges import TotalCharge
from lrc_numba.networks.parts.convolution import Convolution, SeriesEnd
from lrc_numba.networks.parts.dense import Concatenate, Dense, Linear, Scale
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.geometry import Directions, Displacements, Distances
from lrc_numba.networks.parts.messages import Messages
from lrc_numba.networks.parts.pairs import Gather, PairEnergies, Scatter
from lrc_numba.networks.parts.part import GEOMETRY
from lrc_numba.networks.parts.products import Add, Norm, Product
from lrc_numba.networks.parts.program import Program, Step
from lrc_numba.networks.parts.radial import RadialBasis
from lrc_numba.networks.parts.select import Select, Zeros
from lrc_numba.networks.references import ReferenceEnergies
from lrc_numba.networks.short_range import Descriptor, Scales

CUTOFF = 1.5


# ---------------------------------------------------------------------- attributes
def test_assigning_to_the_parameters():
    """What is assigned is copied into the vector, of which the views stay views; what cannot be is said."""
    network, structures = (
        MessagePassingNetwork(SPECIES, CUTOFF, channels=8, rounds=1),
        make_structures(3, (4, 3), seed=1),
    )
    before, view = network.predict(structures).energies, network.parameters["energy.weight0"]
    doubled = 2 * network.parameters.flat
    network.parameters.flat = doubled
    np.testing.assert_array_equal(network.parameters.flat, doubled)
    assert np.shares_memory(view, network.parameters.flat)
    assert not np.shares_memory(doubled, network.parameters.flat)
    assert (np.abs(network.predict(structures).energies - before) > 1e-3).all()
    network.parameters.flat *= 0.5
    np.testing.assert_array_equal(network.predict(structures).energies, before)
    for wrong, message in (
        (doubled[:-1], "parameters: expected .* numbers, shape .*, got shape"),
        (np.full_like(doubled, np.nan), "parameters: expected finite numbers, got .* others"),
        (np.full(doubled.shape, "x"), "parameters: expected .* numbers, shape .* of <U1"),
    ):
        with pytest.raises(ValueError, match=message):
            network.parameters.flat = wrong
    np.testing.assert_array_equal(network.predict(structures).energies, before)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: MessagePassingNetwork(SPECIES, CUTOFF, channels=8), ("cutoff", "dtype", "channels", "eps", "species")),
        (lambda: ShortRangeNetwork(5.0, 1.0, dim=1), ("box", "cutoff", "dim", "full_pairs", "program", "parameters")),
        (lambda: FullRangeNetwork(5.0, 1.0, 15, dim=1), ("modes", "lam", "seed", "cutoff_kind")),
    ],
)
def test_settings_are_not_replaced(make, names):
    """Parts were made with them, and files would tell of another network; a copy can be made."""
    network = make()
    for name in names:
        with pytest.raises(AttributeError, match=f"{name}: .* was made with it"):
            setattr(network, name, deepcopy([getattr(network, name)]))
    with pytest.raises(AttributeError, match="output: Program was made with it; make another program"):
        network.program.output = network.program.steps[0].output
    assert isinstance(deepcopy(network), EnergyNetwork)


# ---------------------------------------------------------------------- programs
def program(*ending: Step, output: str = "e") -> Program:
    """Pairs with a radial basis of six, scalars of eight numbers and messages, and some more lines."""
    steps = [
        Step(Displacements(), (GEOMETRY,), "D"),
        Step(Distances(), ("D",), "r"),
        Step(Directions(), ("D", "r"), "u"),
        Step(RadialBasis(CUTOFF, 6), ("r",), "basis"),
        Step(Embedding("kind", SPECIES, 8), (), "s"),
        Step(Zeros(3, 8), (), "v"),
        Step(Linear("radial", 6, 24), ("basis",), "w"),
        Step(Linear("send", 8, 24), ("s",), "x"),
        Step(Messages(), ("x", "w", "u", "v"), "m"),
        Step(Select(0), ("m",), "ms"),
        *ending,
    ]
    return Program(steps, output)


ENERGY = Step(Linear("energy", 8, 1), ("ms",), "e")
PAIRS = Step(Linear("energy", 6, 1), ("basis",), "e")


def network_of(made: Program, **options) -> EnergyNetwork:
    """Of a program, off its start values."""
    network = EnergyNetwork(made, **({"cutoff": CUTOFF, "dim": 3, "full_pairs": True, "threads": 1} | options))
    network.parameters.flat[...] += 0.1
    return network


def test_outputs_that_are_no_energies():
    """More numbers than one for each point: forces would be those of their sum, and energies those of the first."""
    structures = make_structures(3, (4, 3), seed=1)
    network = network_of(program(output="ms"))
    for ask in (
        lambda: network.predict(structures),
        lambda: network.predict(structures, forces=False),
        lambda: network.loss(structures, LossWeights(energy=1.0, forces=0.0)),
        lambda: network.loss(structures, LossWeights(energy=1.0)),
    ):
        with pytest.raises(ValueError, match=r"output: expected 'ms' of shape \(4, 1\), one for each point, got"):
            ask()
    assert network.values(structures, "ms").shape == (7, 8)


def test_rows_of_pairs_and_of_points():
    """Told apart when a program is made, by output and part; how many there are of each may be the same."""
    for steps, message in (
        ((PAIRS,), "output: 'e' has a row for each pair, and energies are numbers for each point"),
        (
            (Step(Add(), ("s", "basis"), "e"),),
            r"steps: 'e' by Add from \('s', 'basis'\) reads rows of points and of pairs",
        ),
        ((Step(Concatenate(), ("s", "w"), "e"),), "steps: 'e' by Concatenate .* reads rows of points and of pairs"),
        (
            (Step(Gather("first"), ("basis",), "e"),),
            "steps: 'e' by Gather .* each of the points, and 'basis' has one for",
        ),
        ((Step(Scatter(), ("s",), "e"),), "steps: 'e' by Scatter .* each of the pairs, and 's' has one for"),
        ((Step(PairEnergies("p", SPECIES, 8), ("s",), "e"),), "steps: 'e' by PairEnergies 'p' .* and 's' has one"),
        ((Step(RadialBasis(1.0, 3), ("s",), "e"),), "steps: 'e' by RadialBasis .* and 's' has one"),
    ):
        with pytest.raises(ValueError, match=message):
            program(*steps)
    made = network_of(program(Step(PAIRS.part, ("basis",), "p"), Step(Scatter(), ("p",), "e")))
    assert np.isfinite(made.predict(make_structures(3, (4,), seed=1)).energies).all()


def test_inputs_of_lines():
    """As many as a part reads, and the geometry first where it looks at that: else forces would be zero."""
    for step, message in (
        (
            Step(Displacements(), ("s",), "e"),
            r"steps: 'e' by Displacements from \('s'\) reads 'geometry' first, got 's'",
        ),
        (Step(Messages(), ("x", "w", "u"), "e"), "steps: 'e' by Messages .*: missing a required argument"),
        (Step(Select(0), ("m", "v"), "e"), "steps: 'e' by Select .*: too many positional arguments"),
        (Step(Zeros(3), ("m",), "e"), "steps: 'e' by Zeros .*: too many positional arguments"),
    ):
        with pytest.raises(ValueError, match=message):
            program(step)
    for values, inputs, message in (
        ("features", (GEOMETRY,), "'e' by Convolution .*: expected features as its second input"),
        ("ones", (GEOMETRY, "s"), "'e' by Convolution .*: expected the geometry alone, as its values are 'ones'"),
    ):
        part = Convolution(CoulombKernel(0.6), SeriesEnd((9.0,)), 1e-5, values, 1024)
        with pytest.raises(ValueError, match=f"steps: {message}"):
            network_of(program(Step(part, inputs, "e"))).predict(make_structures(3, (4, 3), seed=1))


def test_parts_say_which_pairs_they_need():
    """Half a list leaves out half of the messages, a full one counts pairs twice, a short one cuts functions off."""
    cases = {
        "Messages": ENERGY,
        "PairEnergies 'p'": Step(PairEnergies("p", SPECIES, 6), ("basis",), "e"),
        "Scatter": Step(Scatter(), ("one",), "e"),
    }
    for part, step in cases.items():
        made = program(Step(Linear("one", 6, 1), ("basis",), "one"), step)
        with pytest.raises(
            ValueError, match=rf"full_pairs: '.*' by {part} from .* needs every pair from both its ends; pass"
        ):
            EnergyNetwork(made, cutoff=CUTOFF, dim=3)
        with pytest.raises(
            ValueError, match=r"cutoff: 'basis' by RadialBasis from \('r'\) reaches 1.5, and .* beyond 1.2"
        ):
            EnergyNetwork(made, cutoff=1.2, dim=3, full_pairs=True)
        assert EnergyNetwork(made, cutoff=1.7, dim=3, full_pairs=True).cutoff == 1.7
    described = Program(
        [
            Step(Descriptor(1, 1.0, "smooth", Scales()), (GEOMETRY,), "D"),
            Step(Dense(Perceptron("fit", (64, 1))), ("D",), "e"),
        ],
        "e",
    )
    with pytest.raises(
        ValueError, match=r"full_pairs: 'D' by Descriptor .* needs every pair once; pass full_pairs=False"
    ):
        EnergyNetwork(described, cutoff=1.0, dim=1, full_pairs=True)
    with pytest.raises(
        ValueError, match=r"cutoff: 'D' by Descriptor .* reaches 1, and there would be no pairs beyond 0.5"
    ):
        EnergyNetwork(described, cutoff=0.5, dim=1)


def test_both_ends_of_half_a_list():
    """Sums over the first and over the second end are one over all neighbours."""
    structures, one = make_structures(3, (4, 3), seed=1), Step(Linear("one", 6, 1), ("basis",), "one")
    ends = [Step(Scatter(end, every=False), ("one",), end) for end in ("first", "second")]
    half = network_of(program(one, *ends, Step(Add(), ("first", "second"), "e")), full_pairs=False)
    full = network_of(program(one, Step(Scatter(), ("one",), "e")))
    wanted = full.predict(structures)
    made = half.predict(structures)
    np.testing.assert_allclose(made.potentials, wanted.potentials, rtol=1e-13)
    np.testing.assert_allclose(made.forces, wanted.forces, rtol=0, atol=1e-13 * np.abs(wanted.forces).max())


WRONG_WIDTHS = {
    "dense": (Step(Dense(Perceptron("p", (16, 8, 1))), ("ms",), "e"), r"'e' by Dense 'p' .*\(n, 16\), got"),
    "half": (Step(Dense(Perceptron("p", (4, 8, 1))), ("ms",), "e"), r"'e' by Dense 'p' .*\(n, 4\), got \(4, 8\)"),
    "linear": (Step(Linear("l", 5, 1), ("ms",), "e"), r"'e' by Linear 'l' from \('ms'\): expected shape \(n, 5\)"),
    "pairs": (Step(PairEnergies("p", SPECIES, 5), ("basis",), "e"), r"'e' by PairEnergies 'p' .*, 5\), got .*, 6\)"),
    "add": (Step(Add(), ("s", "one"), "e"), r"'e' by Add .*: expected shape \(4, 8\), got \(4, 1\)"),
    "product": (Step(Product("nc,nc->nc"), ("s", "one"), "e"), r"'e' by Product .* got shapes \(4, 8\) and \(4, 1\)"),
    "axes": (Step(Product("nc,nac->nac"), ("s", "one"), "e"), r"'e' by Product .* got shapes \(4, 8\) and \(4, 1\)"),
    "norm": (Step(Norm(), ("s",), "e"), r"'e' by Norm .*: expected vectors of shape \(n, d, C\), got \(4, 8\)"),
    "select": (Step(Select(0, 9), ("m",), "e"), r"'e' by Select .* got shape \(\d, 4, 8\)"),
    "radial": (Step(RadialBasis(1.0, 3), ("D",), "b"), r"'b' by RadialBasis .*, 1\), got .*, 3\)"),
    "messages": (Step(Messages(), ("s", "w", "u", "v"), "e"), r"'e' by Messages .*: expected .*\(4, 24\), got"),
    "vectors": (Step(Messages(), ("x", "w", "u", "s"), "e"), "'e' by Messages .*: expected vectors of shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG_WIDTHS))
def test_wrong_widths(name):
    """The line, what its part expects and what came, also where numpy would spread one column over several."""
    step, message = WRONG_WIDTHS[name]
    lines = [Step(Linear("one", 8, 1), ("s",), "one"), step]
    if step.output == "b":
        lines.append(Step(PairEnergies("p", SPECIES, 3), ("b",), "e"))
    network, structures = network_of(program(*lines)), make_structures(3, (4, 3), seed=1)
    for forces in (True, False):
        with pytest.raises(ValueError, match=f"steps: {message}"):
            network.predict(structures, forces=forces)


# ---------------------------------------------------------------------- arguments
ARGUMENTS = {
    "activation": (lambda: Perceptron("p", (8, 1), activation="x"), "activation: expected one of 'tanh', 'relu'"),
    "feature map": (lambda: Activation("x"), "name: expected one of 'silu', 'tanh', 'relu', 'linear', got 'x'"),
    "widths": (lambda: Perceptron("p", (8, 0)), "sizes: expected an integer of at least one, got 0"),
    "a width": (lambda: Perceptron("p", (8,)), r"sizes: expected two widths or more, got \(8,\)"),
    "linear": (lambda: Linear("l", 8, 1.5), r"sizes: expected an integer of at least one, got 1\.5"),
    "cutoff of a basis": (lambda: RadialBasis(-4.0, 6), r"cutoff: expected a number above 0 and below inf, got -4\.0"),
    "orders": (lambda: RadialBasis(4.0, 0), "orders: expected an integer of at least one, got 0"),
    "no orders": (lambda: RadialBasis(4.0, ()), "orders: expected at least one, got none"),
    "powers": (lambda: RadialBasis(4.0, (1, 2.5), "inverse"), r"orders: expected an integer of at least one, got 2\.5"),
    "length": (lambda: RadialBasis(4.0, 2, "inverse", length=0.0), "length: expected a number above 0"),
    "core": (lambda: RadialBasis(4.0, 2, core=-1.0), "core: expected a number above 0"),
    "order of species": (lambda: Embedding("k", (8, 1), 1), r"species: expected them rising, .* as \(1, 8\)"),
    "species twice": (lambda: PairEnergies("p", (1, 1), 2), r"species: expected them rising, each once, as \(1,\)"),
    "references": (lambda: ReferenceEnergies((8, 1), [0.0, 1.0]), r"species: expected them rising, .* as \(1, 8\)"),
    "width of species": (lambda: Embedding("k", (1, 8), 0), "width: expected an integer of at least one, got 0"),
    "shape": (lambda: Zeros(3, 0), "shape: expected an integer of at least one, got 0"),
    "axes": (lambda: Product("nc,nc"), "axes: expected two inputs and an output, such as 'nac,nac->nc', got 'nc,nc'"),
    "softening": (lambda: Norm(0.0), "softening: expected a number above 0"),
    "heads": (lambda: Heads(1, 0, 4), "keys: expected an integer of at least one, got 0"),
    "fields": (
        lambda: Attention(Heads(1, 1, 1), [Convolution(CoulombKernel(0.6), SeriesEnd((9.0,)), 1e-5, "ones")]),
        "fields: expected convolutions of features, got one of ones",
    ),
    "total": (lambda: TotalCharge("x"), "total: expected one of 'given', got 'x'"),
    "no total": (lambda: TotalCharge(np.nan), "total: expected a finite number, got nan"),
    "scale": (lambda: Scale(0.0, 0.0), r"shift, scale: expected finite numbers, and no scale of zero, got 0\.0, 0\.0"),
    "extent": (
        lambda: Convolution(CoulombKernel(0.6), SeriesEnd((9.0,)), 1e-5, extent=-1.0),
        "extent: expected a number above 0",
    ),
    "dim": (lambda: network_of(program(ENERGY), dim=7), "dim: expected 1, 2 or 3, got 7"),
    "total charge": (
        lambda: MessagePassingNetwork([1], 1.0, channels=8, total_charge=1.0),
        r"total_charge: expected None without learned charges, got 1\.0; pass charges",
    ),
    "charge channels": (
        lambda: MessagePassingNetwork([1], 1.0, channels=8, charge_channels=0),
        "charge_channels: expected 1 without learned charges, got 0; pass charges",
    ),
    "charge parameters": (
        lambda: MessagePassingNetwork([1], 1.0, channels=8, charge_parameters=["x"]),
        r"charge_parameters: expected \(\) without learned charges, got \('x',\); pass charges",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ARGUMENTS))
def test_arguments(name):
    """Of parts and networks, when they are made."""
    make, message = ARGUMENTS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_integers_of_numpy():
    """Count as integers do."""
    assert RadialBasis(4.0, np.int64(6)).count == 6
    assert Perceptron("p", (np.int64(3), 1)).shapes()["p.weight0"] == (3, 1)
    assert network_of(program(ENERGY), dim=np.int64(3)).dim == 3


def test_programs_that_are_none():
    """A list of lines is no program yet."""
    with pytest.raises(TypeError, match="program: expected a Program, got list"):
        EnergyNetwork([ENERGY], cutoff=1.0, dim=3)


def test_which_points_count():
    """A bool for each point."""
    structures, network = make_structures(3, (4, 3), seed=1), network_of(program(ENERGY))
    for wrong in (np.ones(6, dtype=bool), [True], np.arange(7), np.ones((7, 1), dtype=bool)):
        with pytest.raises(ValueError, match=r"counted: expected a bool for every point, shape \(7,\), got shape"):
            network.predict(structures, counted=wrong)
    made = network.predict(structures, counted=[True] * 7)
    np.testing.assert_array_equal(made.energies, network.predict(structures).energies)


def test_values_of_no_points():
    """Rows of nothing, as wide as those of something."""
    for make in (
        lambda: FullRangeNetwork(5.0, 1.0, 15, dim=1),
        lambda: MessagePassingNetwork([1], 1.0, channels=8, long_range=2, dim=1),
    ):
        network = make()
        name = "u" if network.kind == "full-range" else "u0"
        structures = [Structures.from_arrays(np.zeros((n, 1)), 5.0, species=[1] * n) for n in (0, 1)]
        nothing, point = (network.values(each, name) for each in structures)
        assert nothing.shape == (0, point.shape[1])
        assert nothing.dtype == point.dtype
