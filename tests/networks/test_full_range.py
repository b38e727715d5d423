"""How networks begin, and what a full-range one reads: no mean in u, no ringing, and a g that passes it on."""

from __future__ import annotations

import numpy as np
import pytest

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet
from lrc_numba.geometry.structures import Structures
from lrc_numba.machine.workspace import Workspace
from lrc_numba.nbody import PairPotential, Snapshots, sample_points
from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork
from lrc_numba.networks.start import bent, centred_outputs
from lrc_numba.training import force_error

BOX, CUTOFF, MODES = 4.0, 1.5, 9


def long_features(network: FullRangeNetwork, points: np.ndarray) -> np.ndarray:
    """What g reads, (points, C): u, shifted and scaled."""
    return network.values(points, "scaled u")


def features(network: ShortRangeNetwork, points: np.ndarray) -> np.ndarray:
    """What the fitting network reads, (points, features)."""
    return network.values(points, "features" if isinstance(network, FullRangeNetwork) else "D")


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
@pytest.mark.parametrize("lam", [(1.3,), (0.4, 4.0), (0.4, 1.0, 4.0)])
def test_no_draw_of_g_is_dead(seed, lam):
    """Its outputs start with a spread of 1 and no kink among the points, and more than one channel moves them."""
    points = sample_points(20, (4, 4), 1, BOX / 4, 0.1, np.random.default_rng(7))
    network = FullRangeNetwork(BOX, CUTOFF, MODES, lam=lam, seed=seed, dim=2, eps=1e-5)
    network.set_scales(points)
    inputs = long_features(network, points)
    outputs, _ = network.post.forward(network.parameters, inputs, Workspace())
    outputs = outputs - outputs.mean(axis=0)
    assert not bent(network.post, network.parameters, inputs)
    assert np.sqrt((outputs**2).mean()) == pytest.approx(1.0)
    assert np.linalg.svd(outputs, compute_uv=False)[min(len(lam), 2) - 1] > 0.01 * np.linalg.norm(outputs)


@pytest.mark.parametrize("kind", [ShortRangeNetwork, FullRangeNetwork])
def test_how_the_fitting_network_starts(kind):
    """Its first tanh begin each at a place of its own and nearly linear there, also where scales are set again."""
    points = sample_points(20, (4, 4), 1, BOX / 4, 0.1, np.random.default_rng(7))
    network = kind(BOX, CUTOFF, **{"modes": MODES, "eps": 1e-5} if kind is FullRangeNetwork else {}, dim=2)
    start = network.parameters["fit.bias0"].copy()  # as drawn, before it knows of data
    for _ in range(2):
        network.set_scales(points)
        z = features(network, points) @ network.parameters["fit.weight0"] + network.parameters["fit.bias0"]
        np.testing.assert_allclose(z.mean(axis=0), start, atol=1e-12)
        assert (z.std(axis=0) < 0.3).all()
    assert 0.4 < start.std() < 1.0
    assert np.abs(start).max() < 2.5  # none is saturated


def test_a_full_range_network_starts_short_ranged():
    """What it reads of the convolution counts for nothing before training, but training can let it count."""
    points = sample_points(20, (4, 4), 1, BOX / 4, 0.1, np.random.default_rng(7))
    networks = [FullRangeNetwork(BOX, CUTOFF, MODES, lam=lam, dim=2, eps=1e-5) for lam in ((0.4, 4.0), (1.0, 3.0))]
    for network in networks:
        network.set_scales(points)
    one, other = (network.energy_forces(points) for network in networks)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    networks[0].parameters.flat -= 1e-3 * networks[0].loss_gradient(points, np.zeros_like(points))[1]
    assert (networks[0].parameters["fit.weight0"][networks[0].descriptor.width :] != 0).any()


def test_means_of_u_do_not_move():
    """The mode k = 0 is left out, so u has no mean over the box, whatever λ."""
    network = FullRangeNetwork(BOX, CUTOFF, MODES, lam=(0.01, 4.0), dim=1)
    places = np.linspace(0, BOX, 64, endpoint=False)[None, :, None]  # as good as every place
    found = network.values(places, "u")
    assert np.abs(found).max() < 1e-6


def _far_bend(network, points) -> float:
    """Largest second difference of g_θ on lines through û of the points that go on to twelve spreads."""
    inputs = long_features(network, points)
    middle, spread = inputs.mean(axis=0), inputs.std(axis=0)
    line = np.linspace(-12, 12, 241)[:, None]
    bends = []
    for direction in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)):
        out = network.post.forward(network.parameters, middle + line * spread * direction, Workspace())[0]
        bends.append(np.abs(np.diff(out, n=2, axis=0)).max())
    return max(bends)


@pytest.mark.parametrize("off", [False, True])
def test_moved_kinks(off):
    """Energies and forces at the points stay; beyond them g_θ goes on as it is among them, without a bend."""
    points = sample_points(50, (4, 4), 1, BOX / 4, 0.1, np.random.default_rng(7))
    network = FullRangeNetwork(BOX, CUTOFF, MODES, seed=1, dim=2, eps=1e-5)
    network.set_scales(points)
    for layer in range(5):  # all on among the points
        network.parameters[f"g.weight{layer}"][...] = np.abs(network.parameters[f"g.weight{layer}"])
    inputs = long_features(network, points)
    if off:  # a relu that comes on just beyond the points
        z = inputs @ network.parameters["g.weight0"][:, 0]
        network.parameters["g.bias0"][0] = -z.max() - 0.1 * z.std()
    read = network.parameters["fit.weight0"][network.descriptor.width :]  # nothing at the start
    outputs = network.post.forward(network.parameters, inputs, Workspace())[0]
    read += np.random.default_rng(8).standard_normal(read.shape) / np.linalg.norm(outputs, axis=1).max()
    before = network.energy_forces(points)
    assert _far_bend(network, points) > 1e-3
    network.move_kinks(points, spreads=200.0)
    for one, other in zip(network.energy_forces(points), before, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10 * np.abs(other).max())
    assert _far_bend(network, points) < 1e-9
    for spreads in (-1.0, 1e300):
        with pytest.raises(ValueError, match="spreads: expected"):
            network.move_kinks(points, spreads=spreads)
    with pytest.raises(ValueError, match="points: expected at least one snapshot"):
        network.move_kinks(points[:0])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_kinks_among_the_points(share):
    """They stay, but where they are asked to go as well: then g_θ is linear there, and passes on both channels."""
    points = sample_points(50, (4, 4), 1, BOX / 4, 0.1, np.random.default_rng(7))
    network = FullRangeNetwork(BOX, CUTOFF, MODES, seed=1, dim=2, eps=1e-5)
    network.set_scales(points)
    for layer in range(5):
        weight, bias = network.parameters[f"g.weight{layer}"], network.parameters[f"g.bias{layer}"]
        weight[...] = np.random.default_rng(layer).standard_normal(weight.shape)
        bias[...] = -np.quantile(_before(network, points, layer), share, axis=0)
    network.move_kinks(points)
    assert bent(network.post, network.parameters, long_features(network, points))
    network.move_kinks(points, spreads=200.0, among=True)
    assert not bent(network.post, network.parameters, long_features(network, points))
    inputs = long_features(network, points)
    outputs = centred_outputs(network.post, network.parameters, inputs)
    inputs -= inputs.mean(axis=0)
    linear = inputs @ np.linalg.lstsq(inputs, outputs)[0]
    np.testing.assert_allclose(outputs, linear, rtol=0, atol=1e-9 * np.abs(outputs).max())
    assert np.linalg.matrix_rank(outputs, tol=1e-6 * np.abs(outputs).max()) == 2


def _before(network: FullRangeNetwork, points: np.ndarray, layer: int) -> np.ndarray:
    """What the relus of a layer are given, but for its biases."""
    h = long_features(network, points)
    for before in range(layer):
        h = np.maximum(h @ network.parameters[f"g.weight{before}"] + network.parameters[f"g.bias{before}"], 0)
    return h @ network.parameters[f"g.weight{layer}"]


def test_the_series_ends_along_every_axis():
    """Also in a box that is no cube, with one mode along an axis: the Gaussian is that of the axis that ends first."""
    network = FullRangeNetwork((4.0, 8.0, 4.0), CUTOFF, (9, 9, 1), dim=3)
    modes = ModeSet(Cell((4.0, 8.0, 4.0), 3), (9, 9, 1))
    last = 2 * np.pi / 8.0 * 4
    taper = (
        network.multiplier.values(modes)[:, modes.k2 > 0]
        / Yukawa([1.0, 1.0], network.settings()["lam"]).values(modes)[:, modes.k2 > 0]
    )
    np.testing.assert_allclose(taper, np.tile(np.exp(-0.5 * 3.5**2 * modes.k2[modes.k2 > 0] / last**2), (2, 1)))
    with pytest.raises(ValueError, match="modes: expected three or more along some axis"):
        FullRangeNetwork((4.0, 8.0), CUTOFF, (1, 2))


def test_the_order_of_lattice_vectors_means_nothing():
    """Also of a box that is no cube: the modes of a crystal are the same whatever vectors its cell is given by."""
    network = FullRangeNetwork((4.0, 8.0), CUTOFF, (9, 9), seed=1, eps=1e-5)
    points = np.random.default_rng(0).random((12, 2)) * (4.0, 8.0)
    network.set_scales(points[None])
    network.parameters.flat[...] += 0.05 * np.random.default_rng(1).standard_normal(network.parameters.flat.size)
    cells = [np.diag((4.0, 8.0)), np.array([[0.0, 8.0], [4.0, 0.0]])]
    first, second = (network.predict(Structures.from_arrays(points, cell)) for cell in cells)
    bound = 10 * network.eps
    assert abs(first.energies[0] - second.energies[0]) <= bound * np.abs(first.energies[0])
    assert np.abs(first.forces - second.forces).max() <= bound * np.abs(first.forces).max()


@pytest.mark.parametrize("mu", [0.5, 2.0])
def test_the_layer_is_the_potential(mu):
    """U = ½ Σ u for β = 1, λ = μ, where points are not nearer than modes resolve; without the Gaussian, forces ring."""
    data = Snapshots.make(PairPotential("screened_coulomb", (5.0,), (mu,), (1.0,)), 20, (10,), 2, 0.05, 0, False)
    network = FullRangeNetwork(5.0, CUTOFF, 501, lam=(mu,), dim=1, eps=1e-6)
    half = np.full((*data.points.shape[:2], 1), 0.5)
    plan, errors = LRCPlan(5.0, 501, eps=1e-6, dim=1).set_points(data.points), []
    for multiplier in (network.multiplier, Yukawa([1.0], [mu])):
        forces = -plan.vjp(None, multiplier, half, wrt=("points",)).points
        errors.append(force_error(forces, data.forces)["true"])
    assert errors[0] < 1e-3 < 1e-2 < errors[1]
