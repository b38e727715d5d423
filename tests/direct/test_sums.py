"""The slow truth, against formulas and against itself."""

from __future__ import annotations

import numpy as np
import pytest
from measures import MACHINE, relative, rounding, truth, typical_size
from strategies import Problem

from lrc_numba import ChannelMatrix, ExponentialKernel, Gaussian, Sum, SumOfGaussians, Yukawa, direct, lrc_convolve
from lrc_numba.geometry.cell import Cell


def lattice(dim: int) -> np.ndarray:
    """A skewed cell."""
    return np.eye(dim) * [1.0, 1.2, 0.9][:dim] + 0.15 * np.random.default_rng(dim).standard_normal((dim, dim))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_pairs_equal_modes_for_gaussians(dim, skewed, exclude_self):
    """Σ over images = Σ over modes (Poisson), for kernels that both sums converge for: Gaussians of every shape."""
    generator = np.random.default_rng(dim)
    points, values = generator.standard_normal((7, dim)), generator.standard_normal((7, 2))
    box = lattice(dim) if skewed else 1.0
    kernels = [
        Gaussian(0.15, 2.0),
        SumOfGaussians([1.0, -0.4], [0.13, 0.2]),
        Gaussian([[0.15, 0.2], [0.13, 0.16], [0.2, 0.15]], [[1.0, -2.0], [0.5, 1.0], [0.0, 3.0]]),
        ChannelMatrix([[1.0, 0.5], [-1.0, 0.0]], Gaussian(0.14)),
        Sum(Gaussian(0.13), Gaussian(0.2, [[1.0, 2.0]])),
    ]
    for kernel in kernels:
        # σ ≥ 0.13 and |k| ≥ 2π · 12 / 1.5: e^{−σ²k²/2} < 1e-9 · 1e-2 or far less; modes up to 13.
        problem = Problem(box, (31,) * dim, points, values, kernel, exclude_self=exclude_self)
        pairs = direct.convolve(points, values, kernel, box=box, exclude_self=exclude_self)
        # exclude_self leaves out i's images as well, in both sums.
        assert relative(pairs, truth(problem), typical_size(problem)) <= max(100 * rounding(31**dim), 1e-12)


@pytest.mark.parametrize("mu", [0.5, 3.0, 20.0])
def test_pairs_equal_the_periodic_exponential(mu):
    """Σ_l e^{−μ|x + lL|} = cosh(μ(L/2 − |x|)) / sinh(μL/2) for |x| ≤ L."""
    box, generator = 1.7, np.random.default_rng(0)
    points, targets = box * generator.random((5, 1)), box * generator.random((4, 1))
    values = generator.standard_normal(5)
    r = np.abs(targets - points.T)
    wanted = np.cosh(mu * (box / 2 - r)) / np.sinh(mu * box / 2) @ values
    for kernel in (ExponentialKernel(mu), Yukawa(mu / (2 * np.pi), mu), lambda r: np.exp(-mu * r)):
        found = direct.convolve(points, values, kernel, box=box, targets=targets)
        # Slow decay means many images, about 35/(μL) on either side, each with a rounding of its own.
        assert relative(found, wanted) <= rounding(5 * (1 + 80 / (mu * box)))


def test_modes_equal_the_periodic_exponential():
    """The Fourier sum converges to the same formula as 1/K, the tail of 2μ/(k² + μ²)."""
    x, mu = np.linspace(0.1, 0.9, 9)[:, None], 3.0
    wanted = np.cosh(mu * (0.5 - x[:, 0])) / np.sinh(mu / 2)
    for modes in (101, 1001):
        found = direct.convolve(np.zeros((1, 1)), np.ones(1), ExponentialKernel(mu), box=1.0, modes=modes, targets=x)
        top = (modes - 1) // 2
        assert np.abs(found - wanted).max() <= 2 * 2 * mu / (2 * np.pi) ** 2 / top


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6, 1e-10])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_error_bound_is_a_bound(dim, tolerance):
    """What is left out is at most the bound, which itself keeps the tolerance."""
    generator = np.random.default_rng(dim)
    points, values = generator.random((6, dim)), generator.standard_normal((6, 1))
    cell, kernel = Cell(1.0, dim), ExponentialKernel(6.0)
    wanted, _ = direct.pair_sum(points, values, points, kernel, cell)
    found, bound = direct.pair_sum(points, values, points, kernel, cell, tolerance=tolerance)
    assert np.abs(found - wanted).max() <= bound + rounding(6) * np.abs(wanted).max()
    assert bound <= tolerance * float(np.exp(-3.0)) * np.abs(values).sum() * (1 + 4 * MACHINE)


def test_slow_decay_does_not_converge():
    """1/r has no sum over images: an error, not a number."""
    points = np.random.default_rng(0).random((3, 3))
    with pytest.raises(ValueError, match=r"kernel: the sum over images does not converge"):
        direct.convolve(points, np.ones(3), lambda r: 1 / np.maximum(r, 1e-3), box=1.0)
    with pytest.raises(ValueError, match=r"does not converge"):
        direct.convolve(points, np.ones(3), Yukawa(1.0, 1e-4), box=1.0)


def test_singular_kernels_need_exclude_self():
    """e^{−λr}/r of a point on itself is infinite: an error; without the self-term it is fine."""
    points = np.random.default_rng(0).random((3, 3))
    with pytest.raises(ValueError, match=r"kernel: infinite.*exclude_self=True"):
        direct.convolve(points, np.ones(3), Yukawa(1.0, 8.0), box=1.0)
    assert np.isfinite(direct.convolve(points, np.ones(3), Yukawa(1.0, 8.0), box=1.0, exclude_self=True)).all()
    points[1] = points[0] + [1.0, 0.0, -2.0]
    with pytest.raises(ValueError, match=r"kernel: infinite"):
        direct.convolve(points, np.ones(3), Yukawa(1.0, 8.0), box=1.0, exclude_self=True)


def test_singular_kernels_with_exclude_self_by_hand():
    """Two charges in a large box: u_1 = f_2 e^{−λr}/r and the other way round."""
    points = np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.4]])
    found = direct.convolve(points, np.array([2.0, -1.0]), Yukawa(1.0, 2.0), box=40.0, exclude_self=True)
    # The nearest image is at 39.6, and e^{−79} is nothing beside rounding.
    assert relative(found, np.exp(-1.0) / 0.5 * np.array([-1.0, 2.0])) <= rounding(2)


def test_one_mode_is_the_mean():
    """Only k = 0: u = φ̂(0) Σ f / V at every place."""
    points, values = np.random.default_rng(0).random((5, 2)), np.arange(5.0)
    found = direct.convolve(points, values, Gaussian(0.1, 3.0), box=[2.0, 0.5], modes=1, targets=np.zeros((2, 2)))
    assert relative(found, np.full(2, 3.0 * values.sum())) <= rounding(5)


def test_shapes_are_those_of_the_engine():
    """(N,), (N, C), batches and targets come back as from ``lrc_convolve``."""
    points = np.random.default_rng(0).random((2, 5, 2))
    scalar, column = Gaussian(0.3), Gaussian([0.3, 0.4, 0.5])
    for modes in (5, None):
        option = {"box": 1.0, "modes": modes}
        assert direct.convolve(points[0], None, scalar, **option).shape == (5,)
        assert direct.convolve(points[0], np.ones((5, 1)), scalar, **option).shape == (5, 1)
        assert direct.convolve(points[0], np.ones((5, 4)), scalar, **option).shape == (5, 4)
        assert direct.convolve(points[0], np.ones(5), column, **option).shape == (5, 3)
        assert direct.convolve(points, None, column, **option).shape == (2, 5, 3)
        assert direct.convolve(points, None, scalar, targets=points[:, :3], **option).shape == (2, 3)


COUPLED = ChannelMatrix([[1.0, -0.5], [2.0, 0.3], [0.0, 1.0]], Gaussian(0.3))


@pytest.mark.parametrize("kernel", [Gaussian(0.3), Gaussian([0.3, 0.4]), COUPLED], ids=["()", "(2,)", "(3, 2)"])
@pytest.mark.parametrize("snapshots", [(), (0,), (3,)])
@pytest.mark.parametrize("count", [0, 4])
@pytest.mark.parametrize("targets", [None, 0, 2])
def test_shapes_are_those_of_the_engine_also_of_nothing(count, snapshots, targets, kernel):
    """No snapshots, no points, no targets: the shape that ``lrc_convolve`` gives, and zeros where there are targets."""
    generator = np.random.default_rng(0)
    points = generator.random((*snapshots, count, 1))
    places = None if targets is None else generator.random((*snapshots, targets, 1))
    for channels in [(2,)] if kernel is COUPLED else [(), (1,)]:
        values = generator.standard_normal((*snapshots, count, *channels))
        wanted = lrc_convolve(points, values, kernel, box=1.0, modes=7, targets=places)
        for modes in (7, None):
            for f in (values, values * 1j):
                found = direct.convolve(points, f, kernel, box=1.0, modes=modes, targets=places)
                assert found.shape == wanted.shape
                assert found.dtype == f.dtype
                assert count or not found.any()


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("modes", [9, None])
@pytest.mark.parametrize("kernel", [Gaussian(0.2), COUPLED, Yukawa(1.0, 8.0)], ids=["one", "matrix", "Yukawa"])
def test_complex_values(kernel, modes, exclude_self):
    """u is linear in f with real coefficients: that of f + ig is that of f, and i times that of g."""
    generator = np.random.default_rng(0)
    points, f, g = generator.random((2, 5, 1)), *generator.standard_normal((2, 2, 5, 2))
    option = {"box": 1.0, "modes": modes, "exclude_self": exclude_self}
    found = direct.convolve(points, f + 1j * g, kernel, **option)
    real, imaginary = (direct.convolve(points, part, kernel, **option) for part in (f, g))
    assert found.dtype == np.complex128
    # Images beside points: about 35 / (8 · 1) on either side for the slowest decay.
    assert relative(found, real + 1j * imaginary) <= rounding(5 * 10)


def test_complex_kernels_of_pairs():
    """A radial function may be complex too; its imaginary part is no longer lost."""
    points, f = np.random.default_rng(0).random((5, 1)), np.arange(5.0)
    found = direct.convolve(points, f, lambda r: (1 + 2j) * np.exp(-9 * r), box=1.0)
    wanted = direct.convolve(points, f, lambda r: np.exp(-9 * r), box=1.0)
    assert relative(found, (1 + 2j) * wanted) <= rounding(5 * 10)


@pytest.mark.parametrize("modes", [5, None])
@pytest.mark.parametrize("name", ["points", "values", "targets", "box"])
def test_other_kinds_of_numbers_are_refused(name, modes):
    """Masks, texts, truths, objects and complex positions: as by ``lrc_convolve``, nothing is dropped in silence."""
    points = np.random.default_rng(0).random((5, 2))
    good = {"points": points, "values": np.ones(5), "targets": points, "box": np.ones(2)}
    bad = [np.ma.array(good[name]), good[name].astype(str), good[name].astype(bool), good[name].astype(object)]
    for value in bad if name == "values" else [*bad, good[name] + 0j]:
        with pytest.raises(TypeError, match=f"^{name}: expected"):
            direct.convolve(**good | {name: value}, kernel_or_multiplier=Gaussian(0.3), modes=modes)


@pytest.mark.parametrize("modes", [5, None])
def test_wrong_arguments_raise(modes):
    """Wrong shapes and combinations name the argument, for both sums."""
    points, kernel = np.random.default_rng(0).random((5, 2)), Gaussian(0.3)
    with pytest.raises(ValueError, match="values: expected shape"):
        direct.convolve(points, np.ones(4), kernel, box=1.0, modes=modes)
    with pytest.raises(ValueError, match="points: expected shape"):
        direct.convolve(points[0], np.ones(4), kernel, box=1.0, modes=modes)
    with pytest.raises(ValueError, match="exclude_self"):
        direct.convolve(points, None, kernel, box=1.0, modes=modes, targets=points, exclude_self=True)
    with pytest.raises(ValueError, match=r"values: expected finite numbers, got nan at index \(0,\)"):
        direct.convolve(points, np.full(5, np.nan), kernel, box=1.0, modes=modes)
    with pytest.raises(ValueError, match=r"multiplier: takes 2 channel\(s\), values have 3"):
        direct.convolve(points, np.ones((5, 3)), Gaussian([[0.3, 0.4]]), box=1.0, modes=modes)
