"""Attention, convolutions and learned charges in networks of two rounds: derivatives, invariances, files, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from derivatives import force_error, gradient_error, stress_error
from drawn_structures import SPECIES, make_structures
from measures import relative
from scipy.stats import special_ortho_group

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    P3MCalculator,
)
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights, MessagePassingNetwork
from lrc_numba.training import polish

CUTOFF = 1.5
ALL = LossWeights(energy=0.3, forces=1.0, stress=0.5)
ATTENTION = {"long_range": 4, "long_range_form": "attention", "heads": 2, "keys": 2}


def ewald() -> EwaldCalculator:
    """With few modes: derivatives are those of what is computed."""
    return EwaldCalculator(CoulombPotential(0.6), 2.5, 6.0)


FORMS = {
    "none": dict,
    "attention": lambda: ATTENTION | {"sigma": (0.5, 0.7), "train_sigma": True},
    "one sigma": lambda: ATTENTION | {"sigma": 0.6, "readout": "rounds"},
    "paper": lambda: ATTENTION | {"sigma": 0.6, "kernel": "paper", "train_sigma": True},
    "gaussians": lambda: ATTENTION | {"sigma": 0.5, "kernel": "gaussians", "train_sigma": True},
    "convolution of gaussians": lambda: {"long_range": 2, "kernel": "gaussians", "sigma": 0.5, "train_sigma": True},
    "charges": lambda: {"charges": ewald(), "charge_channels": 2},
    "neutral": lambda: {"charges": ewald(), "total_charge": 0.0, "charge_parameters": ["prefactor"]},
    "attention and charges": lambda: ATTENTION | {"sigma": 0.6, "charges": ewald(), "total_charge": "given"},
    "convolution and charges": lambda: {"long_range": 2, "charges": ewald(), "readout": "rounds"},
}


def network_of(form: str, **options) -> MessagePassingNetwork:
    """Two rounds, off the start values."""
    own = {"channels": 8, "rounds": 2, "basis": 3, "seed": 2} | FORMS[form]() | options
    own |= {"eps": 1e-4} if "long_range" in own else {}
    network = MessagePassingNetwork(SPECIES, CUTOFF, **own)
    for name, view in network.parameters.items():
        if not name.endswith(("sigma", "sigmas", "amplitudes", "prefactor")):
            view += 0.05 * np.random.default_rng(1).standard_normal(view.shape)
    return network


def crystals(form: str = "", counts=(4, 1, 3), seed: int = 5) -> Structures:
    """In cells of their own; without charges where these would not add up to what is asked."""
    made = make_structures(3, counts, seed=seed)
    return replace(made, charges=None) if form == "neutral" else made


def molecules(counts=(5, 1, 4), seed: int = 0, form: str = "") -> Structures:
    """Without cells."""
    sides = tuple(1.6 * n ** (1 / 3) + 0.5 for n in counts)
    made = make_structures(3, counts, sides, periodic=False, seed=seed)
    return replace(made, charges=None) if form == "neutral" else made


EVERY = pytest.mark.parametrize("form", list(FORMS))
QUICK = ("none", "attention", "convolution of gaussians")  # what the others are made of


# ---------------------------------------------------------------------- derivatives
@pytest.mark.parametrize(
    "form", [form if form in QUICK else pytest.param(form, marks=pytest.mark.slow) for form in FORMS]
)
def test_derivatives(form):
    """Forces, stresses, and the gradient of a loss of both by every named parameter, through two rounds."""
    network, structures = network_of(form), crystals(form)
    assert force_error(network, structures) <= 1e-9
    assert stress_error(network, structures) <= 1e-9
    assert gradient_error(network, structures, ALL) <= 1e-6


@pytest.mark.parametrize(
    "form",
    [
        "attention and charges",
        *(pytest.param(form, marks=pytest.mark.slow) for form in ("attention", "gaussians", "neutral")),
    ],
)
def test_derivatives_without_cells(form):
    """Forces, and the gradient of a loss."""
    network, structures = network_of(form), molecules(form=form)
    assert force_error(network, structures) <= 1e-9
    assert gradient_error(network, structures, LossWeights(energy=0.5)) <= 1e-6


# ---------------------------------------------------------------------- invariances
@pytest.mark.parametrize("form", ["attention", "gaussians", "one sigma", "convolution of gaussians"])
def test_isolated_molecules_may_turn(form):
    """Energies stay to rounding whatever eps, as pairs in open space know no direction, number or place."""
    network, molecule = network_of(form, eps=1e-3), molecules(counts=(7,), seed=3)
    made, turn = network.predict(molecule), special_ortho_group.rvs(3, random_state=1)
    for other, wanted in (
        (replace(molecule, positions=molecule.positions @ turn + 2.0), made.forces @ turn),
        (replace(molecule, positions=molecule.positions[::-1], species=molecule.species[::-1]), made.forces[::-1]),
    ):
        found = network.predict(other)
        assert abs(found.energies[0] / made.energies[0] - 1) <= 1e-10
        assert relative(found.forces, wanted) <= 1e-10


@pytest.mark.parametrize("form", ["attention", "gaussians", "one sigma", "attention and charges"])
def test_supercells(form):
    """Twice the cell, twice the energy, and the same stress: nothing is divided by the number of points."""
    network, crystal = network_of(form, eps=1e-6), crystals(counts=(4,))
    cell = crystal.cell[0]
    double = Structures.from_arrays(
        np.concatenate([crystal.positions, crystal.positions + cell[0]]),
        np.diag([2, 1, 1]) @ cell,
        species=np.tile(crystal.species, 2),
        charges=np.tile(crystal.charges, 2),
    )
    one, two = (network.predict(each, stress=True) for each in (crystal, double))
    # Modes end with a sphere inscribed in those that are kept; Ewald's with its few modes is right to 1e-5 only.
    bound = 1e-4 if "charges" in form else 10 * network.eps
    np.testing.assert_allclose(two.energies[0] / 2, one.energies[0], rtol=bound)
    assert relative(two.forces, np.tile(one.forces, (2, 1))) <= bound
    assert relative(two.stress, one.stress) <= bound


@pytest.mark.parametrize("form", ["attention", "gaussians"])
def test_energies_are_continuous_in_the_cell(form):
    """Also where modes come in: nothing is larger than eps when they do, of what the long range carries."""
    network, crystal = network_of(form, eps=1e-5), crystals(counts=(4,))
    scales = np.linspace(0.9, 1.1, 101)
    way = Structures.concatenate(
        [replace(crystal, positions=x * crystal.positions, cell=x * crystal.cell) for x in scales]
    )
    made = network.predict(way)
    size = np.abs(made.forces).max()
    curve = np.polynomial.Chebyshev.fit(scales, made.energies, 16)
    assert np.abs(curve(scales) - made.energies).max() <= 10 * network.eps * np.abs(made.energies).max()
    assert np.abs(np.diff(made.forces.reshape(101, -1), n=2, axis=0)).max() <= 0.05 * size


# ---------------------------------------------------------------------- charges
def test_charges_add_up():
    """To what was asked for, in every structure; free ones to anything."""
    given = crystals()
    charges = network_of("attention and charges").values(given, "q")[:, 0]
    sums = np.bincount(given.structure_of, charges)
    np.testing.assert_allclose(sums, np.bincount(given.structure_of, given.charges), atol=1e-12)
    neutral = network_of("neutral").values(crystals("neutral"), "q")[:, 0]
    np.testing.assert_allclose(np.bincount(given.structure_of, neutral), 0.0, atol=1e-12)
    zeros = replace(given, charges=np.zeros(len(given.positions)))  # as ASE gives them where nobody has set any
    np.testing.assert_array_equal(network_of("neutral").values(zeros, "q")[:, 0], neutral)


def test_energy_of_charges_is_that_of_the_calculator():
    """Of the charges that the network says."""
    network, structures = network_of("neutral", charge_parameters=()), crystals("neutral")
    q = network.values(structures, "q")[:, 0]
    wanted = ewald().compute(structures, q).energy
    found = network.values(structures, "charge e")[:, 0]
    np.testing.assert_allclose(np.bincount(structures.structure_of, found), wanted, rtol=1e-12)


# ---------------------------------------------------------------------- training, files, ASE
@pytest.mark.parametrize("form", ["attention", "attention and charges"])
def test_training(form):
    """A few steps towards the energies and forces of another network of its kind make the loss smaller."""
    network, structures, weights = network_of(form), crystals(form, (3, 2)), LossWeights(energy=1.0)
    wanted = network_of(form, seed=3).predict(structures)
    structures = replace(structures, energies=wanted.energies, forces=wanted.forces)
    before = network.loss_alone(structures, weights)
    polish(network, structures, weights, iterations=20, progress=False)
    assert network.loss_alone(structures, weights) < 0.1 * before


@EVERY
def test_stored(form, tmp_path):
    """The same numbers from a file, to the last bit."""
    network, structures = network_of(form), crystals(form)
    network.save(tmp_path / "network.npz")
    again = EnergyNetwork.load(tmp_path / "network.npz")
    assert again.settings() == network.settings()
    first, second = (each.predict(structures, stress=True) for each in (network, again))
    np.testing.assert_array_equal(first.forces, second.forces)
    np.testing.assert_array_equal(first.stress, second.stress)


@pytest.mark.parametrize(
    "calculator",
    [
        EwaldCalculator(InversePowerLawPotential(2.0, 0.7, 0.5), 2.0),
        MeshCalculator(CoulombPotential(0.6, exclusion_radius=1.2), 2.0, eps=1e-4, spacing=0.4),
        EwaldCalculator(CombinedPotential([CoulombPotential(), InversePowerLawPotential(2.0)], (0.5, 0.2), 0.6), 2.0),
    ],
)
def test_calculators_in_files(calculator):
    """What was written makes a calculator that describes itself alike, but for its threads, in the first line."""
    network = MessagePassingNetwork(SPECIES, CUTOFF, channels=8, charges=calculator)
    again = MessagePassingNetwork.from_settings(network.settings())
    assert again.settings() == network.settings()
    (first,), (second,) = ([part for part in n.program.parts if hasattr(part, "calculator")] for n in (network, again))
    assert repr(first.calculator).splitlines()[1:] == repr(second.calculator).splitlines()[1:]
    assert type(first.calculator) is type(second.calculator)


def excluding(degree) -> EwaldCalculator:
    return EwaldCalculator(CoulombPotential(0.6, exclusion_radius=1.0, exclusion_degree=degree), 2.5, 6.0)


@pytest.mark.parametrize(
    "options",
    [
        {"charges": ewald(), "total_charge": np.int64(0)},
        {"charges": ewald(), "total_charge": np.float32(1)},
        {"charges": ewald(), "charge_channels": np.int64(2)},
        {"charge_channels": np.int64(1)},
        {"charges": ewald(), "charge_parameters": np.array(["prefactor"])},
        {"charges": excluding(np.int64(2))},
        {"long_range": np.int64(4), "heads": np.int32(2), "sigma": np.array([0.5, 0.6]), "train_sigma": np.bool_(True)}
        | {"eps": np.float32(1e-3), "extent": np.float32(9), "long_range_form": np.str_("attention")},
    ],
)
def test_numbers_of_numpy_in_files(options, tmp_path):
    """They become Python's own where a network is made: what cannot be saved is not found out after training."""
    network = MessagePassingNetwork(SPECIES, np.float32(CUTOFF), channels=np.int64(8), rounds=np.int64(1), **options)
    network.save(tmp_path / "network.npz")
    again = EnergyNetwork.load(tmp_path / "network.npz")
    np.testing.assert_array_equal(again.parameters.flat, network.parameters.flat)


def test_a_single_parameter_of_a_potential():
    """Its name is not split into letters."""
    makes = [MessagePassingNetwork(SPECIES, CUTOFF, channels=8, charges=ewald(), charge_parameters=names)
             for names in ("smearing", ["smearing"])]  # fmt: skip
    assert makes[0].settings() == makes[1].settings()
    with pytest.raises(TypeError, match="charge_parameters: expected names, got 3"):
        MessagePassingNetwork(SPECIES, CUTOFF, channels=8, charges=ewald(), charge_parameters=3)


def test_ase():
    """Its calculator gives the numbers of the network."""
    ase = pytest.importorskip("ase")
    from lrc_numba.md import LRCCalculator

    network, crystal = network_of("attention and charges", total_charge=0.0), crystals("neutral", (4,))
    atoms = ase.Atoms(crystal.species, crystal.positions, cell=crystal.cell[0], pbc=True)
    atoms.calc = LRCCalculator(network)
    made = network.predict(crystal, stress=True)
    assert atoms.get_potential_energy() == pytest.approx(made.energies[0], rel=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), made.forces, rtol=0, atol=1e-12 * np.abs(made.forces).max())
    stress = atoms.get_stress(voigt=False)
    np.testing.assert_allclose(stress, made.stress[0], rtol=0, atol=1e-12 * np.abs(stress).max())


def test_parameters_are_counted():
    """By what they do; all of them."""
    network = network_of("attention and charges")
    counts = network.count_parameters()
    assert set(counts) == {"embedding", "messages", "long range", "learned charges", "readout", "total"}
    assert counts["long range"] == 2 * (2 * 8 * 4 + 2 * 8 * 4)  # q, k, v and out of two rounds: keys 2 x 2, values 4
    assert counts["total"] == network.parameters.flat.size == sum(counts.values()) - counts["total"]
    assert "long range" in repr(network)
    assert str(counts["total"]) in repr(network)


# ---------------------------------------------------------------------- bad input
REFUSED = {
    "heads": ({"long_range": 5, "heads": 2}, "long_range: expected a multiple of heads, 2"),
    "no heads": ({"heads": 0}, "heads: expected an integer of at least one, got 0"),
    "keys": ({"keys": 0}, "keys: expected an integer of at least one, got 0"),
    "sigmas": ({"sigma": (0.5, 0.5, 0.5)}, "sigma: expected one width, or one for each of 2 heads, got 3"),
    "no width": ({"sigma": (0.5, 0.0)}, "sigma: expected a number above 0"),
    "form": ({"long_range_form": "softmax"}, "long_range_form: expected one of 'convolution', 'attention'"),
    "kernel": ({"kernel": "yukawa"}, "kernel: expected one of"),
    "extent": ({"extent": -1.0}, "extent: expected a number above 0"),
    "form of nothing": ({"long_range_form": "softmax", "long_range": 0}, "long_range_form: expected one of 'convol"),
    "kernel of nothing": ({"kernel": "yukawa", "long_range": 0}, "kernel: expected one of"),
    "single": ({"eps": 1e-9, "dtype": "float32"}, "eps: 1e-09 is out of reach in float32; expected at least 1.0e-05"),
    "double": ({"eps": 1e-14}, "eps: 1e-14 is out of reach in float64; expected at least 1.0e-13"),
    "readout": ({"readout": "first"}, "readout: expected one of 'last', 'rounds'"),
    "channels": ({"charges": ewald(), "charge_channels": 0}, "charge_channels: expected an integer of at least one"),
    "total": ({"charges": ewald(), "total_charge": "none"}, "total_charge: expected one of 'given'"),
    "learn": ({"charges": ewald(), "charge_parameters": ["mass"]}, "learn: expected some of"),
    "dimensions": ({"charges": ewald(), "dim": 2}, "charges: expected dim=3 with them, got 2"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused(name):
    """A ValueError that names the argument."""
    options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        MessagePassingNetwork(SPECIES, CUTOFF, channels=8, **(ATTENTION | options))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("long_range_form", "attention"),
        ("heads", 2),
        ("keys", 2),
        ("kernel", "paper"),
        ("sigma", 0.5),
        ("train_sigma", True),
        ("eps", 1e-3),
        ("extent", 9.0),
    ],
)
def test_settings_of_no_long_range(name, value, tmp_path):
    """They would say what is not there. Files name them all, also those of networks without a long range."""
    with pytest.raises(ValueError, match=f"{name}: expected .* without a long range, got .*; pass long_range"):
        MessagePassingNetwork(SPECIES, CUTOFF, channels=8, **{name: value})
    network = MessagePassingNetwork(SPECIES, CUTOFF, channels=8, rounds=1, long_range_form=None, dtype=np.float32)
    settings = network.settings()
    written = settings | {name: value}
    opened = MessagePassingNetwork.from_settings(written).settings()
    assert opened | {"long_range_form": None} == settings
    network.save(tmp_path / "network.npz")
    again = EnergyNetwork.load(tmp_path / "network.npz")
    np.testing.assert_array_equal(again.parameters.flat, network.parameters.flat)


@pytest.mark.parametrize(("name", "value"), [("heads", 2), ("keys", 2)])
def test_settings_of_attention_alone(name, value):
    """A convolution has neither; files that name them open."""
    with pytest.raises(ValueError, match=f"{name}: expected . without attention, got 2; pass long_range_form='attent"):
        MessagePassingNetwork(SPECIES, CUTOFF, channels=8, long_range=2, **{name: value})
    network = MessagePassingNetwork(SPECIES, CUTOFF, channels=8, long_range=2, rounds=1, dtype=np.float32)
    written = network.settings() | {name: value}
    assert MessagePassingNetwork.from_settings(written).settings() == network.settings()


def test_structures_that_are_refused():
    """Charged ones where neutrality was asked, none where sums were, and what does not fit into the padded box."""
    charged = crystals(counts=(4,))
    with pytest.raises(ValueError, match=r"charges: structure 0 has a total charge of .*, and 0 was asked for"):
        network_of("neutral").predict(charged)
    with pytest.raises(ValueError, match="charges: expected those of every structure"):
        network_of("attention and charges").predict(replace(charged, charges=None))
    with pytest.raises(ValueError, match=r"positions: structure 0 extends over .* made for an extent of 0\.5"):
        network_of("attention", extent=0.5).predict(molecules())
    with pytest.raises(TypeError, match="charges: expected a calculator"):
        MessagePassingNetwork(SPECIES, CUTOFF, charges="ewald")
    with pytest.raises(ValueError, match="P3MCalculator has no derivatives by learned charges"):
        MessagePassingNetwork(SPECIES, CUTOFF, charges=P3MCalculator(CoulombPotential(0.6), 2.0, mesh_spacing=0.5))


def test_memory(monkeypatch):
    """A MemoryError before work."""
    monkeypatch.setattr("lrc_numba.networks.parts.attention.available_memory", lambda: 2**20)
    network = network_of("one sigma", long_range=1024, heads=1, keys=1024)
    with pytest.raises(MemoryError, match="structures: 8 points with 1048576 channels"):
        network.predict(crystals())
