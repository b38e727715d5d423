"""The networks against others, written out pair by pair and mode by mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lrc_numba.nbody import sample_points
from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork
from lrc_numba.networks.pairs import neighbours

CUTOFF, MODES = 1.2, {1: 31, 2: 9, 3: 7}


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
        weight = switch / s / scales.r_std if network.cutoff_kind == "smooth" else r
        rows[i, :32] += weight * perceptron(network, "f1", q[None])[0]
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


@pytest.mark.parametrize("cutoff_kind", ["smooth", "paper"])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kind", ["short-range", "full-range"])
def test_potential(kind, dim, cutoff_kind):
    """Of every point; with weights moved away from their start, so that no bias is zero."""
    generator = np.random.default_rng(dim)
    points = sample_points(4, (2,) * dim, 2, 1.5, 0.1, generator)
    options = {"dim": dim, "cutoff_kind": cutoff_kind}
    if kind == "short-range":
        network = ShortRangeNetwork(3.0, CUTOFF, **options)
    else:
        network = FullRangeNetwork(3.0, CUTOFF, MODES[dim], lam=(1.3, 4.0), eps=1e-10, **options)
    network.set_scales(points)
    network.parameters.flat[...] += 0.05 * generator.standard_normal(network.parameters.flat.size)
    inputs = described(network, points[0])
    if kind == "full-range":
        inputs = np.concatenate([inputs, long_range(network, points[0], MODES[dim])], axis=1)
    wanted = perceptron(network, "fit", inputs, residual=True, linear_end=True)[:, 0]
    tolerance = 1e-13 if kind == "short-range" else 1e-9
    np.testing.assert_allclose(network.potential(points)[0], wanted, atol=tolerance * np.abs(wanted).max())


def test_smooth_weight_has_no_hole():
    """A pair counts at every distance within R: a network that is linear in D then can have any force between them."""
    network = ShortRangeNetwork(5.0, CUTOFF, dim=1)
    distances = np.linspace(0.05, 0.98, 50) * CUTOFF
    places = np.stack([np.zeros_like(distances), distances], axis=1)[:, :, None]
    pairs = neighbours(places, network.box, CUTOFF)
    weight = network.descriptor._features(pairs).weight
    assert len(weight) == len(distances)
    assert (np.diff(weight) < 0).all()
    assert (weight > 0).all()
