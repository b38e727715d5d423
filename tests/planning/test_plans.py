"""A plan at work: one call at a time, nothing lost by a call that fails, nothing shared with what it was made of."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from math import prod

import numpy as np
import pytest

from lrc_numba import Gaussian, LRCPlan, direct, lrc_convolve
from lrc_numba.geometry.modes import ModeSet

POINTS = np.random.default_rng(0).random((6, 1))
VALUES = np.random.default_rng(1).standard_normal(6)
KERNEL = Gaussian(0.1)
CALLS = {
    "convolve": lambda plan: plan.convolve(VALUES, KERNEL),
    "jvp": lambda plan: plan.jvp(VALUES, KERNEL, POINTS),
    "vjp": lambda plan: plan.vjp(VALUES, KERNEL, VALUES),
    "parameters_jvp": lambda plan: plan.parameters_jvp(VALUES, KERNEL, VALUES, POINTS),
    "energy": lambda plan: plan.energy(VALUES, KERNEL),
    "set_points": lambda plan: plan.set_points(POINTS),
    "set_cell": lambda plan: plan.set_cell(1.0, POINTS),
}


class Busy(Gaussian):
    """A Gaussian that does something else while it is tabulated."""

    def __init__(self, meanwhile):
        super().__init__(0.1)
        self.meanwhile = meanwhile

    def values(self, modes: ModeSet) -> np.ndarray:
        """φ̂, afterwards."""
        self.meanwhile()
        return super().values(modes)


def small_plan(**options) -> LRCPlan:
    """With few points and modes in one dimension."""
    return LRCPlan(1.0, 7, dim=1, **options).set_points(POINTS)


@pytest.mark.parametrize("name", CALLS)
def test_a_plan_works_for_one_thread_at_a_time(name):
    """While one thread computes, every call of another is an error and changes nothing; then they are allowed again."""
    plan, begun, go_on, results = small_plan(), threading.Event(), threading.Event(), []

    def wait() -> None:
        begun.set()
        assert go_on.wait(60)

    thread = threading.Thread(target=lambda: results.append(plan.convolve(VALUES, Busy(wait))))
    thread.start()
    try:
        assert begun.wait(60)
        with pytest.raises(RuntimeError, match=rf"{name}: the plan is at work already.*make a plan for every thread"):
            CALLS[name](plan)
        copies = copy.copy(plan), pickle.loads(pickle.dumps(LRCPlan(1.0, 7, dim=1))).set_points(POINTS)
    finally:
        go_on.set()
        thread.join()
    wanted = small_plan().convolve(VALUES, KERNEL)
    for found in (*results, plan.convolve(VALUES, KERNEL), *(other.convolve(VALUES, KERNEL) for other in copies)):
        np.testing.assert_array_equal(found, wanted)
    CALLS[name](plan)


@pytest.mark.parametrize("name", CALLS)
def test_a_multiplier_may_not_use_the_plan_that_tabulates_it(name):
    """It would work in the memory in which the plan is at work; afterwards the plan goes on."""
    plan = small_plan()
    with pytest.raises(RuntimeError, match=f"{name}: the plan is at work already"):
        plan.convolve(VALUES, Busy(lambda: CALLS[name](plan)))
    CALLS[name](plan)


@pytest.mark.parametrize("name", CALLS)
def test_calls_end_with_errors(name):
    """After any error in any call the plan can be called again."""
    plan = LRCPlan(1.0, 7, dim=1)
    with pytest.raises(ValueError, match="points"):
        {
            "set_points": lambda: plan.set_points(POINTS * np.nan),
            "set_cell": lambda: plan.set_cell(1.0, POINTS * np.nan),
        }.get(name, lambda: CALLS[name](plan))()
    CALLS[name](plan.set_points(POINTS))


FAR = {
    "points": lambda plan: plan.set_points(POINTS * 1e300),
    "one of the points": lambda plan: plan.set_points(np.array([[0.5], [1e17]])),
    "more points": lambda plan: plan.set_points(np.full((3, 50, 1), -1e30)),
    "targets": lambda plan: plan.set_points(POINTS[:3] / 2, POINTS * 1e300),
}


@pytest.mark.parametrize("targets", [None, POINTS[:2] + 0.1])
@pytest.mark.parametrize("name", FAR)
def test_points_are_kept_where_new_ones_have_no_place(name, targets):
    """Coordinates that are too large are refused as NaN is, and what was set before is still there, bit for bit."""
    plan = small_plan().set_points(POINTS, targets)
    before = plan.vjp(VALUES, KERNEL, np.ones(6 if targets is None else 2))
    with pytest.raises(ValueError, match=f"{name.split()[-1]}: expected coordinates below 2.52 times the box"):
        FAR[name](plan)
    after = plan.vjp(VALUES, KERNEL, np.ones(6 if targets is None else 2))
    for part in ("output", "points", "values"):
        np.testing.assert_array_equal(getattr(after, part), getattr(before, part))


def test_points_far_away_are_still_right():
    """Short of that a coordinate is folded, whatever its size; here by multiples of the box that are exact."""
    places = np.round(POINTS * 64) / 64
    wanted = LRCPlan(1.0, 7).set_points(places).convolve(VALUES, KERNEL)
    # 2^45 leaves the seven digits of 1/64; half of 2^52 is where each set is looked at twice.
    np.testing.assert_array_equal(LRCPlan(1.0, 7).set_points(places + 2.0**45).convolve(VALUES, KERNEL), wanted)
    halves = np.round(POINTS * 2) / 2
    wanted = LRCPlan(1.0, 7).set_points(halves).convolve(VALUES, KERNEL)
    np.testing.assert_array_equal(LRCPlan(1.0, 7).set_points(halves + 2.0**51).convolve(VALUES, KERNEL), wanted)


@pytest.mark.parametrize("which", ["box", "modes"])
def test_a_plan_does_not_change_with_what_it_was_made_of(which):
    """Also where the points come later, and tell the dimension."""
    given = {"box": np.array(1.0), "modes": np.array(7)}
    plan = LRCPlan(**given)
    given[which][()] = 2
    found = plan.set_points(POINTS).convolve(VALUES, KERNEL)
    np.testing.assert_array_equal(found, lrc_convolve(POINTS, VALUES, KERNEL, box=1.0, modes=7))


LARGE = {
    "values": lambda plan, f, large: plan.convolve(f * large, KERNEL),
    "values excluded": lambda plan, f, large: plan.convolve(f * large, KERNEL, exclude_self=True),
    "values in channels": lambda plan, f, large: plan.convolve(np.stack([f, f * large], axis=1), KERNEL),
    "values of a vjp": lambda plan, f, large: plan.vjp(f * large, KERNEL, f),
    "cotangent": lambda plan, f, large: plan.vjp(f, KERNEL, f * large),
    "cotangent for parameters": lambda plan, f, large: plan.vjp(f, KERNEL, f * large, wrt="parameters"),
    "cotangent for the cell": lambda plan, f, large: plan.vjp(f, KERNEL, f * large, wrt="cell"),
    "dvalues": lambda plan, f, large: plan.jvp(f, KERNEL, None, f * large),
    "dpoints": lambda plan, f, large: plan.jvp(f, KERNEL, f[:, None] * large),
    "dcotangent": lambda plan, f, large: plan.parameters_jvp(f, KERNEL, f, dcotangent=f * large),
    "multiplier": lambda plan, f, large: plan.convolve(f * 1000, Gaussian(0.1, large / 100)),
}


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", LARGE)
def test_results_beyond_the_range_are_an_error(name, dtype):
    """No NaN, no infinity and no warning, but the name of what is too large."""
    plan = LRCPlan(1.0, 7, dim=1, dtype=dtype, eps=1e-4).set_points(POINTS.astype(dtype))
    large, values = dtype({np.float64: 1e308, np.float32: 2e38}[dtype]), np.sign(VALUES).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=rf"^{name.split()[0]}: .*(range of|too large for) {np.dtype(dtype)}"):
            LARGE[name](plan, values, dtype(large))
    assert np.isfinite(plan.convolve(values, KERNEL)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_large_results_within_the_range_are_right(dtype):
    """Beyond the root of the largest number, where the squares of values and results overflow."""
    plan = LRCPlan(1.0, 7, dim=1, dtype=dtype, eps=1e-4).set_points(POINTS.astype(dtype))
    scale, values = dtype(2.0 ** {np.float64: 900, np.float32: 100}[dtype]), VALUES.astype(dtype)
    # A power of two: every operation is the same but for the exponent.
    np.testing.assert_array_equal(plan.convolve(values * scale, KERNEL), plan.convolve(values, KERNEL) * scale)


def test_direct_results_beyond_the_range_are_an_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for modes in (7, None):
            with pytest.raises(ValueError, match=r"values: .*range of float64, got up to 1e\+308"):
                direct.convolve(POINTS, np.full(6, 1e308), KERNEL, box=1.0, modes=modes)


@pytest.mark.parametrize("far", [1e17, 1e19, -1e300])
def test_points_without_a_place_are_refused(far):
    """A coordinate so large that its place in the cell is lost raises; the plan goes on with the points it had."""
    plan = LRCPlan(1.0, 15, dim=2).set_points(np.full((4, 2), 0.3))
    before = plan.convolve(None, Gaussian(0.1))
    with pytest.raises(ValueError, match="points: expected coordinates below"):
        plan.set_points(np.array([[far, 0.3]] * 4))
    np.testing.assert_array_equal(plan.convolve(None, Gaussian(0.1)), before)


@pytest.mark.parametrize(("dim", "modes"), [(2, 15), pytest.param(3, 31, marks=pytest.mark.slow)])
def test_a_plan_is_fixed(dim, modes):
    """Its choices cannot be assigned to; copies do not share its workspace, nor take it along."""
    points = np.random.default_rng(0).random((30, dim))
    plan = LRCPlan(1.0, modes, dim=dim, eps=1e-5).set_points(points)
    wanted = plan.convolve(None, Gaussian(0.1))
    with pytest.raises(AttributeError, match="eps: a plan is fixed"):
        plan.eps = 1e-3
    plan.vjp(None, Gaussian(0.1), np.ones(30))
    # A workspace for f and g side by side, the largest that was needed; the multiplier's table comes with the plan.
    assert len(pickle.dumps(plan)) < plan.grid.memory(30, 1, 2) + 10**6 * (dim == 2)
    for other in (copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        np.testing.assert_array_equal(other.convolve(None, Gaussian(0.1)), wanted)
        other.set_points(points[::-1] * 0.5)
        np.testing.assert_array_equal(plan.convolve(None, Gaussian(0.1)), wanted)


@pytest.mark.parametrize(("dim", "modes"), [(1, 15), pytest.param(2, 201, marks=pytest.mark.slow)])
def test_results_are_the_users(dim, modes):
    """No later call changes a result, whether points are sorted (here in 2-D) or not."""
    points, values = np.random.default_rng(0).random((50, dim)), np.random.default_rng(1).random((2, 50))
    plan, kernel = LRCPlan(1.0, modes, dim=dim, eps=1e-5).set_points(points), Gaussian(0.1)
    assert (prod(plan.grid.layout.tiles) == 1) == (dim == 1)

    def everything(f: np.ndarray) -> list[np.ndarray]:
        """All results of one plan for some values."""
        gradient, less = plan.vjp(f, kernel, f), plan.vjp(f, kernel, f, wrt="points")
        found = [gradient.output, gradient.points, gradient.values, less.output, less.points]
        return [*found, plan.convolve(f, kernel), plan.jvp(f, kernel, points, f)]

    first = everything(values[0])
    kept = [array.copy() for array in first]
    others = everything(values[1])
    for one, same, other in zip(first, kept, others, strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.shares_memory(one, other)
        assert not np.shares_memory(one, values)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_snapshots(dim, threads):
    """Nothing comes of nothing, and no error."""
    plan = LRCPlan(1.0, 21, eps=1e-5, threads=threads).set_points(np.zeros((0, 5, dim)))
    values = np.zeros((0, 5))
    assert plan.convolve(values, Gaussian(0.1)).shape == (0, 5)
    assert plan.vjp(values, Gaussian(0.1), values).points.shape == (0, 5, dim)
