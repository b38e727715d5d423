"""What only the GPU back end promises: it mirrors the CPU's, gives its numbers, copies nothing, says no."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import HARDWARE, WHY_SIMULATED
from measures import MACHINE, relative

import lrc_numba
from lrc_numba import ChannelMatrix, Gaussian, LRCPlan, Table, Yukawa, lrc_convolve
from lrc_numba.engine.grid import layout
from lrc_numba.engine.points import indexing as points_indexing
from lrc_numba.engine.points import stage as sorting
from lrc_numba.engine.window import evaluate as evaluation
from lrc_numba.engine.window import indexing
from lrc_numba.engine.window.choose import MAX_WIDTH
from lrc_numba.machine import backends

PACKAGE = Path(lrc_numba.__file__).parent
CUDA = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if "cuda" in str(path.relative_to(PACKAGE)) and path.stem != "__init__"
)


# Of modules, as they are named for the device, functions that only the processor's has.
CPU_ONLY = {
    "engine.fourier.cuda": {"through_planes"},  # nobody calls it where ``multiplies_planes`` says no
    "machine.cuda.parallel": {"compile_only"},  # what a device runs is compiled when a plan launches it
}


def _functions(backend: str, module: str) -> dict[str, list[tuple]]:
    """Public functions of a module of a back end; names, kinds and defaults of their parameters."""
    name = f"lrc_numba.{module.replace('cuda', backend)}"
    contents = vars(import_module(name))
    inner = {key: inspect.unwrap(getattr(value, "py_func", value)) for key, value in contents.items() if key[0] != "_"}
    offered = contents.get("__all__", ())
    ours = {
        k: v
        for k, v in inner.items()
        if inspect.isfunction(v) and (k in offered or getattr(v, "__module__", "") == name)
    }
    parameters = {key: inspect.signature(value).parameters.values() for key, value in ours.items()}
    return {key: [(p.name, p.kind, p.default) for p in found] for key, found in parameters.items()}


@pytest.mark.parametrize("module", CUDA)
def test_modules_mirror_each_other(module):
    """Every public function of a module has a namesake with the same parameters in the other back end."""
    backends.load("cuda")
    ours, theirs = _functions("cuda", module), _functions("cpu", module)
    assert theirs
    for name in CPU_ONLY.get(module, ()):
        assert theirs.pop(name)
    assert ours == theirs


@pytest.mark.parametrize(
    ("module", "name", "shared"),
    [
        ("engine.window", "corner", indexing),
        ("engine.window", "cell_position", evaluation),
        ("engine.window", "windows", evaluation),
        ("engine.points", "tile_key", points_indexing),
        ("engine.points", "first_node", points_indexing),
    ],
)
def test_windows_and_index_arithmetic_are_the_same_functions(module, name, shared):
    """Not copies: each back end compiles the one undecorated function."""
    backends.load("cuda")
    both = [getattr(import_module(f"lrc_numba.{module}.{b}"), name) for b in backends.BACKENDS]
    assert {inspect.unwrap(getattr(one, "py_func", one)) for one in both} == {getattr(shared, name)}


def test_every_file_has_a_counterpart():
    """Each stage has loops for both back ends, but for those that only a processor gains from."""
    here = PACKAGE / "engine"
    cpu, cuda = ({str(path.relative_to(here)) for path in here.rglob(f"{name}*.py")} for name in backends.BACKENDS)
    assert cuda
    assert {
        path.replace("cpu", "cuda")
        for path in cpu - {str(Path(stage, "cpu_crowded.py")) for stage in ("points", "spreading")}
    } == cuda


def test_cuda_is_imported_in_one_module():
    """All else goes through it."""
    found = [
        p
        for p in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(from|import) (cupy|numba import cuda|numba\.cuda)", p.read_text("utf-8"), re.M)
    ]
    assert [str(path.relative_to(PACKAGE)) for path in found] == [str(Path("machine", "cuda", "compile.py"))]


ROUNDING = 300 * MACHINE  # sums of some thousand terms in another order
CASES = [
    # dim, modes, dtype, window, eps, channels of the kernel, snapshots, targets
    pytest.param((1, 9, np.float64, "kaiser_bessel", 1e-9, None, None, False), marks=pytest.mark.slow),
    pytest.param((1, 9, np.float32, "gaussian", 1e-3, (2, 3), 2, True), marks=pytest.mark.slow),
    pytest.param((1, 15, np.float64, "gaussian_paper", 1e-3, None, None, False), marks=pytest.mark.slow),
    pytest.param((2, (5, 7), np.float64, "gaussian", 1e-2, (2, 2), None, True), marks=pytest.mark.slow),
    pytest.param((2, (5, 7), np.float32, "kaiser_bessel", 1e-4, None, 2, False), marks=pytest.mark.slow),
    pytest.param((3, (3, 5, 4), np.float64, "kaiser_bessel", 1e-2, None, None, True), marks=pytest.mark.slow),
    pytest.param((3, (3, 5, 4), np.float32, "kaiser_bessel", 1e-2, (3, 2), None, False), marks=pytest.mark.slow),
    (1, 9, np.float64, "kaiser_bessel", 1e-5, (2, 1), 3, False),
    pytest.param((3, (3, 2, 3), np.float64, "gaussian", 1e-1, None, 2, False), marks=pytest.mark.slow),
]


def _problem(case):
    """A plan for each back end, and everything it is asked with."""
    dim, modes, dtype, window, eps, channels, batch, has_targets = case
    generator = np.random.default_rng(dim)
    front = () if batch is None else (batch,)
    points = generator.uniform(-1.0, 2.0, (*front, 7, dim)).astype(dtype)
    targets = generator.random((*front, 4, dim)).astype(dtype) if has_targets else None
    values = generator.standard_normal((*front, 7) + (() if channels is None else (channels[-1],))).astype(dtype)
    kernel = Yukawa(1.0, 2.0)
    if channels is not None:
        kernel = ChannelMatrix(generator.standard_normal(channels), kernel)
    box = np.eye(dim) + 0.2 * generator.standard_normal((dim, dim)) if dim > 1 else 1.5
    options = {"eps": eps, "window": window, "dtype": dtype, "dim": dim}
    plans = [LRCPlan(box, modes, backend=b, **options).set_points(points, targets) for b in backends.BACKENDS]
    return plans, points, targets, values, kernel


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_numbers(case):
    """u, u̇ and every gradient, to rounding: sums of some thousand terms in another order."""
    plans, points, targets, values, kernel = _problem(case)
    found = []
    for plan in plans:
        u = plan.convolve(values, kernel)
        cotangent = np.cos(np.arange(u.size, dtype=u.dtype)).reshape(u.shape)
        moves = {"dpoints": np.sin(points), "dvalues": values[::-1].copy()}
        if targets is not None:
            moves["dtargets"] = np.cos(targets)
        gradient = plan.vjp(values, kernel, cotangent)
        parts = [u, plan.jvp(values, kernel, **moves), gradient.points, gradient.values, gradient.targets]
        found.append([part for part in [*parts, *gradient.parameters.values()] if part is not None])
    bound = ROUNDING * np.finfo(values.dtype).eps / MACHINE
    for one, other in zip(*found, strict=True):
        assert isinstance(other, (np.ndarray, np.generic))
        assert other.dtype == one.dtype
        assert relative(other, one) <= bound


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "modes"), [(1, 9), (2, (5, 4))])
def test_the_rest_is_the_same(dim, modes):
    """The gradient by ik, a complex table, the self left out, and the derivatives of parameter gradients."""
    generator, found = np.random.default_rng(dim), []
    points, values = generator.random((5, dim)), generator.standard_normal(5)
    for backend in backends.BACKENDS:
        plan = LRCPlan(1.5, modes, eps=1e-3, dim=dim, gradient="spectral", backend=backend).set_points(points)
        table = np.exp(1j * plan.grid.mode_set.k.reshape(*plan.grid.mode_set.shape, dim)[..., 0])
        parts = []
        for kernel in (Yukawa(1.0, 2.0), Table(table, dim)):
            gradient = plan.vjp(values, kernel, np.cos(values), exclude_self=True)
            parts += [gradient.output, gradient.points, gradient.values, *gradient.parameters.values()]
            parts.append(plan.jvp(values, kernel, np.sin(points), np.sin(values), exclude_self=True))
        rest = plan.parameters_jvp(values, Yukawa(1.0, 2.0), np.cos(values), dpoints=points, dcotangent=values)
        found.append([np.asarray(part) for part in [*parts, *rest.values()]])
    for one, other in zip(*found, strict=True):
        assert relative(other, one) <= 20 * ROUNDING  # in gradients of parameters terms cancel


TILES = [  # modes, tiles of 2^… nodes for windows of four, points, in which part of the box
    ((21,), (0, 0, 3), 12, 1.0),
    ((21,), (0, 0, 3), 24, 0.2),
    ((5, 9), (0, 2, 3), 12, 1.0),
    ((5, 9), (0, 2, 3), 30, 0.05),
    ((7, 9, 11), (2, 2, 3), 10, 1.0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("modes", "shifts", "count", "part"), TILES, ids=str)
def test_several_tiles(modes, shifts, count, part, monkeypatch):
    """Sorted by tile, launched by parity, with scratch where it is crowded: the CPU's numbers, the same bits twice."""
    monkeypatch.setattr(
        layout, "_log2_tile", lambda grid, padded: shifts
    )  # of themselves, grids as small as these are one tile
    if part < 1:
        monkeypatch.setattr(sorting, "LARGEST_CHUNK", 2)
    dim, generator, found = len(modes), np.random.default_rng(0), []
    points, values = generator.random((2, count, dim)) * part, generator.standard_normal((2, count))
    for backend in ("cpu", "cuda", "cuda"):
        plan = LRCPlan(np.ones(dim), modes, eps=0.1, backend=backend).set_points(points)
        assert min(plan.grid.layout.tiles[3 - dim :]) > 1
        assert bool(len(plan._points.sources.split)) == (part < 1)
        gradient = plan.vjp(values, Gaussian(0.1), np.cos(values))
        found.append([gradient.output, gradient.points, gradient.values])
    for wanted, one, other in zip(*found, strict=True):
        assert relative(one, wanted) <= ROUNDING
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_tiles_in_layers(monkeypatch):
    """A tile that does not fit into shared memory is spread in layers of planes, each by the points that reach it."""
    spreading, generator = import_module("lrc_numba.engine.spreading.cuda"), np.random.default_rng(1)
    points, values = generator.random((5, 3)), generator.standard_normal(5)
    plans = [LRCPlan(1.0, 3, eps=1e-1, dim=3, backend=backend) for backend in backends.BACKENDS]
    plane = plans[1].grid.layout.block[1] * plans[1].grid.layout.block[2]
    monkeypatch.setattr(spreading, "BUFFER", 3 * plane)
    monkeypatch.setattr(spreading, "BUFFER_JVP", 2 * plane)
    for name in ("spread", "spread_jvp"):  # compiled ones keep the sizes that they were compiled with
        fresh = import_module("lrc_numba.machine.cuda.compile").kernel(
            getattr(spreading, name).__wrapped__, spreading.THREADS
        )
        monkeypatch.setattr(spreading, name, fresh)
    assert plans[1].grid.layout.block[0] > 3
    wanted, found = (
        [p.set_points(points).convolve(values, Gaussian(0.1)), p.jvp(values, Gaussian(0.1), points)] for p in plans
    )
    for one, other in zip(found, wanted, strict=True):
        assert relative(one, other) <= ROUNDING


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_planes_fit_into_shared_memory(dim, dtype):
    """One plane of a tile under any window has room, for there are no smaller layers."""
    spreading = import_module("lrc_numba.engine.spreading.cuda")
    for width in range(2, MAX_WIDTH + 1):
        grid = LRCPlan(1.0, 101, eps=1e-3, dim=dim, dtype=dtype, backend="cuda").grid
        grid.window = replace(grid.window, width=width, coefficients=np.zeros((3, width)))
        assert grid.layout.block[1] * grid.layout.block[2] <= spreading.BUFFER_JVP


def test_shared_memory_is_what_every_device_has():
    """48 KiB a block, in double precision, first nodes included."""
    s = import_module("lrc_numba.engine.spreading.cuda")
    assert 8 * (s.WEIGHTS + s.BUFFER + s.CORNERS) <= 48 << 10
    assert 8 * (s.WEIGHTS_AND_SLOPES + s.BUFFER_JVP + s.CORNERS) <= 48 << 10


def test_kernels_follow_the_stream(monkeypatch):
    """A kernel is launched where CuPy works at the moment; of the default stream nothing is made."""
    backends.load("cuda")
    compiling = import_module("lrc_numba.machine.cuda.compile")
    stream, made, launched = SimpleNamespace(ptr=0), [], []

    class Compiled:
        """Says how it is launched."""

        def __getitem__(self, configuration):
            return lambda *arguments: launched.append(configuration[2])

    loop = compiling.kernel(lambda part, lo, hi: None)
    loop.compiled = Compiled()
    monkeypatch.setattr(compiling, "SIMULATED", False)
    monkeypatch.setattr(compiling, "xp", SimpleNamespace(cuda=SimpleNamespace(get_current_stream=lambda: stream)))
    external = SimpleNamespace(external_stream=lambda pointer: made.append(pointer) or f"stream {pointer}")
    monkeypatch.setattr(compiling, "cuda", external)
    for stream.ptr in (0, 7654321, 7654321):
        loop(0, 0, 3)
    assert launched == [0, "stream 7654321", "stream 7654321"]
    assert made == [7654321]
    compiling._numba_stream.cache_clear()


GRIDS = [
    (1, 1, 1, 1, 11),
    (1, 1, 1, 11, 1),
    (0, 1, 1, 6, 6),
    (2, 3, 4, 6, 5),
    (1, 2, 1, 1, 8),
    (1, 1, 7, 1, 1),
    (2, 3, 5, 1, 7),
]


@pytest.mark.parametrize("shape", GRIDS, ids=str)
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transforms(shape, dim, dtype):
    """Grids of one row, of one node, of none: what a library of transforms may refuse."""
    arrays, axes = backends.load("cuda").arrays, tuple(range(-dim, 0))
    values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    wanted = np.fft.rfftn(values, axes=axes) if values.size else np.zeros((*shape[:-1], shape[-1] // 2 + 1))
    modes = arrays.rfftn(arrays.asarray(values), axes, 1)
    back = arrays.to_host(arrays.irfftn(modes.copy(), shape[-dim:], axes, 1))
    modes, bound = arrays.to_host(modes), 50 * np.finfo(dtype).eps
    assert modes.shape == wanted.shape
    assert back.shape == shape
    assert (modes.dtype, back.dtype) == (np.result_type(dtype, np.complex64), dtype)
    if values.size:
        assert relative(modes, wanted) <= bound
        assert relative(back, values * float(np.prod(shape[-dim:]))) <= bound


def test_plans_that_are_refused():
    """CuPy makes no plan for axes that are no neighbours, nor for an array that is Fortran's as well as C's."""
    plan = backends.load("cuda").arrays._plan
    assert plan(np.zeros((1, 1, 1, 11, 1)), None, (-2, -1), "R2C") is None
    assert plan(np.zeros((2, 3, 1, 1, 11)), None, (-1,), "R2C") is None
    assert plan(np.zeros((2, 3, 5, 1, 7)), None, (-3, -1), "R2C") is None


class OnDevice:
    """An array that only tells ``__cuda_array_interface__``; in the simulator the device is the host."""

    def __init__(self, array: np.ndarray):
        self.array = backends.load("cuda").arrays.asarray(array)
        own = getattr(self.array, "__cuda_array_interface__", None) or self.array.__array_interface__
        self.__cuda_array_interface__ = {k: own[k] for k in ("shape", "typestr", "data", "strides")} | {"version": 3}


def test_arrays_stay_on_the_device():
    """What comes from the device is not copied, and results are the back end's own arrays there."""
    arrays = backends.load("cuda").arrays
    generator = np.random.default_rng(0)
    points, values = generator.random((6, 1)), generator.standard_normal(6)
    kernel, options = Gaussian(0.1), {"eps": 1e-3, "dim": 1, "backend": "cuda"}
    wanted = LRCPlan(1.0, 5, **options).set_points(points).vjp(values, kernel, values)
    on_device = [OnDevice(points), OnDevice(values)]
    taken = arrays.take("values", on_device[1])
    own = taken.__cuda_array_interface__ if HARDWARE else taken.__array_interface__
    assert own["data"][0] == on_device[1].__cuda_array_interface__["data"][0]
    found = LRCPlan(1.0, 5, **options).set_points(on_device[0]).vjp(on_device[1], kernel, on_device[1])
    for name in ("output", "points", "values"):
        assert isinstance(getattr(found, name), arrays.xp.ndarray)
        np.testing.assert_array_equal(arrays.to_host(getattr(found, name)), getattr(wanted, name))
    with pytest.raises(TypeError, match="points: expected an array in the memory of the host"):
        lrc_convolve(on_device[0], values, kernel, box=1.0, modes=5)


class LikeTorch(OnDevice):
    """An array with a dtype that NumPy does not know."""

    dtype = "torch.float32"


@pytest.mark.parametrize("kind", [OnDevice, LikeTorch])
def test_dtypes_on_the_device(kind):
    """What only ``__cuda_array_interface__`` tells decides and is checked, as a NumPy array's dtype is."""
    points, values = np.linspace(0.0, 1.0, 4)[:, None], np.ones(4)
    single = [kind(points.astype(np.float32)), kind(values.astype(np.float32))]
    options = {"box": 1.0, "modes": 3, "eps": 1e-2, "backend": "cuda"}
    assert lrc_convolve(*single, Gaussian(0.1), **options).dtype == np.float32
    with pytest.raises(TypeError, match="expected one floating-point dtype, got points: float64, values: float32"):
        lrc_convolve(kind(points), single[1], Gaussian(0.1), **options)
    plan = LRCPlan(**options, dim=1, dtype=np.float32)
    with pytest.raises(TypeError, match=r"points: expected float32 \(in which is computed\) or integers, got float64"):
        plan.set_points(kind(points))


def _python(code: str, **environment: str) -> subprocess.CompletedProcess:
    variables = os.environ | environment
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


def test_nothing_is_looked_for_at_import():
    """Neither the back end nor CuPy is imported before a plan asks for it."""
    ours = "'cuda' in m and m.startswith('lrc_numba')"
    code = f"import sys, lrc_numba; print([m for m in sys.modules if {ours} or m.startswith('cupy')])"
    assert _python(code).stdout.strip() == "[]"


@pytest.mark.skipif(HARDWARE, reason="there is a GPU")
def test_without_a_gpu_it_says_what_to_do():
    """No simulator and no GPU: an error that names the remedy, and no silent fall-back."""
    code = "from lrc_numba import LRCPlan; LRCPlan(1.0, 5, dim=1, backend='cuda')"
    done = _python(code, NUMBA_ENABLE_CUDASIM="0")
    assert done.returncode != 0
    assert "pip install 'lrc_numba[cuda]'" in done.stderr or "found no NVIDIA GPU" in done.stderr


@pytest.mark.skipif(not HARDWARE, reason=f"in the simulator, not on hardware: {WHY_SIMULATED}")
def test_large_problem_on_hardware():
    """A million points on a real device, against the CPU."""
    generator = np.random.default_rng(0)
    points, values = generator.random((1_000_000, 3)), generator.standard_normal(1_000_000)
    found, wanted = (
        lrc_convolve(points, values, Yukawa(1.0, 2.0), box=1.0, modes=63, backend=b) for b in ("cuda", "cpu")
    )
    assert relative(found, wanted) <= 1e-12
