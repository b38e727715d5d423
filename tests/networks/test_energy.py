"""Networks of the paper for structures of any kind: forces, stresses, gradients of losses, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from derivatives import force_error, gradient_error, stress_error
from drawn_structures import SPECIES, drawn_structures, make_structures
from hypothesis import given, settings

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, LossWeights, ShortRangeNetwork, portions
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.program import Program, Step
from lrc_numba.networks.references import ReferenceEnergies

CUTOFF = 1.4
WEIGHTS = {
    "all": LossWeights(energy=0.3, forces=1.0, stress=0.5),
    "all per point": LossWeights(energy=0.3, forces=1.0, stress=0.5, per_point=True),
    "energy": LossWeights(energy=1.0, forces=0.0),
    "forces": LossWeights(),
    "forces per point": LossWeights(per_point=True),
    "stress": LossWeights(forces=0.0, stress=1.0),
}


@cache
def network_of(kind: str, dim: int):
    """A network off its start values, with scales of its own; tests leave it as it is."""
    if kind == "short":
        network = ShortRangeNetwork(6.0, CUTOFF, dim=dim, seed=2)
    else:
        modes = {1: 15, 2: 9, 3: 9}[dim]
        network = FullRangeNetwork(6.0, CUTOFF, modes, dim=dim, lam=(1.3, 2.5), seed=2, eps=1e-1)
    network.set_scales(make_structures(dim, (6, 7, 8, 6), seed=11))
    flat = network.parameters.flat
    flat += 0.05 * np.random.default_rng(1).standard_normal(flat.size)
    return network


def engines(*dims: int):
    """Networks by their dimension; the convolution of more than one takes long to compile."""
    cases = [("short", dim) for dim in dims] + [("full", dim) for dim in dims]
    return pytest.mark.parametrize(
        ("kind", "dim"),
        [pytest.param(*case, marks=pytest.mark.slow) if case in (("full", 2), ("full", 3)) else case for case in cases],
    )


@engines(1, 2, 3)
def test_forces_and_stresses(kind, dim):
    """F = −∂U/∂x and V σ = ∂U/∂ε, of drawn structures of different sizes and cells."""
    network = network_of(kind, dim)

    @settings(max_examples=5)
    @given(structures=drawn_structures(dim, periodic=True))
    def holds(structures):
        assert force_error(network, structures) <= 1e-9
        assert stress_error(network, structures) <= 1e-9

    holds()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_forces_without_cells(dim):
    """F = −∂U/∂x, of drawn structures that are not periodic."""
    network = network_of("short", dim)

    @settings(max_examples=5)
    @given(structures=drawn_structures(dim, periodic=False))
    def holds(structures):
        assert force_error(network, structures) <= 1e-9

    holds()


def test_cells_smaller_than_the_cutoff():
    """Points see their own images, several of them."""
    network = network_of("short", 2)
    structures = make_structures(2, (2, 1, 1), (1.2, 0.8, 0.6), seed=1)
    assert force_error(network, structures) <= 1e-9
    assert stress_error(network, structures) <= 1e-9
    assert gradient_error(network, structures, WEIGHTS["all"]) <= 1e-6


@engines(1, 2, 3)
def test_gradient_of_a_loss(kind, dim):
    """By every named parameter, of energies, forces and stresses."""
    network, structures = network_of(kind, dim), make_structures(dim, (5, 1, 6), seed=5)
    assert gradient_error(network, structures, WEIGHTS["all"]) <= 1e-6


@pytest.mark.parametrize("terms", [name for name in WEIGHTS if name != "all"])
@pytest.mark.parametrize("kind", ["short", pytest.param("full", marks=pytest.mark.slow)])
def test_gradients_of_single_terms(kind, terms):
    """Each term alone, and counted by the number of points."""
    network, structures = network_of(kind, 1), make_structures(1, (5, 1, 6), seed=6)
    assert gradient_error(network, structures, WEIGHTS[terms]) <= 1e-6


def test_points_in_the_box_are_structures():
    """Arrays mean the same as structures in the cell of the box."""
    network = network_of("short", 2)
    points = np.stack([make_structures(2, (6,), (6.0,), periodic=False, seed=seed).positions for seed in (1, 2)])
    structures = Structures.from_arrays(points, 6.0)
    energies, forces = network.energy_forces(points)
    np.testing.assert_array_equal(network.energy(structures), energies)
    np.testing.assert_array_equal(network.energy_forces(structures)[1], forces.reshape(-1, 2))


def test_nothing_to_predict():
    """No structure, or structures without a point, have energies 0; there is nothing to learn from them."""
    network = network_of("short", 2)
    for counts in ((), (0, 0)):
        structures = make_structures(2, counts, tuple(3.0 for _ in counts))
        made = network.predict(structures, stress=True)
        assert made.energies.shape == (len(counts),)
        assert not made.energies.any()
        assert made.forces.shape == (0, 2)
        assert made.stress.shape == (len(counts), 2, 2)
        with pytest.raises(ValueError, match="points: expected at least one structure of one point, got none"):
            network.loss(structures, WEIGHTS["all"])


@pytest.mark.parametrize("counts", [(2, 3), (0, 0), ()])
def test_energies_are_in_double_precision(counts):
    """In single precision too, with reference energies and without, and of nothing."""
    program = Program([Step(Embedding("kind", SPECIES, 1), (), "e")], "e")
    structures = make_structures(1, counts, tuple(3.0 for _ in counts))
    for references in (None, ReferenceEnergies(SPECIES, [-1e5, 2e3, 0.5])):
        network = EnergyNetwork(program, cutoff=CUTOFF, dim=1, dtype=np.float32, references=references)
        made = network.predict(structures, forces=False)
        assert made.energies.dtype == made.potentials.dtype == np.float64
        known = np.zeros(sum(counts)) if references is None else references.of_points(structures)
        rows = network.parameters["kind.rows"][np.searchsorted(SPECIES, structures.species), 0]
        wanted = np.array([(rows.astype(float) + known)[lo:hi].sum() for lo, hi in pairwise(structures.offsets)])
        np.testing.assert_allclose(made.energies, wanted, rtol=1e-15)  # some units of rounding


@pytest.mark.parametrize("kind", ["short", "full"])
def test_a_structure_without_points_among_others(kind):
    """It has no energy, and changes nothing."""
    network, structures = network_of(kind, 1), make_structures(1, (4, 0, 3), (5.0, 5.0, 4.0), seed=3)
    made, others = network.predict(structures, stress=True), structures[np.array([0, 2])]
    wanted = network.predict(others, stress=True)
    assert made.energies[1] == 0
    assert not made.stress[1].any()
    np.testing.assert_allclose(made.energies[[0, 2]], wanted.energies, rtol=1e-12)
    np.testing.assert_allclose(made.forces, wanted.forces, rtol=0, atol=1e-12 * np.abs(wanted.forces).max())
    assert gradient_error(network, structures, WEIGHTS["forces"]) <= 1e-6


@pytest.mark.parametrize("kind", ["short", "full"])
def test_many_structures_go_in_portions(kind, monkeypatch):
    """Whose values are those of all at once, and whose errors name structures as among all."""
    network, structures = network_of(kind, 1), make_structures(1, (4, 0, 3, 6, 2), (5.0, 5.0, 4.0, 7.0, 3.0), seed=3)
    counted = np.arange(len(structures.positions)) % 3 > 0

    def ask() -> list[np.ndarray]:
        made = network.predict(structures, stress=True, counted=counted)
        alone = network.predict(structures, forces=False)
        assert alone.forces is None
        assert alone.stress is None
        losses = [network.loss_alone(structures, weights) for weights in WEIGHTS.values()]
        inside = network.values(structures, "D")
        return [made.energies, made.potentials, made.forces, made.stress, alone.energies, np.array(losses), inside]

    wanted, shares, scene = ask(), [], network.scene
    monkeypatch.setattr(portions, "AT_ONCE", 7)
    monkeypatch.setattr(type(network), "scene", lambda self, some: shares.append(len(some)) or scene(some))
    for got, each in zip(ask(), wanted, strict=True):
        np.testing.assert_allclose(got, each, rtol=0, atol=1e-12 * np.abs(each).max())
    assert shares[:2] == [3, 1]  # 4 + 0 + 3 points, and then 6, which are too many with 2 more
    structures.positions[-1] = structures.positions[-2]
    with pytest.raises(ValueError, match="structure 4"):
        network.predict(structures)


def test_lone_points():
    """A point, or points that are no neighbours, have the energy of no neighbours and no forces."""
    network = network_of("short", 3)
    apart = Structures.from_arrays([np.zeros((1, 3)), np.eye(3) * 5.0])
    made = network.predict(apart)
    np.testing.assert_allclose(made.potentials, made.potentials[0], rtol=1e-14)
    assert not made.forces.any()


@pytest.mark.slow
def test_a_cell_of_one_mode():
    """It has k = 0 alone, of which the long range has nothing: u is 0, by a plan as well."""
    network, tiny = network_of("full", 1), Structures.from_arrays(np.zeros((1, 1)), 0.3)
    made = network.predict(tiny, stress=True)
    assert np.isfinite(made.energies).all()
    assert np.isfinite(made.stress).all()
    assert force_error(network, tiny) <= 1e-9


def refused() -> dict:
    """What is asked for, and the message."""
    data = make_structures(2, (3, 4), seed=8)
    line = make_structures(1, (3, 4), seed=8)
    open_line = make_structures(1, (3, 4), periodic=False, seed=8)
    twice = data.positions.copy()
    twice[5] = twice[4]
    partly = np.array([[True, True], [True, False]])
    return {
        "other dimension": (lambda short, full: short.predict(line), "structures: expected 2 dimension.s., got 1"),
        "two in one place": (
            lambda short, full: short.predict(replace(data, positions=twice)),
            "got 1 and 2 of structure 1",
        ),
        "not a number": (
            lambda short, full: Structures.from_arrays([[0.0, np.nan]]),
            "positions: expected finite numbers, got .* for point 0 of structure 0",
        ),
        "no cell for the long range": (
            lambda short, full: full.predict(open_line),
            "periodic: expected structure 0 to be periodic, which",
        ),
        "stress without cell": (
            lambda short, full: short.predict(make_structures(2, (3,), periodic=False), stress=True),
            "stress: expected a cell, periodic along all axes, for structure 0",
        ),
        "stress of a slab": (
            lambda short, full: short.predict(replace(data, periodic=partly), stress=True),
            "stress: expected a cell, periodic along all axes, for structure 1",
        ),
        "loss of stress of a slab": (
            lambda short, full: short.loss(replace(data, periodic=partly), WEIGHTS["stress"]),
            "stress: expected a cell, periodic along all axes, for structure 1",
        ),
        "no energies": (
            lambda short, full: short.loss(replace(data, energies=None), WEIGHTS["all"]),
            "energies: expected them for every structure, as their weight is 0.3, got none",
        ),
        "no forces": (
            lambda short, full: short.loss(replace(data, forces=None), WEIGHTS["all"]),
            "forces: expected them",
        ),
        "no stress": (
            lambda short, full: short.loss_alone(replace(data, stress=None), WEIGHTS["all"]),
            "stress: expected them",
        ),
        "negative weight": (
            lambda short, full: LossWeights(energy=-1.0),
            "energy: expected a finite number that is not",
        ),
        "weight is no number": (lambda short, full: LossWeights(stress=np.nan), "stress: expected a finite number"),
        "no weight": (
            lambda short, full: LossWeights(forces=0.0),
            "energy, forces, stress: expected a weight above zero",
        ),
        "no references": (lambda short, full: short.fit_references(data), "references: this network knows no species"),
    }


@pytest.mark.parametrize("name", list(refused()))
def test_what_is_refused(name):
    """A ValueError that names the argument, the structure and the point."""
    ask, message = refused()[name]
    with pytest.raises(ValueError, match=message):
        ask(network_of("short", 2), network_of("full", 1))


def test_points_that_are_no_structures():
    """A TypeError for what only some networks take."""
    with pytest.raises(TypeError, match="structures: expected Structures, got list"):
        super(ShortRangeNetwork, network_of("short", 1)).as_structures([[0.0]])


def test_a_slab():
    """Partly periodic structures are taken by neighbours, and refused by a convolution."""
    structures = make_structures(2, (3, 4), seed=8)
    slab = replace(structures, periodic=np.array([[True, True], [True, False]]))
    assert force_error(network_of("short", 2), slab) <= 1e-9
    full = FullRangeNetwork(6.0, CUTOFF, 9, dim=2, lam=(1.3,))
    with pytest.raises(ValueError, match="periodic: structure 1 is periodic along some axes alone; expected all"):
        full.predict(slab)
