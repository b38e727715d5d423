"""Plans on a grid that the user chose, with a window of the user's: the sums that it stands for, its derivatives."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from measures import MACHINE, relative, rounding

from lrc_numba import Gaussian, LRCPlan, Multiplier, WindowShape, direct, lrc_convolve

BOX, MODES = 3.0, 11
POINTS = np.random.default_rng(0).random((12, 1)) * 9 - 3
VALUES = np.random.default_rng(1).standard_normal(12)
KERNEL = Gaussian(0.3, 1.5)
SHAPES = [
    WindowShape("bspline", 2),
    WindowShape("bspline", 5),
    WindowShape("lagrange", 3),
    WindowShape("lagrange", 4),
    WindowShape("kaiser_bessel", 4),
]
slow = pytest.mark.slow
IDS = [f"{shape.name}-{shape.width}" for shape in SHAPES]
EACH = [pytest.param(shape, marks=[slow] * (shape.width == 2)) for shape in SHAPES]


def plan_of(shape, nodes, points=POINTS, **options) -> LRCPlan:
    """A plan of one thread."""
    return LRCPlan(BOX, MODES, dim=1, window=shape, nodes=nodes, threads=1, **options).set_points(points)


def weights_at(shape: WindowShape, offsets: np.ndarray) -> np.ndarray:
    """ψ at some offsets in cells, from the definitions."""
    inside = np.abs(offsets) < shape.width / 2
    if shape.name == "bspline":
        total = np.zeros_like(offsets)
        for k in range(shape.width + 1):  # truncated powers
            binomial = np.prod(np.arange(shape.width - k + 1, shape.width + 1)) / np.prod(np.arange(1, k + 1))
            total += (-1) ** k * binomial * np.maximum(offsets + shape.width / 2 - k, 0) ** (shape.width - 1)
        return np.where(inside, total / np.prod(np.arange(1, shape.width)), 0.0)
    total = np.zeros_like(offsets)
    for point, row in enumerate(offsets):  # the product over the other nodes under the window
        under = np.flatnonzero(inside[point])
        for node in under:
            others = row[np.setdiff1d(under, [node])]
            total[point, node] = np.prod(-others / (row[node] - others))
    return total


@pytest.mark.parametrize("nodes", [16, 15, 14, 13, 31, 100])
@pytest.mark.parametrize("shape", EACH[:4], ids=IDS[:4])
def test_explicit_sums(shape, nodes):
    """Spread, transformed, divided by V ψ̂², multiplied, transformed back and read: in ten lines, for any nodes."""
    coordinates = (POINTS[:, 0] / BOX % 1.0) * nodes
    # Nodes to the left and right of the cell stand for those inside: images of them.
    images = np.arange(-20, nodes + 20)
    psi = weights_at(shape, images - coordinates[:, None])
    spread = np.zeros(nodes)
    np.add.at(spread, images % nodes, VALUES @ psi)
    n, plan = np.rint(np.fft.fftfreq(nodes, 1 / nodes)).astype(int), plan_of(shape, nodes)
    kept, phi = np.abs(n) <= (MODES - 1) // 2, np.zeros(nodes)
    phi[kept] = KERNEL.values(plan.grid.mode_set)[np.abs(n[kept])]  # modes 0, 1, …, 5 are stored
    grid = np.fft.ifft(np.fft.fft(spread) * phi * shape.transform(n / nodes) ** -2.0).real * nodes / BOX
    wanted = psi @ grid[images % nodes]
    assert relative(plan.convolve(VALUES, KERNEL), wanted) <= rounding(len(POINTS) * nodes)


@pytest.mark.parametrize("shape", EACH, ids=IDS)
def test_convergence(shape):
    """The error falls with the nodes to the power of the width, or faster."""
    points = np.random.default_rng(2).random((60, 1)) * BOX
    values = np.random.default_rng(3).standard_normal(60)
    wanted = direct.convolve(points, values, KERNEL, box=BOX, modes=MODES)
    found = [relative(plan_of(shape, nodes, points).convolve(values, KERNEL), wanted) for nodes in (24, 96)]
    # Four times the nodes: the aliases of a window of order w fall by 4^w, for the band's highest modes by a little
    # less as ψ̂ bends; the Kaiser–Bessel window, with its shape for the nodes, falls faster.
    assert found[1] <= found[0] / 4 ** (min(shape.width, 5) - 0.4)
    assert found[1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["exact", "spectral"])
@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
def test_vjp_is_the_transpose_of_jvp(shape, gradient):
    """⟨g, J(ẋ, ḟ)⟩ = ⟨Jᵀ g, (ẋ, ḟ)⟩, whatever the window."""
    rng = np.random.default_rng(4)
    dx, df, g = rng.standard_normal(POINTS.shape), rng.standard_normal(12), rng.standard_normal(12)
    plan = plan_of(shape, 18, gradient=gradient)
    forward = plan.jvp(VALUES, KERNEL, dx, df)
    back = plan.vjp(VALUES, KERNEL, g)
    terms = [float(g @ forward), -float(np.sum(back.points * dx)), -float(back.values @ df)]
    assert abs(sum(terms)) <= rounding(12 * 18) * np.abs(terms).max() * 8


@pytest.mark.parametrize("shape", SHAPES[1:2], ids=IDS[1:2])
def test_derivatives_of_what_is_computed(shape):
    """A spline of order 5 is C³: the gradient of the computed sum, not of the exact one, which is 1e-3 away."""
    plan, g, h = plan_of(shape, 14), np.random.default_rng(5).standard_normal(12), 1e-4
    found = plan.vjp(VALUES, KERNEL, g, wrt="points").points[:, 0]
    sums = []
    for i in range(12):
        step = np.zeros_like(POINTS)
        step[i] = h
        sums.append([g @ plan_of(shape, 14, POINTS + s * step).convolve(VALUES, KERNEL) for s in (-2, -1, 1, 2)])
    far_left, left, right, far_right = np.transpose(sums)
    # Truncation h⁴ k⁵/30 with k up to 2π 14/3 = 29, the spacing of nodes: 7e-11 of k; rounding 1e-16/1e-4.
    assert relative(found, (8 * (right - left) - (far_right - far_left)) / (12 * h)) <= 1e-8


@pytest.mark.parametrize(
    ("dim", "shape", "nodes"),
    [
        pytest.param(2, WindowShape("bspline", 4), (15, 22), marks=slow),
        pytest.param(2, WindowShape("lagrange", 5), (16, 16), marks=slow),
        pytest.param(3, WindowShape("bspline", 4), (20, 17, 22), marks=slow),
        pytest.param(3, WindowShape("bspline", 6), (24, 20, 30), marks=slow),
        pytest.param(3, WindowShape("lagrange", 7), (16, 20, 24), marks=slow),
    ],
)
def test_more_dimensions(dim, shape, nodes):
    """Near the direct sum, as near as the alias says, and transposes to rounding; on a skewed lattice."""
    rng = np.random.default_rng(6)
    cell = np.eye(dim) * 2 + 0.3 * rng.standard_normal((dim, dim))
    points, values, g, dx = rng.random((40, dim)) @ cell, *rng.standard_normal((2, 40)), rng.standard_normal((40, dim))
    plan = LRCPlan(cell, (7, 9, 7)[:dim], window=shape, nodes=nodes, threads=1).set_points(points)
    wanted = direct.convolve(points, values, KERNEL, box=cell, modes=(7, 9, 7)[:dim])
    u = plan.convolve(values, KERNEL)
    alias = max(plan.grid.window.alias(top / n) for top, n in zip((3, 4, 3), nodes, strict=False))
    assert relative(u, wanted) <= 2 * dim * alias  # two transforms along each axis
    forward, back = plan.jvp(values, KERNEL, dx, g), plan.vjp(values, KERNEL, g)
    terms = [float(g @ forward), -float(np.sum(back.points * dx)), -float(back.values @ g)]
    assert abs(sum(terms)) <= rounding(40 * 64) * np.abs(terms).max() * 8


def test_a_multiplier_undoes_the_correction():
    """With ψ̂² from ``transform`` in φ̂ nothing is corrected: u is that of plain particle–mesh."""
    shape, nodes = WindowShape("bspline", 4), 16

    class Uncorrected(Multiplier):
        """KERNEL times ψ̂²."""

        def values(self, modes):
            """φ̂."""
            return KERNEL.values(modes) * shape.transform(modes.numbers[:, 0] / nodes) ** 2

    assert np.all(shape.transform([0.0, 0.25]) == pytest.approx(np.sinc([0.0, 0.25]) ** 4, abs=8 * MACHINE))
    plan = plan_of(shape, nodes)
    # In a grid with many nodes ψ̂ = 1: what is left is the smearing of the coarse one.
    smeared = direct.convolve(POINTS, VALUES, Uncorrected(), box=BOX, modes=MODES)
    assert relative(plan.convolve(VALUES, Uncorrected()), smeared) <= 4 * plan.grid.window.alias(5 / nodes)
    assert relative(smeared, plan.convolve(VALUES, KERNEL)) > 0.01


@pytest.mark.parametrize("window", ["kaiser_bessel", pytest.param("gaussian", marks=pytest.mark.slow)])
def test_nodes_with_a_family(window):
    """The narrowest window that keeps eps on these nodes, wider on fewer."""
    wanted = direct.convolve(POINTS, VALUES, KERNEL, box=BOX, modes=MODES)
    widths = []
    for nodes in (17, 22, 44):
        plan = LRCPlan(BOX, MODES, dim=1, window=window, nodes=nodes, threads=1, eps=1e-3).set_points(POINTS)
        assert plan.grid.n == (nodes,)
        assert relative(plan.convolve(VALUES, KERNEL), wanted) <= 1e-3
        widths.append(plan.window_shape.width)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1]


def test_the_window_of_a_plan():
    """``window_shape`` completes what was left open; a plan with it gives the same bits; copies as well."""
    left = WindowShape("kaiser_bessel", 4)
    plan = plan_of(left, 24)
    shape = plan.window_shape
    assert (shape.name, shape.width) == ("kaiser_bessel", 4)
    assert shape.transform(0.2) == pytest.approx(plan.grid.window.transform(np.array(0.2)), abs=0)
    wanted = plan.convolve(VALUES, KERNEL)
    for same in (plan_of(shape, (24,)), copy.copy(plan), pickle.loads(pickle.dumps(plan))):
        np.testing.assert_array_equal(same.convolve(VALUES, KERNEL), wanted)
    assert LRCPlan(1.0, 7, dim=1).window_shape.name == "kaiser_bessel"
    text = repr(plan)
    assert "no promise" in text
    assert "estimated alias" in text
    assert "eps" not in repr(plan_of(WindowShape("bspline", 2), 24)).replace("eps makes no promise", "")


@pytest.mark.parametrize("shape", [WindowShape("bspline", 5), WindowShape("lagrange", 3)])
def test_back_ends(shape, backend):
    """The same loops everywhere."""
    cpu = plan_of(shape, 15).vjp(VALUES, KERNEL, VALUES)
    found = plan_of(shape, 15, backend=backend).vjp(VALUES, KERNEL, VALUES)
    for name in ("output", "points", "values"):
        assert relative(getattr(found, name), getattr(cpu, name)) <= rounding(12 * 15) * 8


@pytest.mark.parametrize("nodes", [1, 2, 7])
def test_windows_wider_than_the_grid(nodes):
    """The constant alone is exact; more needs 2K + 1 nodes."""
    plan = LRCPlan(BOX, 1, dim=1, window=WindowShape("bspline", 12), nodes=nodes, threads=1).set_points(POINTS)
    wanted = direct.convolve(POINTS, VALUES, KERNEL, box=BOX, modes=1)
    assert relative(plan.convolve(VALUES, KERNEL), wanted) <= rounding(12)


SPLINE = WindowShape("bspline", 4)
PLANS = [
    ({"window": SPLINE}, ValueError, r"nodes: the sizes of the grid must be given with window=WindowShape"),
    ({"window": SPLINE, "nodes": 10}, ValueError, r"nodes: expected at least \(11,\).*modes=\(11,\), got \(10,\)"),
    ({"window": SPLINE, "nodes": (12, 12)}, ValueError, r"nodes: expected an int or 1 ints.*got \(12, 12\)"),
    ({"window": SPLINE, "nodes": 12.0}, TypeError, r"nodes: expected an int or 1 ints, got 12.0"),
    ({"window": SPLINE, "nodes": 0}, ValueError, r"nodes: expected at least one node per axis, got 0"),
    ({"window": SPLINE, "nodes": True}, TypeError, r"nodes: expected an int"),
    ({"window": SPLINE, "nodes": 10**13}, MemoryError, r"nodes: .*10000000000000"),
    ({"window": "bspline", "nodes": 12}, ValueError, r"window: expected one of .*got 'bspline'"),
    ({"window": "gaussian_paper", "nodes": 11}, ValueError, r"nodes: the window 'gaussian_paper' has a grid of its"),
    ({"nodes": 11, "eps": 1e-12}, ValueError, r"eps: 1e-12 is out of reach of the kaiser_bessel window"),
]


@pytest.mark.parametrize(("options", "error", "message"), PLANS)
def test_errors_of_plans(options, error, message):
    """They name the argument, before any work."""
    with pytest.raises(error, match=message):
        LRCPlan(BOX, MODES, dim=1, **options)


WINDOWS = [
    (("box", 4), {}, ValueError, r"name: expected one of 'kaiser_bessel', .*'lagrange', got 'box'"),
    (("bspline", 1), {}, ValueError, r"width: expected 2 to 12, got 1"),
    (("bspline", 13), {}, ValueError, r"width: expected 2 to 12, got 13"),
    (("lagrange", 8), {}, ValueError, r"width: expected 3 to 7, got 8"),
    (("kaiser_bessel", 2), {}, ValueError, r"width: expected 3 to 32, got 2"),
    (("bspline", 4.0), {}, TypeError, r"width: expected an int, got 4.0"),
    (("bspline", 4), {"degree": 5}, ValueError, r"degree: that of the bspline window is width − 1, got 5"),
    (("lagrange", 4), {"shape": (1.0, 0.0)}, ValueError, r"shape: the lagrange window has none"),
    (("kaiser_bessel", 4), {"shape": (1.0,)}, ValueError, r"shape: expected two finite numbers"),
    (("kaiser_bessel", 4), {"shape": (1.0, 0.0)}, ValueError, r"shape: expected \(β, ν\) with ν > 0"),
    (("gaussian", 4), {"shape": (1.0, 1.0)}, ValueError, r"shape: .*\(a, 0\) for gaussian"),
    (("gaussian", 4), {"shape": ("1", 0)}, TypeError, r"shape: expected two numbers"),
    (("gaussian", 4), {"degree": 21}, ValueError, r"degree: expected 2 to 20, got 21"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), WINDOWS)
def test_errors_of_shapes(arguments, options, error, message):
    """Names, widths, shapes and degrees."""
    with pytest.raises(error, match=message):
        WindowShape(*arguments, **options)


def test_errors_of_transforms():
    """A shape that is left to a plan has no transform by itself; numbers must be finite."""
    with pytest.raises(ValueError, match=r"shape and degree of .* are left to a plan; take its window_shape"):
        WindowShape("kaiser_bessel", 6).transform(0.1)
    with pytest.raises(ValueError, match="kappa: expected finite"):
        SPLINE.transform([np.nan])
    with pytest.raises(ValueError, match="nodes: the sizes of the grid must be given"):
        lrc_convolve(POINTS, VALUES, KERNEL, box=BOX, modes=MODES, window=SPLINE)
