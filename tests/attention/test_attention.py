"""The layer by itself against sums over modes and over images, its derivatives, its invariances, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measures import relative
from scipy.special import erf
from scipy.stats import special_ortho_group
from strategies import random_numbers, seeds

from lrc_numba.attention import ReciprocalSpaceAttention
from lrc_numba.geometry.structures import Structures

METHODS = ("pairs", "modes", "mesh")
HEADS, KEYS, VALUES = 2, 3, 2
SIGMAS = (1.0, 1.3)


def silu(z: np.ndarray) -> np.ndarray:
    return z / (1 + np.exp(-z))


def features(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, K and V."""
    generator = np.random.default_rng(seed)
    widths = (KEYS, KEYS, VALUES)
    return tuple(generator.standard_normal((count, HEADS, width)) for width in widths)  # type: ignore[return-value]


def layer(method: str = "auto", sigma=SIGMAS, **options) -> ReciprocalSpaceAttention:
    return ReciprocalSpaceAttention(HEADS, KEYS, VALUES, sigma=sigma, method=method, **options)


def cells(kind: str, side: float, dim: int, generator) -> np.ndarray:
    """A cube, a skewed cell, one that is left-handed, one that is three times as long along an axis."""
    cell = side * np.eye(dim)
    if kind != "cube":
        cell += side * np.triu(generator.uniform(-0.4, 0.4, (dim, dim)), 1)
    if kind == "left-handed":
        cell[-1] *= -1
    if kind == "elongated":
        cell[0] *= 3
    return cell


def explicit(points, cell, given, sigma, weights) -> np.ndarray:
    """Σ_{k≠0} w_k φ(Q) e^{ik·r} Σ φ(K) e^{−ik·r} V of one head, with all modes that are not zero to rounding."""
    (q, k, v), dim = given, len(cell)
    lowest = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0).min()
    highest = np.sqrt((8.5 / sigma) ** 2 + 4 * lowest**2)
    tops = [int(highest * np.linalg.norm(row) / (2 * np.pi)) for row in cell]
    numbers = np.stack(np.meshgrid(*[np.arange(-top, top + 1) for top in tops], indexing="ij"), -1).reshape(-1, dim)
    waves = 2 * np.pi * numbers @ np.linalg.inv(cell).T
    k2, y = (waves**2).sum(axis=1), np.zeros(v.shape)
    waves, k2 = waves[(k2 > 0) & (k2 < highest**2)], k2[(k2 > 0) & (k2 < highest**2)]
    products = (silu(k)[:, :, None] * v[:, None]).reshape(len(points), -1)
    for some in np.array_split(np.arange(len(k2)), 1 + len(points) * len(k2) // 2**22):
        phases = np.exp(1j * points @ waves[some].T)
        sums = weights(k2[some])[:, None] * (phases.conj().T @ products)
        y += np.einsum("na,nab->nb", silu(q), (phases @ sums).real.reshape(len(points), q.shape[1], -1))
    return y / abs(np.linalg.det(cell))


def by_heads(points, cell, given, scale: float = 1.0) -> np.ndarray:
    """The same of all heads, for 4π e^{−σ²k²/2}/k² times a number."""
    return np.stack(
        [
            explicit(
                points,
                cell,
                [each[:, h] for each in given],
                sigma,
                lambda k2, sigma=sigma: scale * 4 * np.pi * np.exp(-(sigma**2) * k2 / 2) / k2,
            )
            for h, sigma in enumerate(SIGMAS)
        ],
        axis=1,
    )


# ---------------------------------------------------------------------- truth
def truth_of(method: str, dim: int, eps: float, counts, examples: int):
    @settings(max_examples=examples)
    @given(
        kind=st.sampled_from(("cube", "skewed", "left-handed", "elongated")),
        count=st.sampled_from(counts),
        seed=seeds,
    )
    def holds(kind, count, seed):
        generator = np.random.default_rng(seed)
        cell = cells(kind, 6.0, dim, generator)
        points, own = generator.uniform(-2, 2, (count, dim)) @ cell, features(count, seed)
        found = layer(method, eps=eps, dim=dim).set_points(points, cell)(*own)
        wanted = by_heads(points, cell, own)
        # Where waves cancel, what is wanted is small, and eps is that of the points' own terms, which do not.
        size = np.linalg.norm([by_heads(points[i : i + 1], cell, [f[i : i + 1] for f in own]) for i in range(count)])
        assert relative(found, wanted, size) <= eps

    holds()


SLOW = pytest.mark.slow


@pytest.mark.parametrize("method", ["auto", pytest.param("pairs", marks=SLOW), pytest.param("modes", marks=SLOW)])
def test_explicit_sums(method):
    """Of random cells and points of any number, to eps."""
    truth_of(method, 3, 1e-4, (1, 2, 17, 60), 12)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2])
def test_explicit_sums_of_the_engine(dim):
    """The same through the engine; in three dimensions its windows take long to compile."""
    truth_of("mesh", dim, 1e-4, (1, 2, 17, 60), 12)


@pytest.mark.slow
def test_explicit_sums_of_the_engine_in_three_dimensions():
    truth_of("mesh", 3, 1e-4, (1, 2, 17, 60), 12)


@pytest.mark.parametrize(("sigma", "eps"), [(1.4, 1e-4), (2.0, 1e-3), (2.3, 1e-3)])
@pytest.mark.parametrize("alike", [True, False], ids=["alike", "alternating"])
@pytest.mark.parametrize("shaken", [0.05, 0.2])
def test_order(shaken, alike, sigma, eps):
    """Lattices that are shaken, whose strong high modes must not be taken for the weak low ones that are left over."""
    sites, generator = np.indices((8, 8, 8)).reshape(3, -1).T, np.random.default_rng(0)
    points = sites + shaken * generator.standard_normal(sites.shape)
    ones = np.ones((len(points), 1, 1))
    own = ones, ones, ones if alike else np.where(sites.sum(axis=1) % 2, 1.0, -1.0)[:, None, None]
    layers = [
        ReciprocalSpaceAttention(1, 1, 1, sigma=sigma, eps=each, method=method, threads=1)
        for each, method in ((1e-12, "modes"), (eps, "mesh"))
    ]
    wanted, found = (made.set_points(points, 8.0)(*own) for made in layers)
    itself = layers[0].set_points(points[:1], 8.0)(*(each[:1] for each in own)).item()
    size = max(np.linalg.norm(wanted), abs(itself) * len(points) ** 0.5)
    assert relative(found, wanted, size) <= eps


@pytest.mark.slow
def test_many_points():
    """10,000 of them, by what is chosen."""
    generator, count = np.random.default_rng(0), 10_000
    cell, own = cells("skewed", 9.0, 3, generator), features(10_000)
    points = generator.random((count, 3)) @ cell
    found = layer(eps=1e-3, sigma=(2.0, 2.0)).set_points(points, cell)(*own)
    wanted = explicit(points, cell, [each[:, 1] for each in own], 2.0, lambda k2: 4 * np.pi * np.exp(-2 * k2) / k2)
    assert relative(found[:, 1], wanted) <= 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("count", [40, 300])
@pytest.mark.parametrize("dim", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_all_methods_say_the_same(dim, count):
    """Values and gradients, to what eps allows slopes of a window (see ``bounds``); snapshots of a batch too."""
    eps, generator = 1e-5, np.random.default_rng(dim)
    points, cell = generator.uniform(0, 7, (2, count, dim)), 7.0 * np.eye(dim)
    own, bar = features(2 * count), random_numbers(1, 2 * count, HEADS, VALUES)
    made = [
        layer(method, eps=eps, dim=dim, trainable=True)
        .set_points(points, cell)
        .vjp(*own, bar, wrt=("points", "features", "strain", "parameters"))
        for method in METHODS
    ]
    for other in made[1:]:
        assert relative(other.output, made[0].output) <= eps
        for name, slack in {"points": 10, "queries": 1, "keys": 1, "values": 1, "strain": 10}.items():
            assert relative(getattr(other, name), getattr(made[0], name)) <= slack * eps
        for name, value in made[0].parameters.items():
            np.testing.assert_allclose(other.parameters[name], value, rtol=10 * eps, atol=eps * np.abs(value).max())


def test_the_papers_kernel():
    """Is the other one over 4π; both with 1/V."""
    own, points = features(7), random_numbers(2, 7, 3)
    found, other = (layer(kernel=kernel).set_points(points, 6.0)(*own) for kernel in ("paper", "coulomb"))
    np.testing.assert_allclose(4 * np.pi * found, other, rtol=1e-12, atol=1e-12 * np.abs(other).max())
    assert relative(found, by_heads(points, 6.0 * np.eye(3), own, 1 / (4 * np.pi))) <= 1e-4


def pairs_of(points: np.ndarray, given, kernel) -> np.ndarray:
    """Σ_n ⟨φ(Q_m), φ(K_n)⟩ G(r_mn) V_n."""
    q, k, v = given
    r = np.linalg.norm(points[:, None] - points, axis=-1)
    scores = np.einsum("mha,nha->hmn", silu(q), silu(k))
    return np.stack([(scores[h] * kernel(r, SIGMAS[h])) @ v[:, h] for h in range(HEADS)], axis=1)


def coulomb(r: np.ndarray, sigma: float) -> np.ndarray:
    safe = np.where(r > 0, r, 1.0)
    return np.where(r > 0, erf(safe / (np.sqrt(2) * sigma)) / safe, np.sqrt(2 / np.pi) / sigma)


def gaussians(r: np.ndarray, sigma: float) -> np.ndarray:
    return sum(np.exp(-(r**2) / (2 * (w * sigma) ** 2)) / w for w in (1.0, 2.0, 4.0))


@pytest.mark.parametrize(("kernel", "wanted"), [("coulomb", coulomb), ("gaussians", gaussians)])
@pytest.mark.parametrize("method", ["pairs", "modes", pytest.param("mesh", marks=pytest.mark.slow)])
def test_open_space(method, kernel, wanted):
    """Pairs of points with the kernel itself, to rounding where pairs are summed, else to eps."""
    points, own, eps = random_numbers(3, 9, 3) * 2, features(9), 1e-4
    found = layer(method, kernel=kernel, eps=eps).set_points(points)(*own)
    assert relative(found, pairs_of(points, own, wanted)) <= (1e-13 if method == "pairs" else eps)


def test_gaussians_in_a_cell():
    """The sum over all images."""
    points, own, shifts = random_numbers(4, 5, 3), features(5), np.arange(-4, 5) * 9.0
    images = np.stack(np.meshgrid(shifts, shifts, shifts, indexing="ij"), -1).reshape(-1, 3)
    sigmas = (0.7, 0.9)
    found = layer(kernel="gaussians", eps=1e-6, sigma=sigmas).set_points(points, 9.0)(*own)
    scores = np.einsum("mha,nha->hmn", silu(own[0]), silu(own[1]))
    r = np.linalg.norm(points[:, None, None] - points[None, :, None] + images, axis=-1)
    for h, sigma in enumerate(sigmas):
        assert relative(found[:, h], (scores[h] * gaussians(r, sigma).sum(axis=-1)) @ own[2][:, h]) <= 1e-6


# ---------------------------------------------------------------------- derivatives
DIRECTIONS = ("dpoints", "dqueries", "dkeys", "dvalues", "strain")


@pytest.mark.parametrize("kernel", ["coulomb", "gaussians"])
@pytest.mark.parametrize("feature_map", ["silu", "tanh", "linear"])
def test_tangents_are_transposed(kernel, feature_map):
    """⟨ȳ, ẏ⟩ = Σ ⟨x̄, ẋ⟩ for points, features and strains; differences of y along all of them at once are ẏ."""
    cell, points = cells("skewed", 5.0, 3, np.random.default_rng(0)), random_numbers(5, 6, 3)
    own, made = features(6), layer(kernel=kernel, feature_map=feature_map)
    bar = random_numbers(6, 6, HEADS, VALUES)
    along = dict(zip(DIRECTIONS, [random_numbers(7, 6, 3), *features(6, 8), random_numbers(9, 1, 3, 3)], strict=True))
    tangent = made.set_points(points, cell).jvp(*own, **along)
    gradient = made.vjp(*own, bar, wrt=("points", "features", "strain"))
    bars = (gradient.points, gradient.queries, gradient.keys, gradient.values, gradient.strain)
    total = sum((left * right).sum() for left, right in zip(bars, along.values(), strict=True))
    assert abs(total - (bar * tangent).sum()) <= 1e-13 * np.linalg.norm(bar) * np.linalg.norm(tangent)

    def moved(h: float) -> np.ndarray:
        factor = np.eye(3) + h * along["strain"][0]
        made.set_points((points + h * along["dpoints"]) @ factor, cell @ factor)
        return made(*(f + h * along[name] for f, name in zip(own, DIRECTIONS[1:4], strict=True)))

    h = 1e-3  # off by h⁴/30 fifth derivatives
    wanted = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h)
    assert relative(tangent, wanted) <= 1e-8


@pytest.mark.parametrize("kernel", ["coulomb", "gaussians"])
@pytest.mark.parametrize("cell", [5.0, None])
def test_gradients_by_kernels(kernel, cell):
    """By the parameters of every head."""
    points, own, made = random_numbers(5, 6, 3), features(6), layer(kernel=kernel, trainable=True)
    bar, flat = random_numbers(6, 6, HEADS, VALUES), made.parameters.flat
    made.set_points(points, cell)
    gradient, start, h = made.vjp(*own, bar, wrt=("parameters",)).parameters, flat.copy(), 1e-4
    found = np.concatenate([gradient[name].ravel() for name in made.parameters])
    for i, step in enumerate(np.eye(flat.size)):
        values = []
        for t in (-h, h):
            flat[...] = start + t * step
            values.append((bar * made(*own)).sum())
        flat[...] = start
        assert abs((values[1] - values[0]) / (2 * h) - found[i]) <= 1e-6 * np.abs(found).max()


# ---------------------------------------------------------------------- invariances
def test_numbers_places_and_directions():
    """Of points without a cell: to rounding for any eps."""
    points, own, made = random_numbers(3, 9, 3), features(9), layer(eps=1e-2)
    wanted, turn = made.set_points(points)(*own), special_ortho_group.rvs(3, random_state=0)
    assert relative(made.set_points(points @ turn + 5.0)(*own), wanted) <= 1e-13
    assert relative(made.set_points(points[::-1])(*(f[::-1] for f in own)), wanted[::-1]) <= 1e-13


def test_supercells():
    """What points read is the same in a doubled cell, and does not fall with their number."""
    cell, points = cells("skewed", 5.0, 3, np.random.default_rng(1)), random_numbers(5, 6, 3)
    own, eps = features(6), 1e-6
    wanted = layer(eps=eps).set_points(points, cell)(*own)
    twice = np.concatenate([points, points + cell[0]]), np.diag([2, 1, 1]) @ cell
    found = layer(eps=eps).set_points(*twice)(*(np.tile(f, (2, 1, 1)) for f in own))
    assert relative(found, np.tile(wanted, (2, 1, 1))) <= eps


def test_nothing_jumps_with_the_cell():
    """While modes come in, one after the other, what is computed stays within eps of all modes."""
    points, own, eps = random_numbers(5, 6, 3), features(6), 1e-4
    made = layer(eps=eps)
    for side in np.linspace(5.0, 6.0, 21):
        cell = np.diag([side, 5.5, 6.0])
        assert relative(made.set_points(points, cell)(*own), by_heads(points, cell, own)) <= eps


def test_snapshots_and_single_precision():
    """Structures of a batch do not see each other; float32 is right to its own rounding."""
    generator, own = np.random.default_rng(2), features(12)
    parts = [generator.uniform(0, 5, (n, 3)) for n in (4, 1, 7)]
    batch = Structures.from_arrays(parts, np.stack([(5.0 + i) * np.eye(3) for i in range(3)]))
    together, offsets = layer().set_points(batch)(*own), np.cumsum([0, 4, 1, 7])
    for i, points in enumerate(parts):
        some = slice(offsets[i], offsets[i + 1])
        alone = layer().set_points(points, 5.0 + i)(*(f[some] for f in own))
        assert relative(together[some], alone) <= 1e-12
    single = layer(dtype=np.float32).set_points(batch)(*(f.astype(np.float32) for f in own))
    assert single.dtype == np.float32
    assert relative(single.astype(np.float64), together) <= 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_points(dtype):
    """Nothing to read; gradients are empty, and zeros by kernels and cells."""
    made, own = (
        layer(trainable=True, dtype=dtype).set_points(np.zeros((0, 3)), 5.0),
        [f.astype(dtype) for f in features(0)],
    )
    assert made(*own).shape == made.jvp(*own, dpoints=np.zeros((0, 3))).shape == (0, HEADS, VALUES)
    gradient = made.vjp(*own, own[2], wrt=("points", "features", "parameters", "strain"))
    arrays = gradient.output, gradient.points, gradient.queries, gradient.keys, gradient.values
    assert [array.shape for array in arrays] == [own[2].shape, (0, 3), *(f.shape for f in own)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert gradient.strain.tolist() == np.zeros((1, 3, 3)).tolist()
    assert {name: float(value) for name, value in gradient.parameters.items()} == dict.fromkeys(made.parameters, 0.0)
    alone = made.vjp(*own, own[2], wrt=())
    assert (alone.points, alone.queries, alone.keys, alone.values, alone.strain, alone.parameters) == (None,) * 6


def test_words_for_truth_values():
    """A TypeError: "no" would be True."""
    with pytest.raises(TypeError, match="trainable: expected True or False, got 'no'"):
        layer(trainable="no")


def test_cells_smaller_than_the_kernel():
    """Little is left of it there, and that is right, too."""
    points, own = random_numbers(1, 3, 3), features(3)
    for side in (2.0, 3.0, 4.0):
        found = layer(eps=1e-3).set_points(points, side)(*own)
        assert relative(found, by_heads(points, side * np.eye(3), own)) <= 1e-3
