"""The comparison of ``direct_sum`` on a user's own points."""

from __future__ import annotations

import argparse
import sys
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from lrc_numba import lrc_convolve

from .common import alternate, environment, print_table, relative_error, save_json, seconds
from .references import KERNELS, fourier_reference, is_singular, kernel, pair_reference
from .sweep import MODES

__all__ = ["run"]

_MOST_PAIRS = 2e6  # of N² in all snapshots together, so that the sum over 125 images takes seconds


def _load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """positions, charges, box; a message and an exit status where the file is not there or holds something else."""
    wanted = "--points takes an .npz file with 'positions', 'charges' and perhaps 'box'"
    try:
        data = np.load(args.points, allow_pickle=False)
    except OSError as error:
        raise SystemExit(f"{args.points}: {error.strerror or 'cannot be read'}; {wanted}") from None
    except (ValueError, EOFError, BadZipFile):  # neither an archive nor an array
        raise SystemExit(f"{args.points}: is no such file; {wanted}") from None
    if not isinstance(data, np.lib.npyio.NpzFile):
        raise SystemExit(f"{args.points}: holds a single array; {wanted}")
    with data:
        missing = {"positions", "charges"} - set(data.files)
        if missing:
            raise SystemExit(f"{args.points.name}: expected arrays 'positions' and 'charges', got {data.files}")
        positions, charges = data["positions"], data["charges"]
        box = np.array(args.box) if args.box else data["box"] if "box" in data.files else None
    if box is None:
        raise SystemExit(f"{args.points.name}: has no 'box'; give --box")
    if charges.shape != positions.shape[:-1]:
        raise SystemExit(f"{args.points.name}: expected charges of shape {positions.shape[:-1]}, got {charges.shape}")
    return positions.astype(np.float64), charges.astype(np.float64), box[0] if box.shape == (1,) else box


def _subset(
    positions: np.ndarray, charges: np.ndarray, quick: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """As many snapshots as are affordable for the slow sums, and random targets where one snapshot is too large."""
    most = _MOST_PAIRS / (10 if quick else 1)
    if positions.ndim == 3:
        take = int(np.clip(most / positions.shape[1] ** 2, 1, len(positions)))
        if positions.shape[1] ** 2 <= most:
            return positions[:take], charges[:take], None
        positions, charges = positions[0], charges[0]
    count = len(positions)
    if count**2 <= most:
        return positions, charges, None
    return positions, charges, np.sort(np.random.default_rng(0).choice(count, max(4, int(most / count)), replace=False))


def run(args: argparse.Namespace) -> None:
    """Read the file, compare, print, save."""
    loaded = _load(args)
    positions, charges, rows = _subset(*loaded[:2], args.quick)
    box, dim = loaded[2], positions.shape[-1]
    modes = args.modes or MODES[dim]
    matrix = np.diag(np.broadcast_to(box, (dim,))) if np.ndim(box) < 2 else np.asarray(box)
    length = float(abs(np.linalg.det(matrix)) ** (1 / dim))
    print(f"{args.points.name}: positions {loaded[0].shape}, box {np.asarray(box).tolist()}")
    print(
        f"slow sums on positions {positions.shape}, "
        + ("all targets" if rows is None else f"{len(rows)} random targets")
    )
    outside = np.any((s := positions @ np.linalg.inv(matrix)) < 0, axis=-1) | np.any(s >= 1, axis=-1)
    print(f"{100 * outside.mean():.1f}% of the positions lie outside the box and are folded")
    results = []
    cases = [(name, eps) for name in KERNELS for eps in (1e-2, 1e-4, 1e-6, 1e-9, 1e-12)]
    truths: dict[str, tuple] = {}
    for name, eps in tqdm(cases, desc="points", file=sys.stderr, leave=False):
        multiplier, exclude = kernel(name, length), is_singular(name, dim)
        if name not in truths:
            truths[name] = _truths(positions, charges, multiplier, box, modes, rows, exclude)
        fourier, pairs, slow = truths[name]
        options = {"box": box, "modes": modes, "eps": eps, "threads": args.threads, "exclude_self": exclude}
        u = lrc_convolve(positions, charges, multiplier, **options)
        fast = alternate({"ours": lambda m=multiplier, o=options: lrc_convolve(positions, charges, m, **o)})["ours"]
        at = u if rows is None else u[rows]
        whole = lrc_convolve(positions, charges, multiplier, **options | {"exclude_self": False}) if exclude else u
        whole = whole if rows is None else whole[rows]
        measured = {
            "error_fourier": relative_error(whole, fourier),
            "error_without_self": float(np.linalg.norm(whole - fourier) / np.linalg.norm(at)),
            "error_pairs": relative_error(at, pairs),
        }
        results.append({"kernel": name, "eps": eps, **measured, "seconds": {"ours": fast, **slow}})
    _report(args, results, modes, dim, positions.shape, rows)


def _truths(
    positions, charges, multiplier, box, modes, rows, exclude
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Both slow sums and their times; a sum at some targets is scaled up to all."""
    references = {}

    def fourier():
        references["fourier"] = fourier_reference(positions, charges, multiplier, box=box, modes=modes, rows=rows)

    def pairs():
        references["pairs"] = pair_reference(positions, charges, multiplier, box=box, rows=rows, exclude_self=exclude)

    slow = alternate({"fourier": fourier, "pairs": pairs}, repeats=1)
    if rows is not None:
        slow["fourier"] *= 2 * len(positions) / (len(positions) + len(rows))
        slow["pairs"] *= len(positions) / len(rows)
    return references["fourier"], references["pairs"], slow


def _report(args, results: list[dict], modes: int, dim: int, shape: tuple, rows: np.ndarray | None) -> None:
    lines = []
    for r in results:
        times = [
            seconds(r["seconds"]["ours"]),
            *(seconds(r["seconds"][k], rows is not None) for k in ("fourier", "pairs")),
        ]
        lines.append([r["kernel"], dim, r["eps"], r["error_fourier"], f"{r['error_fourier'] / r['eps']:.2f}"])
        lines[-1] += [r["error_without_self"], r["error_pairs"], *times]
    print_table(
        f"{args.points.name}, positions {shape}, {modes} modes per axis; pair-sum error includes the modes left out.\n"
        "to u less self: the same error relative to u with exclude_self, where the kernel is infinite at zero",
        [
            "kernel",
            "d",
            "eps",
            "vs Fourier sum",
            "/eps",
            "to u less self",
            "vs pair sum",
            "ours",
            "Fourier sum",
            "pair sum",
        ],
        lines,
    )
    record = {
        "environment": environment(args.threads),
        "file": args.points.name,
        "shape": list(shape),
        "modes": modes,
        "targets": None if rows is None else len(rows),
        "results": results,
    }
    save_json(args.output / "direct_sum_points.json", record)
