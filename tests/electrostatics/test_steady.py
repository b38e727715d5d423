"""Calls in which only positions differ from the call before are done with less ado, and give the same."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
from ionic import salt

from lrc_numba.electrostatics import EwaldCalculator, InversePowerLawPotential, MeshCalculator, ProlateCoulombPotential
from lrc_numba.electrostatics.calculators import ChargeOperator
from lrc_numba.geometry.structures import Structures

pytestmark = pytest.mark.explicit_sums
CUTOFF, SKIN = 3.2, 0.4


def mesh(**settings):
    return MeshCalculator(ProlateCoulombPotential(CUTOFF, 8.0), CUTOFF, eps=1e-5, skin=SKIN, **settings)


KINDS = {
    "on a mesh": lambda: mesh(explicit_sums=False),
    "on a mesh, two threads": lambda: mesh(explicit_sums=False, threads=2),
    "explicit sums": mesh,
    "Ewald": lambda: EwaldCalculator(InversePowerLawPotential(1.0, smearing=0.8), CUTOFF, 5.0, skin=SKIN),
}


def equal(one, two) -> None:
    assert one.energy == two.energy
    assert np.array_equal(one.potential, two.potential)
    assert np.array_equal(one.forces, two.forces)
    assert (one.stress is None) == (two.stress is None)
    if one.stress is not None:
        # From the same sums over modes, which are contracted with tables of their derivatives in another order.
        scale = np.abs(two.strain).max() + np.abs(two.energy)
        assert np.abs(one.strain - two.strain).max() <= 1e-13 * scale
        assert np.abs(one.stress - two.stress).max() <= 1e-13 * scale * np.abs(two.stress / two.strain).max()


def spoiled(calculator, x, q, cell, **wanted):
    """The same calculation after one of another structure: nothing of the call before is of use."""
    calculator.compute(np.zeros((1, 3)), np.zeros(1), 9.0)
    calculator.forget_neighbours()
    return calculator.compute(x, q, cell, forces=True, **wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("net", [0.0, 0.5])
@pytest.mark.parametrize("new", [False, True])
def test_a_walk(kind, net, new):
    """Points that move, by and by so far that lists of neighbours are made anew, and that leave the cell.

    With lists that are found anew in every call it is the same, and with a stress now and then.
    """
    x, q, cell = salt(8)
    steady, usual, rng = KINDS[kind](), KINDS[kind](), np.random.default_rng(1)
    wanted = {"forces": True, "charge_gradient": True}
    for step in range(12):
        x = x + 0.05 * rng.standard_normal(x.shape) + [0.5 * (step == 6), 0, 0]
        if new:
            steady.forget_neighbours()
        result = steady.compute(x, q + net, cell, stress=step % 3 != 1, **wanted)
        # An ordinary call each time: one with gradients by parameters is never a repetition.
        expected = usual.compute(x, q + net, cell, stress=step % 3 != 1, parameter_gradient=True, **wanted)
        scale = np.abs(expected.forces).max()
        # The same loops; but pairs are added up in the order of the lists, which are of other points.
        assert abs(result.energy - expected.energy) <= 1e-13 * scale
        assert np.abs(result.forces - expected.forces).max() <= 1e-13 * scale
        assert np.abs(result.charge_gradient - expected.charge_gradient).max() <= 1e-13 * scale
        if step % 3 != 1:
            assert np.abs(result.strain - expected.strain).max() <= 1e-13 * (scale + abs(result.energy))
            np.testing.assert_allclose(result.stress, result.strain / np.linalg.det(cell), rtol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stress_by_differences(kind):
    """That of a repeated call is the derivative of the energies that repeated calls give."""
    x, q, cell = salt(8)
    calculator, rng, step = KINDS[kind](), np.random.default_rng(3), 1e-4
    direction = rng.standard_normal((3, 3))
    direction += direction.T
    for _ in range(4):
        strain = calculator.compute(x, q, cell, stress=True).strain
    energies = []
    for sign in (1, -1, 2, -2):
        grow = np.eye(3) + sign * step * direction
        for _ in range(3):
            energy = calculator.compute(x @ grow, q, cell @ grow).energy
        energies.append(energy)
    slope = (8 * (energies[0] - energies[1]) - (energies[2] - energies[3])) / (12 * step)
    # Fourth order in the step, and rounding of energies over it; pairs come and go at a cutoff where v is 1e-7.
    assert abs(slope - np.sum(strain * direction)) <= 1e-6 * abs(energies[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stress", [False, True])
def test_the_same_bits(kind, stress):
    """Of one configuration again and again, and with lists and plans of nothing else in between."""
    x, q, cell = salt(8)
    calculator = KINDS[kind]()
    first = calculator.compute(x, q, cell, forces=True, stress=stress)
    for _ in range(4):
        again = calculator.compute(x.copy(), q.copy(), cell, forces=True, stress=stress)
        equal(again, first)
    equal(spoiled(calculator, x, q, cell, stress=stress), first)
    assert calculator.compute(x, q, cell).forces is None
    kept = again.forces.copy()
    calculator.compute(x + 0.01 * q[:, None], q, cell, forces=True)
    assert np.array_equal(again.forces, kept)  # results are the user's


CHANGES = {
    "charges": lambda c, x, q, cell: q.__imul__(1.5),
    "cell": lambda c, x, q, cell: cell.__imul__(1.02),
    "prefactor": lambda c, x, q, cell: c.potential.set_parameters({"prefactor": np.array(2.0)}),
    "pairs": lambda c, x, q, cell: setattr(c, "pair_tolerance", 1e-3),
    "way": lambda c, x, q, cell: setattr(c, "explicit_sums", not c.explicit_sums),
    "batch": lambda c, x, q, cell: c.compute(Structures.from_arrays(np.stack([x, x + 0.1]), 1.1 * cell), np.tile(q, 2)),
    "another cell": lambda c, x, q, cell: c.compute(x, q, 1.1 * cell, forces=True, parameter_gradient=True),
    "fewer points": lambda c, x, q, cell: c.compute(x[2:], q[2:], cell, forces=True),
    "copy": lambda c, x, q, cell: copy(c).compute(x + 0.1, q, cell, forces=True),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("calls", [1, 2, 4])
@pytest.mark.parametrize("stress", [False, True])
def test_what_changes_in_between(change, calls, stress):
    """Arrays that are written to, parameters, settings and other structures: always what a new calculator gives."""
    x, q, cell = salt(8)
    calculator, new = mesh(explicit_sums=False), mesh(explicit_sums=False)
    for _ in range(calls):
        calculator.compute(x, q, cell, forces=True, stress=stress)
    CHANGES[change](calculator, x, q, cell)
    if change in ("prefactor", "pairs", "way"):
        CHANGES[change](new, x, q, cell)
    for _ in range(3):
        calculator.forget_neighbours()
        expected = new.compute(x, q, cell, forces=True, stress=stress)
        equal(calculator.compute(x, q, cell, forces=True, stress=stress), expected)
        new = mesh(explicit_sums=False)
        if change in ("prefactor", "pairs", "way"):
            CHANGES[change](new, x, q, cell)


def test_bad_positions():
    """They are refused whether the call is a repetition or not."""
    x, q, cell = salt(8)
    calculator, energies = mesh(), []
    for _ in range(4):
        with pytest.raises(ValueError, match="positions"):
            calculator.compute(np.where(np.arange(3) == 1, np.nan, x), q, cell)
        with pytest.raises(ValueError, match="positions"):
            calculator.compute(x + 1e17, q, cell)
        with pytest.raises(ValueError, match="positions"):
            calculator.compute(np.concatenate([x[:-1], x[:1]]), q, cell)  # two in one place
        with pytest.raises(ValueError, match="charges"):
            calculator.compute(x[:-1], q, cell)
        energies.append(calculator.compute(x, q, cell, forces=True).energy)
    assert max(energies) == min(energies)


BAD = np.where(np.arange(3) == 1, np.nan, 1.0)


def layout(count: int, cell) -> tuple:
    """Offsets, cells and flags of two structures, whose positions are not checked before they are computed."""
    return np.array([0, count, 2 * count]), np.stack([cell, cell]), np.ones((2, 3), dtype=bool)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("refused", [["nan"], ["on one another"], ["nan", "nan", "on one another"]])
def test_after_a_call_that_was_refused(kind, batch, refused):
    """Nothing of the call before it is left: the cell, charges or number of points of a refused call come again."""
    x, q, cell = salt(8)
    for points, charges, box in ((x, q, 1.1 * cell), (x, 2 * q, cell), (x[1:], q[1:], cell)):
        calculator, new = KINDS[kind](), KINDS[kind]()

        def compute(calculator, x, q, cell, batch=batch, **wanted):
            if not batch:
                return calculator.compute(x, q, cell, **wanted)
            structures = Structures(np.concatenate([x, x + 0.1]), *layout(len(x), cell))
            return calculator.compute(structures, np.tile(q, 2), **wanted)

        for _ in range(len(refused)):
            compute(calculator, x, q, cell, forces=True)
        for bad in refused:
            with pytest.raises(ValueError, match="positions"):
                compute(
                    calculator, points * BAD if bad == "nan" else points[[0, *range(len(points) - 1)]], charges, box
                )
        expected = compute(new, points, charges, box, forces=True)
        for _ in range(3):
            result = compute(calculator, points, charges, box, forces=True)
            # The same sums, of pairs in the order of other lists.
            scale = np.abs(expected.forces).max()
            assert np.abs(result.energy - expected.energy).max() <= 1e-13 * scale
            assert np.abs(result.forces - expected.forces).max() <= 1e-13 * scale


REFUSED = {
    "positions": lambda c, x, q, cell: c.compute(x * BAD, q, 1.1 * cell),
    "charges": lambda c, x, q, cell: c.compute(x, np.where(np.arange(8) == 1, np.nan, q), cell),
    "masked charges": lambda c, x, q, cell: c.compute(x, np.ma.masked_array(q, q > 0), cell),
    "a charge too few": lambda c, x, q, cell: c.compute(x, q[1:], cell),
    "cell of words": lambda c, x, q, cell: c.compute(x, q, "abc"),
    "flat cell": lambda c, x, q, cell: c.compute(x, q, np.eye(2)),
    "cell that is no number": lambda c, x, q, cell: c.compute(x, q, np.nan),
    "two lengths": lambda c, x, q, cell: c.compute(x, q, [1, 2]),
    "negative length": lambda c, x, q, cell: c.compute(x, q, -3.0),
    "dependent vectors": lambda c, x, q, cell: c.compute(x, q, np.diag([1, 1, 0])),
    "masked cell": lambda c, x, q, cell: c.compute(x, q, np.ma.masked_array(cell, cell > 6)),
    "net charge": lambda c, x, q, cell: c.compute(x, q + 0.3, cell),
    "net charges": lambda c, x, q, cell: c.compute(
        Structures.from_arrays(np.stack([x, x + 0.1]), cell), np.tile(q + 0.3, 2)
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_again(case):
    """However often it comes, in the same words, and also where a good call came in between."""
    (x, q, cell), messages = salt(8), set()
    calculator = EwaldCalculator(InversePowerLawPotential(3.0, smearing=0.8), CUTOFF, 5.0)
    energy = calculator.compute(x, q, cell).energy
    for step in range(6):
        with pytest.raises((ValueError, TypeError)) as error:
            REFUSED[case](calculator, x, q, cell)
        messages.add(str(error.value))
        if step > 2:
            assert calculator.compute(x, q, cell).energy == energy
    assert len(messages) == 1


def test_copies_know_no_calls():
    """What a copy computes in another cell is not taken for a call of the original, nor the other way round."""
    x, q, cell = salt(8)
    original = mesh(explicit_sums=False)
    original.compute(x, q, cell)
    copied = copy(original)
    copied.compute(x, q, 1.1 * cell)
    expected = mesh(explicit_sums=False).compute(x, q, 1.1 * cell).energy
    for calculator in (original, copied, original):
        assert calculator.compute(x, q, 1.1 * cell).energy == expected


def test_structures_that_are_written_to():
    """Cells of structures are the user's: those of a call before may be others by now."""
    x, q, cell = salt(8)
    calculator, structures = mesh(explicit_sums=False), Structures.from_arrays(x[None], cell, charges=q)
    expected = [calculator.compute(structures).energy for _ in range(3)][-1]
    structures.cell[...] *= 1.1
    calculator.forget_neighbours()
    again = Structures.from_arrays(x[None], cell, charges=q)
    assert calculator.compute(again).energy == expected


def test_plans_that_go_to_other_cells():
    """Linear maps of charges take plans as well: one of a call before that was moved to another cell is not used."""
    x, q, cell = salt(8)
    calculator = mesh(explicit_sums=False)
    expected = [calculator.compute(x, q, cell).energy for _ in range(3)][-1]
    cells = np.stack([(1 + 1e-3 * step) * cell for step in range(1, 12)])
    several = Structures.from_arrays(np.stack([x] * len(cells)), cells)
    ChargeOperator(calculator, several).apply(np.tile(q, len(cells))[:, None])
    for _ in range(3):
        assert calculator.compute(x, q, cell).energy == pytest.approx(expected, rel=1e-12)


def test_pairs_beside_modes():
    """With two threads a thousand points or so have their pairs and their modes done at once: to the same bits."""
    rng, (x, q, cell) = np.random.default_rng(2), salt(8)
    shifts = np.stack(np.meshgrid(*[np.arange(4)] * 3), axis=-1).reshape(-1, 3) @ cell
    x, q = (x + shifts[:, None]).reshape(-1, 3), np.tile(q, len(shifts))
    one, two = (mesh(threads=threads) for threads in (1, 2))
    for step in range(8):
        x = x + 0.01 * rng.standard_normal(x.shape)
        if step > 4:  # also where lists are found anew
            one.forget_neighbours()
            two.forget_neighbours()
        wanted = {"forces": True, "stress": step % 2 == 0}
        equal(two.compute(x, q, 4 * cell, **wanted), one.compute(x, q, 4 * cell, **wanted))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("net", [0.0, 0.5])
def test_sets_of_structures(threads, count, net):
    """Of one cell they are repeated together; of several cells or numbers of points they are not, nor with a stress."""
    rng, (x, q, cell) = np.random.default_rng(4), salt(8)
    steady, usual = mesh(explicit_sums=False, threads=threads), mesh(explicit_sums=False)
    every = np.tile(q + net, count) * np.repeat(1 + np.arange(count), len(q))
    cells = np.stack([cell] * count)
    for step in range(14):
        if step == 6:
            cells[-1] *= 1.02  # in place
        if step == 10:
            cells[...] = 1.01 * cell
        structures = Structures.from_arrays(x + 0.1 * rng.standard_normal((count, *x.shape)), cells)
        if step == 12:
            structures = structures[: max(1, count - 1)]
        charges = every[: len(structures.positions)]
        if step % 3 == 0:
            steady.forget_neighbours()
        wanted = {"forces": True, "charge_gradient": True, "stress": step in (3, 4)}
        result = steady.compute(structures, charges, **wanted)
        expected = usual.compute(structures, charges, parameter_gradient=True, **wanted)
        scale = np.abs(expected.forces).max(initial=1.0)
        for name in ("energy", "potential", "forces", "charge_gradient"):
            given, right = getattr(result, name), getattr(expected, name)
            assert given.shape == right.shape
            assert np.abs(given - right).max(initial=0.0) <= 1e-13 * scale
        if step in (3, 4):
            assert np.abs(result.strain - expected.strain).max() <= 1e-13 * scale
