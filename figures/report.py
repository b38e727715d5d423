"""``figures/README.md``: tables and figures of papers beside ours, written from the results in ``figures/results``.

    python -m figures.report            writes it
    python -m figures.report --check    says whether it is what the results say, and changes nothing

Nothing is trained or measured here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .markdown import table
from .report_electrostatics import sections
from .report_learning import sections as learning
from .report_long_range import sections as long_range

HERE = Path(__file__).parent
RESULTS = HERE / "results"
START = """# Tables and figures

Written by `python -m figures.report` from the files in `results/`; change those, not this. Whether it is up to date is
what `python -m figures.report --check` says.

"The paper" is Peng, Lin, Ying, Zepeda-Núñez, *Efficient long-range convolutions for point clouds*, arXiv 2010.05295.
"""


def _read(name: str) -> dict:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def _tour() -> str:
    scenes = _read("tour.json")["scenes"]
    lines = [
        [number, f"[{scene['title']}](results/tour/{number}_{scene['name']}.png)", " ".join(scene["text"].split())]
        for number, scene in scenes.items()
    ]
    made = dict.fromkeys(f"`{scene['command']}`, {scene['date']}, {scene['processor']}" for scene in scenes.values())
    parts = ["## The tour\n", table(["", "scene", "measured"], lines), "; ".join(made) + ".\n"]
    return "\n".join([*parts, "![all scenes](results/tour.png)\n"])


def report() -> str:
    """The whole of README.md."""
    own = long_range(RESULTS, HERE.parent / "validation" / "results")
    return "\n".join([START, _tour(), *learning(RESULTS / "lrc"), *sections(RESULTS), *own])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fails where it is out of date")
    parser.add_argument("--output", type=Path, default=HERE / "README.md", help="default: figures/README.md")
    args = parser.parse_args()
    if not args.check:
        args.output.write_text(report(), encoding="utf-8")
        print(f"written: {args.output}")
    elif not args.output.exists() or args.output.read_text(encoding="utf-8") != report():
        raise SystemExit(f"{args.output} is not what the results say; python -m figures.report writes it again")
    else:
        print(f"{args.output} is what the results say")


if __name__ == "__main__":
    main()
