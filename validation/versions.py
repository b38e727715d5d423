"""What composing networks of parts costs: one optimiser step now, and before networks were composed.

The four cases of ``validation.benchmark_training``. The version of before is taken out of the history of this
repository into a temporary folder; both versions take turns, each in a process of its own, with the points, the network
and the clock of ``benchmark_training.measure``, which is the same in both. What was made faster since counts for the
composed network, and what its parts and schedule cost against it.

  python -m validation.versions --quick
  python -m validation.versions --commit 5c4e63668         another version, which has to have that script
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from .benchmark_training import CASES
from .tools.common import arguments, environment, print_table, save_json

BEFORE = "5c4e636687"  # the last version whose networks were written as one piece
ROOT = Path(__file__).parents[1]
TURNS = 7
CALL = "from validation.benchmark_training import measure; print('seconds', measure({case}, {threads}, {repeats}))"


def step(checkout: Path, case: tuple, threads: int, repeats: int) -> float:
    """Seconds of an optimiser step of the version in a folder.

    Parameters
    ----------
    checkout : Path
        With the package and ``validation``.
    case : tuple
        One of ``CASES``.
    threads, repeats : int
        As for ``benchmark_training.measure``.

    Raises
    ------
    RuntimeError
        With what the version wrote, where it has no such step.
    """
    call = CALL.format(case=case, threads=threads, repeats=repeats)
    paths = {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=checkout, env=os.environ | paths, capture_output=True, text=True, check=False
    )
    word, _, value = done.stdout.rpartition(" ")
    if done.returncode or not word.endswith("seconds"):
        raise RuntimeError(f"{checkout}: no step of this version: {done.stderr[-1000:]}")
    return float(value)


def git(*words: str) -> str:
    """What git prints; the script ends, visibly, where there is no such version."""
    if shutil.which("git") is None:
        print("SKIPPED: git is not installed")
        sys.exit(0)
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"SKIPPED: git {' '.join(words)}: {done.stderr.strip()}: a clone with its whole history is needed")
        sys.exit(0)
    return done.stdout.strip()


def main() -> None:
    parser = arguments("versions", __doc__ or "", threads=(2,))
    parser.add_argument("--commit", default=BEFORE, help="the version of before (default: %(default)s)")
    args = parser.parse_args()
    commit, repeats = git("rev-parse", "--verify", f"{args.commit}^{{commit}}"), 10 if args.quick else 40
    rows, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        git("worktree", "add", "--detach", str(before), commit)
        try:
            for case in CASES:
                for threads in args.threads:
                    turns: dict[str, list[float]] = {"now": [], "before": []}
                    for _ in range(1 if args.quick else TURNS):
                        for name, checkout in (("now", ROOT), ("before", before)):
                            turns[name].append(step(checkout, case, threads, repeats))
                    now, then = (float(np.median(turns[name])) for name in ("now", "before"))
                    ratios = np.divide(turns["now"], turns["before"])
                    dim, count, batch, modes, dtype = case
                    rows.append({"case": list(case), "threads": threads, "turns": turns, "now": now, "before": then})
                    line = [dim, count, batch, f"{modes}^{dim}", dtype, threads, f"{1e3 * now:.2f}"]
                    line += [f"{1e3 * then:.2f}", f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"]
                    lines.append(line)
        finally:
            git("worktree", "remove", "--force", str(before))
    header = ["d", "N", "batch", "modes", "dtype", "threads", "composed (ms)", "before (ms)", "composed / before"]
    title = "One optimiser step, medians; ratios of turns, their median and range"
    print_table(title, header, lines)
    table = {"title": title, "header": header, "lines": lines}
    about = {"environment": environment(max(args.threads)), "before": commit, "rows": rows}
    save_json(args.output / "versions.json", about | table)


if __name__ == "__main__":
    main()
