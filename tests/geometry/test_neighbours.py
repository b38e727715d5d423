"""Neighbours are those that trying all images finds, in any lattice, and bad input is refused before any work."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lattices import Ragged, by_key, neighbours_of, ragged

from lrc_numba.geometry.neighbours import NeighbourList, Pairs, find_pairs, scatter_add

EXAMPLES = 100
seeds = st.integers(0, 2**16)
CELL = np.array([[1.0, 0.0, 0.0], [0.4, 0.9, 0.0], [-0.3, 0.35, 1.1]])
GENERATOR = np.random.default_rng(1)
CROWD = GENERATOR.random((3000, 3)) @ CELL


# ---------------------------------------------------------------------- which pairs
@settings(max_examples=EXAMPLES)
@given(points=ragged(), full=st.booleans())
def test_pairs_are_those_of_all_images(points, full):
    """Every (i, j, displacement) that trying all images finds, each once, and no others."""
    pairs = find_pairs(points.positions, points.cutoff, full=full, **points.arguments())
    expected, undecided = neighbours_of(points, full)
    listed = by_key(pairs, points)
    assert set(listed) <= set(expected)
    assert set(expected) - set(listed) <= undecided
    for key, apart in listed.items():
        np.testing.assert_allclose(apart, expected[key], rtol=0, atol=points.rounding())


@settings(max_examples=EXAMPLES)
@given(points=ragged(), full=st.booleans())
def test_pairs_are_in_order_and_of_one_dtype(points, full):
    """Sorted by the first point; i ≤ j in half lists; distances are norms; dtypes are those of the positions."""
    pairs = find_pairs(points.positions, points.cutoff, full=full, **points.arguments())
    assert (np.diff(pairs.first) >= 0).all()
    assert full or (pairs.first <= pairs.second).all()
    assert pairs.first.dtype == pairs.second.dtype == np.int64
    assert pairs.displacement.dtype == pairs.distance.dtype == points.positions.dtype
    assert pairs.displacement.shape == (len(pairs), points.positions.shape[1])
    assert pairs.count == len(points.positions)
    assert pairs.full == full
    norms = np.linalg.norm(pairs.displacement.astype(np.float64), axis=1)
    eps = np.finfo(points.positions.dtype).eps  # two roundings of numbers that are below the cutoff
    np.testing.assert_allclose(pairs.distance, norms, rtol=4 * eps, atol=0)
    assert (pairs.distance <= points.cutoff + points.rounding()).all()


def _assert_half_and_mirror(half: Pairs, full: Pairs) -> None:
    """Every pair (i, j) with displacement d and, with the same digits, (j, i) with −d."""
    both = np.concatenate([half.first, half.second]), np.concatenate([half.second, half.first])
    apart = np.concatenate([half.displacement, -half.displacement])
    # A zero has no sign to compare; adding zero takes it away.
    rows = sorted(zip(both[0], both[1], *(apart.T + 0.0), strict=True))
    assert rows == sorted(zip(full.first, full.second, *(full.displacement.T + 0.0), strict=True))


@settings(max_examples=EXAMPLES)
@given(points=ragged(), ordered=st.booleans())
def test_full_list_is_half_list_and_mirror(points, ordered):
    """Whichever of the two points has the pair."""
    half = NeighbourList(points.cutoff, ordered=ordered).build(points.positions, **points.arguments())
    assert (np.diff(half.first) >= 0).all()
    _assert_half_and_mirror(half, find_pairs(points.positions, points.cutoff, full=True, **points.arguments()))


@pytest.mark.parametrize("periodic", [(True, True, True), (True, False, True), (False, True, False), (False,) * 3])
@pytest.mark.parametrize(("cutoff", "flat"), [(0.09, 1.0), (0.35, 1.0), (0.35, 1e-3)])
def test_half_lists_of_a_crowd(periodic, cutoff, flat):
    """Of many bins, within the cell and beyond, and of a lattice whose points lie on the edges of bins."""
    lattice = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) / 8 @ CELL
    for points in (CROWD[:500] * [1.0, 1.0, flat], lattice):
        half = NeighbourList(cutoff, ordered=False).build(points, CELL, periodic=np.array(periodic))
        _assert_half_and_mirror(half, find_pairs(points, cutoff, CELL, periodic=np.array(periodic), full=True))
        assert len(half) > 0 or (cutoff < 0.1 and points is lattice)


@pytest.mark.parametrize("ordered", [False, True])
def test_a_crowd_in_a_corner(ordered):
    """All of many points have images beyond all faces: there are more than in an even crowd. Again and again."""
    cloud, spread = 0.02 * CROWD[:200], CROWD[:200]
    kept = NeighbourList(0.3, ordered=ordered)
    for points in (cloud, spread, cloud, cloud + np.array([0.6, 0.5, 0.5])):
        full = find_pairs(points, 0.3, CELL, full=True)
        _assert_half_and_mirror(kept.build(points, CELL), full)
        if points is not spread:
            assert len(full) == 200 * 199


def test_a_list_of_other_structures():
    """What is kept between searches is of the same cells, numbers of points and cutoffs only."""
    kept, points = NeighbourList(0.25, ordered=False), CROWD[:60]
    for offsets, cell in (
        ([0, 60], CELL),
        ([0, 20, 60], CELL),
        ([0, 60], 1.2 * CELL),
        ([0, 30, 60], CELL),
        ([0, 60], CELL),
    ):
        half = kept.build(points, cell, offsets=offsets)
        _assert_half_and_mirror(half, find_pairs(points, 0.25, cell, offsets=offsets, full=True))
        kept.build(points[:10], cell)


@pytest.mark.parametrize(("full", "ordered"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize("batch", [1, 60])
def test_threads_change_no_bit(full, ordered, batch):
    """Of one large structure and of many small ones."""
    offsets = np.linspace(0, len(CROWD), batch + 1).astype(int)
    cutoff = 0.09 * batch ** (1 / 3)
    searches = (NeighbourList(cutoff, full=full, ordered=ordered, threads=threads) for threads in (1, 2, 3))
    once, *others = (search.build(CROWD, CELL, offsets=offsets) for search in searches)
    assert len(once) > 4 * len(CROWD)
    for pairs in others:
        for name in ("first", "second", "displacement", "distance"):
            np.testing.assert_array_equal(getattr(once, name), getattr(pairs, name), strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_displacements_have_the_dtype_asked_for(dtype):
    """And differ from those of the other one by rounding alone."""
    points = CROWD[:100].astype(np.float32)
    pairs, usual = find_pairs(points, 0.3, CELL, dtype=dtype), find_pairs(points, 0.3, CELL)
    assert pairs.displacement.dtype == pairs.distance.dtype == dtype
    np.testing.assert_array_equal(pairs.displacement.astype(np.float32), usual.displacement)


@pytest.mark.parametrize("cell", [2.0, [2.0, 2.0, 2.0], np.eye(3) * 2.0, [np.eye(3) * 2.0] * 2], ids=str)
def test_cells_come_in_several_shapes(cell):
    """A length, lengths, vectors, and vectors of every structure are the same cube."""
    points, offsets = CROWD[:40], [0, 25, 40]
    pairs = find_pairs(points, 0.7, cell, offsets=offsets)
    expected = find_pairs(
        points, 0.7, [[2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]], offsets=offsets, periodic=[[True] * 3] * 2
    )
    np.testing.assert_array_equal(pairs.displacement, expected.displacement)
    assert len(pairs) > 40


def test_one_atom_has_its_images_for_neighbours():
    """A cubic lattice has 6, 12, 8, 6 … neighbours at 1, √2, √3, 2 …; a pair of images comes once, or twice if full."""
    for full, share in ((False, 2), (True, 1)):
        distance = np.sort(find_pairs(np.zeros((1, 3)), 2.1, 1.0, full=full).distance)
        np.testing.assert_allclose(distance, np.repeat([1, 2, 3, 4], np.array([6, 12, 8, 6]) // share) ** 0.5)


@pytest.mark.parametrize("far", [1e3, 1e6, 3e10])
def test_points_may_lie_far_outside(far):
    """There are the same pairs at whole lattice vectors from the cell, up to the rounding of positions."""
    points = CROWD[:30] + np.rint(GENERATOR.uniform(-far, far, (30, 3))) @ CELL
    pairs = find_pairs(points, 0.4, CELL)
    near = find_pairs(points - np.floor(points @ np.linalg.inv(CELL)) @ CELL, 0.4, CELL)
    assert len(near) > 30
    for pair in (pairs, near):
        order = np.lexsort((pair.distance, pair.second, pair.first))
        pair.first, pair.second, pair.distance = (a[order] for a in (pair.first, pair.second, pair.distance))
    np.testing.assert_array_equal(pairs.first, near.first)
    np.testing.assert_array_equal(pairs.second, near.second)
    bound = 16 * np.finfo(np.float64).eps * far  # an ulp of some of the numbers that are added up
    np.testing.assert_allclose(pairs.distance, near.distance, rtol=0, atol=bound)


# ---------------------------------------------------------------------- a skin
def _assert_nothing_is_missing(kept: NeighbourList, points: Ragged) -> None:
    """A list that is good holds every pair within the cutoff, with displacements of where points are now."""
    expected, undecided = neighbours_of(points, kept.full)
    listed = by_key(kept.update(points.positions, points.cell), points)
    assert set(expected) - set(listed) <= undecided
    for key in set(expected) & set(listed):
        np.testing.assert_allclose(listed[key], expected[key], rtol=0, atol=points.rounding())


def _steps(points: Ragged, length: float, generator: np.random.Generator) -> np.ndarray:
    """Random ones, of which the longest is so long."""
    steps = generator.standard_normal(points.positions.shape)
    return steps * length / np.linalg.norm(steps, axis=1).max(initial=1e-300)


@settings(max_examples=EXAMPLES)
@given(
    points=ragged(dtypes=(np.float64,)),
    skin=st.sampled_from((0.3, 0.05, 0.0)),
    length=st.sampled_from((0.3, 0.9, 2.0)),
    full=st.booleans(),
    seed=seeds,
)
def test_nothing_is_missing_while_a_list_is_good(points, skin, length, full, seed):
    """After steps of some of half the skin a list holds all pairs within the cutoff, or says that it may not."""
    kept = NeighbourList(points.cutoff, skin * points.cutoff, full=full)
    kept.build(points.positions, **points.arguments())
    steps = _steps(points, 0.5 * kept.skin * length, np.random.default_rng(seed))
    moved = points.moved(steps, np.zeros((points.dim, points.dim)))
    outdated = kept.is_outdated(moved.positions)
    assert outdated == (length > 1 and kept.skin > 0 and len(steps) > 0)
    if not outdated:
        _assert_nothing_is_missing(kept, moved)


@settings(max_examples=EXAMPLES)
@given(
    points=ragged(dtypes=(np.float64,), crystals=True),
    length=st.sampled_from((0.0, 0.3)),
    strain=st.sampled_from((0.6, 0.9, 0.3, 2.0)),
    full=st.booleans(),
    seed=seeds,
)
def test_nothing_is_missing_in_a_strained_cell(points, length, strain, full, seed):
    """Also where the cell has changed, by some of the strain that brings pairs at cutoff + skin to the cutoff."""
    generator, skin = np.random.default_rng(seed), 0.5
    kept = NeighbourList(points.cutoff, skin * points.cutoff, full=full)
    kept.build(points.positions, **points.arguments())
    change = generator.uniform(-1, 1, (points.dim, points.dim)) - np.eye(points.dim)
    change *= strain * skin / (1 + skin) / np.linalg.norm(change, 2)
    moved = points.moved(_steps(points, 0.5 * kept.skin * length, generator), change)
    if kept.is_outdated(moved.positions, moved.cell):
        assert length + strain > 0.8
    else:
        _assert_nothing_is_missing(kept, moved)


@pytest.mark.parametrize("cell", [None, CELL])
def test_a_list_is_outdated_after_half_the_skin(cell):
    """By one point, and no earlier; moving back makes it good again."""
    kept = NeighbourList(0.4, 0.2)
    kept.build(CROWD[:20], cell)
    for length, outdated in ((0.0, False), (0.0999, False), (0.1001, True), (-0.0999, False), (-0.1001, True)):
        moved = CROWD[:20].copy()
        moved[7, 1] += length
        assert kept.is_outdated(moved) == outdated


def test_a_list_is_outdated_by_a_smaller_cell():
    """A strain that brings pairs at cutoff + skin within the cutoff, and no smaller one; a larger cell is no harm."""
    kept = NeighbourList(0.4, 0.1)
    kept.build(CROWD[:20], CELL)
    for factor, outdated in ((1.0, False), (1.3, False), (0.801, False), (0.799, True)):
        assert kept.is_outdated(CROWD[:20] * factor, CELL * factor) == outdated
    turn = np.linalg.qr(GENERATOR.standard_normal((3, 3)))[0]
    assert not kept.is_outdated(CROWD[:20] @ turn, CELL @ turn)


def test_a_list_keeps_what_it_was_given():
    """Writing into the arrays afterwards changes nothing, and what was moved can be read-only."""
    points, cell = CROWD[:20].copy(), CELL.copy()
    kept = NeighbourList(0.4, 0.1)
    before = kept.build(points, cell).distance
    points += 1.0
    cell *= 3.0
    frozen = CROWD[:20].copy()
    frozen.flags.writeable = False
    assert not kept.is_outdated(frozen)
    distance = kept.update(frozen).distance
    np.testing.assert_array_equal(distance, before)


def test_what_a_list_was_made_with_stays():
    """Another cutoff would be half obeyed, and pairs be missing: the error says what to do, and nothing has changed."""
    kept = NeighbourList(0.4, 0.1)
    before = kept.build(CROWD[:20], CELL)
    for name, value in (("cutoff", 0.5), ("skin", 0.2), ("full", True), ("ordered", False), ("dtype", np.float32)):
        with pytest.raises(AttributeError, match=f"{name}: NeighbourList was made with it; make another list"):
            setattr(kept, name, value)
    np.testing.assert_array_equal(kept.update(CROWD[:20]).distance, before.distance)
    assert kept.update(CROWD[:20]).distance.dtype == before.distance.dtype


def test_updating_before_building_is_an_error():
    with pytest.raises(ValueError, match=r"positions: .*build first"):
        NeighbourList(1.0).update(np.zeros((2, 3)))
    kept = NeighbourList(1.0)
    kept.build(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"positions: expected the 2 points of before, got \(3, 3\)"):
        kept.is_outdated(np.zeros((3, 3)))


# ---------------------------------------------------------------------- parts and sums
def test_pairs_of_some_structures():
    """Are those that the structures have alone."""
    offsets = np.array([0, 10, 10, 40, 45])
    pairs = find_pairs(CROWD[:45], 0.5, CELL, offsets=offsets)
    for begin, end in ((0, 1), (0, 2), (1, 3), (2, 2), (2, 4), (0, 4)):
        part, low = pairs.of_structures(begin, end), offsets[begin]
        alone = find_pairs(CROWD[low : offsets[end]], 0.5, CELL, offsets=offsets[begin : end + 1] - low)
        for name in ("first", "second", "displacement", "distance", "offsets"):
            np.testing.assert_array_equal(getattr(part, name), getattr(alone, name))


def test_points_in_one_place_are_named():
    """By their numbers in their structure."""
    points = np.array([[0.0], [5.0], [1.0], [2.0], [1.0]])
    pairs = find_pairs(points, 1.5, offsets=[0, 2, 5])
    with pytest.raises(ValueError, match=r"points: expected no two .* got 0 and 2 of structure 1"):
        pairs.check_apart(1e-9)
    find_pairs(points[:4], 1.5).check_apart(1e-9)


def test_sums_over_pairs():
    """What the first point gains the second one loses."""
    pairs = find_pairs(CROWD[:50], 0.5, CELL)
    values, out = GENERATOR.standard_normal((len(pairs), 2)), np.ones((50, 2))
    scatter_add(pairs.first, pairs.second, values, out)
    expected = np.ones((50, 2))
    np.add.at(expected, pairs.first, values)
    np.subtract.at(expected, pairs.second, values)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)  # sums of some ten numbers of size one


# ---------------------------------------------------------------------- bad input
ONE = np.zeros((1, 3))
WRONG = {
    "NaN": (ValueError, "positions: expected finite", dict(positions=[[0.0, np.nan, 0.0]])),
    "flat": (ValueError, "positions: expected shape", dict(positions=np.zeros(3))),
    "four": (ValueError, "positions: expected shape", dict(positions=np.zeros((2, 4)))),
    "complex": (TypeError, "positions", dict(positions=ONE + 1j)),
    "text": (TypeError, "positions", dict(positions=[["a", "b", "c"]])),
    "masked": (TypeError, "positions: expected no mask", dict(positions=np.ma.array(ONE))),
    "half precision": (TypeError, "positions", dict(positions=ONE.astype(np.float16))),
    "too far": (ValueError, "positions: point 0 of structure 0 is too far", dict(positions=ONE + 1e13)),
    "too far, of several": (
        ValueError,
        "positions: point 1 of structure 1 is too far",
        dict(positions=np.array([[0.0] * 3] * 4 + [[1e13] * 3]), offsets=[0, 3, 5]),
    ),
    "no cutoff": (ValueError, "cutoff", dict(cutoff=0.0)),
    "negative": (ValueError, "cutoff", dict(cutoff=-1.0)),
    "NaN cutoff": (ValueError, "cutoff", dict(cutoff=np.nan)),
    "infinite": (ValueError, "cutoff", dict(cutoff=np.inf)),
    "no number": (TypeError, "cutoff", dict(cutoff="1")),
    "zero cell": (ValueError, "cell: .*structure 0 are linearly dependent", dict(cell=np.zeros((3, 3)))),
    "dependent": (ValueError, "cell: .*dependent", dict(cell=[[1, 0, 0], [0, 1, 0], [1, 1, 0]])),
    "nearly dependent": (ValueError, "cell: .*dependent", dict(cell=[[1, 0, 0], [0, 1, 0], [2**-0.5, 3**-0.5, 1e-13]])),
    "dependent, last": (
        ValueError,
        "structure 1 are linearly dependent",
        dict(positions=np.zeros((2, 3)), cell=[np.eye(3), np.ones((3, 3))], offsets=[0, 1, 2]),
    ),
    "cell of two": (ValueError, "cell: expected a length", dict(cell=np.eye(2))),
    "cells of two": (ValueError, "cell: expected a length", dict(cell=[np.eye(3)] * 2)),
    "NaN cell": (ValueError, "cell: expected finite", dict(cell=np.full((3, 3), np.nan))),
    "masked cell": (TypeError, "cell: expected no mask", dict(cell=np.ma.array(np.eye(3)))),
    "complex cell": (TypeError, "cell: expected real", dict(cell=np.eye(3) * 1j)),
    "text for a cell": (TypeError, "cell: expected real", dict(cell="cube")),
    "periodic": (ValueError, "periodic: expected", dict(cell=1.0, periodic=[True, False])),
    "periodic 1": (ValueError, "periodic: expected a bool", dict(cell=1.0, periodic=2)),
    "offsets not from 0": (ValueError, "offsets: expected numbers that rise", dict(offsets=[1, 1])),
    "offsets too short": (ValueError, "offsets: expected numbers that rise", dict(offsets=[0])),
    "offsets that fall": (ValueError, "offsets: expected numbers that rise", dict(offsets=[0, 2, 1])),
    "offsets of floats": (ValueError, "offsets: expected", dict(offsets=[0.0, 1.0])),
    "threads": (ValueError, "threads", dict(threads=0)),
    "dtype": (TypeError, "dtype", dict(dtype=np.int32)),
    "many images": (MemoryError, r"cutoff: 1e\+06 with 1 points", dict(cell=1.0, cutoff=1e6)),
    "tiny second cell": (
        MemoryError,
        r"cutoff: 1 with 3 points needs .*; most of it for structure 1, of 2 points with lattice vectors of length "
        r"1e-07, 1e-07, 1e-07",
        dict(positions=np.zeros((3, 3)), cell=[np.eye(3), 1e-7 * np.eye(3)], offsets=[0, 1, 3]),
    ),
    "more images": (MemoryError, "cutoff", dict(cell=1.0, cutoff=1e200)),
    "many pairs": (
        MemoryError,
        "cutoff: .*; most of it for structure 0, of 1000000 points with no periodic axes",
        dict(positions=np.zeros((1_000_000, 1))),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_named(case):
    """A ValueError, TypeError or MemoryError that begins with the argument."""
    error, message, given_arguments = WRONG[case]
    arguments = {"positions": ONE, "cutoff": 1.0} | given_arguments
    with pytest.raises(error, match=message):
        find_pairs(**arguments)


@pytest.mark.parametrize("skin", [-0.1, np.nan, np.inf, "wide"])
def test_bad_skins_are_named(skin):
    with pytest.raises((ValueError, TypeError), match=r"^skin: expected a number"):
        NeighbourList(1.0, skin)


@pytest.mark.parametrize("periodic", [False, [[False] * 3]])
def test_cells_that_are_not_periodic_are_not_looked_at(periodic):
    """Zeros, or vectors that span nothing, are what files have there."""
    pairs = find_pairs(CROWD[:20], 0.4, np.zeros((3, 3)), periodic=periodic)
    np.testing.assert_array_equal(pairs.distance, find_pairs(CROWD[:20], 0.4).distance)
