"""Networks of messages that are refused, and their files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_structures import make_structures
from messages import ALL, CUTOFF, KINDS, molecules, network_of

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights, ShortRangeNetwork
from lrc_numba.networks.composed import MessagePassingNetwork


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
            assert "allow_pickle" not in str(error.value)  # which would run what a file of somebody else says
    assert type(EnergyNetwork.load(tmp_path / "short.npz")) is ShortRangeNetwork
    with pytest.raises(FileNotFoundError):
        EnergyNetwork.load(tmp_path / "none.npz")
    with pytest.raises(NotImplementedError, match="has no settings to be stored"):
        EnergyNetwork(network_of("near").program, cutoff=CUTOFF, dim=3, full_pairs=True).save(tmp_path / "own.npz")
