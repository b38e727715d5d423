"""The networks against others, written out pair by pair and mode by mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from measures import pairs_of_snapshots

from lrc_numba.nbody import sample_points
from lrc_numba.networks import FullRangeNetwork, Scales, ShortRangeNetwork
from validation.networks import drift

CUTOFF, MODES = 1.2, {1: 31, 2: 9, 3: 7}
EPS = {1: 1e-6, 2: 1e-7, 3: 1e-10}  # windows of other tests


def perceptron(network, name: str, x: np.ndarray, relu=False, residual=False, linear_end=False) -> np.ndarray:
    """Layer by layer, (n, inputs) to (n, outputs)."""
    p, layer = network.parameters, 0
    while f"{name}.weight{layer}" in p:
        z = x @ p[f"{name}.weight{layer}"] + p[f"{name}.bias{layer}"]
        last = f"{name}.weight{layer + 1}" not in p
        out = z if last and linear_end else np.maximum(z, 0) if relu else np.tanh(z)
        x = x + out if residual and out.shape == x.shape else out
        layer += 1
    return x


def described(network, points: np.ndarray) -> np.ndarray:
    """(N, 64): eqs (9)-(14) as they stand, over all pairs of points (N, d)."""
    scales, rows = network.descriptor.scales, np.zeros((len(points), 64))
    for i, j in itertools.permutations(range(len(points)), 2):
        apart = points[i] - points[j]
        apart -= network.box * np.round(apart / network.box)
        s = np.linalg.norm(apart)
        if s >= CUTOFF:
            continue
        t = s / CUTOFF
        switch = 1 - 10 * t**3 + 15 * t**4 - 6 * t**5
        r = (1 / s - scales.r_mean) / scales.r_std
        q = ((np.array([s]) if network.dim == 1 else apart / s) - scales.q_mean) / scales.q_std
        weight = r if network.cutoff_kind == "paper" else switch / s / scales.r_std
        u = max(t - 0.6, 0) / 0.4
        level = 1 - 10 * u**3 + 15 * u**4 - 6 * u**5 if network.cutoff_kind == "split" else weight
        rows[i, :32] += level * perceptron(network, "f1", q[None])[0]
        rows[i, 32:] += weight * perceptron(network, "f2", np.array([[r]]))[0]
    return rows


def long_range(network, points: np.ndarray, modes: int) -> np.ndarray:
    """g of the shifted and scaled u, eqs (21)-(23), mode by mode."""
    top = (modes - 1) // 2
    n = np.array(list(itertools.product(range(-top, top + 1), repeat=network.dim)))
    n = n[(n != 0).any(axis=1)]
    phases = points @ (2 * np.pi * n / network.box).T
    k2 = ((2 * np.pi * n / network.box) ** 2).sum(axis=1)
    density = np.exp(-1j * phases).sum(axis=0)
    taper = np.exp(-0.5 * 3.5**2 * k2 / (2 * np.pi * top / network.box.max()) ** 2)
    u = [
        (np.exp(1j * phases) @ (4 * np.pi * beta / (k2 + lam**2) * taper * density)).real / np.prod(network.box)
        for beta, lam in zip(network.parameters["beta"], network.parameters["lam"], strict=True)
    ]
    return perceptron(network, "g", (np.stack(u, axis=1) - network.long_shift) / network.long_scale, relu=True)


@pytest.mark.parametrize("cutoff_kind", ["smooth", "split", "paper"])
@pytest.mark.parametrize(
    ("kind", "dim"),
    [
        *(("short-range", dim) for dim in (1, 2, 3)),
        *(("full-range", dim) for dim in (1, 2)),
        pytest.param("full-range", 3, marks=pytest.mark.slow),
    ],
)
def test_potential(kind, dim, cutoff_kind):
    """Of every point; with weights moved away from their start, so that no bias is zero."""
    generator = np.random.default_rng(dim)
    points = sample_points(4, (2,) * dim, 2, 1.5, 0.1, generator)
    options = {"dim": dim, "cutoff_kind": cutoff_kind}
    if kind == "short-range":
        network = ShortRangeNetwork(3.0, CUTOFF, **options)
    else:
        network = FullRangeNetwork(3.0, CUTOFF, MODES[dim], lam=(1.3, 4.0), eps=EPS[dim], **options)
    network.set_scales(points)
    network.parameters.flat[...] += 0.05 * generator.standard_normal(network.parameters.flat.size)
    inputs = described(network, points[0])
    if kind == "full-range":
        inputs = np.concatenate([inputs, long_range(network, points[0], MODES[dim])], axis=1)
    wanted = perceptron(network, "fit", inputs, residual=True, linear_end=True)[:, 0]
    tolerance = 1e-13 if kind == "short-range" else 10 * EPS[dim]
    np.testing.assert_allclose(network.potential(points)[0], wanted, atol=tolerance * np.abs(wanted).max())


def test_smooth_weight_has_no_hole():
    """A pair counts at every distance within R: a network that is linear in D then can have any force between them."""
    network = ShortRangeNetwork(5.0, CUTOFF, dim=1)
    distances = np.linspace(0.05, 0.98, 50) * CUTOFF
    places = np.stack([np.zeros_like(distances), distances], axis=1)[:, :, None]
    pairs = pairs_of_snapshots(places, network.box, CUTOFF)
    (weight,) = network.descriptor._features(pairs).weights
    assert len(weight) == len(distances)
    assert (np.diff(weight) < 0).all()
    assert (weight > 0).all()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_normalisation(dim):
    """Means and standard deviations of s and 1/s over the pairs; of the unit vectors, seen from both ends, in more."""
    distances = np.array([0.2, 0.5, 0.7])
    places = np.zeros((3, 2, dim))
    for row, (s, axis) in enumerate(zip(distances, (0, dim - 1, 0), strict=True)):
        places[row, 1, axis] = s
    scales = Scales.of(pairs_of_snapshots(places, 5.0, CUTOFF), dim)
    wanted = (distances.mean(), distances.std()) if dim == 1 else (0.0, np.sqrt(1 / dim))
    found = (scales.q_mean, scales.q_std, scales.r_mean, scales.r_std)
    np.testing.assert_allclose(found, (*wanted, (1 / distances).mean(), (1 / distances).std()), rtol=1e-14)


def test_glorot():
    """Weights begin with variance 2/(inputs + outputs); 1024 of them tell it to some 4%."""
    network = ShortRangeNetwork(5.0, CUTOFF, dim=1)
    for name in ("f1.weight4", "f2.weight4", "fit.weight1", "fit.weight5"):
        weight = network.parameters[name]
        assert weight.std() == pytest.approx(np.sqrt(2 / sum(weight.shape)), rel=0.15)


def test_numbers_that_are_none_are_not_kept(tmp_path):
    """Parameters that are NaN are neither saved over a file nor loaded; nor is a scale of u that is not positive."""
    network = FullRangeNetwork(5.0, CUTOFF, 15, dim=1)
    path = tmp_path / "a.npz"
    network.save(path)
    before = path.read_bytes()
    with np.load(path) as file:
        header, parameters = str(file["header"]), file["parameters"]
    parameters[3] = np.nan
    np.savez(tmp_path / "nan.npz", header=np.array(header), parameters=parameters)
    with pytest.raises(ValueError, match=r"1 of them no numbers"):
        FullRangeNetwork.load(tmp_path / "nan.npz")
    changed = header.replace('"long_scale": [1.0, 1.0]', '"long_scale": [1.0, 0.0]')
    assert changed != header
    np.savez(tmp_path / "scale.npz", header=np.array(changed), parameters=np.zeros(len(parameters)))
    with pytest.raises(ValueError, match="positive scales of u"):
        FullRangeNetwork.load(tmp_path / "scale.npz")
    network.parameters.flat[3] = np.nan
    with pytest.raises(ValueError, match="parameters: expected finite numbers"):
        network.save(path)
    assert path.read_bytes() == before


def test_points_that_are_nearly_one():
    """The error names the snapshot, also in a later part of the work."""
    points = sample_points(40, (10,), 2, 0.5, 0.05, np.random.default_rng(3))
    points[33, 7] = points[33, 2] + 5e-7 * CUTOFF
    with pytest.raises(ValueError, match=r"got 2 and 7 of structure 33 6\.0e-07 apart"):
        ShortRangeNetwork(5.0, CUTOFF, dim=1).energy(points)


@pytest.mark.parametrize("kind", [ShortRangeNetwork, FullRangeNetwork])
def test_energy_is_conserved(kind):
    """Half the step, a quarter of the drift, but for a hundredth that is of higher order."""
    network = kind(5.0, CUTOFF, *[63] * (kind is FullRangeNetwork), dim=1)
    points = sample_points(50, (10,), 2, 0.5, 0.05, np.random.default_rng(3))
    network.set_scales(points)
    if kind is FullRangeNetwork:  # which begins without its long range
        short = network.energy_forces(points)[1]
        network.parameters["fit.weight0"][64:] = 0.1 * np.random.default_rng(0).standard_normal((32, 32))
        assert np.linalg.norm(network.energy_forces(points)[1] - short) > 0.01 * np.linalg.norm(short)
        network.move_kinks(points)
    start = 0.25 * (np.arange(20)[:, None] + 0.2 * np.random.default_rng(7).random((20, 1)))
    coarse, fine = (np.abs(drift(network, start, 0.01 / n, 20 * n)).max() for n in (1, 2))
    assert coarse / fine == pytest.approx(4.0, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(ShortRangeNetwork, marks=pytest.mark.slow), FullRangeNetwork])
@pytest.mark.parametrize("dim", [1, *(pytest.param(d, marks=pytest.mark.slow) for d in (2, 3))])
def test_single_precision(kind, dim):
    """Energies, forces and the gradient of the loss are those in float64 to some units of rounding."""
    cells, per_cell = {1: ((10,), 2), 2: ((4, 4), 1), 3: ((3, 3, 3), 1)}[dim]
    points = sample_points(6, cells, per_cell, 5.0 / cells[0], 0.1, np.random.default_rng(dim)).astype(np.float32)
    wanted = np.random.default_rng(0).standard_normal(points.shape).astype(np.float32)
    found = {}
    for dtype in (np.float64, np.float32):
        network = kind(5.0, CUTOFF, *[MODES[dim]] * (kind is FullRangeNetwork), dim=dim, dtype=dtype)
        network.set_scales(points.astype(dtype))
        moved = 0.05 * np.random.default_rng(2).standard_normal(network.parameters.flat.size)
        flat = found["flat"] if "flat" in found else network.parameters.flat + moved
        network.parameters.flat[...] = found["flat"] = flat
        energies, forces = network.energy_forces(points.astype(dtype))
        _, gradient = network.loss_gradient(points.astype(dtype), wanted.astype(dtype))
        found[dtype] = energies, forces, gradient
    for one, exact in zip(found[np.float32], found[np.float64], strict=True):
        assert np.linalg.norm(one - exact) <= 2e-5 * np.linalg.norm(exact)
