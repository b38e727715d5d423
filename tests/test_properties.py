"""Properties of the operator that hold for every problem: accuracy, linearity, symmetries, small and odd inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st
from measures import relative, rounding, truth, typical_size
from strategies import LAYOUTS, Problem, holds_for, layout, random_numbers, seeds

from lrc_numba import Gaussian, LRCPlan, Multiplier, Table, Yukawa, lrc_convolve

EPS = 1e-6


def convolve(problem: Problem, backend: str, eps: float = EPS, **options) -> np.ndarray:
    """u with a fresh plan."""
    return problem.plan(backend, eps, **options).convolve(
        problem.values, problem.multiplier, exclude_self=problem.exclude_self
    )


@holds_for(examples=60, drawn={"eps": st.just(1e-6)}, wide={"eps": st.sampled_from((1e-2, 1e-6, 1e-10))})
def test_agrees_with_the_fourier_sum_within_eps(problem, eps, backend):
    """‖u − u_direct‖ ≤ eps ‖u‖ for every dimension, cell, layout, multiplier, batch and set of targets."""
    error = relative(convolve(problem, backend, eps), truth(problem), typical_size(problem))
    # Floor: points a thousand boxes away have lost three digits of their phase before the first operation.
    assert error <= max(1000 * rounding(problem.points.shape[-2]), eps)


@holds_for(drawn={"seed": seeds})
def test_linear_in_the_values(problem, seed, backend):
    """A(2f − 3g) = 2Af − 3Ag to rounding."""
    other = random_numbers(seed, *problem.values.shape)
    plan = problem.plan(backend)
    rest = {"multiplier": problem.multiplier, "exclude_self": problem.exclude_self}
    together = plan.convolve(2 * problem.values - 3 * other, **rest)
    apart = 2 * plan.convolve(problem.values, **rest) - 3 * plan.convolve(other, **rest)
    scale = 2 * typical_size(problem) + 3 * typical_size(problem.change(values=other))
    assert relative(together, apart, scale) <= rounding(problem.points.shape[-2])


@holds_for(drawn={"seed": seeds})
def test_permuted_points_give_permuted_results(problem, seed, backend):
    """The order of the points does not matter, beyond the order of additions."""
    order = np.random.default_rng(seed).permutation(problem.points.shape[-2])
    axis = problem.points.ndim - 2
    permuted = problem.change(points=problem.points.take(order, axis), values=problem.values.take(order, axis))
    found, wanted = convolve(permuted, backend), convolve(problem, backend)
    wanted = wanted if problem.targets is not None else wanted.take(order, axis)
    assert relative(found, wanted, typical_size(problem)) <= rounding(problem.points.shape[-2])


@holds_for(drawn={"seed": seeds}, layouts=("uniform", "clustered", "lattice", "edge"))
def test_translation_changes_nothing_beyond_eps(problem, seed, backend):
    """A common translation of points and targets; the grid stays where it is, so each side has an error of eps."""
    shift = np.random.default_rng(seed).uniform(-1, 1, problem.dim)
    targets = None if problem.targets is None else problem.targets + shift
    moved = problem.change(points=problem.points + shift, targets=targets)
    error = relative(convolve(moved, backend), convolve(problem, backend), typical_size(problem))
    assert error <= max(rounding(problem.points.shape[-2]), 2 * EPS)


@holds_for(drawn={"seed": seeds}, layouts=("uniform", "clustered", "lattice"))
def test_lattice_translation_of_single_points_changes_nothing(problem, seed, backend):
    """Every point may be replaced by any of its images, to rounding of the coordinates."""
    images = np.random.default_rng(seed).integers(-5, 6, problem.points.shape)
    moved = problem.change(points=problem.points + images @ problem.cell.matrix)
    error = relative(convolve(moved, backend), convolve(problem, backend), typical_size(problem))
    # A coordinate up to six boxes large is rounded to six units of the last place, and a phase is 2πK times that.
    assert error <= 6 * 2 * np.pi * max(problem.modes) * rounding(problem.points.shape[-2])


class Mirrored(Multiplier):
    """φ̂(−k) = conj φ̂(k) of another multiplier: its kernel reflected."""

    def __init__(self, other: Multiplier):
        super().__init__()
        self.other = other

    def values(self, modes):
        return np.conj(self.other.values(modes))


@holds_for()
def test_reflection(problem, backend):
    """Points, targets and kernel reflected give the same u, within eps on each side."""
    targets = None if problem.targets is None else -problem.targets
    mirrored = problem.change(points=-problem.points, targets=targets, multiplier=Mirrored(problem.multiplier))
    error = relative(convolve(mirrored, backend), convolve(problem, backend), typical_size(problem))
    assert error <= max(1000 * rounding(problem.points.shape[-2]), 2 * EPS)


@pytest.mark.long
@holds_for(batches=False, with_targets=False)
def test_batch_equals_single_snapshots(problem, backend):
    """A batch is the snapshots one by one, bit for bit, also in its gradients."""
    points = problem.points * np.array([1.0, 0.9, 1.1])[:, None, None]
    many = problem.change(points=points, values=np.stack([problem.values, -problem.values, 2 * problem.values]))
    together = many.plan(backend)
    u = together.convolve(many.values, many.multiplier)
    gradient = together.vjp(many.values, many.multiplier, u)
    for b in range(3):
        one = many.change(points=many.points[b], values=many.values[b])
        plan = one.plan(backend)
        np.testing.assert_array_equal(plan.convolve(one.values, one.multiplier), u[b])
        alone = plan.vjp(one.values, one.multiplier, u[b])
        np.testing.assert_array_equal(alone.points, gradient.points[b])
        np.testing.assert_array_equal(alone.values, gradient.values[b])


@pytest.mark.parametrize("kind", ["uniform", "clustered"])
@pytest.mark.parametrize(
    ("modes", "count"),
    [((501,), 21_000), ((31, 40), 21_000), pytest.param((15, 15, 12), 9_000, marks=pytest.mark.slow)],
)
def test_large_batch_equals_single_snapshots(kind, modes, count, backend):
    """Bit for bit also where tiles are crowded and the work is cut into pieces."""
    dim, generator = len(modes), np.random.default_rng(7)
    problem = Problem(1.0, modes, np.zeros((1, dim)), None, Gaussian(0.05))
    points = np.stack([layout(kind, count, problem.cell, generator) for _ in range(2)])
    values = generator.standard_normal((2, count))
    both = problem.change(points=points, values=values)
    u = convolve(both, backend)
    for b in range(2):
        np.testing.assert_array_equal(convolve(both.change(points=points[b], values=values[b]), backend), u[b])


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_keeps_eps(dim, kind, backend):
    """Box edges, one unit in the last place beside them, and images a thousand boxes away."""
    modes = {1: (31,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    problem = Problem(1.9, modes, np.zeros((1, dim)), None, Yukawa(1.0, 2.0))
    generator = np.random.default_rng(dim)
    problem = problem.change(points=layout(kind, 100, problem.cell, generator), values=generator.standard_normal(100))
    assert relative(convolve(problem, backend), truth(problem), typical_size(problem)) <= max(rounding(100), EPS)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_coincident_points_act_as_one(dim, backend):
    """Points at one place give what one point with the sum of their values gives."""
    place = np.full((1, dim), 0.3)
    modes = {1: (31,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    values = np.array([1.0, -0.25, 2.0])
    one = Problem(1.0, modes, place, np.array([values.sum()]), Gaussian(0.1))
    three = one.change(points=np.repeat(place, 3, axis=0), values=values)
    found, wanted = convolve(three, backend), convolve(one, backend)
    assert relative(found, np.repeat(wanted, 3), typical_size(one)) <= rounding(3)
    assert np.ptp(found) == 0.0


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_no_points(dim, backend):
    """N = 0 gives empty results of the right shape; targets then see zero."""
    multiplier = Yukawa([1.0, 2.0], 3.0)
    plan = LRCPlan(1.0, 7, eps=EPS, dim=dim, backend=backend).set_points(np.zeros((0, dim)))
    assert plan.convolve(None, multiplier).shape == (0, 2)
    gradient = plan.vjp(np.zeros(0), multiplier, np.zeros((0, 2)))
    assert gradient.points.shape == (0, dim)
    assert gradient.values.shape == (0,)
    assert not gradient.parameters["beta"].any()
    plan.set_points(np.zeros((0, dim)), np.full((4, dim), 0.5))
    np.testing.assert_array_equal(plan.convolve(np.zeros(0), multiplier), np.zeros((4, 2)))
    plan.set_points(np.full((4, dim), 0.5), np.zeros((0, dim)))
    assert plan.convolve(np.ones(4), multiplier).shape == (0, 2)
    for shape in ((0, 3), (2, 0)):  # no snapshots, and snapshots of nothing
        plan.set_points(np.zeros((*shape, dim)))
        assert plan.convolve(None, multiplier).shape == (*shape, 2)
        assert plan.jvp(None, multiplier, dpoints=np.zeros((*shape, dim))).shape == (*shape, 2)
        assert plan.vjp(None, multiplier, np.zeros((*shape, 2))).points.shape == (*shape, dim)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_one_point_sees_its_own_images(dim, backend):
    """N = 1: u = φ(0) f without ``exclude_self``, 0 with it; and no force."""
    modes = {1: (31,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    problem = Problem(1.0, modes, np.full((1, dim), 0.77), np.array([-1.5]), Gaussian(0.1))
    at_zero = problem.multiplier.values(problem.mode_set) @ problem.mode_set.weights / problem.cell.volume
    found = convolve(problem, backend)
    assert relative(found, np.array([-1.5 * at_zero])) <= max(rounding(1), EPS)
    without = convolve(problem.change(exclude_self=True), backend)
    assert abs(without[0]) <= EPS * abs(found[0])
    force = problem.plan(backend).vjp(problem.values, problem.multiplier, problem.values).points
    # The self-force of a band-limited kernel vanishes; on the grid it is eps times k_max times the energy.
    assert np.abs(force).max() <= EPS * 2 * np.pi * max(modes) * abs(1.5 * found[0])


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_two_points_see_each_other(dim, backend):
    """N = 2 with ``exclude_self``: u_1 = φ(r) f_2 and u_2 = φ(r) f_1."""
    modes = {1: (31,), 2: (11, 12), 3: (7, 8, 7)}[dim]
    points = np.array([[0.2] * dim, [0.35] * dim])
    problem = Problem(1.0, modes, points, np.array([1.0, -3.0]), Gaussian(0.1), exclude_self=True)
    found = convolve(problem, backend)
    assert relative(found, truth(problem), typical_size(problem)) <= max(rounding(2), EPS)
    energies = found * problem.values
    # f_1 u_1 = f_1 φ f_2 = f_2 u_2; the self-terms taken off leave f_i² times an error of eps each.
    assert abs(energies[0] - energies[1]) <= 3 * EPS * typical_size(problem)


@holds_for(with_targets=False, layouts=("uniform",))
def test_exclude_self_takes_off_the_value_at_zero(problem, backend):
    """u without ``exclude_self`` less u with it is φ(0) f, φ(0) = (1/V) Σ_k φ̂(k), whatever the window makes of u."""
    less, whole = (convolve(problem.change(exclude_self=excluded), backend) for excluded in (True, False))
    phi, modes = problem.multiplier.values(problem.mode_set), problem.mode_set
    at_zero = (phi.real @ modes.weights) / problem.cell.volume
    values = problem.given.reshape(*problem.points.shape[:-1], -1)
    wanted = values * at_zero if phi.ndim == 1 else values @ at_zero.reshape(phi.shape[0], -1).T
    # Both computations of u are the same to the last bit, and φ(0) is a sum over modes.
    assert relative(whole - less, wanted.reshape(less.shape), typical_size(problem)) <= rounding(modes.size)


@holds_for(shape=(), with_targets=False)
def test_values_none_means_ones(problem, backend):
    """``values=None`` is the same as ones, bit for bit."""
    ones = problem.change(values=np.ones(problem.points.shape[:-1]))
    np.testing.assert_array_equal(convolve(problem.change(values=None), backend), convolve(ones, backend))


@holds_for()
def test_function_equals_plan(problem, backend):
    """``lrc_convolve`` is a plan used once."""
    found = lrc_convolve(
        problem.points,
        problem.values,
        problem.multiplier,
        box=problem.box,
        modes=problem.modes,
        eps=EPS,
        targets=problem.targets,
        exclude_self=problem.exclude_self,
        backend=backend,
    )
    np.testing.assert_array_equal(found, convolve(problem, backend))


@holds_for(counts=(17,), usual={"dim": 1})
def test_single_precision_follows_double(problem, backend):
    """float32 in, float32 out, within its own eps of the direct sum for the rounded points."""
    eps = 1e-4
    single = {name: getattr(problem, name) for name in ("points", "values", "targets")}
    single = {name: None if value is None else value.astype(np.float32) for name, value in single.items()}
    rounded = problem.change(**{name: None if v is None else v.astype(np.float64) for name, v in single.items()})
    plan = problem.change(**single).plan(backend, eps, dtype=np.float32)
    found = plan.convolve(single["values"], problem.multiplier, exclude_self=problem.exclude_self)
    assert found.dtype == np.float32
    assert relative(found.astype(np.float64), truth(rounded), typical_size(rounded)) <= eps


def test_results_of_several_calls_are_independent_arrays(backend):
    """A plan keeps its workspace, but never hands it out."""
    problem = Problem(1.0, (31,), random_numbers(0, 9, 1), random_numbers(1, 9), Gaussian(0.1))
    plan = problem.plan(backend)
    first = plan.convolve(problem.values, problem.multiplier)
    kept = first.copy()
    plan.convolve(10 * problem.values, problem.multiplier)
    plan.vjp(problem.values, problem.multiplier, first)
    np.testing.assert_array_equal(first, kept)


def test_a_parameter_changed_in_place_is_seen(backend):
    """The tabulated multiplier is kept only as long as its parameters are what they were."""
    problem = Problem(1.0, (31,), random_numbers(0, 9, 1), random_numbers(1, 9), Gaussian(0.1))
    plan = problem.plan(backend)
    before = plan.convolve(problem.values, problem.multiplier)
    problem.multiplier.parameters["amplitude"][...] = 3.0
    assert relative(plan.convolve(problem.values, problem.multiplier), 3 * before) <= rounding(9)


def test_complex_table_shifts_the_kernel(backend):
    """φ̂ = e^{−ik·a} is a shift by a: u(x) is the flat kernel's at x − a (the sign conventions, in one line)."""
    problem = Problem(2.0, (15, 12), random_numbers(0, 9, 2), random_numbers(1, 9), Gaussian(0.1))
    shift, modes = np.array([0.3, -0.2]), problem.mode_set
    phases = np.exp(-1j * modes.k @ shift).reshape(modes.shape)
    places = random_numbers(2, 5, 2)
    shifted = problem.change(multiplier=Table(phases, 2), targets=places)
    flat = problem.change(multiplier=Table(np.ones(modes.shape), 2), targets=places - shift)
    assert relative(convolve(shifted, backend), convolve(flat, backend), typical_size(flat)) <= 2 * EPS
    assert relative(truth(flat), truth(shifted), typical_size(flat)) <= rounding(9)
