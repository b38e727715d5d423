"""What several processes gain: plans and training on R ranks against one, what they send, and how far that goes.

One ``mpiexec`` starts all ranks, one thread each. What one rank does alone and what R do together takes turns, and the
others sleep meanwhile. Beside it stands the gain of as many processes that do their shares without a word between them:
what the machine gives. Bytes are those that a rank hands to MPI for others, beside the model, with stored modes:
modes × 16 B × 2(R − 1)/R.

From the times of one rank, of points and of transforms, a table for 10⁹ points: T = t_N N/R + t_M(M) + t_sum, with

    t_M = t_1 (M/M_1)³ log M/log M_1        t_sum = 2 (R − 1) latency + 16 B modes 2 (R − 1)/R / bandwidth

Every rank has the whole grid. Where transforms and the sum of modes take longer than the points of a rank, or the grid
does not fit into its memory, more ranks do not help, and the grid has to be shared out: a distributed FFT.

  python -m validation.distributed --quick
  python -m validation.distributed --latency 2e-6 --bandwidth 12e9 --memory 4e9
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from math import log2
from pathlib import Path

from lrc_numba.distributed.launch import command, why_not

from .tools.common import above_zero, arguments, environment, positive, print_table, save_json, seconds

POINTS, MODES = 1_000_000, 63
MANY, RANKS, SIZES = 1_000_000_000, (1, 16, 64, 256, 1024, 4096), (63, 127, 255, 511, 1023)
GOAL = 1.7
NODES_PER_MODE = 2.0  # along an axis, as plans choose them for eps 1e-6
ACCOUNT = ("points", "transforms", "sum")


def measured(ranks: int, part: str, points: int, modes: int, rounds: int) -> dict:
    """What ``tools.on_ranks`` measures on so many ranks.

    Parameters
    ----------
    ranks : int
        R.
    part : {"plan", "training", "bytes"}
        Of what.
    points, modes, rounds : int
        N, modes along each axis, and turns.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.json"
        numbers = [str(number) for number in (points, modes, rounds)]
        line = command(ranks, "-m", "validation.tools.on_ranks", part, *numbers, str(path))
        done = subprocess.run(line, text=True, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(line)} failed:\n{done.stderr}")
        return json.loads(path.read_text(encoding="utf-8"))


def model(one: dict, ranks: int, modes: int, points: float, latency: float, bandwidth: float) -> dict[str, float]:
    """Seconds of a convolution by what they are spent on.

    Parameters
    ----------
    one : dict
        Of one rank: its points, modes along an axis, seconds of points and of transforms.
    ranks, modes, points
        R, modes along an axis, and N.
    latency, bandwidth : float
        Of a message, seconds, and bytes per second of a rank.
    """
    larger = (modes / one["modes"]) ** 3 * log2(modes) / log2(one["modes"])
    sent = 16 * (modes**3 / 2) * 2 * (ranks - 1) / ranks
    return {
        "points": one["seconds"]["points"] / one["points"] * points / ranks,
        "transforms": one["seconds"]["transforms"] * larger,
        "sum": (2 * (ranks - 1) * latency + sent / bandwidth) if ranks > 1 else 0.0,
    }


def extrapolated(one: dict, latency: float, bandwidth: float, memory: float) -> dict:
    """The table for ``MANY`` points, and from which size a distributed FFT would be needed on each number of ranks."""
    cells, needed = [], {}
    for modes in SIZES:
        grid = 8 * (NODES_PER_MODE * modes) ** 3
        for ranks in RANKS:
            times = model(one, ranks, modes, MANY, latency, bandwidth)
            cells.append({"modes": modes, "ranks": ranks, **times, "grid": grid, "fits": grid <= memory})
    for ranks in RANKS[1:]:
        over = [
            cell["modes"]
            for cell in cells
            if cell["ranks"] == ranks and (cell["transforms"] + cell["sum"] > cell["points"] or cell["grid"] > memory)
        ]
        needed[str(ranks)] = min(over, default=None)
    return {"cells": cells, "distributed_fft_from": needed}


def _gains(row: dict) -> tuple[str, str]:
    """Of R ranks together, and of as many that do their shares without a word between them."""
    return f"{row['alone'] / row['together']:.2f}", f"{row['alone'] / row['apart']:.2f}"


def show(record: dict) -> None:
    """The tables, on the terminal."""
    rows = [(g["what"], g["ranks"], seconds(g["alone"]), seconds(g["together"]), *_gains(g)) for g in record["gains"]]
    print_table(
        f"R ranks against one, one thread each (goal: {GOAL})",
        ["what", "R", "one", "R", "gain", "without a word"],
        rows,
    )
    rows = [(b["ranks"], b["sent"], round(b["model"]), f"{b['sent'] / b['model']:.4f}") for b in record["bytes"]]
    print_table("bytes that a rank sends in a convolution", ["R", "sent", "model", "ratio"], rows)
    rows = [
        (
            f"{c['modes']}^3",
            c["ranks"],
            *(seconds(c[name]) for name in ACCOUNT),
            seconds(sum(c[name] for name in ACCOUNT)),
            f"{c['grid'] / 1e9:.1f} GB",
        )
        for c in record["model"]["cells"]
    ]
    print_table("10^9 points, by the model", ["modes", "R", *ACCOUNT, "together", "grid of a rank"], rows)
    for ranks, modes in record["model"]["distributed_fft_from"].items():
        print(
            f"{ranks} ranks: a distributed FFT is needed from {modes}^3 modes on" if modes else f"{ranks}: never here"
        )


def main() -> None:
    parser = arguments("distributed", __doc__ or "", threads=())
    parser.add_argument("--ranks", type=positive, default=2, help="compared with one (default: %(default)s)")
    parser.add_argument("--latency", type=above_zero, default=2e-6, help="of a message, seconds (default: %(default)s)")
    parser.add_argument("--bandwidth", type=above_zero, default=12e9, help="of a rank, bytes per second")
    parser.add_argument("--memory", type=above_zero, default=4e9, help="for the grid of a rank, bytes")
    args = parser.parse_args()
    if why_not():
        sys.exit(f"validation.distributed: {why_not()}")
    points, rounds = (100_000, 3) if args.quick else (POINTS, 9)
    modes = 31 if args.quick else MODES
    made = measured(args.ranks, "plan", points, modes, rounds)
    gains = made["gains"] + measured(args.ranks, "training", 0, 0, rounds)["gains"]
    sent = [measured(ranks, "bytes", 1000, modes, 1) for ranks in (2, 3, 4)]
    record: dict = {"environment": environment(1), "quick": args.quick, "gains": gains, "bytes": sent}
    record |= {name: getattr(args, name) for name in ("latency", "bandwidth", "memory")} | {"one": made["one"]}
    record["model"] = extrapolated(made["one"], args.latency, args.bandwidth, args.memory)
    show(record)
    save_json(args.output / "distributed.json", record)


if __name__ == "__main__":
    main()
