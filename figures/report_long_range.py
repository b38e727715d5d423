"""The part of ``figures/README.md`` on learned long ranges, from those pictures that are there."""

from __future__ import annotations

import json
from pathlib import Path

from . import dimers, near_to_far, sn2
from .markdown import fill

__all__ = ["sections"]

ABOUT = """## Learned long ranges

What `python -m validation.long_range` trained, drawn; its tables are in
[validation/README.md](../validation/README.md).
"""
FIGURES = {  # heading, script, and what its results are called
    "dimers": ("Dimers of molecules", dimers, "long_range_dimers"),
    "sn2": ("A reaction, and an ion that leaves", sn2, "long_range_sn2"),
    "near_to_far": ("Learned charges, from near to far", near_to_far, "long_range_dimers_potentials"),
}


def sections(folder: Path, results: Path) -> list[str]:
    """Markdown of every figure that is in a folder; nothing where there is none.

    Parameters
    ----------
    folder : Path
        With pictures.
    results : Path
        Of ``validation``.
    """
    texts = []
    for name, (heading, script, stored) in FIGURES.items():
        if (folder / f"{name}.png").exists() and (results / f"{stored}.json").exists():
            made = json.loads((results / f"{stored}.json").read_text(encoding="utf-8"))["environment"]
            _, about, *_ = (script.__doc__ or "").split("\n\n")
            origin = f"`python -m figures.{name}` from `{stored}.json`: `{made['command']}`, {made['date']}, "
            origin += f"{made['processor']}."
            picture = f"![{name}](results/{name}.png)\n"
            texts.append("\n".join([f"### {heading}\n", fill(" ".join(about.split())), fill(origin), picture]))
    return [ABOUT, *texts] if texts else []
