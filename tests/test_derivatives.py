"""Derivatives: transposes to rounding, against central differences at every eps, continuous, and chained."""

from __future__ import annotations

import numpy as np
import pytest
from bounds import TIMES, Sums, sweep
from hypothesis import strategies as st
from measures import MACHINE, best_difference, best_gradient_error, relative, rounding, typical_size
from strategies import Problem, holds_for, layout, random_numbers, seeds

from lrc_numba import ChannelMatrix, Gaussian, Product, Sum, Table, Yukawa

# Central differences of a smooth function: truncation ~ h², rounding ~ eps_machine / h, together about
# eps_machine^(2/3) = 4e-11 at the best step; a hundredfold for functions whose higher derivatives are larger.
DIFFERENCES = 4e-9


def places_of(problem: Problem) -> np.ndarray:
    """The targets, or the points where there are none."""
    return problem.points if problem.targets is None else problem.targets


def dot(a, b) -> float:
    """⟨a, b⟩."""
    return float(np.ravel(a) @ np.ravel(b))


@holds_for(drawn={"seed": seeds})
def test_adjoint_in_the_values(problem, seed, backend):
    """⟨g, A f⟩ = ⟨Aᵀ g, f⟩.

    Both sides are sums of g_i A_ij f_j, so their rounding is measured against ‖g‖ ‖A‖ ‖f‖, with ‖A‖ ‖f‖ as large as
    a typical u, and not against a value that may be zero by accident.
    """
    plan = problem.plan(backend)
    options = {"multiplier": problem.multiplier, "exclude_self": problem.exclude_self}
    u = plan.convolve(problem.values, **options)
    g = random_numbers(seed, *u.shape)
    back = plan.vjp(problem.values, cotangent=g, wrt=("values",), **options).values
    size = np.linalg.norm(g) * max(np.linalg.norm(u), typical_size(problem))
    assert abs(dot(g, u) - dot(back, problem.values)) <= rounding(u.size + problem.values.size) * size


@holds_for(examples=40, drawn={"seed": seeds, "gradient": st.sampled_from(("exact", "spectral"))})
def test_vjp_is_the_transpose_of_jvp(problem, seed, gradient, backend):
    """⟨g, J(ẋ, ẏ, ḟ)⟩ = ⟨Jᵀ_x g, ẋ⟩ + ⟨Jᵀ_y g, ẏ⟩ + ⟨Jᵀ_f g, ḟ⟩, for both kinds of gradient."""
    plan = problem.plan(backend, gradient=gradient)
    options = {"multiplier": problem.multiplier, "exclude_self": problem.exclude_self}
    dx, df = random_numbers(seed, *problem.points.shape), random_numbers(seed + 1, *problem.values.shape)
    dy = None if problem.targets is None else random_numbers(seed + 2, *problem.targets.shape)
    forward = plan.jvp(problem.values, dpoints=dx, dvalues=df, dtargets=dy, **options)
    g = random_numbers(seed + 3, *forward.shape)
    back = plan.vjp(problem.values, cotangent=g, **options)
    terms = [dot(back.points, dx), dot(back.values, df)] + ([] if dy is None else [dot(back.targets, dy)])
    # The size of what is added up: the largest wavevector times the displacement, times a typical u.
    reach = 1 + np.abs(problem.mode_set.k).max() * max(np.abs(dx).max(), 0.0 if dy is None else np.abs(dy).max())
    size = np.linalg.norm(g) * reach * (typical_size(problem) + typical_size(problem.change(values=df)))
    size += np.linalg.norm(g) * np.linalg.norm(forward)
    assert abs(dot(g, forward) - sum(terms)) <= rounding(forward.size + dx.size + df.size) * size


@holds_for()
def test_vjp_returns_the_output(problem, backend):
    """``Gradient.output`` is u, and parts that were not asked for are None."""
    plan = problem.plan(backend)
    u = plan.convolve(problem.values, problem.multiplier, exclude_self=problem.exclude_self)
    every = plan.vjp(problem.values, problem.multiplier, u, exclude_self=problem.exclude_self)
    assert relative(every.output, u, typical_size(problem)) <= rounding(problem.points.shape[-2])
    nothing = plan.vjp(problem.values, problem.multiplier, u, wrt=())
    assert (nothing.points, nothing.values, nothing.parameters) == (None, None, None)


@pytest.mark.long
@holds_for(
    examples=30,
    drawn={"seed": seeds, "eps": st.just(1e-6)},
    wide={"eps": st.sampled_from((1e-2, 1e-6))},
    layouts=("uniform", "clustered"),
)
def test_jvp_against_central_differences(problem, seed, eps, backend):
    """J(ẋ, ẏ, ḟ) is the derivative of the computed u, at eps = 1e-2 as well as at 1e-6.

    Not for points exactly on a node: there ψ″ jumps, the truncation of a central difference is ~ h instead of h², and
    the best step reaches no more than the root of the machine precision.
    """
    dx, df = 0.1 * random_numbers(seed, *problem.points.shape), random_numbers(seed + 1, *problem.values.shape)
    dy = None if problem.targets is None else 0.1 * random_numbers(seed + 2, *problem.targets.shape)
    options = {"multiplier": problem.multiplier, "exclude_self": problem.exclude_self}

    def at(h):
        targets = None if dy is None else problem.targets + h * dy
        plan = problem.change(points=problem.points + h * dx, targets=targets).plan(backend, eps)
        return plan.convolve(problem.values + h * df, **options)

    found = problem.plan(backend, eps).jvp(problem.values, dpoints=dx, dvalues=df, dtargets=dy, **options)
    size = max(np.linalg.norm(found), typical_size(problem))
    assert best_difference(at, found, size) <= DIFFERENCES


@pytest.mark.long
@holds_for(examples=40, drawn={"seed": seeds}, layouts=("uniform", "clustered"))
def test_parameter_gradient_against_central_differences(problem, seed, backend):
    """⟨g, u(θ + hθ̇)⟩ for every parameter of every multiplier, with and without ``exclude_self``."""
    plan = problem.plan(backend)
    options = {"multiplier": problem.multiplier, "exclude_self": problem.exclude_self}
    u = plan.convolve(problem.values, **options)
    g = random_numbers(seed, *u.shape)
    gradients = plan.vjp(problem.values, cotangent=g, wrt=("parameters",), **options).parameters
    assert set(gradients) == set(problem.multiplier.parameters)
    for name, parameter in problem.multiplier.parameters.items():
        assert gradients[name].shape == parameter.shape
        kept, direction = parameter.copy(), random_numbers(seed + 1, *parameter.shape) * 0.1 * np.abs(parameter).max()

        def at(h, parameter=parameter, kept=kept, direction=direction):
            parameter[...] = kept + h * direction
            return dot(g, plan.convolve(problem.values, **options))

        size = np.linalg.norm(g) * max(np.linalg.norm(u), typical_size(problem))
        error = best_difference(at, dot(gradients[name], direction), size)
        parameter[...] = kept
        assert error <= DIFFERENCES, name


@pytest.mark.parametrize(
    ("dim", "eps"),
    [(1, 1e-2), (1, 1e-6), (2, 1e-6), (3, 1e-6), *(pytest.param(d, 1e-2, marks=pytest.mark.slow) for d in (2, 3))],
)
def test_energy_gradient_is_exact_at_any_eps(dim, eps, backend):
    """U = ½ Σ f_i u_i: its gradient agrees with central differences of the same U to 1e-8, component by component."""
    modes, count = {1: (12,), 2: (11, 12), 3: (7, 8, 7)}[dim], 6
    values = random_numbers(3, count)
    problem = Problem(1.0, modes, np.random.default_rng(dim).random((count, dim)), values, Yukawa(1.0, 3.0))

    def energy(points):
        plan = problem.change(points=points).plan(backend, eps)
        return 0.5 * dot(values, plan.convolve(values, problem.multiplier))

    found = problem.plan(backend, eps).vjp(values, problem.multiplier, 0.5 * values)
    assert best_gradient_error(energy, problem.points, found.points, 1.0) <= 1e-8


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_target_gradient_is_exact(dim, backend):
    """Σ g·u moved by the targets alone, at eps = 1e-1, to 1e-8."""
    modes = {1: (12,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    generator = np.random.default_rng(dim)
    lattice = np.eye(dim) + 0.2 * generator.random((dim, dim))
    problem = Problem(lattice, modes, generator.random((8, dim)), random_numbers(0, 8), Yukawa([1.0, -2.0], 3.0))
    problem = problem.change(targets=generator.random((4, dim)))
    g = random_numbers(1, 4, 2)

    def total(targets):
        return dot(g, problem.change(targets=targets).plan(backend, 1e-1).convolve(problem.values, problem.multiplier))

    found = problem.plan(backend, 1e-1).vjp(problem.values, problem.multiplier, g)
    assert best_gradient_error(total, problem.targets, found.targets, 1.0) <= 1e-8


SWEPT = [
    (1, "kaiser_bessel", 1e-1),
    pytest.param(1, "gaussian", 1e-4, marks=pytest.mark.slow),
    pytest.param(2, "kaiser_bessel", 1e-2, marks=pytest.mark.slow),
    pytest.param(3, "kaiser_bessel", 1e-2, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("gradient", ["exact", "spectral"])
@pytest.mark.parametrize(("dim", "window", "eps"), SWEPT)
def test_gradient_is_within_its_bound_of_the_true_one(dim, window, eps, gradient, backend):
    """Against ik under the Fourier sum: for every point as ``bounds`` proves it, in ℓ² against the size of the terms.

    Relative to itself a gradient does not keep eps where its terms cancel. A sweep that came nowhere near the size of
    the terms would prove nothing.
    """
    over_terms = []
    for sums in sweep(dim):
        p = sums.problem
        plan = p.plan(backend, eps, window=window, gradient=gradient)
        sides = plan.grid.n if gradient == "exact" else None
        found = plan.vjp(p.values, p.multiplier, sums.g, wrt=("points",)).points
        # Rounding on the grid, times the wavenumber of its highest waves, at most some ten times that of the modes.
        noise = 10 * rounding(len(p.points)) * sums.gradient_bound()
        assert (np.abs(found - sums.gradient) <= eps * TIMES[gradient] * sums.gradient_bound() + noise).all(), p
        over_terms.append(relative(found, sums.gradient, sums.gradient_terms(sides)) / eps)
    assert 0.01 <= max(over_terms) <= 1


@pytest.mark.parametrize("gradient", ["exact", "spectral"])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_gradient_against_the_true_kernel(dim, gradient, backend):
    """Where nothing cancels, relative to the gradient itself: "spectral" within eps, "exact" within ten times.

    Differentiating the window multiplies an alias by its own wavenumber, which is (n − K)/K, some three, times larger
    than that of the mode it falls on, and more for the next ones.
    """
    eps, modes = 1e-6, {1: (31,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    generator = np.random.default_rng(dim)
    f, g = generator.standard_normal((2, 40))
    problem = Problem(1.3, modes, generator.random((40, dim)), f, Yukawa(1.0, 3.0))
    wanted = Sums(problem, g).gradient
    found = problem.plan(backend, eps, gradient=gradient).vjp(f, problem.multiplier, g).points
    assert relative(found, wanted) <= max(rounding(40), eps * (1 if gradient == "spectral" else 10))


@pytest.mark.parametrize("seed", range(4))
def test_forces_of_few_points_are_within_the_bound(seed, backend):
    """Five points, a kernel of medium range, eps 1e-2: forces are small, and their errors more than eps of them."""
    rng = np.random.default_rng(seed)
    problem = Problem(np.ones(3), (8, 8, 8), rng.random((5, 3)), rng.standard_normal(5), Yukawa(1.0, 5.0))
    sums = Sums(problem, problem.values / 2)
    for gradient, times in TIMES.items():
        plan = problem.plan(backend, 1e-2, gradient=gradient)
        found = plan.vjp(problem.values, problem.multiplier, sums.g, wrt=("points",)).points
        assert (np.abs(found - sums.gradient) <= 1e-2 * times * sums.gradient_bound()).all()
        sides = plan.grid.n if gradient == "exact" else None
        assert relative(found, sums.gradient, sums.gradient_terms(sides)) <= 1e-2


@pytest.mark.parametrize("window", ["kaiser_bessel", pytest.param("gaussian", marks=pytest.mark.slow)])
@pytest.mark.parametrize("eps", [1e-1, 1e-6])
def test_energy_and_force_are_continuous(eps, window, backend):
    """One point moved through two grid cells in 10⁵ steps: no jump in U or in the force.

    With |U''| ≤ B a step h changes the force by at most hB and U, beyond its slope, by h²B. B is that of the true
    kernel, Σ |f_0 f_j φ̂| k² / V, times ten for the aliases (their wavenumbers are up to three times as large).
    """
    steps, modes = 100_000, (15,)
    problem = Problem(1.0, modes, np.array([[0.1], [0.45], [0.8]]), np.array([1.0, -2.0, 1.5]), Yukawa(1.0, 3.0))
    n = problem.plan(backend, eps, window=window).grid.n[0]
    h = 2.0 / n / steps
    values = np.broadcast_to(problem.values, (1000, 3))
    energy, force = [], []
    for block in np.arange(steps).reshape(-1, 1000):
        points = np.repeat(problem.points[None], 1000, axis=0)
        points[:, 0, 0] += block * h
        found = problem.change(points=points).plan(backend, eps, window=window)
        found = found.vjp(values, problem.multiplier, 0.5 * values, wrt=("points",))
        energy.append(0.5 * np.sum(found.output * values, axis=1))
        force.append(found.points[:, 0, 0])
    energy, force = np.concatenate(energy), np.concatenate(force)
    kernel, k2 = problem.multiplier.values(problem.mode_set) * problem.mode_set.weights, problem.mode_set.k2
    strength = np.abs(problem.values).sum() * np.abs(problem.values[0])
    curvature, size = 10 * strength * (kernel @ k2), strength * kernel.sum()
    # Rounding: of the energy, and of the step itself, which is a difference of numbers near 0.1.
    noise = 64 * MACHINE * size
    assert np.abs(np.diff(force)).max() <= h * curvature + noise * np.sqrt(k2.max()) * n
    beyond_slope = np.diff(energy) - h * (force[1:] + force[:-1]) / 2
    assert np.abs(beyond_slope).max() <= h**2 * curvature + noise


@pytest.mark.parametrize("window", ["kaiser_bessel", "gaussian"])
def test_no_jump_between_neighbouring_floats(window, backend):
    """U at consecutive floating-point positions around every node and cell centre differs by rounding only."""
    problem = Problem(1.0, (15,), np.array([[0.1], [0.45], [0.8]]), np.array([1.0, -2.0, 1.5]), Yukawa(1.0, 3.0))
    n = problem.plan(backend, 1e-1, window=window).grid.n[0]
    knots = np.arange(1, 2 * n) / (2 * n)
    near = knots[:, None] * (1 + MACHINE * np.arange(-20, 21))
    points = np.repeat(problem.points[None], near.size, axis=0)
    points[:, 0, 0] = near.ravel()
    values = np.broadcast_to(problem.values, (near.size, 3))
    plan = problem.change(points=points).plan(backend, 1e-1, window=window)
    found = plan.vjp(values, problem.multiplier, 0.5 * values, wrt=("points",))
    energy = 0.5 * np.sum(found.output * values, axis=1).reshape(near.shape)
    force = found.points[:, 0, 0].reshape(near.shape)
    kernel = problem.multiplier.values(problem.mode_set) * problem.mode_set.weights
    size = np.abs(problem.values).sum() * np.abs(problem.values[0]) * kernel.sum()
    # The 41 floats span 40 units in the last place, over which U itself changes by 40 · 2πK units of its own.
    reach = 40 * np.sqrt(problem.mode_set.k2.max())
    assert np.ptp(energy, axis=1).max() <= (64 + reach) * MACHINE * size
    assert np.ptp(force, axis=1).max() <= (64 + 10 * reach) * MACHINE * size * 2 * np.pi * n


@pytest.mark.parametrize("exclude_self", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_two_layers(dim, exclude_self, backend):
    """u₂ = A₂ tanh(A₁ f): gradients with respect to points, values and both kernels, chained by hand, at eps = 1e-1."""
    modes = {1: (12,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    generator = np.random.default_rng(10 + dim)
    first, second = Gaussian([0.1, 0.2], [0.5, -0.7]), ChannelMatrix([[1.0, 0.5], [-0.3, 0.2]], Yukawa(0.3, 4.0))
    problem = Problem(np.full(dim, 1.1), modes, generator.random((5, dim)), generator.standard_normal(5), first)
    weights = generator.standard_normal((5, 2))
    option = {"exclude_self": exclude_self}

    def loss(points, values):
        plan = problem.change(points=points).plan(backend, 1e-1)
        return dot(weights, plan.convolve(np.tanh(plan.convolve(values, first, **option)), second, **option))

    plan = problem.plan(backend, 1e-1)
    middle = np.tanh(plan.convolve(problem.values, first, **option))
    outer = plan.vjp(middle, second, weights, **option)
    inner = plan.vjp(problem.values, first, outer.values * (1 - middle**2), **option)
    points = outer.points + inner.points
    assert best_gradient_error(lambda x: loss(x, problem.values), problem.points, points, 1.0) <= 1e-8
    assert best_gradient_error(lambda f: loss(problem.points, f), problem.values, inner.values, 1.0) <= 1e-8
    for multiplier, gradient in ((first, inner.parameters), (second, outer.parameters)):
        for name, parameter in multiplier.parameters.items():
            kept = parameter.copy()

            def moved(value, parameter=parameter):
                parameter[...] = value
                return loss(problem.points, problem.values)

            error = best_gradient_error(moved, kept, gradient[name], 1.0)
            parameter[...] = kept
            assert error <= 1e-8, name


@pytest.mark.parametrize("kind", ["uniform", "clustered"])
@pytest.mark.parametrize("dim", [1, pytest.param(2, marks=pytest.mark.slow), 3])
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_threads_change_nothing(dim, kind, dtype, backend):
    """u, its tangent and its gradients are the same bits for 1, 2, 3 and 7 threads, crowded tiles included."""
    if dtype == np.float32 and dim == 2:
        pytest.skip("the loops are the same for both; two dimensions of float32 suffice")
    modes, count = {1: (501,), 2: (61, 50), 3: (21, 24, 20)}[dim], 25_000
    generator = np.random.default_rng(dim)
    problem = Problem(1.0, modes, np.zeros((1, dim)), None, Table(np.ones(1), 1))
    points = layout(kind, count, problem.cell, generator).astype(dtype)
    values, dvalues, cotangent = generator.standard_normal((3, count, 2)).astype(dtype)
    moved = generator.standard_normal((count, dim)).astype(dtype)
    multiplier = Sum(Product(Gaussian(0.01), Yukawa(1.0, 3.0)), ChannelMatrix([[0.5, 0.1], [0.0, 1.0]], Gaussian(0.05)))
    results = []
    for threads in (1, 2, 3, 7):
        plan = problem.change(points=points).plan(backend, 1e-5, dtype=dtype, threads=threads)
        gradient = plan.vjp(values, multiplier, cotangent)
        parts = [plan.convolve(values, multiplier), plan.jvp(values, multiplier, moved, dvalues), gradient.output]
        results.append([*parts, gradient.points, gradient.values, *gradient.parameters.values()])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
