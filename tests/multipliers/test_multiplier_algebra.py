"""Multipliers as things to calculate with: numbers as factors, sums and differences, and parameters by name."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative
from strategies import random_numbers

from lrc_numba import (
    ChannelMatrix,
    ExponentialKernel,
    Gaussian,
    InversePower,
    LRCPlan,
    Multiplier,
    Product,
    RadialSpline,
    Scaled,
    Sum,
    SumOfGaussians,
    Table,
    Yukawa,
    direct,
)
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet

MODES = ModeSet(Cell([1.0, 1.3], 2), (7, 6))
PLAIN, COLUMN = ExponentialKernel(3.0, 0.7), Gaussian([0.1, 0.2])
# What is written, and φ as a function of that of PLAIN.
MULTIPLES = {
    "2 * kernel": (lambda k: 2 * k, lambda v: 2 * v),
    "kernel * 2": (lambda k: k * 2, lambda v: 2 * v),
    "-kernel": (lambda k: -k, lambda v: -v),
    "kernel / 4": (lambda k: k / 4, lambda v: v / 4),
    "a NumPy float": (lambda k: np.float64(2) * k, lambda v: 2 * v),
    "a NumPy integer": (lambda k: np.int32(2) * k, lambda v: 2 * v),
    "an array without axes": (lambda k: np.array(2.0) * k, lambda v: 2 * v),
    "twice": (lambda k: 2 * (3 * k), lambda v: 6 * v),
}
SUMS = {
    "a - b": (lambda a, b: a - b, lambda a, b: a - b),
    "sum of a list": (lambda a, b: sum([a, b, a]), lambda a, b: 2 * a + b),
    "a + 0": (lambda a, b: a + 0 + b * 0, lambda a, b: a + 0 * b),
    "0 - a": (lambda a, b: 0 - a - b, lambda a, b: -a - b),
    "a mixture": (lambda a, b: 2 * a - b / 2, lambda a, b: 2 * a - b / 2),
}


@pytest.mark.parametrize("kernel", [PLAIN, COLUMN, ChannelMatrix([[1.0, 2.0]], PLAIN)], ids=lambda k: type(k).__name__)
@pytest.mark.parametrize("name", MULTIPLES)
def test_multiples(name, kernel):
    """Values, φ(r) and gradients of a multiple are multiples; the names are those of the kernel.

    Exact for powers of 2; the factor 6 = 2 · 3 is taken in two roundings, so 4 units of the last digit.
    """
    make, expected = MULTIPLES[name]
    multiple, r = make(kernel), np.linspace(0.1, 1.0, 4)
    assert isinstance(multiple, Scaled)
    bound = 1e-15
    assert relative(multiple.values(MODES), expected(kernel.values(MODES))) <= bound
    assert relative(multiple.kernel(r, 2), expected(kernel.kernel(r, 2))) <= bound
    assert list(multiple.parameters) == list(kernel.parameters)
    cotangent = random_numbers(0, *kernel.values(MODES).shape)
    gradient, own = multiple.vjp(MODES, cotangent), kernel.vjp(MODES, cotangent)
    assert list(gradient) == list(own)
    for key, wanted in own.items():
        assert relative(gradient[key], expected(wanted)) <= 1e-13  # sums of 30 terms of both signs


@pytest.mark.parametrize("name", SUMS)
def test_sums_and_differences(name):
    """Sums, differences, and the number 0 that ``sum`` begins with. One rounding for every operation."""
    make, expected = SUMS[name]
    r, kernel = np.linspace(0.1, 1.0, 4), make(PLAIN, COLUMN)
    assert relative(kernel.values(MODES), expected(PLAIN.values(MODES), COLUMN.values(MODES))) <= 1e-15
    assert relative(kernel.kernel(r, 2), expected(PLAIN.kernel(r, 2), COLUMN.kernel(r, 2))) <= 1e-15
    assert list(kernel.vjp(MODES, random_numbers(0, 2, MODES.size))) == list(kernel.parameters)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda k: np.array([1.0, 2.0]) * k, TypeError, r"factor must be one real number, got shape \(2,\).*Channel"),
        (lambda k: k * [1.0, 2.0], TypeError, r"factor must be one real number, got shape \(2,\)"),
        (lambda k: 2j * k, TypeError, "factor must be a real number, got 2j"),
        (lambda k: k * True, TypeError, "factor must be a real number, got True"),
        (lambda k: k * "2", TypeError, "factor must be a real number, got '2'"),
        (lambda k: k * np.nan, ValueError, "factor must be finite, got nan"),
        (lambda k: k * 10**400, ValueError, "factor must be finite"),
        (lambda k: k / k, TypeError, "a divisor must be a real number"),
        (lambda k: k / np.inf, ValueError, "a divisor must be finite"),
        (lambda k: 1 - k, TypeError, "expected two multipliers, got int"),
        (lambda k: k - 1, TypeError, "expected two multipliers, got int"),
        (lambda k: np.ones(2) + k, TypeError, "expected two multipliers, got ndarray"),
        (lambda k: np.ones(2) - k, TypeError, "expected two multipliers, got ndarray"),
        (lambda k: Scaled(2.0, 3.0), TypeError, "Scaled: kernel must be a multiplier, got float"),
    ],
)
def test_what_is_no_number_is_refused(make, error, message):
    """Errors name what came."""
    with pytest.raises(error, match=message):
        make(PLAIN)


KERNELS = {
    "plain": (lambda: Yukawa(), "beta", "beta"),
    "sum": (lambda: Yukawa() + Gaussian(), "left.beta", "beta"),
    "product": (lambda: Gaussian() * Yukawa(), "right.beta", "beta"),
    "scaled": (lambda: 2 * Yukawa(), "beta", "beta"),
    "channels": (lambda: ChannelMatrix([[1.0, 2.0]], Yukawa()), "kernel.beta", "beta"),
    "deep": (lambda: -(Gaussian() + ChannelMatrix([[2.0]], Yukawa() * Gaussian())), "right.kernel.left.beta", "beta"),
}


@pytest.mark.parametrize("value", [2.0, 3, np.float32(2.5), np.array(4.0)], ids=str)
@pytest.mark.parametrize("name", KERNELS)
def test_writes_go_through(name, value):
    """``parameters[…] = value`` reaches the part that owns the parameter, in place, and so the next call."""
    make, key, _ = KERNELS[name]
    written, in_place = make(), make()
    array = written.parameters[key]
    written.parameters[key] = value
    in_place.parameters[key][...] = value
    assert written.parameters[key] is array
    assert array.dtype == np.float64
    assert array == value
    np.testing.assert_array_equal(written.values(MODES), in_place.values(MODES))
    plan = LRCPlan(1.0, 7, eps=1e-2, dim=1, threads=1).set_points(np.array([[0.1], [0.3]]))
    channels = 2 if name == "channels" else 1
    f = np.ones((2, channels))
    np.testing.assert_array_equal(plan.convolve(f, written), plan.convolve(f, in_place))


@pytest.mark.parametrize(
    ("make", "key", "value", "error", "message"),
    [
        (Yukawa, "lam", 0.0, ValueError, "lam must not be zero"),
        (Yukawa, "beta", [1.0, 2.0], ValueError, r"beta keeps its shape \(\), got shape \(2,\)"),
        (Yukawa, "beta", "2", TypeError, "beta must be real numbers"),
        (Yukawa, "beta", 1j, TypeError, "beta must be real numbers"),
        (Yukawa, "beta", True, TypeError, "beta must be real numbers"),
        (Yukawa, "beta", np.nan, ValueError, "beta must be finite"),
        (ExponentialKernel, "mu", -1.0, ValueError, "mu must be positive, got -1"),
        (Gaussian, "sigma", 0.0, ValueError, "sigma must be positive, got 0"),
        (InversePower, "sigma", -2.0, ValueError, "sigma must be positive, got -2"),
        (lambda: SumOfGaussians([1.0], [1.0]), "sigmas", [0.0], ValueError, "sigmas must be positive"),
        (lambda: RadialSpline(np.ones(4), 1.0), "coefficients", np.ones(5), ValueError, r"keeps its shape \(4,\)"),
        (lambda: Table(np.ones(3), 1), "real", [1.0, 2.0, np.inf], ValueError, "real must be finite"),
        (lambda: Gaussian() + 2 * Yukawa(), "right.lam", 0.0, ValueError, "Yukawa: lam must not be zero"),
        (lambda: ChannelMatrix([[1.0]], Yukawa()), "matrix", [1.0], ValueError, r"keeps its shape \(1, 1\)"),
    ],
)
def test_wrong_writes_raise_and_change_nothing(make, key, value, error, message):
    """The checks of the constructor; the old value stays."""
    kernel = make()
    before = {name: array.copy() for name, array in kernel.parameters.items()}
    with pytest.raises(error, match=message):
        kernel.parameters[key] = value
    for name, array in kernel.parameters.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("name", KERNELS)
def test_names_are_fixed(name):
    """No new names, no removals; the message lists what there is."""
    make, key, _ = KERNELS[name]
    kernel = make()
    names = list(kernel.parameters)
    for wrong in ("gamma", "left.gamma", 3):
        with pytest.raises(KeyError, match=key):
            kernel.parameters[wrong] = 1.0
        assert wrong not in kernel.parameters
    for remove in (lambda p: p.__delitem__(key), lambda p: p.pop(key), lambda p: p.clear(), lambda p: p.popitem()):
        with pytest.raises(KeyError):
            remove(kernel.parameters)
    assert list(kernel.parameters) == names
    assert len(kernel.parameters) == len(names)


def test_a_users_own_constraint_and_parameters():
    """``_check`` is asked by the constructor and by writes; parameters that a class defines itself are no view."""

    class Bounded(Gaussian):
        def _check(self):
            super()._check()
            if (self._parameters["sigma"] > 1).any():
                raise ValueError("Bounded: sigma must be at most 1")

    class Renamed(Gaussian):
        @property
        def parameters(self):
            return {"width": self._parameters["sigma"].copy()}

    with pytest.raises(ValueError, match="at most 1"):
        Bounded(2.0)
    kernel = Bounded(0.5)
    with pytest.raises(ValueError, match="at most 1"):
        kernel.parameters["sigma"] = 2.0
    assert kernel.parameters["sigma"] == 0.5
    with pytest.raises(TypeError, match=r"width: Renamed defines parameters of its own"):
        (Renamed() + kernel).parameters["left.width"] = 2.0


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_are_arrays(name):
    """Every gradient is an array of the shape of its parameter, also where that is ()."""
    kernel = KERNELS[name][0]()
    channels = 2 if name == "channels" else 1
    plan = LRCPlan(1.0, 7, eps=1e-2, dim=1, threads=1).set_points(np.array([[0.1], [0.3]]))
    f, points = np.ones((2, channels)), np.ones((2, 1))
    g = np.ones_like(plan.convolve(f, kernel))
    for found in (
        kernel.vjp(MODES, np.ones(kernel.values(MODES).shape)),
        plan.vjp(f, kernel, g).parameters,
        plan.parameters_jvp(f, kernel, g, points),
    ):
        for key, parameter in kernel.parameters.items():
            assert type(found[key]) is np.ndarray, key
            assert found[key].shape == parameter.shape, key


def test_names_of_sums_and_products():
    """``left.`` and ``right.`` of both, and nothing for a factor."""
    assert list((Yukawa() - Gaussian()).parameters) == ["left.beta", "left.lam", "right.sigma", "right.amplitude"]
    assert isinstance(Yukawa() - Gaussian(), Sum)
    assert isinstance(Yukawa() * Gaussian(), Product)
    assert isinstance(sum([Yukawa()]), Multiplier)
    assert "Scaled(-1, Gaussian(" in repr(Yukawa() - Gaussian())


@pytest.mark.parametrize("shape", [(2, 2), (1, 2), (2, 1)])
def test_sums_of_columns_and_matrices(shape):
    """φ(r) is broadcast as φ̂ is: the convolution by pairs is that by modes.

    σ = 0.15 on 31 modes of a unit cell leaves out e^{−σ²(30π)²/2} < 1e-40 of either Gaussian.
    """
    kernel = Gaussian([0.15, 0.2]) + ChannelMatrix(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), Gaussian(0.17))
    points, values = random_numbers(0, 4, 1), random_numbers(1, 4, 2)
    by_pairs = direct.convolve(points, values, kernel, box=1.0)
    assert relative(by_pairs, direct.convolve(points, values, kernel, box=1.0, modes=31)) <= 1e-13
