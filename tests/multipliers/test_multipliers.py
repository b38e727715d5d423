"""Multipliers: parameter gradients, real-space kernels, shapes, and a kernel of one's own."""

from __future__ import annotations

from math import gamma
from types import SimpleNamespace

import numpy as np
import pytest
from measures import best_difference, best_gradient_error, relative
from scipy.integrate import quad
from scipy.special import j0
from strategies import Problem, random_numbers

from lrc_numba import (
    ChannelMatrix,
    ExponentialKernel,
    Gaussian,
    InversePower,
    LRCPlan,
    Multiplier,
    Product,
    RadialSpline,
    Sum,
    SumOfGaussians,
    Table,
    Yukawa,
    direct,
)
from lrc_numba.geometry.cell import Cell
from lrc_numba.geometry.modes import ModeSet

MODES = ModeSet(Cell([1.0, 1.3], 2), (7, 6))
GENERATOR = np.random.default_rng(0)
EVERY = {
    "Yukawa": Yukawa(1.5, -3.0),
    "Yukawa column": Yukawa([1.5, -2.0], 3.0),
    "Yukawa matrix": Yukawa([[1.5, -2.0, 0.3]], [[3.0], [5.0]]),
    "ExponentialKernel": ExponentialKernel(2.0, [0.5, -1.0]),
    "Gaussian": Gaussian([[0.1, 0.2], [0.3, 0.15]], -2.0),
    "SumOfGaussians": SumOfGaussians([1.0, -0.5, 0.2], [0.1, 0.2, 0.05]),
    "InversePower": InversePower(1.0, [0.1, 0.2], [1.0, -3.0]),
    "InversePower half": InversePower(0.5, 0.1, 2.0),
    "RadialSpline": RadialSpline(GENERATOR.standard_normal((2, 3, 7)), 20.0),
    "RadialSpline scalar": RadialSpline(GENERATOR.standard_normal(5), 12.0),
    "Table": Table(GENERATOR.standard_normal(MODES.shape), 2),
    "Table complex": Table(GENERATOR.standard_normal((2, *MODES.shape)) * (1 + 0.5j), 2),
    "ChannelMatrix": ChannelMatrix(GENERATOR.standard_normal((2, 3)), Yukawa(1.0, 2.0)),
    "Sum": Yukawa([1.0, 2.0], 3.0) + Gaussian(0.2),
    "Sum broadcast": Sum(Gaussian([[0.1], [0.2]]), Yukawa([[1.0, 2.0, 3.0]], 2.0)),
    "Product": Gaussian(0.1) * Yukawa([1.0, -2.0], 3.0),
    "Product of matrices": Product(ChannelMatrix([[1.0, 2.0]], Gaussian(0.1)), Yukawa([[1.0], [2.0]], 3.0)),
    "Product with complex": Product(Table(np.full(MODES.shape, 0.3 - 1j), 2), Gaussian([0.1, 0.2])),
}


@pytest.mark.parametrize("name", EVERY)
def test_parameter_gradient(name):
    """vjp is the gradient of Σ_k Re(φ̂ · cotangent), every component, against central differences; to 1e-8.

    The best step has an error of about eps_machine^(2/3) = 4e-11; a hundredfold for curvature and cancellation.
    """
    multiplier = EVERY[name]
    shape = multiplier.values(MODES).shape
    real, imaginary = random_numbers(1, *shape), random_numbers(2, *shape)
    cotangent = real + 1j * imaginary
    found = multiplier.vjp(MODES, cotangent)
    assert list(found) == list(multiplier.parameters)
    for parameter_name, parameter in multiplier.parameters.items():
        kept = parameter.copy()

        def total(value, parameter=parameter):
            parameter[...] = value
            return float(np.sum((multiplier.values(MODES) * cotangent).real))

        assert found[parameter_name].shape == parameter.shape
        error = best_gradient_error(total, kept, found[parameter_name], 0.1)
        parameter[...] = kept
        assert error <= 1e-8, parameter_name


@pytest.mark.parametrize("name", EVERY)
def test_values_and_repr(name):
    """Values have one number per mode and channel, are real for even kernels, and the repr names the class."""
    multiplier = EVERY[name]
    values = multiplier.values(MODES)
    assert values.shape[-1] == MODES.size
    assert np.iscomplexobj(values) == ("complex" in name)
    assert type(multiplier).__name__ in repr(multiplier)
    assert all(value.dtype == np.float64 for value in multiplier.parameters.values())


def transform(kernel, k: float, dim: int) -> float:
    """∫ φ(|x|) e^{−ik·x} dx by quadrature over the radius."""
    factors = {
        1: lambda r: 2 * np.cos(k * r),
        2: lambda r: 2 * np.pi * r * j0(k * r),
        3: lambda r: 4 * np.pi * r**2 * np.sinc(k * r / np.pi),
    }
    return quad(lambda r: factors[dim](r) * float(kernel.kernel(np.array(r), dim)), 0, 12, limit=400, epsabs=1e-11)[0]


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize(
    "kernel",
    [Yukawa(0.7, 4.0), ExponentialKernel(4.0, 1.3), Gaussian(0.3, 2.0), SumOfGaussians([1.0, -0.4], [0.2, 0.5])],
)
def test_real_space_kernel_is_the_transform(kernel, dim):
    """φ̂ is the Fourier transform of φ, by quadrature (asked for 1e-11; e^{−48} is left out beyond r = 12)."""
    wavenumbers = np.array([0.0, 0.9, 3.0, 8.0])
    wanted = kernel.values(at_wavenumbers(wavenumbers, dim))
    found = np.array([transform(kernel, k, dim) for k in wavenumbers])
    assert np.abs(found - wanted).max() <= 1e-9 * np.abs(wanted).max()


@pytest.mark.parametrize(("dim", "exponent"), [(1, 0.5), (2, 1.0), (2, 0.5), (3, 1.0), (3, 2.0), (3, 2.5)])
def test_inverse_power_is_the_transform_back(dim, exponent):
    """φ(r) of the smeared a/r^p from φ̂ by quadrature over k: φ itself decays too slowly for the other direction."""
    kernel = InversePower(exponent, 0.4, 1.7)
    factors = {
        1: lambda k, r: np.cos(k * r) / np.pi,
        2: lambda k, r: k * j0(k * r) / (2 * np.pi),
        3: lambda k, r: k**2 * np.sinc(k * r / np.pi) / (2 * np.pi**2),
    }
    for r in (0.0, 0.3, 1.0, 2.5):
        # k = s⁴ takes the sharpness of k^{p−1} at zero away; e^{−σ²k²/2} is below 1e-30 beyond k = 30.
        def integrand(s, r=r):
            k = s**4
            return 4 * s**3 * factors[dim](k, r) * kernel.values(at_wavenumbers(np.array([k]), dim))[0]

        found = quad(integrand, 0, 30**0.25, limit=400, epsabs=1e-12)[0]
        wanted = float(kernel.kernel(np.array(r), dim))
        assert abs(found - wanted) <= 1e-8 * float(kernel.kernel(np.array(0.0), dim))


def test_inverse_power_tends_to_the_power():
    """Far beyond σ the kernel is a/r^p; at k = 0 the multiplier is zero."""
    kernel = InversePower(1.0, 0.1, 2.0)
    assert relative(kernel.kernel(np.array([1.0, 3.0]), 3), 2.0 / np.array([1.0, 3.0])) <= 1e-12
    assert kernel.values(MODES)[0] == 0.0
    modes = at_wavenumbers(np.array([2.0]), 3)
    assert relative(kernel.values(modes), np.array([2 * 4 * np.pi * np.exp(-(0.2**2) / 2) / 4])) <= 1e-14


@pytest.mark.parametrize(("dim", "exponent"), [(1, 0.5), (2, 1.0), (3, 1.0), (3, 2.0)])
def test_background_of_a_charged_cell(dim, exponent):
    """½ Σ f u, pairs by a/r^p − φ(r), less own terms, and the background of the docstring: whatever σ is, one energy.

    Only images in the first shells are summed, beyond which the short-range part is below e^{−(3/0.4)²/2} = 6e-13 of
    what it is at r = 1; modes end where e^{−σ²k²/2} is below e^{−50}. A charge in a cube of edge 1 has half of Wigner's
    −2.837297479480620.
    """
    x, f = 0.3 * GENERATOR.random((2, dim)), np.array([1.0, 0.7])
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * dim, indexing="ij"), -1).reshape(-1, dim)

    def energy(x, f, sigma):
        kernel = InversePower(exponent, sigma)
        long = direct.convolve(x, f, kernel, box=1.0, modes=2 * int(1.7 / sigma) + 1)
        r = np.linalg.norm(x[:, None, None] - x[:, None] - shifts, axis=-1)
        apart = np.where(r > 0, r, 1.0)
        short = np.where(r > 0, apart**-exponent - kernel.kernel(apart, dim), -kernel.kernel(np.zeros_like(r), dim))
        background = -(f.sum() ** 2) * np.pi ** (dim / 2) * (2 * sigma**2) ** ((dim - exponent) / 2)
        background /= (dim - exponent) * gamma(exponent / 2)
        return 0.5 * f @ long + 0.5 * np.einsum("i,j,ijs->", f, f, short) + background

    assert abs(energy(x, f, 0.3) - energy(x, f, 0.4)) <= 1e-9
    if (dim, exponent) == (3, 1.0):
        assert abs(energy(x[:1], f[:1], 0.3) - 0.5 * -2.837297479480620) <= 1e-9


def at_wavenumbers(k: np.ndarray, dim: int) -> SimpleNamespace:
    """As much of a ``ModeSet`` as a radial multiplier looks at."""
    return SimpleNamespace(dim=dim, size=len(k), k2=k**2, norm=k)


def test_spline_reproduces_cubics_and_ends():
    """Equal coefficients are a constant below the cutoff and zero beyond (a partition of unity)."""
    spline = RadialSpline(np.full(6, 2.5), 10.0)
    values = spline.values(at_wavenumbers(np.array([0.0, 1.0, 9.99, 10.01, 50.0]), 3))
    assert np.abs(values - [2.5, 2.5, 2.5, 0.0, 0.0]).max() <= 1e-14


def test_sum_and_product_kernels():
    """Kernels of sums add up, channel matrices mix, and a product has none."""
    r = np.linspace(0.1, 2.0, 5)
    one, two = Gaussian([0.1, 0.2]), ExponentialKernel(3.0)
    assert relative((one + two).kernel(r, 2), one.kernel(r, 2) + two.kernel(r, 2)) <= 1e-15
    matrix = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]])
    mixed = ChannelMatrix(matrix, two).kernel(r, 1)
    assert relative(mixed, matrix[..., None] * two.kernel(r, 1)) <= 1e-15
    for unknown in (one * two, RadialSpline(np.ones(4), 1.0), EVERY["Table"]):
        with pytest.raises(NotImplementedError, match="real-space kernel"):
            unknown.kernel(r, 2)


def test_convolution_theorem():
    """A product of Gaussians is the Gaussian with the variances added."""
    product, single = Gaussian(0.3, 2.0) * Gaussian(0.4, -1.5), Gaussian(0.5, -3.0)
    assert relative(product.values(MODES), single.values(MODES)) <= 1e-14


class Screened(Multiplier):
    """A user's kernel: strength / (1 + k² length²)."""

    def __init__(self, strength, length):
        super().__init__(strength=strength, length=length)

    def values(self, modes):
        strength, length = self.columns()
        return strength / (1 + modes.k2 * length**2)

    def derivatives(self, modes):
        strength, length = self.columns()
        down = 1 + modes.k2 * length**2
        return {"strength": 1 / down, "length": -2 * strength * length * modes.k2 / down**2}


@pytest.mark.parametrize(("strength", "length"), [(1.0, 0.1), ([1.0, 2.0], 0.1), ([[1.0, 2.0]], [[0.1], [0.2]])])
def test_ten_lines_of_a_users_own(strength, length, backend):
    """It is the Yukawa kernel in other letters, and can be differentiated, for every channel shape."""
    own = Screened(strength, length)
    beta, lam = np.asarray(strength) / (4 * np.pi * np.asarray(length) ** 2), 1 / np.asarray(length)
    channels = 2 if np.ndim(strength) == 2 else 1
    problem = Problem(1.0, (15,), GENERATOR.random((9, 1)), random_numbers(0, 9, channels), own)
    plan = problem.plan(backend)
    u = plan.convolve(problem.values, own)
    assert relative(u, plan.convolve(problem.values, Yukawa(beta, lam))) <= 1e-13
    g = random_numbers(1, *u.shape)
    found = plan.vjp(problem.values, own, g).parameters
    for name, parameter in own.parameters.items():
        kept = parameter.copy()

        def total(value, parameter=parameter):
            parameter[...] = value
            return float(np.sum(g * plan.convolve(problem.values, own)))

        error = best_gradient_error(total, kept, found[name], 0.1)
        parameter[...] = kept
        assert error <= 1e-8, name


class Shifted(Multiplier):
    """A user's kernel that is not even: a complex φ̂."""

    def __init__(self, shift):
        super().__init__(shift=shift)

    def values(self, modes):
        (shift,) = self.columns()
        return np.exp(-1j * shift * modes.k[:, 0] - 0.001 * modes.k2)

    def derivatives(self, modes):
        return {"shift": -1j * modes.k[:, 0] * self.values(modes)}


@pytest.mark.parametrize("exclude_self", [False, True])
def test_complex_multiplier_of_a_users_own(exclude_self, backend):
    """Gradients of a complex φ̂, through the whole convolution, also where φ(0) is taken off."""
    own = Shifted([0.2, -0.3])
    problem = Problem(1.0, (12, 15), GENERATOR.random((9, 2)), random_numbers(0, 9), own)
    plan = problem.plan(backend, 1e-5)
    g = random_numbers(1, 9, 2)
    found = plan.vjp(problem.values, own, g, exclude_self=exclude_self).parameters["shift"]
    direction, kept = np.array([0.1, 0.07]), own.parameters["shift"].copy()

    def total(h):
        own.parameters["shift"][...] = kept + h * direction
        return float(np.sum(g * plan.convolve(problem.values, own, exclude_self=exclude_self)))

    assert best_difference(total, found @ direction, float(np.linalg.norm(found) * 0.1)) <= 1e-8


def test_unfinished_subclasses_say_so():
    """``values`` and ``derivatives`` missing are errors that name the class."""

    class Half(Multiplier):
        def values(self, modes):
            return np.ones(modes.size)

    with pytest.raises(NotImplementedError, match="Multiplier must define values"):
        Multiplier().values(MODES)
    with pytest.raises(NotImplementedError, match="Half must define derivatives"):
        Half().vjp(MODES, np.ones(MODES.size))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Yukawa([1.0, 2.0], [1.0, 2.0, 3.0]), r"Yukawa: parameters do not fit together.*\(2,\).*\(3,\)"),
        (lambda: Yukawa(np.ones((2, 2, 2)), 1.0), r"Yukawa: expected shapes.*\(2, 2, 2\)"),
        (lambda: Yukawa(1.0, 0.0), "Yukawa: lam must not be zero"),
        (lambda: Yukawa(np.nan, 1.0), "Yukawa: beta must be finite, got nan"),
        (lambda: ExponentialKernel(-1.0), "ExponentialKernel: mu must be positive, got -1"),
        (lambda: Gaussian(0.0), "Gaussian: sigma must be positive, got 0"),
        (lambda: SumOfGaussians([1.0, 2.0], [1.0]), r"SumOfGaussians: .*one shape.*\(2,\)"),
        (lambda: SumOfGaussians([1.0], [-1.0]), "SumOfGaussians: sigmas must be positive"),
        (lambda: InversePower(0.0), "InversePower: exponent must be"),
        (lambda: InversePower(1.0, -1.0), "InversePower: sigma must be positive"),
        (lambda: InversePower(2.0).values(MODES), "exponent 2 must be below the dimension 2"),
        (lambda: RadialSpline(np.ones(3), 1.0), r"RadialSpline: coefficients.*\(3,\)"),
        (lambda: RadialSpline(np.ones(5), 0.0), "RadialSpline: cutoff must be positive"),
        (lambda: RadialSpline([1.0, np.inf, 1.0, 1.0], 1.0), "RadialSpline: coefficients must be finite"),
        (lambda: RadialSpline(np.ones(6), np.inf), "RadialSpline: cutoff must be finite, got inf"),
        (lambda: RadialSpline([[1.0, 2.0], [3.0]], 1.0), "RadialSpline: coefficients must be a number or an array"),
        (lambda: SumOfGaussians([[1.0, 2.0], [3.0]], [1.0]), "SumOfGaussians: amplitudes must be a number or an arr"),
        (lambda: InversePower(np.nan), "InversePower: exponent must be finite, got nan"),
        (lambda: InversePower(3), "InversePower: exponent must be a number between 0 and the dimension, got 3"),
        (lambda: Yukawa([], 1.0), r"Yukawa: beta must be at least one number, got shape \(0,\)"),
        (lambda: Gaussian([[1.0, 2.0], [3.0]]), "Gaussian: sigma must be a number or an array"),
        (lambda: ChannelMatrix([1.0, 2.0], Gaussian(0.1)), r"ChannelMatrix: matrix must have shape.*\(2,\)"),
        (lambda: ChannelMatrix([[1.0]], Gaussian([0.1, 0.2])).values(MODES), r"ChannelMatrix: kernel must have one"),
        (lambda: Table(np.ones((3, 3)), 1).values(MODES), r"Table: expected values for modes of shape"),
        (lambda: Table(np.ones(3), 2), r"Table: expected 2 mode axes.*\(3,\)"),
        (lambda: Table(np.full((3, 3), np.nan), 2), "Table: values must be finite"),
        (lambda: Table([[1, 2], [3]], 2), "Table: values must be a number or an array, got"),
        (lambda: Table(np.ones(3), 0), "Table: dim must be 1, 2 or 3, got 0"),
    ],
)
def test_wrong_parameters_raise(make, message):
    """A ValueError that names the class, the parameter, and what came."""
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Yukawa(1j, 1.0), "Yukawa: beta must be real numbers, got dtype complex"),
        (lambda: Yukawa("1", 1.0), "Yukawa: beta must be real numbers"),
        (lambda: Yukawa(None, 1.0), "Yukawa: beta must be real numbers"),
        (lambda: Yukawa(True, 1.0), "Yukawa: beta must be real numbers, got dtype bool"),
        (lambda: Yukawa(np.ma.masked_array([1.0], [True])), "Yukawa: beta must be real numbers, got a masked array"),
        (lambda: Yukawa([np.ma.masked_array([1.0], [True])]), "Yukawa: beta must be real numbers, got a masked array"),
        (lambda: Table([np.ma.masked, 1.0], 1), "Table: values must be real or complex numbers, got a masked array"),
        (lambda: RadialSpline(np.ones(6) + 1j, 3.0), "RadialSpline: coefficients must be real numbers, got dtype comp"),
        (lambda: RadialSpline("x", 3.0), "RadialSpline: coefficients must be real numbers, got dtype"),
        (lambda: RadialSpline(np.ones(6), None), "RadialSpline: cutoff must be a real number, got None"),
        (lambda: RadialSpline(np.ones(6), "3"), "RadialSpline: cutoff must be a real number, got '3'"),
        (lambda: RadialSpline(np.ones(6), True), "RadialSpline: cutoff must be a real number, got True"),
        (lambda: RadialSpline(np.ones(6), [3.0]), r"RadialSpline: cutoff must be a real number, got \[3.0\]"),
        (lambda: SumOfGaussians("x", [1.0]), "SumOfGaussians: amplitudes must be real numbers"),
        (lambda: InversePower(True), "InversePower: exponent must be a real number, got True"),
        (lambda: InversePower("1"), "InversePower: exponent must be a real number, got '1'"),
        (lambda: InversePower(1j), "InversePower: exponent must be a real number"),
        (lambda: Table(np.ones((3, 3)), 2.0), "Table: dim must be an int, got 2.0"),
        (lambda: Table(np.ones((3, 3)), True), "Table: dim must be an int, got True"),
        (lambda: Table("x", 1), "Table: values must be real or complex numbers, got dtype"),
        (lambda: Table([None, 1.0], 1), "Table: values must be real or complex numbers, got dtype object"),
        (lambda: ChannelMatrix([["x"]], Gaussian()), "ChannelMatrix: matrix must be real numbers"),
        (lambda: Gaussian(0.1) + 1.0, "Sum: expected two multipliers, got float"),
        (lambda: Product(2.0, Gaussian(0.1)), "Product: expected two multipliers, got float"),
        (lambda: ChannelMatrix([[1.0]], 2.0), "ChannelMatrix: kernel must be a multiplier, got float"),
    ],
)
def test_wrong_types_raise(make, message):
    """A TypeError that names the class and what came."""
    with pytest.raises(TypeError, match=message):
        make()


def test_a_multiplier_with_wrong_values_is_refused(backend):
    """Wrong shape or not finite on some mode: the plan says so, naming the multiplier."""

    class Wrong(Multiplier):
        def __init__(self, numbers):
            super().__init__()
            self.numbers = numbers

        def values(self, modes):
            return self.numbers

    plan = LRCPlan(1.0, 7, dim=1, backend=backend).set_points(np.zeros((2, 1)))
    for numbers in (np.ones(5), np.ones((1, 1, 1, 4)), np.float64(1.0)):
        with pytest.raises(ValueError, match=r"multiplier: .*must return shape \(\*channels, 4\), got"):
            plan.convolve(np.ones(2), Wrong(numbers))
    with pytest.raises(ValueError, match=r"multiplier: .*not finite"):
        plan.convolve(np.ones(2), Wrong(np.array([np.inf, 1, 1, 1])))
    for numbers in (np.array([1, 1, 1, None]), np.array([1.0] * 4, dtype=object), ["1", "2", "3", "4"]):
        with pytest.raises(TypeError, match=r"multiplier: Wrong.values must return real or complex numbers, got dtype"):
            plan.convolve(np.ones(2), Wrong(numbers))
    with pytest.raises(ValueError, match=r"multiplier: Wrong.values must return shape \(\*channels, 4\), got"):
        plan.convolve(np.ones(2), Wrong([[1.0, 2.0], [3.0]]))


def test_numbers_of_numpy_are_numbers():
    """An exponent and a cutoff may be of any real type."""
    wanted = InversePower(1).values(MODES)
    for exponent in (np.int64(1), np.float32(1), np.array(1.0)):
        np.testing.assert_array_equal(InversePower(exponent).values(MODES), wanted)
    assert RadialSpline(np.ones(6), np.float32(2.0)).cutoff == 2.0
    assert Table(np.ones(3), np.int64(1)).parameters["real"].shape == (3,)
