"""``LRCPlan.linearise`` against the calls that begin anew, and for how long it is good."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st
from strategies import holds_for, random_numbers, seeds

from lrc_numba import LRCPlan, Multiplier, Yukawa
from lrc_numba.engine import linearised

UNITS = 256  # of rounding: some ten operations on each number, window corrections of up to ten among them
DTYPES = {"float64": (1e-1, 1e-6), "float32": (1e-1, 1e-4)}  # and what they are to keep


class Directions:
    """Random numbers of the shapes of a problem, and how large results are if nothing in them cancels."""

    def __init__(self, problem, plan: LRCPlan, seed: int):
        dtype, shape = plan.dtype, problem.points.shape
        self.f = problem.given.astype(dtype)
        u = plan.convolve(self.f, problem.multiplier)
        arrays = (random_numbers(seed + i, *array.shape) for i, array in enumerate((self.f, u, u, problem.points)))
        self.df, self.g, self.dg, self.dx = (array.astype(dtype) for array in arrays)
        modes, self.unit = problem.mode_set, UNITS * float(np.finfo(dtype).eps)
        phi = np.abs(problem.multiplier.values(modes)) @ modes.weights / problem.cell.volume
        self.kernel, self.slope = float(np.max(phi)), float(np.max(modes.norm))
        real, imag = random_numbers(seed + 9, 2, *problem.multiplier.values(modes).shape)
        self.noise = (real + 1j * imag) * modes.weights / problem.cell.volume
        self.count = np.sqrt(np.prod(shape))

    def check(self, made, wanted, scale: float) -> None:
        """They differ by rounding alone: ``scale`` bounds every number."""
        assert np.shape(made) == np.shape(wanted)
        assert np.linalg.norm(np.ravel(made - wanted)) <= self.unit * scale * self.count

    def check_parameters(self, made: dict, wanted: dict, problem, scale: float) -> None:
        """Likewise; what rounding of S becomes is what the multiplier makes of noise."""
        noise = problem.multiplier.vjp(problem.mode_set, self.noise * scale)
        assert made.keys() == wanted.keys()
        for name, value in wanted.items():
            size = np.linalg.norm(np.ravel(noise[name])) + np.linalg.norm(np.ravel(value))
            assert np.linalg.norm(np.ravel(made[name] - value)) <= self.unit * size


def total(*arrays: np.ndarray) -> float:
    """The product of the sums of absolute values."""
    return float(np.prod([np.abs(array).sum(dtype=np.float64) for array in arrays]))


@holds_for(
    drawn={
        "seed": seeds,
        "gradient": st.just("exact"),
        "dtype": st.just("float64"),
        "fine": st.just(False),
        "kept": st.booleans(),
    },
    wide={
        "gradient": st.sampled_from(("exact", "spectral")),
        "dtype": st.sampled_from(sorted(DTYPES)),
        "fine": st.just(True),
    },
    usual={"dim": 1},
    with_targets=False,
    layouts=("uniform", "clustered", "edge"),
)
def test_is_what_the_calls_return_that_begin_anew(problem, seed, gradient, dtype, fine, kept, backend):
    """u, its gradient, its tangent and the tangent of the gradient, to rounding; with the same cotangent or another."""
    plan = problem.change(points=problem.points.astype(dtype)).plan(
        backend, DTYPES[dtype][fine], gradient=gradient, dtype=dtype, threads=2
    )
    multiplier, d = problem.multiplier, Directions(problem, plan, seed)
    k, moved, reach = d.kernel, total(d.dx), d.slope * 4  # windows have steeper slopes than the modes
    with pytest.MonkeyPatch.context() as patch:
        if not kept:
            patch.setattr(linearised, "KEPT", 0)
        made = plan.linearise(d.f, multiplier)
    d.check(made.output, plan.convolve(d.f, multiplier), k * total(d.f))
    anew, own = plan.vjp(d.f, multiplier, d.g), made.vjp(d.g)
    d.check(own.output, anew.output, k * total(d.f))
    d.check(own.points, anew.points, reach * k * total(d.f, d.g))
    d.check(own.values, anew.values, k * total(d.g))
    d.check_parameters(own.parameters, anew.parameters, problem, total(d.f, d.g))
    d.check(made.vjp(d.g, wrt=("points",)).points, anew.points, reach * k * total(d.f, d.g))
    wanted = plan.jvp(d.f, multiplier, d.dx, d.df)
    d.check(made.jvp(d.dx, d.df), wanted, k * (total(d.df) + reach * moved * total(d.f)))
    size = total(d.g) * (total(d.df) + reach * moved * total(d.f)) + total(d.f, d.dg)
    for g in (d.g, -d.g, d.g + 1) if backend == "cpu" else (-d.g,):  # a simulator takes seconds for each
        own = made.vjp_jvp(g, d.dg)
        wanted = plan.parameters_jvp(d.f, multiplier, g, d.dx, d.df, d.dg)
        d.check_parameters(own.parameters_tangent, wanted, problem, 2 * size)
        d.check(own.values, plan.vjp(d.f, multiplier, g).values, k * total(g))
        adjoint = adjoint_of(multiplier, problem)
        if adjoint is not None:
            wanted = plan.jvp(g, adjoint, d.dx, d.dg)
            d.check(own.values_tangent, wanted, k * (total(d.dg) + reach * moved * total(g)))


def adjoint_of(multiplier: Multiplier, problem) -> Multiplier | None:
    """The multiplier itself where it is its own adjoint."""
    values = multiplier.values(problem.mode_set)
    return multiplier if values.ndim == 1 and not np.iscomplexobj(values) else None


def prepared(channels: int = 1, **options) -> tuple[LRCPlan, Yukawa, np.ndarray]:
    """A small plan with points, a multiplier and values."""
    plan = LRCPlan(1.0, 7, dim=1, **options).set_points(np.random.default_rng(0).random((5, 1)))
    return plan, Yukawa(1.0, 4.0), random_numbers(1, 5, channels)


def test_many_channels():
    """More than go at a time: each is treated as it would be alone."""
    plan, multiplier, f = prepared(channels=2 * linearised.MOST + 1)
    g, df, dx = random_numbers(2, *f.shape), random_numbers(3, *f.shape), random_numbers(4, 5, 1)
    made = plan.linearise(f, multiplier)
    both, u_dot, moved = made.vjp(g), made.jvp(dx, df), made.vjp_jvp(-g, df)
    for c in range(f.shape[1]):
        own = slice(c, c + 1)
        alone = plan.linearise(f[:, own], multiplier)
        close(made.output[:, own], alone.output)
        close(both.values[:, own], alone.vjp(g[:, own]).values)
        close(u_dot[:, own], alone.jvp(dx, df[:, own]))
        close(moved.values_tangent[:, own], alone.vjp_jvp(-g[:, own], df[:, own]).values_tangent)


def close(made: np.ndarray, wanted: np.ndarray) -> None:
    """Sums of some ten terms, perhaps in another order."""
    unit = UNITS * float(np.finfo(np.float64).eps)
    np.testing.assert_allclose(made, wanted, rtol=0, atol=unit * np.abs(wanted).max())


def test_nothing_in_between_matters():
    """Other calls of the plan, other linearisations, and what the user writes to arrays that were passed in or out."""
    plan, multiplier, f = prepared(channels=2)
    g, dx = random_numbers(2, 5, 2), random_numbers(3, 5, 1)
    undisturbed = plan.linearise(f, multiplier)
    wanted = [undisturbed.output.copy(), undisturbed.vjp(g), undisturbed.jvp(dx), undisturbed.vjp_jvp(-g, g)]
    del undisturbed
    given, cotangent, other = f.copy(), g.copy(), Yukawa(3.0, 1.0)
    made = plan.linearise(given, multiplier)
    given[...], second = 7.0, plan.linearise(f + 1, other)
    first = made.output.copy()
    made.output[...] = 7.0
    gradient = made.vjp(cotangent)
    np.testing.assert_array_equal(gradient.output, wanted[0])
    np.testing.assert_array_equal(first, wanted[0])
    cotangent[...], values = 7.0, gradient.values.copy()
    gradient.values[...] = 7.0
    second.vjp(g)
    plan.jvp(f, other, dx)
    np.testing.assert_array_equal(values, wanted[1].values)
    np.testing.assert_array_equal(gradient.points, wanted[1].points)
    np.testing.assert_array_equal(made.jvp(dx), wanted[2])
    moved = made.vjp_jvp(-g, g)
    np.testing.assert_array_equal(moved.values, wanted[3].values)
    np.testing.assert_array_equal(moved.values_tangent, wanted[3].values_tangent)
    np.testing.assert_array_equal(moved.parameters_tangent["lam"], wanted[3].parameters_tangent["lam"])


def change_points(plan: LRCPlan, multiplier: Yukawa) -> None:
    plan.set_points(np.zeros((5, 1)))


def change_cell(plan: LRCPlan, multiplier: Yukawa) -> None:
    plan.set_cell(2.0, np.zeros((5, 1)))


@pytest.mark.parametrize("change", [change_points, change_cell])
def test_ends_with_the_points(change):
    """Other points and another cell end it, and what follows says so."""
    plan, multiplier, f = prepared()
    made = plan.linearise(f, multiplier)
    made.jvp(np.ones((5, 1)))
    change(plan, multiplier)
    for call in (lambda: made.vjp(f), lambda: made.jvp(np.ones((5, 1))), lambda: made.vjp_jvp(f)):
        with pytest.raises(RuntimeError, match="other points or another cell"):
            call()


def test_ends_with_the_parameters():
    """A multiplier that has changed has other derivatives than u had."""
    plan, multiplier, f = prepared()
    made = plan.linearise(f, multiplier)
    multiplier.parameters["lam"][...] = 3.0
    with pytest.raises(RuntimeError, match="has changed since"):
        made.vjp(f)


def test_what_it_refuses():
    """A tangent of the gradient without a direction, a wrong shape, and targets."""
    plan, multiplier, f = prepared()
    with pytest.raises(ValueError, match="last jvp"):
        plan.linearise(f, multiplier).vjp_jvp(f)
    with pytest.raises(ValueError, match="cotangent: expected the shape of the output"):
        plan.linearise(f, multiplier).vjp(f[:4])
    plan.set_points(np.zeros((5, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="targets: expected points that are their own"):
        plan.linearise(f, multiplier)


def test_memory_is_asked_for_before(monkeypatch):
    """A MemoryError where what is kept does not fit, though a convolution would."""
    plan, multiplier, f = prepared()
    needed = sum(linearised.bytes_kept(plan.grid, 1, 1, 1))
    monkeypatch.setattr(type(plan.choices), "check_memory", lambda own, name, what, size: _refuse(what, size, needed))
    plan.convolve(f, multiplier)
    with pytest.raises(MemoryError, match="linearised"):
        plan.linearise(f, multiplier)


def _refuse(what: object, size: int, limit: int) -> None:
    if "linearised" in str(what) and size >= limit:
        raise MemoryError(f"{what} {size}")
