"""Bad input: an error that names the argument, what came and what was expected; nothing changed; the plan usable."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import holds_for

from lrc_numba import ChannelMatrix, Gaussian, LRCPlan, Yukawa, direct, lrc_convolve

POINTS = np.random.default_rng(0).random((6, 2))
VALUES = np.random.default_rng(1).standard_normal(6)
KERNEL = Yukawa(1.0, 3.0)
SINGULAR = [[1.0, 2.0], [2.0, 4.0]]


def with_entry(array: np.ndarray, entry: float) -> np.ndarray:
    """A copy with one bad number in it."""
    array = array.copy()
    array.flat[3] = entry
    return array


def masked(array: np.ndarray, *entries: int) -> np.ma.MaskedArray:
    """With a mask, which hides these entries."""
    mask = np.zeros(array.shape, dtype=bool)
    mask.flat[list(entries)] = True
    return np.ma.array(array, mask=mask)


# What is replaced in a good call of lrc_convolve, the error, and what its message says.
CALLS = [
    ({"points": with_entry(POINTS, np.nan)}, ValueError, r"points: expected finite numbers, got nan at index \(1, 1\)"),
    ({"points": with_entry(POINTS, -np.inf)}, ValueError, r"points: expected finite numbers, got -inf at index"),
    ({"points": POINTS[:, 0]}, ValueError, r"points: expected shape \(N, d\).*got \(6,\)"),
    ({"points": np.zeros((6, 4))}, ValueError, r"points: expected .*d = 1, 2 or 3.*got \(6, 4\)"),
    ({"points": np.zeros((1, 1, 6, 2))}, ValueError, r"points: expected shape.*got \(1, 1, 6, 2\)"),
    ({"points": np.zeros((6, 0))}, ValueError, r"points: expected shape.*got \(6, 0\)"),
    ({"points": POINTS + 0j}, TypeError, r"points: expected float64.*got complex128"),
    ({"points": POINTS.astype(object)}, TypeError, r"points: expected float64.*got object"),
    ({"points": POINTS > 0.5}, TypeError, r"points: expected float64.*got bool"),
    ({"points": POINTS.astype(str)}, TypeError, r"points: expected float64.*got <U"),
    ({"points": POINTS.astype(np.float16)}, TypeError, r"points: float16, values: float64"),
    ({"points": POINTS.astype(np.float32)}, TypeError, r"points: float32.*values: float64"),
    ({"points": None}, ValueError, r"points: expected shape.*got \(\)"),
    ({"values": with_entry(VALUES, np.nan)}, ValueError, r"values: expected finite numbers, got nan at index \(3,\)"),
    ({"values": with_entry(VALUES, np.inf)}, ValueError, r"values: expected finite numbers, got inf at index"),
    ({"values": VALUES[:5]}, ValueError, r"values: expected shape \(6,\).*got \(5,\)"),
    ({"values": VALUES[None]}, ValueError, r"values: expected shape \(6,\).*got \(1, 6\)"),
    ({"values": np.ones((6, 0))}, ValueError, r"values: expected at least one channel.*\(6, 0\)"),
    ({"values": np.ones((6, 1, 1))}, ValueError, r"values: expected shape.*got \(6, 1, 1\)"),
    ({"values": 1.0}, ValueError, r"values: expected shape.*got \(\)"),
    ({"values": VALUES.astype(np.complex64)}, TypeError, r"values: expected float64.*or complex128, got complex64"),
    ({"values": VALUES.astype(object)}, TypeError, r"values: expected float64.*got object"),
    ({"values": VALUES > 0}, TypeError, r"values: expected float64.*got bool"),
    ({"values": VALUES.astype(np.float32)}, TypeError, r"points: float64.*values: float32"),
    ({"values": masked(VALUES, 2)}, TypeError, r"values: expected no mask, got a masked array; fill it first"),
    ({"values": masked(VALUES)}, TypeError, r"values: expected no mask"),  # nothing is masked: the same
    ({"values": masked(VALUES.astype(int), 0)}, TypeError, r"values: expected no mask"),
    ({"values": [*VALUES[:5], np.ma.masked]}, TypeError, r"values: expected no mask"),
    ({"points": masked(POINTS, 3)}, TypeError, r"points: expected no mask"),
    ({"points": [masked(row, 1) for row in POINTS]}, TypeError, r"points: expected no mask"),
    ({"targets": masked(POINTS, 0)}, TypeError, r"targets: expected no mask"),
    ({"box": masked(np.ones(2), 1)}, TypeError, r"box: expected no mask"),
    ({"box": masked(np.eye(2), 1)}, TypeError, r"box: expected no mask"),
    ({"modes": masked(np.array([7, 7]), 1)}, TypeError, r"modes: expected no mask"),
    ({"box": 0.0}, ValueError, r"box: expected positive lengths, got 0"),
    ({"box": -1.0}, ValueError, r"box: expected positive lengths, got -1"),
    ({"box": [1.0, 0.0]}, ValueError, r"box: expected positive lengths, got \[1.0, 0.0\]"),
    ({"box": np.nan}, ValueError, r"box: expected finite numbers, got nan"),
    ({"box": [1.0, np.inf]}, ValueError, r"box: expected finite numbers, got \[1.0, inf\]"),
    ({"box": SINGULAR}, ValueError, r"box: the lattice vectors are linearly dependent.*got \[\[1.0, 2.0\]"),
    ({"box": [[1.0, 0.0], [1.0, 1e-9]]}, ValueError, r"box: the lattice vectors are linearly dependent"),
    ({"box": np.zeros((2, 2))}, ValueError, r"box: .*linearly dependent"),
    (
        {"box": [1.0, 1.0, 1.0]},
        ValueError,
        r"box: expected .* shape \(2,\) or \(2, 2\) for points in 2.*, got shape \(3,\)",
    ),
    ({"box": []}, ValueError, r"box: expected a scalar, shape \(2,\) or \(2, 2\).*, got shape \(0,\)"),
    ({"box": [1.0, [2.0]]}, ValueError, r"box: expected a scalar, d lengths or d lattice vectors, got"),
    ({"box": None}, TypeError, r"box: expected real numbers, got NoneType"),
    ({"box": "1"}, TypeError, r"box: expected real numbers, got str"),
    ({"box": 1j}, TypeError, r"box: expected real numbers, got complex"),
    ({"box": True}, TypeError, r"box: expected real numbers, got bool"),
    ({"modes": 0}, ValueError, r"modes: expected at least one mode per axis, got 0"),
    ({"modes": -3}, ValueError, r"modes: expected at least one mode per axis, got -3"),
    ({"modes": (7, 0)}, ValueError, r"modes: expected at least one mode per axis, got \(7, 0\)"),
    ({"modes": 7.0}, TypeError, r"modes: expected an int or 2 ints, got 7.0"),
    ({"modes": True}, TypeError, r"modes: expected an int or 2 ints, got True"),
    ({"modes": None}, TypeError, r"modes: expected an int or 2 ints, got None"),
    ({"modes": "7"}, TypeError, r"modes: expected an int or 2 ints, got '7'"),
    ({"modes": (7, 7.5)}, TypeError, r"modes: expected an int or 2 ints, got \(7, 7.5\)"),
    ({"modes": 10**6}, MemoryError, r"modes: \(1000000, 1000000\) needs about .* GiB, and .* GiB are free"),
    ({"modes": 10**30}, MemoryError, r"modes: .*needs about"),
    ({"eps": 0.0}, ValueError, r"eps: expected a number above 0 and below 1, got 0"),
    ({"eps": -1e-6}, ValueError, r"eps: expected a number above 0 and below 1, got -1e-06"),
    ({"eps": np.nan}, ValueError, r"eps: expected a number above 0 and below 1, got nan"),
    ({"eps": 1.0}, ValueError, r"eps: expected a number above 0 and below 1, got 1"),
    ({"eps": 1e-20}, ValueError, r"eps: 1e-20 is out of reach in float64.*expected at least"),
    ({"eps": "1e-6"}, TypeError, r"eps: expected a number, got str"),
    ({"eps": None}, TypeError, r"eps: expected a number, got NoneType"),
    ({"window": "hann"}, ValueError, r"window: expected one of 'kaiser_bessel'.*got 'hann'"),
    ({"window": None}, ValueError, r"window: expected one of 'kaiser_bessel'.*got None"),
    ({"window": np.zeros(3)}, ValueError, r"window: expected one of 'kaiser_bessel'.*got array"),
    ({"backend": "tpu"}, ValueError, r"backend: expected one of 'cpu'.*got 'tpu'"),
    ({"threads": 0}, ValueError, r"threads: expected at least 1, got 0"),
    ({"threads": -2}, ValueError, r"threads: expected at least 1, got -2"),
    ({"threads": 1.5}, TypeError, r"threads: expected an int or None, got 1.5"),
    ({"threads": True}, TypeError, r"threads: expected an int or None, got True"),
    ({"targets": np.zeros((3, 3))}, ValueError, r"targets: expected .*d = 2, got \(3, 3\)"),
    ({"targets": np.zeros(2)}, ValueError, r"targets: expected shape.*got \(2,\)"),
    ({"targets": np.zeros((1, 3, 2))}, ValueError, r"targets: expected as many snapshots as points.*got \(1, 3, 2\)"),
    ({"targets": np.full((3, 2), np.nan)}, ValueError, r"targets: expected finite numbers, got nan"),
    ({"targets": np.zeros((3, 2), np.float32)}, TypeError, r"points: float64.*targets: float32"),
    ({"targets": np.zeros((3, 2)), "exclude_self": True}, ValueError, r"exclude_self: targets are not the points"),
    ({"multiplier": 3.0}, TypeError, r"multiplier: expected a Multiplier, got float"),
    ({"multiplier": None}, TypeError, r"multiplier: expected a Multiplier, got NoneType"),
    ({"multiplier": Yukawa}, TypeError, r"multiplier: expected a Multiplier, got type"),
    ({"multiplier": Gaussian(np.ones((2, 3)))}, ValueError, r"multiplier: expected .*1 input channel.*takes 3"),
    ({"multiplier": Gaussian([0.1, 0.2]), "values": np.ones((6, 2))}, ValueError, r"multiplier: .*2 input.*takes 1"),
]


@pytest.mark.parametrize(("changes", "error", "message"), CALLS)
def test_function(changes, error, message, backend):
    """Every bad argument of ``lrc_convolve``, before any work is done, and with its inputs left as they were."""
    call = {
        "points": POINTS,
        "values": VALUES,
        "multiplier": KERNEL,
        "box": 1.0,
        "modes": 7,
        "backend": backend,
    } | changes
    copies = {name: value.copy() for name, value in call.items() if isinstance(value, np.ndarray)}
    positional = [call.pop(name) for name in ("points", "values", "multiplier")]
    with pytest.raises(error, match=message):
        lrc_convolve(*positional, **call)
    for name, copy in copies.items():
        now = {**call, **dict(zip(("points", "values", "multiplier"), positional, strict=True))}[name]
        assert now.tobytes() == copy.tobytes(), name


PLANS = [
    ({"gradient": "forward"}, ValueError, r"gradient: expected one of 'exact', 'spectral', got 'forward'"),
    ({"dtype": np.float16}, TypeError, r"dtype: expected float32 or float64, got float16"),
    ({"dtype": complex}, TypeError, r"dtype: expected float32 or float64, got complex128"),
    ({"dtype": "spam"}, TypeError, r"dtype: expected float32 or float64, got 'spam'"),
    ({"dim": 4}, ValueError, r"dim: expected 1, 2 or 3 dimensions.*got 4"),
    ({"dim": 0}, ValueError, r"dim: expected 1, 2 or 3 dimensions.*got 0"),
    ({"dim": 2.0}, TypeError, r"dim: expected an int or None, got 2.0"),
    ({"dtype": np.float32, "eps": 1e-7}, ValueError, r"eps: 1e-07 is out of reach in float32.*expected at least"),
    ({"modes": (7, 7, 7)}, ValueError, r"modes: expected an int or 2 ints for points in 2 .*, got \(7, 7, 7\)"),
    ({"modes": 10**6, "dim": 3, "box": 1.0}, MemoryError, r"modes: \(1000000, 1000000, 1000000\) needs about"),
]


@pytest.mark.parametrize(("changes", "error", "message"), PLANS)
def test_plan(changes, error, message, backend):
    """Bad arguments of a plan are found when it is made."""
    with pytest.raises(error, match=message):
        LRCPlan(**({"box": [1.0, 1.0], "modes": 7, "dim": 2, "backend": backend} | changes))


MIXING = ChannelMatrix(np.ones((3, 2)), Gaussian(0.1))
MISUSE = {
    "points of another dimension": (
        lambda p: p.set_points(np.zeros((3, 3))),
        ValueError,
        r"points: .*d = 2, got \(3, 3\)",
    ),
    "points with nan": (lambda p: p.set_points(np.full((3, 2), np.nan)), ValueError, r"points: expected finite"),
    "points in float32": (lambda p: p.set_points(np.zeros((3, 2), np.float32)), TypeError, r"points: expected float64"),
    "targets with nan": (lambda p: p.set_points(POINTS[:2], np.full((3, 2), np.nan)), ValueError, r"targets: expected"),
    "values too short": (lambda p: p.convolve(VALUES[:2], KERNEL), ValueError, r"values: expected shape \(6,\)"),
    "values in float32": (
        lambda p: p.convolve(VALUES.astype(np.float32), KERNEL),
        TypeError,
        r"values: expected float64",
    ),
    "channels": (lambda p: p.convolve(VALUES, MIXING), ValueError, r"multiplier: expected .*1 input channel.*takes 2"),
    "no multiplier": (lambda p: p.convolve(VALUES, "yukawa"), TypeError, r"multiplier: expected a Multiplier, got str"),
    "dpoints": (
        lambda p: p.jvp(VALUES, KERNEL, POINTS[:2]),
        ValueError,
        r"dpoints: expected the shape .*\(6, 2\), got",
    ),
    "dpoints nan": (lambda p: p.jvp(VALUES, KERNEL, POINTS * np.nan), ValueError, r"dpoints: expected finite"),
    "dvalues": (lambda p: p.jvp(VALUES, KERNEL, None, VALUES[:2]), ValueError, r"dvalues: expected shape"),
    "dvalues channels": (
        lambda p: p.jvp(VALUES, KERNEL, None, np.ones((6, 2))),
        ValueError,
        r"dvalues: expected 1 chan",
    ),
    "dtargets": (lambda p: p.jvp(VALUES, KERNEL, dtargets=POINTS), ValueError, r"dtargets: there are no targets"),
    "cotangent": (lambda p: p.vjp(VALUES, KERNEL, VALUES[:2]), ValueError, r"cotangent: expected .*\(6,\), got \(2,\)"),
    "cotangent channels": (
        lambda p: p.vjp(VALUES[:, None] * [1.0, 2.0], MIXING, np.ones((6, 2))),
        ValueError,
        r"cotangent: expected the shape of the output, \(6, 3\), got \(6, 2\)",
    ),
    "cotangent nan": (lambda p: p.vjp(VALUES, KERNEL, VALUES * np.nan), ValueError, r"cotangent: expected finite"),
    "cotangent complex": (lambda p: p.vjp(VALUES, KERNEL, VALUES * 1j), TypeError, r"cotangent: expected float64"),
    "cotangent masked": (lambda p: p.vjp(VALUES, KERNEL, masked(VALUES, 1)), TypeError, r"cotangent: expected no mask"),
    "dvalues masked": (
        lambda p: p.jvp(VALUES, KERNEL, None, masked(VALUES, 1)),
        TypeError,
        r"dvalues: expected no mask",
    ),
    "dpoints masked": (lambda p: p.jvp(VALUES, KERNEL, masked(POINTS, 1)), TypeError, r"dpoints: expected no mask"),
    "points masked": (lambda p: p.set_points(masked(POINTS, 1)), TypeError, r"points: expected no mask"),
    "points far away": (lambda p: p.set_points(POINTS * 1e300), ValueError, r"points: expected coordinates below"),
    "targets far away": (
        lambda p: p.set_points(POINTS[:2], POINTS * 1e300),
        ValueError,
        r"targets: expected coordinates below",
    ),
    "values too large": (
        lambda p: p.convolve(VALUES * 1e308, KERNEL),
        ValueError,
        r"values: expected numbers .* within the range of float64, got up to",
    ),
    "wrt": (
        lambda p: p.vjp(VALUES, KERNEL, VALUES, wrt=("box",)),
        ValueError,
        r"wrt: expected some of 'points'.*got \('box',\)",
    ),
}


# What is refused is so before a back end is asked; in the simulator some of what it may have begun with is enough.
BEGUN = ("dpoints nan", "cotangent nan", "points far away", "values too large")


@pytest.mark.parametrize(
    "name", [name if name in BEGUN else pytest.param(name, marks=pytest.mark.long) for name in MISUSE]
)
def test_plan_stays_usable(name, backend):
    """After an error a plan still has its points and gives, bit for bit, what it gave before."""
    misuse, error, message = MISUSE[name]
    plan = LRCPlan(1.0, 3, dim=2, eps=0.1, backend=backend).set_points(POINTS)  # small: the simulator is slow
    before, gradient = plan.convolve(VALUES, KERNEL), plan.vjp(VALUES, KERNEL, VALUES)
    with pytest.raises(error, match=message):
        misuse(plan)
    np.testing.assert_array_equal(plan.convolve(VALUES, KERNEL), before)
    np.testing.assert_array_equal(plan.vjp(VALUES, KERNEL, VALUES).points, gradient.points)


def test_use_before_points(backend):
    """Convolving before ``set_points``, or looking at a grid whose dimension is not known, says what to do."""
    with pytest.raises(ValueError, match=r"points: none are set; call set_points first"):
        LRCPlan(1.0, 7, dim=2, backend=backend).convolve(VALUES, KERNEL)
    with pytest.raises(ValueError, match=r"dim: .*call set_points first"):
        _ = LRCPlan(1.0, 7, backend=backend).grid


@pytest.mark.long
@holds_for(examples=8, usual={"dim": 1})
def test_inputs_are_not_changed(problem, backend):
    """Points, values, targets, cotangents and parameters are what they were, bit for bit; read-only arrays will do."""
    arrays = [a for a in (problem.points, problem.values, problem.targets) if a is not None]
    arrays += list(problem.multiplier.parameters.values())
    copies = [a.copy() for a in arrays]
    for array in arrays:
        array.flags.writeable = False
    plan = problem.plan(backend)
    u = plan.convolve(problem.values, problem.multiplier, exclude_self=problem.exclude_self)
    u.flags.writeable = False
    kept = u.copy()
    plan.vjp(problem.values, problem.multiplier, u)
    plan.jvp(problem.values, problem.multiplier, problem.points, problem.values)
    for array, copy in zip([*arrays, u], [*copies, kept], strict=True):
        assert array.tobytes() == copy.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.tolist(),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.astype(">f8"),
        lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(np.float64).reshape(a.shape),
    ],
    ids=["list", "Fortran order", "strided", "reversed", "big-endian", "unaligned"],
)
def test_unusual_but_good_arrays(change, backend):
    """Lists, other memory orders and byte orders hold the same numbers, and so give the same result."""
    option = {"box": 1.0, "modes": 3, "eps": 0.1, "backend": backend}  # small: the simulator is slow
    wanted = lrc_convolve(POINTS, VALUES, KERNEL, **option)
    np.testing.assert_array_equal(lrc_convolve(change(POINTS), change(VALUES), KERNEL, **option), wanted)


def test_integers_are_numbers(backend):
    """Integer points, values, box and NumPy integers for modes."""
    points, values = np.array([[0, 1], [2, 3], [5, 5]]), np.array([1, -2, 3])
    found = lrc_convolve(points, values, KERNEL, box=7, modes=np.int64(9), eps=1e-5, backend=backend)
    wanted = lrc_convolve(
        points.astype(float), values.astype(float), KERNEL, box=7.0, modes=9, eps=1e-5, backend=backend
    )
    np.testing.assert_array_equal(found, wanted)


def masking(method: str) -> Gaussian:
    """A Gaussian that masks what one of its methods returns."""

    def of_masks(self, modes, *cotangent):
        given = getattr(Gaussian, method)(self, modes, *cotangent)
        if isinstance(given, dict):
            return {name: np.ma.array(array, mask=False) for name, array in given.items()}
        return np.ma.array(given, mask=False)

    own = {"values": Gaussian.values, method: of_masks}
    return type("Own", (Gaussian,), own)(0.2)


@pytest.mark.parametrize(
    ("method", "wrt"),
    [("derivatives", "parameters"), ("vjp", "parameters"), ("k2_derivative", "cell"), ("cell_vjp", "cell")],
)
def test_masks_of_a_kernel_are_refused(method, wrt):
    """Whatever a kernel of a user's returns: a mask would be lost in silence."""
    plan = LRCPlan(np.ones(2), 7).set_points(POINTS)
    with pytest.raises(TypeError, match=r"multiplier: Own.values: expected no mask"):
        plan.convolve(VALUES, masking("values"))
    with pytest.raises(TypeError, match=rf"multiplier: Own.{method}: expected no mask"):
        plan.vjp(VALUES, masking(method), VALUES, wrt=wrt)


@pytest.mark.parametrize("numbers", [np.ma.array(np.ones(5), mask=False), np.array([1.0] * 5, dtype=object), ["1"] * 5])
def test_direct_sums_name_what_a_kernel_returns(numbers):
    """No numbers, or masked ones: the errors are those of a plan."""
    kernel = type("Own", (Gaussian,), {"values": lambda self, modes: numbers})()
    with pytest.raises(TypeError, match=r"multiplier: Own.values"):
        direct.convolve(np.zeros((2, 1)), None, kernel, box=1.0, modes=9)
