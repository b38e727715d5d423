"""Every part of networks: tangent, transpose and the tangent of the transpose against differences of its values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures
from driver import CUTOFF, ROUNDING, Case, gradient_error, jvp_error, scene_of, vjp_dual_error, vjp_error

from lrc_numba.networks.layers.parameters import Parameters
from lrc_numba.networks.layers.perceptron import Perceptron
from lrc_numba.networks.long_range import CoulombKernel, YukawaChannels
from lrc_numba.networks.parts.convolution import Convolution, SeriesEnd
from lrc_numba.networks.parts.dense import Concatenate, Dense, Linear, Scale
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.geometry import Directions, Displacements, Distances
from lrc_numba.networks.parts.messages import Messages
from lrc_numba.networks.parts.pairs import Gather, PairEnergies, Scatter
from lrc_numba.networks.parts.part import Motion
from lrc_numba.networks.parts.products import Add, Norm, Product
from lrc_numba.networks.parts.radial import RadialBasis
from lrc_numba.networks.parts.select import Select, Zeros
from lrc_numba.networks.short_range import Descriptor, Scales

SMALL_STEP = 1e-6  # no relu bends within it; piecewise linear functions have no truncation
SMALL = 4096  # points of many channels: with any number of channels, the few there are here are convolved by matrices


def rows(*shape: int) -> np.ndarray:
    """Normal numbers, which depend on the shape alone."""
    return np.random.default_rng(shape).standard_normal(shape)


def scene(dim: int = 3, periodic: bool = True, full: bool = False):
    """Three ragged structures, the last one smaller than the cutoff in a cell, where points see their own images."""
    sides = {1: (5.0, 4.0, 1.3), 2: (3.0, 2.5, 1.4), 3: (2.4, 2.2, 1.4)}[dim]
    if not periodic:
        sides = (*sides[:2], 3.0)
    return scene_of(make_structures(dim, (5, 1, 2), sides, periodic, seed=3), full)


def tangled(dim: int, **options):
    """Pairs of every structure, and D, r, u of them."""
    own = scene(dim, **options)
    return own, own.pairs.displacement, own.pairs.distance[:, None]


def dense(**options) -> Case:
    sizes = options.pop("sizes", (3, 5, 5, 8, 1))
    return Case(Dense(Perceptron("net", sizes, **options)), (rows(70, sizes[0]),), scene())


def product(axes: str, a: tuple, b: tuple, still=()) -> Case:
    return Case(Product(axes), (rows(*a), rows(*b) + 0.3 * rows(*b) ** 2), scene(), still=still)


def messages(dim: int, periodic: bool = True, still=()) -> Case:
    own = scene(dim, periodic, full=True)
    n, p, c = own.count, len(own.pairs), 16
    assert p > 4
    return Case(Messages(), (rows(n, 3 * c), rows(p, 3 * c), rows(p, dim), rows(n, dim, c)), own, still=still)


def ends(part, points: bool) -> Case:
    own = scene(3, full=True)
    return Case(part, (rows(own.count if points else len(own.pairs), 3, 2),), own)


def pair_energies() -> Case:
    own = scene(3, full=True)
    return Case(PairEnergies("core", SPECIES, 3), (rows(len(own.pairs), 3),), own)


def radial(kind: str, core: float | None = None) -> Case:
    own, _, r = tangled(3)
    return Case(RadialBasis(CUTOFF, 4 if core is None else (1, 3, 6), kind, core=core), (r,), own, step=2e-4)


def directions(dim: int) -> Case:
    own, apart, r = tangled(dim)
    return Case(Directions(), (apart, r), own)


def descriptor(dim: int, periodic: bool, cutoff_kind: str) -> Case:
    # Beyond all pairs of the scene: none crosses the cutoff, where the third derivative jumps, in a difference.
    own = Descriptor(dim, 1.01 * CUTOFF, cutoff_kind, Scales(0.2, 0.8, 1.1, 0.4))
    return Case(own, (None,), scene(dim, periodic), strained=periodic, step=2e-4)


def convolution(dim: int, values: str, small: int = 0, still=(), strained: bool = True, counts=(5, 2, 3)) -> Case:
    """Of three structures the first and the last share a cell, so they are snapshots of one plan."""
    channels = 3 if small else 2
    if small or values == "features":
        kernel = CoulombKernel(0.5, "far.", trainable=True)
    else:
        kernel = YukawaChannels((1.3, 2.0), 0.4)
    end = {1: 16.0, 2: 11.0, 3: 9.0}[dim]
    eps = 1e-1 if dim == 1 else 1e-4  # wider windows take longer to compile, and bend less
    own = Convolution(kernel, SeriesEnd((end,)), eps, values, small)
    structures = make_structures(dim, counts, (5.0, 3.0, 5.0) if dim == 1 else (3.0, 2.6, 3.0), seed=4)
    cells = structures.cell.copy()
    cells[2] = cells[0]
    structures = replace(structures, cell=cells)
    inputs = (None, rows(sum(counts), channels)) if values == "features" else (None,)
    return Case(own, inputs, scene_of(structures), strained=strained, still=still)


def open_convolution(dim: int, values: str, small: int, trainable: bool = True) -> Case:
    kernel = CoulombKernel(0.5, "far.", trainable)
    own = Convolution(kernel, SeriesEnd((9.0,)), 1e-3, values, small)
    structures = make_structures(dim, (4, 1, 3), (2.0, 2.0, 2.0), periodic=False, seed=5)
    return Case(own, (None, rows(8, 2)) if values == "features" else (None,), scene_of(structures))


def columns(part, *shape: int) -> Case:
    return Case(part, (rows(*shape),), scene())


CASES = {
    "dense": lambda: dense(linear_end=True),
    "dense residual": lambda: dense(residual=True),
    "dense unbiased": lambda: dense(biased=False),
    "dense of two axes": lambda: Case(Dense(Perceptron("net", (4, 8, 2))), (rows(6, 3, 4),), scene()),
    "linear": lambda: Case(Linear("turn", 4, 8), (rows(6, 3, 4),), scene()),
    "scale": lambda: columns(Scale(rows(3), np.array([0.5, 2.0, 1.5])), 8, 3),
    "concatenate": lambda: Case(Concatenate(), (rows(8, 3), rows(8, 1), rows(8, 2)), scene()),
    "concatenate still": lambda: Case(Concatenate(), (rows(8, 3), rows(8, 1), rows(8, 2)), scene(), still=(0, 2)),
    "add": lambda: Case(Add(), (rows(8, 3), rows(3, 8).T, rows(8, 3) ** 2), scene()),
    "add still": lambda: Case(Add(), (rows(8, 3), rows(3, 8).T, rows(8, 3) ** 2), scene(), still=(0,)),
    "product of vectors": lambda: product("ndc,ndc->nc", (8, 3, 4), (8, 3, 4)),
    "product of rows": lambda: product("nc,nc->nc", (8, 4), (8, 4)),
    "product still": lambda: product("nc,ndc->ndc", (8, 4), (8, 3, 4), still=(0,)),
    "product still b": lambda: product("nc,ndc->ndc", (8, 4), (8, 3, 4), still=(1,)),
    "product outer": lambda: product("na,nb->nab", (8, 2), (8, 3)),
    "product turned": lambda: product("nab,nbc->ncab", (8, 2, 3), (8, 3, 4)),
    "norm": lambda: columns(Norm(0.05), 8, 3, 4),
    "select": lambda: columns(Select(0), 8, 4, 3),
    "select block": lambda: columns(Select(slice(None), slice(1, 3)), 8, 4, 3),
    "distances": lambda: Case(Distances(), (tangled(3)[1],), tangled(3)[0]),
    "gather": lambda: ends(Gather("second"), points=True),
    "scatter": lambda: ends(Scatter("first"), points=False),
    "pair energies": lambda: pair_energies(),
    "bessel": lambda: radial("bessel"),
    "inverse": lambda: radial("inverse"),
    "bessel around a core": lambda: radial("bessel", 0.8),
    "messages still": lambda: messages(3, still=(0, 3)),
    "messages open": lambda: messages(2, periodic=False),
    "embedding": lambda: Case(Embedding("embedding", SPECIES, 5), (), scene()),
    "ones": lambda: convolution(1, "ones"),
    "ones alike": lambda: convolution(1, "ones", counts=(3, 3, 3)),
    "charges": lambda: convolution(1, "charges"),
    "features": lambda: convolution(1, "features"),
    "features still": lambda: convolution(1, "features", still=(1,)),
    "features unstrained": lambda: convolution(1, "features", strained=False),
    "small ones": lambda: convolution(1, "ones", SMALL),
    "small ones alike": lambda: convolution(1, "ones", SMALL, counts=(3, 3, 3)),
    "small charges": lambda: convolution(2, "charges", SMALL),
    "small features": lambda: convolution(3, "features", SMALL),
    "small features still": lambda: convolution(3, "features", SMALL, still=(1,)),
    "small open features": lambda: open_convolution(3, "features", SMALL),
    "small open charges": lambda: open_convolution(3, "charges", SMALL, trainable=False),
    **{
        f"displacements {dim} {'in cells' if periodic else 'open'}": lambda dim=dim, periodic=periodic: Case(
            Displacements(), (None,), scene(dim, periodic, full=dim == 2), strained=periodic
        )
        for dim in (1, 2, 3)
        for periodic in (False, True)
    },
    **{f"directions {dim}": lambda dim=dim: directions(dim) for dim in (1, 2, 3)},
    **{f"messages {dim}": lambda dim=dim: messages(dim) for dim in (1, 2, 3)},
    **{f"descriptor {dim}": lambda dim=dim: descriptor(dim, True, "smooth") for dim in (1, 2, 3)},
    "descriptor open": lambda: descriptor(2, False, "smooth"),
    "descriptor paper": lambda: descriptor(3, True, "paper"),
    **{f"descriptor split {dim}": lambda dim=dim: descriptor(dim, True, "split") for dim in (1, 2)},
}
SLOW = {  # windows of more dimensions have to be compiled
    "ones 3": lambda: convolution(3, "ones"),
    "charges 2": lambda: convolution(2, "charges"),
    "features 2": lambda: convolution(2, "features"),
    "features 3": lambda: convolution(3, "features"),
    "open features": lambda: open_convolution(3, "features", 0),
}
EVERY = pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
MOVES = pytest.mark.parametrize(
    "name",
    [name for name in CASES if name != "embedding"] + [pytest.param(n, marks=pytest.mark.slow) for n in SLOW],
)


def case_of(name: str) -> Case:
    return (CASES | SLOW)[name]()


@MOVES
def test_tangent(name):
    """ẏ, to what differences of fourth order tell."""
    assert jvp_error(case_of(name)) <= 1e-9


def test_tangent_and_gradients_of_relus():
    """With steps within which none of them bends; 1e-16/h is lost to rounding then."""
    case = dense(activation="relu", residual=True, linear_end=True)
    case.step = SMALL_STEP
    assert jvp_error(case) <= 1e-9
    assert vjp_error(case) <= ROUNDING
    assert gradient_error(case) <= 1e-6
    assert max(vjp_dual_error(case)) <= 1e-6


@MOVES
def test_transpose(name):
    """⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩."""
    assert vjp_error(case_of(name)) <= ROUNDING


@EVERY
def test_gradient_by_parameters(name):
    """θ̄ of ``vjp``, added to what was there."""
    assert gradient_error(case_of(name)) <= 1e-6


@MOVES
def test_tangent_of_the_transpose(name):
    """x̄, ẋ̄ and θ̄ of ``vjp_dual``."""
    inputs, parameters = vjp_dual_error(case_of(name))
    assert inputs <= 1e-9
    assert parameters <= 1e-6


def test_embedding_and_zeros_read_nothing():
    """Rows by species, none where nothing is known; cotangents of no input."""
    case = case_of("embedding")
    tape, _ = case.tape()
    species = case.scene.structures.species
    wanted = case.parameters["embedding.rows"][np.searchsorted(SPECIES, species)]
    np.testing.assert_array_equal(case.part.forward(tape), wanted)
    zeros, nothing = Zeros(2, 3), np.zeros((case.scene.count, 2, 3))
    np.testing.assert_array_equal(zeros.forward(tape), nothing)
    assert zeros.vjp(tape, nothing) == ()


def test_products_that_lose_an_axis():
    """A sum over an axis that only one of the two has would have no such transpose."""
    with pytest.raises(ValueError, match="axes: expected every axis of nac"):
        Product("nac,nc->nc")


def test_unknown_kinds():
    """A ValueError that says what there is."""
    with pytest.raises(ValueError, match="kind: expected one of 'bessel', 'inverse', got 'gauss'"):
        RadialBasis(1.0, 3, "gauss")
    with pytest.raises(ValueError, match="values: expected 'ones', 'charges' or 'features', got 'twos'"):
        Convolution(CoulombKernel(1.0), SeriesEnd((9.0,)), 1e-6, "twos")
    own = scene(3, full=True)
    case = Case(Messages(), (rows(8, 12), rows(len(own.pairs), 12), rows(len(own.pairs), 3), rows(8, 3, 4)), own)
    with pytest.raises(ValueError, match="channels: expected a multiple of 8, got 4"):
        case.value()


@pytest.mark.parametrize("values", ["ones", "charges", "features"])
def test_single_precision_stays_so(values):
    """Also where cells are strained: strains are in double precision, and what lies between parts is not."""
    case = convolution(2, values, SMALL)
    case.scene.dtype = np.dtype(np.float32)
    tape, inputs = case.tape()
    tape.parameters = Parameters(case.parameters.shapes, np.float32)
    tape.parameters.flat[...] = case.parameters.flat
    singles = [None if x is None else x.astype(np.float32) for x in inputs]
    points, strain = rows(*case.scene.structures.positions.shape).astype(np.float32), rows(3, 2, 2)
    out = case.part.forward(tape, *singles)
    tangent = case.part.jvp(tape, Motion(points, strain), *singles[1:])
    bars = case.part.vjp(tape, out)
    assert bars[0].strain.dtype == np.float64
    gradient = Parameters(case.parameters.shapes, np.float32)
    tape.wanted = (False, True)[: len(inputs)]
    own, down = case.part.vjp_dual(tape, out, tangent, gradient)
    arrays = [out, tangent, bars[0].points, *bars[1:], *own[1:], *down[1:]]
    assert {array.dtype for array in arrays if array is not None} == {np.dtype(np.float32)}
