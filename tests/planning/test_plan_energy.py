"""Energies of points among each other: what ``vjp`` gives for a cotangent of f/2, and differences of E."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from measures import relative, rounding

from lrc_numba import ChannelMatrix, Gaussian, Gradient, LRCPlan, Multiplier, Table, WindowShape, Yukawa

EVERYTHING = ("points", "values", "parameters", "cell")
BOX, MODES = 1.3, 9
KERNEL = Yukawa(1.5, 3.0)
RNG = np.random.default_rng(0)
POINTS = RNG.random((10, 1)) * 4 - 1
VALUES = RNG.standard_normal(10)
SHAPES = {"plain": (10,), "one": (1,), "none": (0,), "snapshots": (3, 10), "no snapshots": (0, 10)}


def plan_of(points, box=BOX, modes=MODES, **options) -> LRCPlan:
    """A plan of one thread."""
    settings = {"eps": 1e-5, "threads": 1} | options
    return LRCPlan(box, modes, dim=points.shape[-1], **settings).set_points(points)


def agree(plan: LRCPlan, f, kernel=KERNEL, bound=1e-12, **options) -> Gradient:
    """``energy`` and ``vjp`` of f/2, where u is linear in f: twice its gradient by the values.

    One sums over the channels of f alone, the other over twice as many: both are right to rounding, of which
    1e-12 is some thousand units of terms that partly cancel.
    """
    found = plan.energy(f, kernel, wrt=EVERYTHING, **options)
    wanted = plan.vjp(f, kernel, f / 2, wrt=EVERYTHING, **options)
    scale = float(np.linalg.norm(plan.convolve(f, kernel)))  # with φ(0) f, which may be all that there is
    assert relative(found.output, wanted.output, scale) <= bound
    assert relative(found.points, wanted.points, scale) <= bound
    assert relative(found.values, 2 * wanted.values, scale) <= bound
    assert relative(found.cell, wanted.cell, scale * float(np.abs(f).max(initial=0))) <= bound
    assert found.parameters.keys() == wanted.parameters.keys()
    for name, gradient in wanted.parameters.items():
        assert relative(found.parameters[name], gradient, scale) <= bound
    assert found.targets is None
    return found


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("gradient", ["exact", "spectral"])
@pytest.mark.parametrize("lead", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_it_is_the_vjp_of_half_the_values(lead, channels, gradient, exclude_self):
    """Points, snapshots, channels; both kinds of gradients; φ(0) taken off."""
    points = np.random.default_rng(1).random((*lead, 1)) * 4
    f = np.random.default_rng(2).standard_normal(lead if channels is None else (*lead, channels))
    agree(plan_of(points, gradient=gradient), f, exclude_self=exclude_self)


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_every_back_end(backend, dtype):
    """In single precision to its rounding."""
    f, bound = VALUES.astype(dtype), 1e-12 if dtype == np.float64 else 1e-4
    plan = plan_of(POINTS.astype(dtype), backend=backend, eps=1e-5, window="kaiser_bessel", dtype=dtype)
    found = agree(plan, f, bound=bound)
    assert found.points.dtype == found.values.dtype == found.output.dtype == dtype
    assert found.cell.dtype == np.float64


@pytest.mark.parametrize(
    ("dim", "count", "modes"),
    [
        (2, 40, 7),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((2, 900, 101), (3, 60, (5, 6, 7)), (3, 3000, 25), (3, 40000, 9))
        ),
    ],
)
def test_more_dimensions(dim, count, modes):
    """Sorted, interleaved and crowded ones, on a skewed lattice; snapshots as well."""
    rng = np.random.default_rng(3)
    cell = np.eye(dim) * 2 + 0.3 * rng.standard_normal((dim, dim))
    points = rng.random((count, dim)) @ cell
    for shape in ((count,), (count, 2)):
        agree(plan_of(points, cell, modes), rng.standard_normal(shape), bound=1e-11)
    agree(plan_of(points.reshape(2, -1, dim), cell, modes), rng.standard_normal((2, count // 2)), bound=1e-11)


@pytest.mark.parametrize("window", [WindowShape("bspline", 4), WindowShape("lagrange", 4)], ids=["bspline", "lagrange"])
def test_windows_of_the_user(window):
    """As with any other."""
    agree(plan_of(POINTS, window=window, nodes=15), VALUES)


def energy_of(points, f, kernel, box=BOX, **options) -> float:
    """½ Σ f·u."""
    return float(np.sum(f * plan_of(points, box, eps=1e-10).convolve(f, kernel, **options))) / 2


def difference(total, h=1e-3) -> float:
    """Derivative at 0: truncation h⁴ of a few units, 1e-11, and rounding 1e-16/h."""
    return (8 * (total(h) - total(-h)) - (total(2 * h) - total(-2 * h))) / (12 * h)


@pytest.mark.slow
@pytest.mark.parametrize("exclude_self", [False, True])
def test_differences_of_the_energy(exclude_self):
    """By a point, by a value, by a parameter and by a strain: each along a direction.

    1e-8 of the derivative, or of the energy where that is larger, as for other derivatives: wavevectors are up to
    2π 4/1.3 = 19, whose fifth power times h⁴/30 is 8e-8 of a displacement of one; directions are a tenth of that.
    """
    rng, options = np.random.default_rng(4), {"exclude_self": exclude_self}
    found = plan_of(POINTS, eps=1e-10).energy(VALUES, KERNEL, wrt=EVERYTHING, **options)
    dx, df = 0.1 * rng.standard_normal(POINTS.shape), rng.standard_normal(10)
    size = abs(energy_of(POINTS, VALUES, KERNEL, **options))

    def changed(t: float) -> Yukawa:
        kernel = Yukawa(1.5, 3.0)
        kernel.parameters[name] = kernel.parameters[name] + t
        return kernel

    pairs = [
        (np.sum(found.points * dx), lambda t: energy_of(POINTS + t * dx, VALUES, KERNEL, **options)),
        (found.values @ df, lambda t: energy_of(POINTS, VALUES + t * df, KERNEL, **options)),
        (found.cell[0, 0], lambda t: energy_of(POINTS * (1 + t), VALUES, KERNEL, BOX * (1 + t), **options)),
    ]
    for name in KERNEL.parameters:
        pairs.append((found.parameters[name], lambda t: energy_of(POINTS, VALUES, changed(t), **options)))
        derivative, total = pairs[-1]
        assert abs(difference(total) - derivative) <= 1e-8 * max(size, abs(derivative))
    for derivative, total in pairs[:3]:
        assert abs(difference(total) - derivative) <= 1e-8 * max(size, abs(derivative))


@pytest.mark.parametrize("exclude_self", [False, True])
def test_a_strain_of_each_snapshot(exclude_self):
    """(B, d, d): that of each alone; their sum is that of one strain for all."""
    points, f = np.random.default_rng(5).random((3, 7, 1)), np.random.default_rng(6).standard_normal((3, 7, 2))
    plan, options = plan_of(points), {"exclude_self": exclude_self}
    found = plan.energy(f, KERNEL, wrt=("cells", "parameters", "points"), **options)
    total = plan.energy(f, KERNEL, wrt=("cell", "parameters"), **options)
    assert found.cell.shape == (3, 1, 1)
    assert relative(found.cell.sum(axis=0), total.cell) <= 1e-12
    for name in KERNEL.parameters:
        assert relative(found.parameters[name], total.parameters[name]) <= 1e-12
    for b in range(3):
        alone = plan_of(points[b]).energy(f[b], KERNEL, wrt="cells", **options)
        assert alone.cell.shape == (1, 1)
        assert relative(found.cell[b], alone.cell) <= 1e-12
    empty = plan_of(points[:0]).energy(f[:0], KERNEL, wrt=("cells", "parameters"))
    assert empty.cell.shape == (0, 1, 1)


def test_not_wanted_is_none():
    """And what is wanted is the same, whatever comes with it; results share no memory."""
    plan = plan_of(POINTS)
    everything = plan.energy(VALUES, KERNEL, wrt=EVERYTHING)
    for names in ((), ("points",), "values", ("parameters",), ("cell",)):
        found = plan.energy(VALUES, KERNEL, wrt=names)
        for field in fields(Gradient):
            value = getattr(found, field.name)
            if field.name in (*((names,) if isinstance(names, str) else names), "output"):
                assert np.array_equal(value, getattr(everything, field.name)) or field.name == "parameters"
            else:
                assert value is None
    assert plan.energy(VALUES, KERNEL).points is not None
    assert not np.shares_memory(everything.output, everything.values)
    ones = plan.energy(None, KERNEL).output
    np.testing.assert_array_equal(ones, plan.convolve(None, KERNEL))


class Imaginary(Multiplier):
    """Complex, though real in truth."""

    def values(self, modes):
        """φ̂."""
        return np.exp(-modes.k2) + 0j


ERRORS = [
    (
        Yukawa([1.0, 2.0], 3.0),
        VALUES,
        {},
        ValueError,
        r"multiplier: an energy needs one of shape \(\), .*Yukawa.*\(2,\)",
    ),
    (ChannelMatrix([[1.0]], KERNEL), VALUES, {}, ValueError, r"multiplier: .*shape \(1, 1\); use vjp"),
    (Imaginary(), VALUES, {}, ValueError, r"multiplier: an energy needs a real one, got complex values of Imaginary"),
    (Table(np.ones(5) * (1 + 0j), 1), VALUES, {}, ValueError, "multiplier: an energy needs a real one"),
    (3.0, VALUES, {}, TypeError, "multiplier: expected a Multiplier, got float"),
    (KERNEL, VALUES + 0j, {}, TypeError, "values: expected float64, as derivatives are of real numbers"),
    (KERNEL, VALUES[:3], {}, ValueError, r"values: expected shape \(10,\)"),
    (KERNEL, VALUES, {"wrt": "targets"}, ValueError, "wrt: expected some of 'points', .*'cells', got 'targets'"),
    (KERNEL, VALUES, {"wrt": ("cell", "cells")}, ValueError, "wrt: expected 'cell' or 'cells', not both"),
    (Imaginary(), VALUES, {"wrt": "cells"}, NotImplementedError, "Imaginary must define k2_derivative"),
]


@pytest.mark.parametrize(("kernel", "values", "options", "error", "message"), ERRORS)
def test_errors(kernel, values, options, error, message):
    """They name the argument; the plan goes on."""
    plan = plan_of(POINTS)
    with pytest.raises(error, match=message):
        plan.energy(values, kernel, **options)
    plan.energy(VALUES, KERNEL)


def test_targets_are_refused():
    """There is no energy between points and places without values."""
    plan = LRCPlan(BOX, MODES, dim=1, threads=1).set_points(POINTS, POINTS[:3])
    with pytest.raises(ValueError, match="targets: an energy is that of the points among each other"):
        plan.energy(VALUES, KERNEL)
    with pytest.raises(ValueError, match="points: none are set"):
        LRCPlan(BOX, MODES, dim=1).energy(VALUES, KERNEL)


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_beyond_the_range(dtype):
    """An error, and no warning."""
    plan = plan_of(POINTS.astype(dtype), dtype=dtype, eps=1e-5)
    large = np.full(10, np.finfo(dtype).max / 4, dtype)
    with pytest.raises(ValueError, match="values: expected numbers whose results are within the range"):
        plan.energy(large, Gaussian(0.2))


def test_channels_are_independent():
    """E of channels is the sum of theirs: gradients by points add up."""
    f = np.random.default_rng(7).standard_normal((10, 2))
    plan = plan_of(POINTS)
    both, each = plan.energy(f, KERNEL).points, [plan.energy(f[:, c], KERNEL).points for c in range(2)]
    assert relative(both, each[0] + each[1]) <= rounding(20)
