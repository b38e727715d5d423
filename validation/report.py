"""Writes validation/README.md: every measured table, out of the JSON files below validation/results.

Each table is of one processor and says by which command, when and with which versions it was measured; what a file does
not say is "not recorded". Nothing is measured here.

  python -m validation.report
  python -m validation.report --check     exit status 1 where validation/README.md is not what the JSON files say
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import fill

from .tools import report_charges as charges
from .tools import report_tables as tables
from .tools.report_attention import attention
from .tools.report_learning import CHARGES, DIMERS, IONS, SN2, judged, recorded

__all__ = ["main", "text"]

HERE = Path(__file__).parent
FOLDERS = ("results/epyc", "results")  # the most complete set of measurements first

START = """# What was measured

Written by `python -m validation.report` out of the JSON files in `validation/results`; do not edit by hand. `--check`
tells whether this page is what the files say. Every table is of one processor. Above it stand the command, the date,
the versions and the file; "not recorded" is what a file does not say. Table 1 and Fig. 3 of the paper are in
[figures/README.md](../figures/README.md).
"""

HOW = """## How the measurements are made

- **Error** is the relative ℓ² error of u against a reference: in `promises` and `direct_sum` the direct Fourier sum
  over the same modes, in `benchmark` the result of ducc0 at its tightest tolerance.
- **Points** are *uniform* in the box; *clustered*: uniform in a small box whose sides are a hundredth of the large
  one's, so that most of the grid stays empty and is left out, and ratios to other libraries are largest; or a square
  *lattice*, where all points sit alike on the grid and errors add up.
- **Times** are medians of calls that take turns in one process, after one warm-up call each. *New* points: sorting and
  set-up are counted, as in dynamics and training. *Kept* points: they are not.
- **Equal measured error**: each library's eps is loosened or tightened, three rungs per decade, to the loosest at which
  the measured error is within the target. As the libraries' margins differ, ratios at the same *eps* are smaller than
  those below; the decades by which each was loosened stand under the tables.
- **Threads**: where another library is faster on one thread than on two, that time counts on two.
- **Bound** is what the library is held to on this kind of machine, *measured* the worst case unless a table says
  otherwise; *not kept* means that the measured value lies above the bound.
- **Engine**: where a file holds it, the digest of the engine's sources (comments and docstrings left out). Tables with
  different digests, or without one, may be of different versions of the engine, and are not to be compared.
- The machines are shared: the load average at the end of a run stands beside the date.

All scripts have `--help` and `--quick`; `--output FOLDER` keeps the results apart. `benchmark` needs
`pip install -e '.[peers]'` and takes hours; it goes on where it was with `--resume`.
"""


# ---------------------------------------------------------------------- the page
# name of script and file, heading, what it measures, how a record is written
SECTIONS: tuple[tuple[str, str, str, Callable[[dict], tables.Lines]], ...] = (
    (
        "promises",
        "Bounds, and what was measured",
        "`promises` measures what the library is held to: errors over eps in 1 to 3 dimensions, gradients, continuity, "
        "small problems, start and memory.",
        tables.promises,
    ),
    (
        "gradient_error",
        "Errors of u and of its gradients, and their bounds",
        "`gradient_error` draws random problems and compares u, the gradient of the computed energy (`exact`) and the "
        "other one (`spectral`) with the sum over the same modes and its derivative.",
        tables.gradient_error,
    ),
    (
        "benchmark",
        "Against FINUFFT and ducc0, at equal measured error",
        "`benchmark` times a convolution, a convolution with its gradient, and four channels to four, for 10⁴ to 10⁶ "
        "points, up to 127³ modes, targets of 1e-3, 1e-6 and 1e-10, uniform and clustered points. Every cell, with "
        "eps, error and times of each library, is in the file; the picture beside it shows them.",
        tables.benchmark,
    ),
    (
        "direct_sum",
        "Against the direct sums",
        "`direct_sum` compares with the sum over the same modes, against which eps is promised, and with the sum over "
        "all pairs and images, which also shows what band limiting leaves out. 500 to 1024 points for the errors.",
        tables.direct_sum,
    ),
    (
        "stages",
        "Stages against the machine, and growth with N",
        "`stages` times each stage for 10⁶ uniform points, 63³ modes, eps 1e-6, and holds it against what the machine "
        "was seen to do: a large copy, work in the first-level cache, multiply–adds in registers. Above 100% of "
        "memory's rate: the array was still in a cache.",
        tables.stages,
    ),
    (
        "threads",
        "Two threads against one",
        "`threads` times the benchmark's convolutions from 10⁵ points on. Loops that two processors of one's own make "
        "twice as fast run between them and show what the machine gives.",
        tables.threads,
    ),
    (
        "neighbours",
        "Neighbours",
        "`neighbours` searches pairs among uniform points with about 100 neighbours each, in turns with vesin, for "
        "indices, displacements and distances.",
        tables.neighbours,
    ),
    (
        "windows",
        "Windows",
        "`windows` compares a Kaiser–Bessel window as it is (*cut off*), minus its edge value (*shifted*), and ours, "
        "convolved with a hat (*C1*): width in grid points that keeps eps, jumps, and the aliasing error of the "
        "gradient of a wave at a twentieth of the band.",
        tables.windows,
    ),
    (
        "truths",
        "Electrostatics against brute force",
        "`truths` compares energies, potentials, forces, strains and charge gradients with sums by brute force: cells, "
        "slabs, wires and free space, and lattice sums with known constants.",
        charges.truths,
    ),
    (
        "electrostatics",
        "Accuracies of forces that tune is asked for",
        "`electrostatics` asks `tune` for RMS errors of forces from 1e-2 to 1e-8 and measures them against tight sums: "
        "crystals, random ions, water, droplets, charged cells, slabs, wires and clusters.",
        charges.accuracies,
    ),
    (
        "benchmark_electrostatics",
        "Electrostatics beside other libraries",
        "`benchmark_electrostatics` times energy and forces of ions at equal measured error of the forces, with the "
        "neighbours of the call before and with new ones. What `tune` is asked for is the loosest accuracy whose "
        "measured error is within the target; cutoffs, orders and meshes of the others are searched, on one thread, "
        "the fastest few of which are timed anew on each machine. Libraries take turns, in which each makes as many "
        "calls on end as fill 0.05 s, as in dynamics; a table of single calls in turns says so. Rows are measured one "
        "by one, so those of one file may be of different versions of the package.",
        charges.peers,
    ),
    (
        "water",
        "Charges of water in LAMMPS",
        "`water` compares forces of charges as `fix external` of LAMMPS with its own pppm and with a tight Ewald sum, "
        "in frames of a trajectory of SPC/E water. Both are asked for the same RMS error of forces, 1e-6 of that "
        "between two charges e at 1 Å, and keep it by their own estimates: what they differ by is what each of them "
        "differs from the sum. Relative to the forces and virial of the frames that is 2 to 3 times as much.",
        recorded,
    ),
    (
        "distributed",
        "Several processes",
        "`distributed` times convolutions and training on two ranks against one, counts what they send, and says by a "
        "model how far that goes: 10⁹ points on up to 4,096 ranks.",
        charges.distributed,
    ),
    (
        "networks",
        "Networks",
        "`networks` checks forces and loss gradients against differences, follows the energy along velocity Verlet "
        "trajectories at three time steps, and times energy and forces.",
        tables.networks,
    ),
    (
        "benchmark_training",
        "A training step",
        "`benchmark_training` times one step, loss gradient of the full-range network and Adam.",
        tables.training,
    ),
    (
        "versions",
        "What composing costs",
        "`versions` times the same step, and that of the last version whose networks were written as one piece, in "
        "turns.",
        recorded,
    ),
    (
        "benchmark_messages",
        "A training step of messages with a long range",
        "`benchmark_messages` times the loss of energies and forces and its gradient for networks of two rounds of "
        "messages, beside the same network in PyTorch, which needs no search for pairs here.",
        recorded,
    ),
    (
        "boxes",
        "One network in boxes of any size",
        "`boxes` trains the full-range network in a box of length 5 and asks it for forces in longer ones, of which it "
        "has seen none; beside it, a series that ends with the number of modes instead of a length.",
        recorded,
    ),
    (
        "point_charges",
        "Point charges",
        "`point_charges` learns the forces of 40 frames of 200 charges and is tested on ten others, with and without a "
        "learned long range, also with the known repulsive core taken off.",
        recorded,
    ),
    (
        "dimers",
        "Dimers of molecules",
        "`dimers` learns binding curves of charged (C) and polar (P) organic molecules at their ten shorter distances "
        "and is tested on the three longest.",
        recorded,
    ),
    (
        "dimers_CA_PA",
        "Dimers with an apolar molecule",
        "`dimers --classes CA PA` learns the curves of a charged and of a polar molecule with an apolar one (A).",
        recorded,
    ),
    (
        "sn2",
        "A reaction",
        "`sn2` learns the energies of every fourth geometry of F⁻ + CH₃I, without periodic images, and is tested on "
        "the others.",
        recorded,
    ),
    (
        "long_range_dimers",
        "Forms of a learned long range: dimers of molecules",
        "`long_range` learns binding curves of charged (C) and polar (P) organic molecules at their ten shorter "
        "distances, without periodic images, and is tested on the three longest. All forms have the same messages "
        "within 5 A, data and training, half as many steps as `dimers` takes.",
        judged(DIMERS),
    ),
    (
        "long_range_dimers_CA_PA",
        "Forms of a learned long range: dimers with an apolar molecule",
        "`long_range --classes CA PA` learns the curves of a charged and of a polar molecule with an apolar one (A), "
        "as above.",
        recorded,
    ),
    (
        "long_range_dimers_potentials",
        "Learned charges with several potentials: dimers of molecules",
        "`long_range --compare potentials` learns the same curves with charges that are read out of the messages: "
        "their energy by Coulomb's potential, the same without the charges within 5 A, or 1/r and 1/r² with learned "
        "weights.",
        recorded,
    ),
    (
        "long_range_sn2",
        "Forms of a learned long range: a reaction",
        "`long_range` learns energies of F⁻ + CH₃I: of every fourth geometry, and of every fourth within 6 A, and is "
        "tested on those between and beyond. *Rigid*: molecules of both ends, moved apart as they are, whose bonds "
        "tell nothing of how far away the ion is.",
        judged(SN2),
    ),
    (
        "long_range_random_ions",
        "Forms of a learned long range: random ions",
        "`long_range` learns energies and forces of 128 ions at random places of periodic boxes by Ewald summation, "
        "told which is which as a species. The table of arXiv 2510.13055 has 2.5 meV per atom and 71.6 meV/A with "
        "attention, 3.0 and 97.1 without and a cutoff of 10 A, for boxes whose density it does not state.",
        judged(IONS),
    ),
    (
        "long_range_point_charges",
        "Forms of a learned long range: point charges",
        "`long_range` learns the forces of 40 frames of 200 charges and is tested on ten others, also with the known "
        "repulsive core taken off.",
        judged(CHARGES),
    ),
    (
        "attention",
        "Attention in reciprocal space",
        "`attention` times the layer at water-like density, eps 1e-3, with 4 heads of 4 keys and 4 values (64 "
        "channels) where nothing else is said, against explicit sums in NumPy with BLAS.",
        attention,
    ),
    (
        "nve",
        "Energy of a trained network in dynamics",
        "`nve` follows the total energy along velocity Verlet trajectories of ASE: how far it swings from where it "
        "began, which falls with the square of the step, and the slope of the line through it. The network, with a "
        "learned long range, was trained for seconds on shaken rock salt.",
        recorded,
    ),
)


def _short(processor: str) -> str:
    """A processor's name for a heading: without its vectors, marks and "Processor"."""
    return processor.split(" (")[0].replace("(R)", "").removesuffix(" Processor")


def _section(name: str, heading: str, about: str, write: Callable[[dict], tables.Lines]) -> tables.Lines:
    """One script's tables of every processor; nothing where it left no file."""
    files = [f"{folder}/{name}.json" for folder in FOLDERS if (HERE / folder / f"{name}.json").is_file()]
    if not files:
        return
    yield f"## {heading}\n\n{fill(about, 118)}\n"
    for file in files:
        record = json.loads((HERE / file).read_text(encoding="utf-8"))
        yield f"### {heading}: {_short(record['environment'].get('processor', 'processor not recorded'))}\n"
        yield from tables.origin(file, record)
        picture = Path(file).with_suffix(".png")
        if (HERE / picture).is_file():
            yield f"Drawn: [{picture}]({picture})\n"
        yield from write(record)


def text() -> str:
    """The page as the JSON files have it."""
    parts = ["\n".join(_section(*section)) for section in SECTIONS]
    headings = [part.splitlines()[0].removeprefix("## ") for part in parts if part]
    links = [
        f"- [{h}](#{''.join(c for c in h.lower() if c.isalnum() or c in ' -').replace(' ', '-')})" for h in headings
    ]
    page = "\n".join([START, *links, "", HOW, *(part for part in parts if part)])
    return page.rstrip("\n") + "\n"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(
        prog="python -m validation.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 where the page is not current"
    )
    path, page = HERE / "README.md", text()
    if parser.parse_args().check:
        current = path.is_file() and path.read_text(encoding="utf-8") == page
        if not current:
            print("validation/README.md is not what the JSON files say: run python -m validation.report")
        return 0 if current else 1
    path.write_text(page, encoding="utf-8")
    print("written: validation/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
