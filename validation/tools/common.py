"""What the validation scripts share: clocks, errors, point sets, tables and records."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lrc_numba.files import write_json

__all__ = [
    "DISTRIBUTIONS",
    "Seeds",
    "above_zero",
    "alternate",
    "arguments",
    "draw_points",
    "environment",
    "positive",
    "print_table",
    "processor",
    "relative_error",
    "save_json",
    "seconds",
]

RESULTS = Path(__file__).parents[1] / "results"
DISTRIBUTIONS = ("uniform", "clustered", "lattice")


def positive(text: str) -> int:
    """The type of an option that counts something: an integer of at least one.

    Parameters
    ----------
    text : str
        As typed.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least one, got {text}")
    return number


def above_zero(text: str) -> float:
    """The type of an option that measures something: a finite number above zero.

    Parameters
    ----------
    text : str
        As typed.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < np.inf:
        raise argparse.ArgumentTypeError(f"expected a number above zero, got {text}")
    return number


class Seeds(argparse.Action):
    """Integers from 0 on, with spaces or commas between."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        words = [word for text in values for word in text.split(",")]
        if not all(word.strip().isdecimal() for word in words):
            parser.error(f"{option_string}: expected integers from 0 on, got {' '.join(values)}")
        setattr(namespace, self.dest, [int(word) for word in words])


def arguments(name: str, description: str, *, threads: tuple[int, ...] | None = None) -> argparse.ArgumentParser:
    """A parser with the options that every script has.

    --threads takes several numbers where ``threads`` says which, and is left out where that is empty.
    """
    parser = _Parser(
        prog=f"python -m validation.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="smaller problems, a minute or two on two cores")
    if threads is None:
        parser.add_argument(
            "--threads", type=positive, default=None, help="threads for lrc_numba; all processors by default"
        )
    elif threads:
        text = "numbers of threads to measure with (default: %(default)s)"
        parser.add_argument("--threads", type=positive, nargs="+", default=list(threads), metavar="N", help=text)
    text = "folder for the results (default: validation/results, with --quick its folder quick)"
    parser.add_argument("--output", type=Path, default=None, help=text)
    return parser


class _Parser(argparse.ArgumentParser):
    """Sends quick results to a folder of their own, so that they never replace measured ones."""

    def parse_args(self, *given, **keywords):
        """As always, with ``output`` filled in."""
        options = super().parse_args(*given, **keywords)
        if options.output is None:
            options.output = RESULTS / "quick" if getattr(options, "quick", False) else RESULTS
            with contextlib.suppress(ValueError):  # another drive
                options.output = Path(os.path.relpath(options.output))
        options.output.mkdir(parents=True, exist_ok=True)
        return options


# ---------------------------------------------------------------------- numbers
def relative_error(result: np.ndarray, reference: np.ndarray) -> float:
    """‖result − reference‖₂ / ‖reference‖₂ in float64."""
    result, reference = np.asarray(result, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    return float(np.linalg.norm(result - reference) / np.linalg.norm(reference))


def draw_points(kind: str, count: int, dim: int, box: float, rng: np.random.Generator) -> np.ndarray:
    """Points in a cubic box, (N, d) float64.

    Parameters
    ----------
    kind : {"uniform", "clustered", "lattice"}
        Uniform in the box; uniform in a small box with every side 1% of the large one, at a random place, so that it
        may stick out over a face; or a square lattice that starts at the origin, with the smallest power of two per
        side that gives ``count`` points: on a grid with such a side all points then sit alike, and errors add up.
    count : int
        Number of points N; a lattice has at least as many.
    dim : int
        Dimensions d.
    box : float
        Side of the box.
    rng : numpy.random.Generator
        Where randomness comes from.
    """
    if kind == "lattice":
        side = 1
        while side**dim < count:
            side *= 2
        axes = np.meshgrid(*[np.arange(side) * (box / side)] * dim, indexing="ij")
        return np.stack(axes, axis=-1).reshape(-1, dim)
    if kind == "clustered":
        return box * (rng.random(dim) + 0.01 * rng.random((count, dim)))
    if kind == "uniform":
        return box * rng.random((count, dim))
    raise ValueError(f"kind: expected one of {DISTRIBUTIONS}, got {kind!r}")


# ---------------------------------------------------------------------- clocks
def alternate(calls: dict[str, Callable[[], object]], repeats: int = 5, budget: float = 2.0) -> dict[str, float]:
    """Median wall times in seconds of calls that take turns, after one warm-up call each.

    The number of rounds is ``repeats`` or as many as fit in ``budget`` seconds, but at least one.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.perf_counter()
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
        if time.perf_counter() - begin > budget:
            break
    return {name: float(np.median(taken)) for name, taken in times.items()}


# ---------------------------------------------------------------------- records
def processor() -> str:
    """Its name, and how wide its vectors are."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    entries = {line.split(":", 1)[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    name = entries.get("model name", platform.processor() or "unknown")
    wide = [flag for flag in ("avx2", "avx512f", "asimd", "sve") if flag in entries.get("flags", "").split()]
    return f"{name} ({', '.join(wide)})" if wide else name


def _command() -> str:
    """The command line without the folder it writes to; of a path only the last part, all that is known elsewhere."""
    name, given = Path(sys.argv[0]).stem, sys.argv[1:]
    kept = [word for before, word in zip(["", *given], given, strict=False) if "--output" not in (before, word)]
    words = [Path(word).name if os.sep in word else word for word in kept if not word.startswith("--output=")]
    return " ".join(["python", "-m", f"validation.{name}", *words])


def environment(threads: int | None) -> dict[str, object]:
    """Where and with what a measurement was made."""
    import numba
    import scipy

    import lrc_numba

    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "command": _command(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "processors": available,
        "threads": threads or available,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "scipy": scipy.__version__,
        "lrc_numba": lrc_numba.__version__,
    }


def save_json(path: Path, record: dict) -> None:
    """Write a record so that a reader sees the old file or the new one, never a half."""
    write_json(path, record)
    print(f"written: {os.path.relpath(path)}")


# ---------------------------------------------------------------------- tables
def seconds(value: float | None, approximate: bool = False) -> str:
    """A time with its unit; ``approximate`` puts a tilde in front; "-" for None."""
    if value is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale or unit == "us":
            return f"{'~' if approximate else ''}{value / scale:.3g} {unit}"
    raise AssertionError


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1e}"
    return str(value)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest entry; text to the left, numbers to the right; floats as 1.2e-03, None as "-"."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[c]) for line in [list(header), *cells]) for c in range(len(header))]
    left = [
        bool(rows) and all(isinstance(row[c], str) and not row[c][:1].isdigit() for row in rows)
        for c in range(len(header))
    ]

    def line(entries: Sequence[str]) -> str:
        fitted = [e.ljust(w) if flush else e.rjust(w) for e, w, flush in zip(entries, widths, left, strict=True)]
        return "  ".join(fitted).rstrip()

    print(f"\n{title}")
    print(line(header))
    print("  ".join("-" * w for w in widths))
    for entries in cells:
        print(line(entries))
    sys.stdout.flush()
