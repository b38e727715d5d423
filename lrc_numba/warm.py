"""Compile beforehand what a plan needs on the processor: python -m lrc_numba.warm --dim 3 --modes 63 --eps 1e-6

Everything for plans like this one, convolve, vjp and jvp, is compiled and kept on disk, where other processes find it;
what is there already is not compiled again. Give the numbers that you will work with: the width of the window follows
from eps, the modes and the number of points, and that many points are made. Loops for multipliers with complex values
are still compiled at their first use. What is kept serves processors of the same kind.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from multiprocessing import get_context

import numpy as np
from numba.core import event
from tqdm import tqdm

from . import LRCPlan, Yukawa
from .engine.spreading import cpu as spreading
from .engine.window.choose import WINDOWS
from .machine.cpu import parallel
from .planning.choices import GRADIENTS

# Numba compiles one function at a time, so two processes share the work. Which kernels a plan needs, and for which
# types, does not depend on what arrays hold, but for the tables of sorted points: the process that compiles what reads
# them sorts; to the other there are no points in any tile. What is not called through ``parallel.run`` both compile.
ENGINE = "lrc_numba.engine."
WITH_POINTS = ("points.cpu", "spreading.cpu", "interpolation.cpu", "spreading.cpu_crowded")


class _Shown(event.Listener):
    """Counts compiled functions and shows the current one beside a bar."""

    def __init__(self, bar: tqdm):
        self.bar, self.count = bar, 0

    def on_start(self, event: event.Event) -> None:
        """Numba begins with a function."""
        self.bar.set_postfix_str(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event: event.Event) -> None:
        """It is done."""
        self.count += 1
        self.bar.update()


def _compiling(with_points: bool) -> AbstractContextManager:
    """Loops are not run; those that work with points, or the others, are compiled for what they would work on."""
    return parallel.compile_only(lambda module: (module.removeprefix(ENGINE) in WITH_POINTS) == with_points)


def compile_part(options: argparse.Namespace, with_points: bool) -> int:
    """Compile the loops that are called with sorted points, or all others.

    Parameters
    ----------
    options : Namespace
        From ``parse``.
    with_points : bool
        Which.

    Returns
    -------
    int
        Number of functions.
    """
    bar = tqdm(desc="compiling", unit=" functions", file=sys.stderr, leave=False, disable=None if with_points else True)
    with bar, event.install_listener("numba:compile", _Shown(bar)) as shown:
        _go_through(options, with_points)
    return shown.count


def _go_through(options: argparse.Namespace, with_points: bool) -> None:
    """Make all calls of a plan without running its loops."""
    rng, shape = np.random.default_rng(0), (options.points, options.dim)
    points = rng.random(shape, dtype=options.dtype)
    if options.clustered:
        points[::2] *= 0.01  # crowded tiles and others take different loops
    modes = options.modes[0] if len(options.modes) == 1 else options.modes
    settings = {name: getattr(options, name) for name in ("eps", "window", "gradient", "dtype", "dim")}
    kernel = Yukawa(1.0, 5.0)
    # Transforms go plane by plane where there are two planes for every thread. Two channels on one thread have them in
    # any dimension, and take less memory than many channels on many threads.
    for threads, channels in ((options.threads, 1), (options.threads, 2), (1, 2)):
        plan = LRCPlan(1.0, modes, threads=threads, **settings)
        values = np.ones((options.points, channels), dtype=options.dtype)
        if with_points:
            plan.set_points(points)
        elif plan.threads > 1:
            parallel.run(lambda *_: None, [0, 1, 2])  # starts a thread, which compiles how it waits
        with _compiling(with_points), np.errstate(all="ignore"):  # arrays hold whatever was in memory
            if not with_points:
                plan.set_points(points)
            plan.convolve(values, kernel)
            if not options.convolve_only:
                for wrt in ("points", "values", ("points", "values", "parameters")):
                    plan.vjp(values, kernel, values, wrt=wrt)
                plan.jvp(values, kernel, points, values)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of those of this process.
    """
    unchanged = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m lrc_numba.warm", description=__doc__, formatter_class=unchanged)
    default = " (default: %(default)s)"
    parser.add_argument("--dim", type=int, choices=(1, 2, 3), required=True, help="dimensions")
    parser.add_argument("--modes", type=int, nargs="+", required=True, help="Fourier modes, per axis or for all axes")
    parser.add_argument("--eps", type=float, default=1e-6, help="relative error allowed (default: %(default)g)")
    many = "about how many, of all snapshots together" + default
    parser.add_argument("--points", type=int, default=10_000, help=many)
    crowded = "half of the points, thousands, in a hundredth of the box"
    parser.add_argument("--clustered", action="store_true", help=crowded)
    dtypes = ("float64", "float32")
    parser.add_argument("--dtype", choices=dtypes, default="float64", help="of points and values" + default)
    parser.add_argument("--window", choices=WINDOWS, default="kaiser_bessel", help="of the plan" + default)
    parser.add_argument("--gradient", choices=GRADIENTS, default="exact", help="of the plan" + default)
    parser.add_argument("--threads", type=int, help="of the plan (default: all processors here)")
    parser.add_argument("--convolve-only", action="store_true", help="no derivatives")
    options = parser.parse_args(arguments)
    if not 1 <= options.points < 2**31:
        parser.error(f"--points: expected at least one and fewer than 2^31, got {options.points}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Compile on two processes; the exit status.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of those of this process.
    """
    options, start = parse(arguments), time.perf_counter()
    kept = spreading.clear.stats.cache_path
    if kept is None:
        print("No folder for compiled code can be written to; NUMBA_CACHE_DIR names another one.", file=sys.stderr)
        return 1
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as second_process:
            without_points = second_process.submit(compile_part, options, False)
            count = compile_part(options, True) + without_points.result()
    except BrokenProcessPool:
        print("The second process was ended from outside, perhaps for want of memory: fewer points?", file=sys.stderr)
        return 1
    except (ValueError, TypeError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    taken = time.perf_counter() - start
    print(f"{count} functions compiled in {taken:.1f} s; they are kept in {kept} and folders like it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
