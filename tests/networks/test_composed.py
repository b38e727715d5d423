"""Message passing with and without a long range: derivatives, invariances, its convolution, bad input and files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from derivatives import force_error, gradient_error, stress_error
from drawn_structures import SPECIES, drawn_structures, make_structures
from hypothesis import given, settings
from measures import relative
from scipy.stats import special_ortho_group

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights, ShortRangeNetwork
from lrc_numba.networks.composed import MessagePassingNetwork

CUTOFF = 1.5
ALL = LossWeights(energy=0.3, forces=1.0, stress=0.5)
TERMS = {
    "energy": LossWeights(energy=1.0, forces=0.0),
    "forces per point": LossWeights(per_point=True),
    "stress": LossWeights(forces=0.0, stress=1.0),
    "all per point": LossWeights(energy=0.3, forces=1.0, stress=0.5, per_point=True),
}
KINDS = pytest.mark.parametrize("kind", ["near", "far"])


def network_of(kind: str, dim: int = 3, **options) -> MessagePassingNetwork:
    """Two rounds, "far" with a long range whose width is learned; off its start values."""
    own: dict = {"channels": 8, "rounds": 2, "basis": 3, "dim": dim, "seed": 2}
    if kind == "far":
        own |= {"long_range": 2, "train_sigma": True, "sigma": 0.6}
    network = MessagePassingNetwork(SPECIES, CUTOFF, **(own | options))
    for name, view in network.parameters.items():
        if not name.endswith("sigma"):
            view += 0.05 * np.random.default_rng(1).standard_normal(view.shape)
    return network


def molecules(dim: int = 3, counts=(5, 1, 4), seed: int = 0) -> Structures:
    """Structures without cells."""
    return make_structures(dim, counts, tuple(1.6 * n ** (1 / dim) + 0.5 for n in counts), periodic=False, seed=seed)


# ---------------------------------------------------------------------- derivatives
@KINDS
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_forces_and_stresses(kind, dim):
    """F = −∂U/∂x and V σ = ∂U/∂ε, of drawn structures of different sizes and cells."""
    network = network_of(kind, dim)

    @settings(max_examples=4)
    @given(structures=drawn_structures(dim, periodic=True, most=5))
    def holds(structures):
        assert force_error(network, structures) <= 1e-9
        assert stress_error(network, structures) <= 1e-9

    holds()


@pytest.mark.parametrize(("kind", "dim"), [("near", 1), ("near", 2), ("near", 3), ("far", 1), ("far", 2), ("far", 3)])
def test_forces_without_cells(kind, dim):
    """F = −∂U/∂x, of drawn structures that are not periodic."""
    network = network_of(kind, dim)

    @settings(max_examples=4)
    @given(structures=drawn_structures(dim, periodic=False, most=5))
    def holds(structures):
        assert force_error(network, structures) <= 1e-9

    holds()


@KINDS
@pytest.mark.parametrize("dim", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_gradient_of_a_loss(kind, dim):
    """By every named parameter, of energies, forces and stresses."""
    structures = make_structures(dim, (4, 1, 3), seed=5)
    assert gradient_error(network_of(kind, dim), structures, ALL) <= 1e-6


@pytest.mark.parametrize("terms", list(TERMS))
def test_gradients_of_single_terms(terms):
    """Each term alone, and counted by the number of points."""
    structures = make_structures(3, (4, 1, 3), seed=6)
    assert gradient_error(network_of("far", rounds=1), structures, TERMS[terms]) <= 1e-6


def test_gradient_without_cells():
    """Of energies and forces, of molecules."""
    assert gradient_error(network_of("far"), molecules(), LossWeights(energy=0.5)) <= 1e-6


@pytest.mark.parametrize("dim", [1, 2])
def test_work_without_cells(dim):
    """Energy that is gained is the work of the forces, all the way of a third point from 4 to 16: in any cell made for
    it, by the rule of Simpson, whose error here is below that of the kernel."""
    network, way = network_of("far", dim, long_range=4), np.linspace(4.0, 16.0, 121)
    points = np.zeros((len(way), 3, dim))
    points[:, 1, 0], points[:, 2, 0] = 1.0, way
    made = network.predict(Structures.from_arrays(points, species=SPECIES))
    forces, step = made.forces.reshape(points.shape)[:, 2, 0], way[1] - way[0]
    work = -step / 3 * (forces[:-2:2] + 4 * forces[1:-1:2] + forces[2::2])
    gained = made.energies[2::2] - made.energies[:-2:2]
    assert np.abs(gained - work).max() <= 10 * network.eps * max(np.abs(made.energies).max(), 1.0)


def test_cells_too_small_for_the_long_range():
    """Its modes are all cut off there: the energy is that of the messages, also beside a cell that has some."""
    network = MessagePassingNetwork([29], 2.0, channels=8, rounds=1, long_range=4, seed=1)
    crystals = [Structures.from_arrays(np.zeros((1, 3)), cell, species=[29]) for cell in (0.8, 6.0)]
    made = network.predict(Structures.concatenate(crystals), stress=True)
    assert np.isfinite(made.energies).all()
    assert force_error(network, crystals[0]) <= 1e-9
    assert stress_error(network, crystals[0]) <= 1e-9
    assert not network.values(crystals[0], "u0").any()
    np.testing.assert_allclose(made.energies[1], network.predict(crystals[1]).energies[0], rtol=1e-12)


def test_cells_smaller_than_the_cutoff():
    """Points send messages to their own images."""
    network, structures = network_of("far", 2), make_structures(2, (2, 1), (1.6, 1.4), seed=1)
    assert force_error(network, structures) <= 1e-9
    assert stress_error(network, structures) <= 1e-9


# ---------------------------------------------------------------------- invariances
def molecule_in(molecule: Structures, order: np.ndarray) -> Structures:
    """The same with its points numbered anew."""
    return replace(molecule, positions=molecule.positions[order], species=molecule.species[order])


@KINDS
def test_moved_numbered_and_turned(kind):
    """Energies stay, and forces turn: to rounding, with a long range in other directions to its accuracy."""
    network, molecule = network_of(kind), molecules(counts=(6,), seed=3)
    made = network.predict(molecule)
    order = np.random.default_rng(0).permutation(6)
    turn = special_ortho_group.rvs(3, random_state=1)
    mirror = turn * np.array([-1.0, 1.0, 1.0])
    far = 10 * network.eps if kind == "far" else 1e-12
    cases = [
        (replace(molecule, positions=molecule.positions + 3.1), made.forces, 1e-11),
        (molecule_in(molecule, order), made.forces[order], 0),
        (replace(molecule, positions=molecule.positions @ turn), made.forces @ turn, far),
        (replace(molecule, positions=molecule.positions @ mirror), made.forces @ mirror, far),
    ]
    for moved, wanted, bound in cases:
        found = network.predict(moved)
        np.testing.assert_allclose(found.energies, made.energies, rtol=max(bound, 1e-12))
        assert relative(found.forces, wanted) <= max(bound, 1e-12)


@KINDS
def test_lattices_described_otherwise(kind):
    """Other lattice vectors and images of the points are the same crystal; a doubled cell has twice the energy."""
    network, crystal = network_of(kind), make_structures(3, (3,), (2.4,), seed=4)
    made, cell = network.predict(crystal, stress=True), crystal.cell[0]
    images = crystal.positions + np.array([[1, 0, -2], [0, 3, 0], [0, 0, 0]]) @ cell
    skewed = replace(crystal, positions=images, cell=(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ cell)[None])
    double = Structures.from_arrays(
        np.concatenate([crystal.positions, crystal.positions + cell[1]]),
        np.diag([1, 2, 1]) @ cell,
        species=np.tile(crystal.species, 2),
    )
    # The modes of a cell are those below a wavenumber along each axis: others of other axes, where a series ends.
    bound = 10 * network.eps if kind == "far" else 1e-12
    found, twice = network.predict(skewed, stress=True), network.predict(double, stress=True)
    np.testing.assert_allclose([found.energies[0], twice.energies[0] / 2], made.energies[0], rtol=bound)
    assert relative(found.forces, made.forces) <= bound
    assert relative(twice.forces, np.tile(made.forces, (2, 1))) <= bound
    assert relative(found.stress, made.stress) <= bound
    assert relative(twice.stress, made.stress) <= bound


def test_a_pair_that_crosses_the_cutoff():
    """Energy and force are continuous, and so is the slope of the force; see ``radial``."""
    network, around = network_of("near"), CUTOFF + np.linspace(-1e-3, 1e-3, 21)
    pairs = Structures.from_arrays([np.array([[0.0, 0, 0], [r, 0, 0]]) for r in around], species=[1, 6])
    made = network.predict(pairs)
    assert np.abs(np.diff(made.energies)).max() <= 1e-6  # ~ (1 − r/R)³
    assert np.abs(np.diff(made.forces[1::2, 0], n=2)).max() <= 1e-6
    assert made.energies[0] != made.energies[-1]


# ---------------------------------------------------------------------- batches
def test_energies_do_not_depend_on_the_size_of_a_batch():
    """Structures that share a cell are snapshots of one plan; to rounding each is alone."""
    network = network_of("far")
    structures = make_structures(3, (4, 2, 3), (2.5, 2.5, 2.5), seed=9)
    same = replace(structures, cell=np.broadcast_to(structures.cell[0], structures.cell.shape).copy())
    made = network.predict(same)
    alone = np.concatenate([network.predict(each).energies for each in same])
    np.testing.assert_allclose(made.energies, alone, rtol=1e-12)


# ---------------------------------------------------------------------- energies of species
def test_references_are_fitted():
    """To energies that are sums over species they are exact, whatever the network says."""
    network, structures = network_of("near"), make_structures(3, (3, 4, 5, 2, 6), seed=2)
    own = np.array([-1000.0, 20.0, 3.0])
    totals = [own[np.searchsorted(SPECIES, each.species)].sum() for each in structures]
    known = replace(structures, energies=network.predict(structures).energies + totals)
    network.fit_references(known)
    np.testing.assert_allclose(network.references.energies, own, rtol=1e-10)
    np.testing.assert_allclose(network.predict(structures).energies, known.energies, rtol=1e-12)


# ---------------------------------------------------------------------- what is refused
def refused() -> dict:
    """What is asked for, and the message."""
    data = make_structures(3, (3, 4), seed=8)
    strange, twice = data.species.copy(), data.positions.copy()
    strange[4], twice[5] = 7, twice[4]
    slab = np.array([[True, True, True], [True, True, False]])
    return {
        "unknown species": (
            lambda network: network.predict(replace(data, species=strange)),
            r"species: 7 of point 1 of structure 1 is none of the known ones, \(1, 6, 8\)",
        ),
        "no species": (
            lambda network: network.predict(replace(data, species=None)),
            "species: expected some of .* got none",
        ),
        "two in one place": (
            lambda network: network.predict(replace(data, positions=twice)),
            "got 1 and 2 of structure 1",
        ),
        "other dimension": (
            lambda network: network.predict(molecules(2)),
            "structures: expected 3 dimension.s., got 2",
        ),
        "slab": (
            lambda network: network.predict(replace(data, periodic=slab)),
            "periodic: structure 1 is periodic along some axes alone; expected all or none",
        ),
        "stress of a molecule": (
            lambda network: network.predict(molecules(), stress=True),
            "stress: expected a cell, periodic along all axes, for structure 0",
        ),
        "no energies": (
            lambda network: network.fit_references(replace(data, energies=None)),
            "energies: expected them for",
        ),
        "no forces": (lambda network: network.loss(replace(data, forces=None), ALL), "forces: expected them for every"),
        "no such name": (lambda network: network.values(data, "s9"), "name: expected one of"),
    }


def refused_settings() -> dict:
    """The same of networks that are not made."""
    make = MessagePassingNetwork
    return {
        "channels": (lambda network: make((1,), 1.0, channels=12), "channels: expected a multiple of 8, got 12"),
        "no channels": (lambda network: make((1,), 1.0, channels=0), "channels: expected a multiple of 8, got 0"),
        "half a channel": (
            lambda network: make((1,), 1.0, channels=8.0),
            r"channels: expected a multiple of 8, got 8\.0",
        ),
        "rounds": (lambda network: make((1,), 1.0, rounds=1.5), "rounds: expected an integer of at least one, got 1.5"),
        "basis": (lambda network: make((1,), 1.0, basis=0), "basis: expected an integer of at least one, got 0"),
        "long range": (
            lambda network: make((1,), 1.0, long_range=-1),
            "long_range: expected an integer of at least zero",
        ),
        "sigma": (lambda network: make((1,), 1.0, sigma=0.0), "sigma: expected a number above 0"),
        "eps": (lambda network: make((1,), 1.0, eps=-1.0), "eps: expected a number above 0"),
        "eps in single precision": (
            lambda network: make((1,), 1.0, long_range=1, dtype=np.float32, eps=1e-9),
            "eps: 1e-09 is out of reach in float32; expected at least 1.0e-05",
        ),
        "eps in double precision": (
            lambda network: make((1,), 1.0, long_range=1, eps=1e-16),
            "eps: 1e-16 is out of reach in float64; expected at least 1.0e-13",
        ),
        "names as species": (lambda network: make(["H"], 1.0), "species: expected integers from 0 on.* got 'H'"),
        "digits as species": (lambda network: make("12", 1.0), "species: expected integers from 0 on.* got '1'"),
        "half a species": (lambda network: make((1.5,), 1.0), r"species: expected integers from 0 on.* got 1\.5"),
        "negative species": (lambda network: make((-1,), 1.0), "species: expected integers from 0 on.* got -1"),
        "seed": (lambda network: make((1,), 1.0, seed=-1), "seed: expected an integer from 0 on, got -1"),
        "no known species": (lambda network: make((), 1.0), "species: expected at least one, got none"),
        "dimension": (lambda network: make((1,), 1.0, dim=4), "dim: expected 1, 2 or 3, got 4"),
        "cutoff": (lambda network: make((1,), -1.0), "cutoff: expected a number above 0"),
        "references": (
            lambda network: make((1, 6), 1.0, references=[0.0]),
            "references: expected a finite energy for each",
        ),
        "no number as reference": (
            lambda network: make((1,), 1.0, references=[np.nan]),
            "references: expected a finite energy",
        ),
    }


def test_references_are_in_the_order_of_the_species():
    """As they were given, whatever order the network has them in; in files they are rising."""
    network = MessagePassingNetwork([8, 1], 1.0, channels=8, references=[-2000.0, -13.0])
    assert network.species == (1, 8)
    np.testing.assert_array_equal(network.references.energies, [-13.0, -2000.0])
    same = MessagePassingNetwork.from_settings(network.settings())
    np.testing.assert_array_equal(same.references.energies, [-13.0, -2000.0])
    with pytest.raises(ValueError, match=r"species: expected each once where references .*, got \[1, 1\]"):
        MessagePassingNetwork([1, 1], 1.0, channels=8, references=[-13.0, -14.0])


def test_words_for_numbers():
    """A TypeError that names the argument."""
    with pytest.raises(TypeError, match="train_sigma: expected True or False, got 'no'"):
        MessagePassingNetwork((1,), 1.0, long_range=1, train_sigma="no")
    for name in ("core", "sigma"):
        with pytest.raises(TypeError, match=f"{name}: expected a number, got str"):
            MessagePassingNetwork((1,), 1.0, **{name: "a"})


@pytest.mark.parametrize("name", list(refused() | refused_settings()))
def test_what_is_refused(name):
    """A ValueError that names the argument, the structure and the point."""
    ask, message = (refused() | refused_settings())[name]
    with pytest.raises(ValueError, match=message):
        ask(network_of("far"))


def test_one_species_need_not_be_told():
    """A network of one species takes structures without any; a lone point has no forces."""
    network = MessagePassingNetwork([6], CUTOFF, channels=8, rounds=1, long_range=1)
    points = np.array([[0.0, 0, 0], [1.0, 0, 0]])
    made, told = (network.predict(Structures.from_arrays(points, species=own)) for own in (None, [6, 6]))
    np.testing.assert_array_equal(made.forces, told.forces)
    lone = network.predict(Structures.from_arrays(points[:1]))
    np.testing.assert_allclose(lone.forces, 0.0, atol=1e-12)
    _, gradient = network.loss(
        Structures.from_arrays(points[:1], energies=1.0, forces=points[:1]), LossWeights(energy=1.0)
    )
    assert np.isfinite(gradient).all()


def test_nothing_to_predict():
    """No structure, or structures without a point."""
    network = network_of("far")
    for counts in ((), (0, 0), (0, 2, 0)):
        structures = make_structures(3, counts, tuple(3.0 for _ in counts))
        made = network.predict(structures, stress=True)
        assert made.energies.shape == (len(counts),)
        assert made.energies.dtype == np.float64
        assert made.forces.shape == (sum(counts), 3)
        assert made.stress.shape == (len(counts), 3, 3)
        assert not made.energies[np.array(counts, dtype=int) == 0].any()


# ---------------------------------------------------------------------- files
@KINDS
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_saved_and_loaded(kind, dtype, tmp_path):
    """The same bits, also where the kind is not named; sizes may be NumPy's numbers."""
    own = {"channels": np.int64(16), "basis": np.int32(4), "rounds": 1, "seed": 5}
    own, structures = own | ({"eps": 3e-4} if kind == "far" else {}), make_structures(3, (4, 1, 3), seed=5)
    network = network_of(kind, np.int64(3), dtype=dtype, references=[-1.5, 0.0, 1e5], **own)
    network.save(tmp_path / "network.npz")
    wanted = network.predict(structures, stress=True)
    for load in (MessagePassingNetwork.load, EnergyNetwork.load):
        same = load(tmp_path / "network.npz", threads=1)
        assert type(same) is MessagePassingNetwork
        assert same.settings() == network.settings()
        assert {name: getattr(same, name) for name in own} == own
        np.testing.assert_array_equal(same.parameters.flat, network.parameters.flat)
        made = same.predict(structures, stress=True)
        for name in ("energies", "potentials", "forces", "stress"):
            np.testing.assert_array_equal(getattr(made, name), getattr(wanted, name))
        assert same.loss(structures, ALL)[0] == network.loss(structures, ALL)[0]


def broken_files(folder):
    """Files that are no such network, and what is said about them."""
    network_of("far").save(folder / "whole.npz")
    ShortRangeNetwork(5.0, 1.0, dim=1).save(folder / "short.npz")
    whole = (folder / "whole.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "text.npz").write_text("no network")
    np.savez(folder / "foreign.npz", positions=np.zeros((3, 3)))
    with np.load(folder / "whole.npz") as file:
        header, flat = str(file["header"]), file["parameters"]
    nan = flat.copy()
    nan[3] = np.nan
    for name, text, numbers in (
        ("fewer", header, flat[:-1]),
        ("nan", header, nan),
        ("single", header, flat.astype(np.float32)),
        ("odd", header.replace('"channels": 8', '"channels": 9'), flat),
        ("more", header.replace('"channels"', '"chanels": 1, "channels"'), flat),
        ("kind", header.replace("message-passing", "message-sending"), flat),
    ):
        np.savez(folder / f"{name}.npz", header=np.array(text), parameters=numbers)
    yield from (("cut", "damaged"), ("text", "damaged"), ("foreign", "damaged"), ("fewer", "finite parameters"))
    yield from (("nan", "1 of them no numbers"), ("single", "in float64 .* got shape .* in float32"))
    yield from (("odd", "make no network.*channels"), ("more", "make no network.*chanels"))
    yield from (("kind", "message-sending"), ("short", "expected a message-passing network in .*, got a short-range"))


def test_files_that_are_no_network(tmp_path):
    """A ValueError that names the file."""
    for name, message in broken_files(tmp_path):
        for load in (MessagePassingNetwork.load, EnergyNetwork.load)[: 1 if name == "short" else 2]:
            with pytest.raises(ValueError, match=message) as error:
                load(tmp_path / f"{name}.npz")
            assert f"{name}.npz" in str(error.value)
    assert type(EnergyNetwork.load(tmp_path / "short.npz")) is ShortRangeNetwork
    with pytest.raises(FileNotFoundError):
        EnergyNetwork.load(tmp_path / "none.npz")
    with pytest.raises(NotImplementedError, match="has no settings to be stored"):
        EnergyNetwork(network_of("near").program, cutoff=CUTOFF, dim=3, full_pairs=True).save(tmp_path / "own.npz")
