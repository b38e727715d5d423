"""Networks: parameter counts, forces, loss gradients, invariances, smoothness, and what they refuse."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest

from lrc_numba.machine.workspace import Workspace
from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork
from lrc_numba.networks.layers.parameters import Parameters
from lrc_numba.networks.layers.perceptron import Perceptron
from lrc_numba.training import Adam

EPS = {1: 1e-4, 2: 1e-5, 3: 1e-6}  # of u: windows of eight and ten nodes, as in other tests
BOX, CUTOFF, MODES = {1: 5.0, 2: 4.0, 3: 4.0}, 1.5, {1: 31, 2: (9, 9), 3: (7, 7, 7)}
COUNTS = {"short": {1: 8881, 2: 8883, 3: 8885}, "full": {1: 10655, 2: 10657, 3: 10659}}
PER_CELL = {1: 14, 2: 12, 3: 10}


def points_of(dim: int, batch: int = 2, seed: int = 0) -> np.ndarray:
    """Snapshots whose points keep a distance of 0.1: 1/s is no worse than that."""
    generator, count = np.random.default_rng(seed), PER_CELL[dim]
    found = []
    while len(found) < batch:
        points = generator.random((count, dim)) * BOX[dim]
        apart = points[:, None] - points
        apart -= BOX[dim] * np.round(apart / BOX[dim])
        if (np.linalg.norm(apart, axis=-1) + np.eye(count)).min() > 0.1:
            found.append(points)
    return np.array(found)


def network_of(kind: str, dim: int, cutoff_kind: str = "smooth", dtype=np.float64):
    """A network off its start values, so that biases and both channels count."""
    options = {"dim": dim, "cutoff_kind": cutoff_kind, "dtype": dtype}
    if kind == "short":
        network = ShortRangeNetwork(BOX[dim], CUTOFF, **options)
    else:
        network = FullRangeNetwork(
            BOX[dim],
            CUTOFF,
            MODES[dim],
            lam=(1.3, 4.0),
            eps=max(EPS[dim], 1e-5 if dtype == np.float32 else 0),
            **options,
        )
    network.set_scales(points_of(dim, 4, seed=9).astype(dtype))
    flat = network.parameters.flat
    flat += 0.05 * np.random.default_rng(1).standard_normal(flat.size).astype(dtype)
    return network


KINDS = pytest.mark.parametrize("kind", ["short", "full"])
DIMS = pytest.mark.parametrize("dim", [1, 2, 3])


@KINDS
@DIMS
def test_parameter_counts(kind, dim):
    """Those of the authors' networks."""
    assert network_of(kind, dim).parameters.flat.size == COUNTS[kind][dim]


@KINDS
@DIMS
@pytest.mark.parametrize("cutoff_kind", ["smooth", "split", "paper"])
def test_forces_are_the_gradient(kind, dim, cutoff_kind):
    """F = −∂U/∂x against a fourth-order central difference: its rounding is some 1e-16 U/h, 1e-11."""
    network, points = network_of(kind, dim, cutoff_kind), points_of(dim)
    _, forces = network.energy_forces(points)
    generator, h = np.random.default_rng(2), 1e-5  # so small that no relu of g bends within a step
    for _ in range(4):
        step = generator.standard_normal(points.shape)
        u = [network.energy(points + n * h * step) for n in (-2, -1, 1, 2)]
        wanted = -(u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)
        found = np.einsum("bia,bia->b", forces, step)
        assert np.abs(found - wanted).max() <= 1e-9 * np.linalg.norm(forces) * np.linalg.norm(step)


@KINDS
@DIMS
def test_loss_gradient_of_every_parameter(kind, dim):
    """∂L/∂θ against central differences, in blocks of random signs and, for the largest, one by one."""
    network, points = network_of(kind, dim), points_of(dim)
    forces = np.random.default_rng(3).standard_normal(points.shape)
    loss, gradient = network.loss_gradient(points, forces)
    assert loss == pytest.approx(((network.energy_forces(points)[1] - forces) ** 2).sum() / len(points), rel=1e-12)
    flat = network.parameters.flat
    start, scale = flat.copy(), np.linalg.norm(gradient)

    def difference(direction: np.ndarray, h: float = 2e-7) -> float:  # no relu of g bends within it
        losses = []
        for sign in (1, -1):
            flat[...] = start + sign * h * direction
            losses.append(network.loss_gradient(points, forces)[0])
        flat[...] = start
        return (losses[0] - losses[1]) / (2 * h)

    at = 0
    generator = np.random.default_rng(4)
    for shape in network.parameters.shapes.values():
        size = int(np.prod(shape))
        direction = np.zeros_like(flat)
        direction[at : at + size] = generator.choice([-1.0, 1.0], size)
        assert abs(difference(direction) - direction @ gradient) <= 1e-6 * scale
        at += size
    for one in [*np.argsort(-np.abs(gradient))[:10], *range(flat.size - 4, flat.size)]:
        direction = np.zeros_like(flat)
        direction[one] = 1.0
        assert abs(difference(direction) - gradient[one]) <= 1e-6 * scale


@KINDS
@DIMS
def test_loss_with_energies(kind, dim):
    """L = mean of Σ‖F − F*‖² + w (U − U*)², and its gradient along random directions."""
    network, points = network_of(kind, dim), points_of(dim)
    generator = np.random.default_rng(6)
    forces, energies, weight = generator.standard_normal(points.shape), generator.standard_normal(2), 0.7
    loss, gradient = network.loss_gradient(points, forces, energies, weight)
    found, pushed = network.energy_forces(points)
    wanted = ((pushed - forces) ** 2).sum() / 2 + weight * ((found - energies) ** 2).sum() / 2
    assert loss == pytest.approx(wanted, rel=1e-12)
    flat = network.parameters.flat
    start, h = flat.copy(), 2e-7  # no relu of g bends within h
    for _ in range(5):
        direction, losses = generator.choice([-1.0, 1.0], flat.size), []
        for sign in (1, -1):
            flat[...] = start + sign * h * direction
            losses.append(network.loss_gradient(points, forces, energies, weight)[0])
        flat[...] = start
        slope = (losses[0] - losses[1]) / (2 * h)
        assert abs(slope - direction @ gradient) <= 1e-6 * np.linalg.norm(gradient) * np.sqrt(flat.size)


@pytest.mark.slow
def test_loss_gradient_of_each_parameter():
    """One by one, on one small snapshot: every seventh; ``validation.networks`` tries all 10655."""
    network, points = network_of("full", 1), points_of(1)[:1, :6]
    forces = np.random.default_rng(3).standard_normal(points.shape)
    _, gradient = network.loss_gradient(points, forces)
    flat, h = network.parameters.flat, 1e-5
    for i in range(0, flat.size, 7):
        start, losses = flat[i], []
        for sign in (1, -1):
            flat[i] = start + sign * h
            losses.append(((network.energy_forces(points)[1] - forces) ** 2).sum())
        flat[i] = start
        assert abs((losses[0] - losses[1]) / (2 * h) - gradient[i]) <= 1e-6 * np.abs(gradient).max(), i


@KINDS
@DIMS
def test_fixed_energies(kind, dim):
    """A constant brings the mean energy to what it should be, and leaves the forces."""
    network, points = network_of(kind, dim), points_of(dim)
    before = network.energy_forces(points)
    wanted = before[0] + np.array([3.0, 5.0])
    assert network.fix_energies(points, wanted) == pytest.approx(4.0)
    after = network.energy_forces(points)
    np.testing.assert_allclose(after[0].mean(), wanted.mean(), rtol=1e-12)
    np.testing.assert_allclose(after[1], before[1], rtol=0, atol=1e-12 * np.abs(before[1]).max())


@KINDS
@DIMS
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_saved_and_loaded(kind, dim, dtype, tmp_path):
    """The same network, bit for bit, and nothing else in the folder."""
    network = network_of(kind, dim, dtype=dtype)
    network.save(tmp_path / "network.npz")
    network.save(tmp_path / "network.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["network.npz"]
    same, points = type(network).load(tmp_path / "network.npz", threads=1), points_of(dim).astype(dtype)
    assert same.settings() == network.settings()
    for one, other in zip(network.energy_forces(points), same.energy_forces(points), strict=True):
        np.testing.assert_array_equal(one, other)


def _broken_files(folder):
    """Files that are no network of this kind, and what is said about them."""
    network_of("full", 1).save(folder / "full.npz")
    whole = (folder / "full.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.npz").write_bytes(b"")
    np.savez(folder / "other.npz", parameters=np.zeros(3))
    header = '{"format": "lrc_numba network", "version": 99, "settings": {}}'
    np.savez(folder / "late.npz", header=np.array(header), parameters=np.zeros(3))
    with np.load(folder / "full.npz") as file:
        np.savez(folder / "short.npz", header=file["header"], parameters=file["parameters"][:-1])
        settings = str(file["header"]).replace('"cutoff": 1.5', '"cutoff": 99')
        np.savez(folder / "wide.npz", header=np.array(settings), parameters=file["parameters"])
    yield from (("cut", "damaged"), ("empty", "damaged"), ("other", "damaged"), ("late", "expected version 3"))
    yield from (("short", "expected 10655 finite parameters"), ("wide", "make no network.*cutoff"))


def test_files_that_are_no_network(tmp_path):
    """A ValueError that names the file; another kind of network is told too."""
    for name, message in _broken_files(tmp_path):
        with pytest.raises(ValueError, match=message) as error:
            FullRangeNetwork.load(tmp_path / f"{name}.npz")
        assert f"{name}.npz" in str(error.value)
    with pytest.raises(ValueError, match=r"expected a short-range network in .*full\.npz, got a full-range one"):
        ShortRangeNetwork.load(tmp_path / "full.npz")
    with pytest.raises(FileNotFoundError):
        FullRangeNetwork.load(tmp_path / "none.npz")


@KINDS
@DIMS
def test_invariances(kind, dim):
    """Translations, permutations and lattice shifts leave U, and turn F as they turn the points."""
    network, points = network_of(kind, dim), points_of(dim)
    energy, forces = network.energy_forces(points)
    order = np.random.default_rng(5).permutation(points.shape[1])
    shift = np.zeros(points.shape)
    shift[:, ::2] = 3 * BOX[dim]
    # A translation moves the points on the grid, where u is right to eps; the rest is exact.
    cases = ((points + 0.37, forces, 10 * EPS[dim] if kind == "full" else 1e-11), (points + shift, forces, 1e-11))
    for moved, wanted, bound in (*cases, (points[:, order], forces[:, order], 1e-11)):
        found, turned = network.energy_forces(moved)
        np.testing.assert_allclose(found, energy, rtol=bound, atol=bound)
        np.testing.assert_allclose(turned, wanted, rtol=0, atol=10 * bound * np.abs(forces).max())


@DIMS
def test_without_the_long_range_part(dim):
    """A full-range network whose 𝒩 does not read g is the short-range one."""
    full, short = network_of("full", dim), network_of("short", dim)
    full.descriptor.scales = short.descriptor.scales
    for name, view in short.parameters.items():
        if name == "fit.weight0":
            full.parameters[name][...] = 0.0
            full.parameters[name][: len(view)] = view
        else:
            full.parameters[name][...] = view
    points = points_of(dim)
    for one, other in zip(full.energy_forces(points), short.energy_forces(points), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_smooth_and_paper_cutoff():
    """A pair crossing R: energy and force are continuous, and so is the slope of the force; as in the paper U jumps."""
    around = CUTOFF + np.linspace(-1e-4, 1e-4, 41)
    jumps = {}
    for cutoff_kind in ("smooth", "split", "paper"):
        network = network_of("short", 1, cutoff_kind)
        found = [network.energy_forces(np.array([[1.0], [1.0 + s]])) for s in around]
        energies, forces = np.array([f[0] for f in found]), np.array([f[1][0, 0] for f in found])
        jumps[cutoff_kind] = [np.abs(np.diff(values, n=n)).max() for values, n in ((energies, 1), (forces, 2))]
    for cutoff_kind in ("smooth", "split"):
        assert jumps[cutoff_kind][0] <= 1e-9
        assert jumps[cutoff_kind][1] <= 1e-7
    assert jumps["paper"][0] > 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh(dtype):
    """To a few units of rounding, never beyond 1 by more than one, and what is no number stays none."""
    far = np.concatenate([np.linspace(-25, 25, 4001), 10.0 ** np.arange(-12, 3), [0.0, -0.0, 19.9, 20.1, -500.0]])
    z, chain = far.astype(dtype)[:, None], Perceptron("f", (1, 1), biased=False)
    parameters = Parameters(chain.shapes(), dtype)
    parameters.flat[0] = 1.0
    values = chain.forward(parameters, z, Workspace())[0].astype(np.float64)
    wanted, unit = np.tanh(z.astype(np.float64)), np.finfo(dtype).eps
    assert (np.abs(values - wanted) <= 8 * unit * np.abs(wanted)).all()
    assert np.abs(values).max() <= 1 + unit
    z[:2] = [[np.nan], [np.inf]]
    values = chain.forward(parameters, z, Workspace())[0]
    assert np.isnan(values[0])
    assert values[1] == pytest.approx(1.0)


@KINDS
@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_threads_and_earlier_calls_change_nothing(kind, dtype):
    """Bit for bit, also where batches grow and shrink and memory is used again."""
    points = points_of(1, 60).astype(dtype)
    forces = np.random.default_rng(3).standard_normal(points.shape).astype(dtype)
    one, other = network_of(kind, 1, dtype=dtype), network_of(kind, 1, dtype=dtype)
    one.threads, other.threads = 1, 3
    for count in (60, 7, 31, 60):
        fresh = network_of(kind, 1, dtype=dtype)
        wanted = fresh.loss_gradient(points[:count], forces[:count])
        for network in (one, other):
            found = network.loss_gradient(points[:count], forces[:count])
            assert found[0] == wanted[0]
            np.testing.assert_array_equal(found[1], wanted[1])
            network.energy_forces(points)


@KINDS
@DIMS
def test_few_points(kind, dim):
    """No pair, one point, no point, no snapshot."""
    network = network_of(kind, dim)
    apart = np.zeros((2, dim))
    apart[1] = BOX[dim] / 2
    for points in (apart, apart[:1]):
        energy, forces = network.energy_forces(points)
        assert np.isfinite(energy)
        np.testing.assert_allclose(forces, 0.0, atol=1e-9)
        loss, gradient = network.loss_gradient(points, np.ones_like(points))
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
    for shape in ((0, dim), (0, 4, dim), (2, 0, dim)):
        points = np.zeros(shape)
        assert np.shape(network.energy_forces(points)[1]) == shape
        assert np.all(network.energy(points) == 0)
        with pytest.raises(ValueError, match="points: expected at least one snapshot"):
            network.loss_gradient(points, points)


def test_too_many_pairs_for_the_memory(monkeypatch):
    """Said before the memory is taken."""
    monkeypatch.setattr("lrc_numba.networks.short_range.available_memory", lambda: 2**23)
    points = (np.arange(4000.0)[:, None] + 0.5) * 0.05
    network = ShortRangeNetwork(200.0, CUTOFF, dim=1)
    with pytest.raises(MemoryError, match=r"points: 4000 of them with 1160\d\d pairs .* about .* GiB"):
        network.energy(points)
    enough = int(1.5 * network.descriptor.memory(116057, 8))
    monkeypatch.setattr("lrc_numba.networks.short_range.available_memory", lambda: enough)
    assert np.isfinite(network.energy_forces(points)[0])
    with pytest.raises(MemoryError, match="116057 pairs"):  # the tangents need as much again
        ShortRangeNetwork(200.0, CUTOFF, dim=1).loss_gradient(points, points)


@KINDS
def test_copies_are_independent(kind):
    """A deep copy computes the same, and goes its own way when its parameters change."""
    network, points = network_of(kind, 1), points_of(1)
    wanted = network.energy(points)
    other = deepcopy(network)
    np.testing.assert_array_equal(other.energy(points), wanted)
    other.parameters["fit.bias6"][...] += 1.0
    assert not np.array_equal(other.energy(points), wanted)
    np.testing.assert_array_equal(network.energy(points), wanted)


def test_adam_against_the_formula():
    """Three steps on a quadratic, against the paper's algorithm written out."""
    theta, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    adam, found = Adam(2), np.array([1.0, -2.0])
    for t in range(1, 4):
        gradient = 2 * theta
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        theta = theta - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        adam.step(found, 2 * found, 0.1)
        np.testing.assert_allclose(found, theta, rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShortRangeNetwork(5.0, 2.6, dim=1), "cutoff: expected at most half"),
        (lambda: ShortRangeNetwork(-5.0, 1.0, dim=1), "box: expected positive lengths"),
        (lambda: FullRangeNetwork(0.0, 1.0, 9, dim=1), "box: expected positive lengths"),
        (lambda: FullRangeNetwork(5.0, 1.0, 9, dim=1, lam=()), "lam: expected at least one"),
        (lambda: FullRangeNetwork(5.0, 1.0, 9, dim=1, lam=(1.0, -1.0)), "lam: expected"),
        (lambda: ShortRangeNetwork(5.0, 1.0, dim=4), "box: expected a length"),
        (lambda: ShortRangeNetwork(5.0, 1.0, dim=1, cutoff_kind="hard"), "cutoff_kind: expected one of"),
        (lambda: network_of("short", 1).energy(np.zeros((3, 2))), "points: expected shape"),
        (lambda: network_of("short", 1).energy(np.zeros((3, 1))), "points: expected no two of them in one place"),
        (lambda: network_of("short", 1).loss_gradient(points_of(1), np.zeros((2, 3, 1))), "forces: expected the shape"),
        (
            lambda: network_of("short", 1).loss_gradient(points_of(1), points_of(1), [1.0, 2.0, 3.0]),
            "energies: expected one",
        ),
        (lambda: network_of("short", 1).fix_energies(points_of(1), [1.0, np.inf]), "energies: expected finite"),
        (
            lambda: network_of("short", 1).loss_gradient(points_of(1), np.full_like(points_of(1), np.nan)),
            "forces: .*nan",
        ),
    ],
)
def test_bad_input(make, message):
    """A ValueError that names the argument."""
    with pytest.raises(ValueError, match=message):
        make()
