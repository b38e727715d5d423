"""Figure 3 of Loche et al. (2025): Madelung constants, and forces in rattled crystals, against the accuracy asked for.

Nine crystals, scaled so that the nearest neighbours are at distance 1, in cells of some 50 to 110 ions. A calculator of
each kind is tuned by ``tune`` on the rattled crystal for an RMS error of forces, in units of the force between nearest
neighbours. Then measured: the relative error of the Madelung constant by the same calculator on the perfect crystal,
and the RMS error of forces of the rattled one against Ewald sums that are exact to about 1e-12. Energies of crystals
alone would say little: by symmetry most errors cancel in them, and forces vanish.

    python -m figures.madelung --preset quick
    python -m figures.madelung --preset paper --seeds 0
    python -m figures.madelung --plot-only

Written are results/madelung.json and .png.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator, tune
from validation.tools.common import print_table, save_json

from .common import figure_parser, kept_record, new_record, rms

RATTLED = 0.05  # standard deviation along each axis, of the distance of nearest neighbours
CALCULATORS = {"Ewald": "ewald", "mesh (prolate)": "mesh", "P3M": "p3m", "PME": "pme"}
CLASSICAL, FINEST = ("p3m", "pme"), 1e-5  # what is asked of these at most: their meshes get large
STEEP = 8.2  # the cutoff of references over σ: erfc(STEEP/√2) is 2e-16
CUTOFF = 4.5  # of references, in distances of nearest neighbours


@dataclass(frozen=True)
class Crystal:
    """A unit cell, and its energy.

    Attributes
    ----------
    madelung : float
        −E per formula unit, or −2E of a charge in a neutralising background, in charge²/length.
    cell : (3, 3) nested tuples
        Lattice vectors as rows.
    sites, charges : (n, 3) nested tuples and (n,) tuple
        Of the ions, in the same unit of length.
    nearest : float
        The distance of nearest neighbours.
    times : int
        Unit cells along each lattice vector in what is computed.
    units : int
        Formula units in the unit cell.
    """

    madelung: float
    cell: tuple
    sites: tuple
    charges: tuple
    nearest: float
    times: int
    units: int = 1


FCC = ((0, 1, 1), (1, 0, 1), (1, 1, 0))
CUBE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
# The constants of the six salts are listed by Sakamoto, J. Chem. Phys. 28, 164 (1958), those of charges in a background
# by Makov and Payne, Phys. Rev. B 51, 4014 (1995), with fewer digits; the ones here are of lattice sums to 1e-14.
CRYSTALS = {
    "CsCl": Crystal(2.0353615094525943, CUBE, ((0, 0, 0), (0.5, 0.5, 0.5)), (-1, 1), 0.75**0.5, 3),
    "NaCl": Crystal(1.7475645946331824, FCC, ((0, 0, 0), (1, 0, 0)), (1, -1), 1.0, 3),
    "zincblende": Crystal(1.891463052042889, FCC, ((0, 0, 0), (0.5, 0.5, 0.5)), (1, -1), 0.75**0.5, 3),
    "wurtzite": Crystal(
        2.6802669939038553,
        ((0.5, -(0.75**0.5), 0), (0.5, 0.75**0.5, 0), (0, 0, (8 / 3) ** 0.5)),
        (
            (0.5, 12**-0.5, 0),
            (0.5, 12**-0.5, 0.375**0.5),
            (0.5, -(12**-0.5), (2 / 3) ** 0.5),
            (0.5, -(12**-0.5), (2 / 3) ** 0.5 + 0.375**0.5),
        ),
        (1, -1, 1, -1),
        0.375**0.5,
        3,
        2,
    ),
    "fluorite": Crystal(
        11.636575227076747,
        ((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)),
        ((0.25, 0.25, 0.25), (0.75, 0.75, 0.75), (0, 0, 0)),
        (-1, -1, 2),
        0.1875**0.5,
        3,
    ),
    "Cu2O": Crystal(
        10.259457033075018,
        CUBE,
        (
            (0, 0, 0),
            (0.5, 0.5, 0.5),
            (0.25, 0.25, 0.25),
            (0.25, 0.75, 0.75),
            (0.75, 0.25, 0.75),
            (0.75, 0.75, 0.25),
        ),
        (-2, -2, 1, 1, 1, 1),
        0.1875**0.5,
        2,
        2,
    ),
    "Wigner sc": Crystal(2.8372974794806196, CUBE, ((0, 0, 0),), (1,), 1.0, 4),
    "Wigner bcc": Crystal(3.639233449508643, ((1, 0, 0), (0, 1, 0), (0.5, 0.5, 0.5)), ((0, 0, 0),), (1,), 0.75**0.5, 4),
    "Wigner fcc": Crystal(
        4.584862074113802, ((0.5, 0, 0.5), (0, 0.5, 0.5), (0.5, 0.5, 0)), ((0, 0, 0),), (1,), 0.5**0.5, 4
    ),
}


@dataclass(frozen=True)
class Preset:
    """Which crystals, and accuracies asked for, in units of the force between nearest neighbours."""

    crystals: tuple[str, ...]
    targets: tuple[float, ...]


PRESETS = {
    "quick": Preset(("CsCl", "wurtzite"), (1e-1, 1e-3, 1e-5)),
    "paper": Preset(tuple(CRYSTALS), (1e-1, 1e-3, 1e-5, 1e-7, 1e-9)),
}


def supercell(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (N, 3), charges (N,) and cell (3, 3) of times³ unit cells, nearest neighbours at distance 1."""
    cell, sites = (np.array(given, dtype=np.float64) / crystal.nearest for given in (crystal.cell, crystal.sites))
    shifts = np.array(list(product(range(crystal.times), repeat=3))) @ cell
    positions = (shifts[:, None] + sites).reshape(-1, 3)
    return positions, np.tile(np.array(crystal.charges, dtype=np.float64), len(shifts)), crystal.times * cell


def constant(crystal: Crystal, energy: float) -> float:
    """The Madelung constant that the energy of the supercell means.

    Parameters
    ----------
    crystal : Crystal
        Which.
    energy : float
        Of ``supercell``.
    """
    factor = 2 if len(crystal.charges) == 1 else 1  # of a charge in a background
    return -factor * energy / (crystal.units * crystal.times**3) / crystal.nearest


def neighbour_force(crystal: Crystal) -> float:
    """Of nearest neighbours at distance 1: the product of the largest and the smallest charge."""
    sizes = np.abs(crystal.charges)
    return float(sizes.min() * sizes.max())


def exact() -> EwaldCalculator:
    """Right to about 1e-12."""
    return EwaldCalculator(CoulombPotential(CUTOFF / STEEP), CUTOFF, threads=1)


def measure(crystal: Crystal, rattled: np.ndarray, forces: np.ndarray, kind: str, target: float) -> dict:
    """Errors of a tuned calculator: of the constant, relative, and of forces, in those between nearest neighbours.

    Parameters
    ----------
    crystal : Crystal
        Which.
    rattled, forces : (N, 3)
        The rattled crystal.
    kind : str
        Of calculator, as ``tune`` knows it.
    target : float
        What is asked of forces.
    """
    positions, charges, cell = supercell(crystal)
    unit, start = neighbour_force(crystal), time.perf_counter()
    row = {"target": target, "madelung": None, "forces": None, "missed": None}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            tuned = tune(CoulombPotential(), rattled, charges, cell, target * unit, calculator=kind, threads=1)
        except ValueError as refused:  # out of its reach
            return row | {"missed": str(refused)}
    found = tuned.compute(rattled, charges, cell, forces=True).forces
    energy = tuned.compute(positions, charges, cell).energy
    row["madelung"] = abs(constant(crystal, energy) / crystal.madelung - 1)
    row["forces"] = rms(found - forces) / unit
    row["missed"] = str(told[0].message) if told else None
    return row | {"seconds": time.perf_counter() - start}


def measure_crystal(name: str, seed: int, targets: tuple[float, ...]) -> list[dict]:
    """A row for every calculator and target.

    Parameters
    ----------
    name : str
        Of ``CRYSTALS``.
    seed : int
        Of the rattling.
    targets : tuple of float
        What is asked of forces.
    """
    crystal, rows = CRYSTALS[name], []
    positions, charges, cell = supercell(crystal)
    rattled = positions + RATTLED * np.random.default_rng(seed).standard_normal(positions.shape)
    forces = exact().compute(rattled, charges, cell, forces=True).forces
    base = {"crystal": name, "ions": len(positions), "seed": seed}
    for (label, kind), target in product(CALCULATORS.items(), targets):
        if kind not in CLASSICAL or target >= FINEST:
            rows.append(base | {"calculator": label} | measure(crystal, rattled, forces, kind, target))
    return rows


def summary(rows: list[dict]) -> list[list]:
    """For every calculator: cases, those missed, and median and largest measured/asked of forces and constants."""
    lines = []
    for label in CALCULATORS:
        of_kind = [row for row in rows if row["calculator"] == label]
        done = [row for row in of_kind if row["forces"] is not None]
        missed = sum(row["missed"] is not None for row in of_kind)
        numbers: list[float | None] = []
        for key in ("forces", "madelung"):
            ratios = [row[key] / row["target"] for row in done]
            numbers += [float(np.median(ratios)), max(ratios)] if ratios else [None, None]
        lines.append([label, len(of_kind), missed, *numbers])
    return lines


SUMMARY = ("calculator", "cases", "missed, says tune", "forces, median", "largest", "constant, median", "largest")


def draw(rows: list[dict], path: Path) -> None:
    """Errors of the constants above, of forces below; a column for each calculator, a line for each crystal."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    crystals = list(dict.fromkeys(row["crystal"] for row in rows))
    targets = np.array(sorted({row["target"] for row in rows}))
    figure, axes = plt.subplots(2, len(CALCULATORS), figsize=(11.5, 6), sharex=True, sharey="row", layout="constrained")
    for column, label in zip(axes.T, CALCULATORS, strict=True):
        for axis, key in zip(column, ("madelung", "forces"), strict=True):
            for number, crystal in enumerate(crystals):
                errors = [_largest(rows, label, crystal, target, key) for target in targets]
                style = {"marker": "osv^Dp<>h"[number % 9], "ms": 4, "lw": 0.8, "color": f"C{number}"}
                axis.loglog(targets, errors, label=crystal, **style)
            axis.loglog(targets, targets, "k--", lw=1, label="asked for")
            axis.grid(alpha=0.3)
        column[0].set_title(label, fontsize=11)
        column[1].set_xlabel("RMS force error asked for")
    axes[0, 0].invert_xaxis()
    axes[0, 0].set_ylabel("relative error of the Madelung constant")
    axes[1, 0].set_ylabel("RMS force error measured, rattled")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def _largest(rows: list[dict], label: str, crystal: str, target: float, key: str) -> float:
    """Over the seeds; nan where there is none; rounding's zeros as 1e-17, to be seen."""
    keys = (label, crystal, target)
    errors = [row[key] for row in rows if (row["calculator"], row["crystal"], row["target"]) == keys]
    known = [error for error in errors if error is not None]
    return max(max(known), 1e-17) if known else np.nan


def main() -> None:
    parser = figure_parser("madelung", __doc__ or "", PRESETS, (0,))
    args = parser.parse_args()
    path = args.output / "madelung.json"
    if args.plot_only:
        record = kept_record(parser, path, "rows")
    else:
        preset, start, rows = PRESETS[args.preset], time.process_time(), []
        cases = list(product(preset.crystals, args.seeds))
        for number, (name, seed) in enumerate(tqdm(cases, file=sys.stderr, leave=False), 1):
            rows += measure_crystal(name, seed, preset.targets)
            taken, whole = time.process_time() - start, number == len(cases)
            record = new_record("madelung", args, 1, complete=whole, processor_seconds=taken, rows=rows)
            save_json(path, record)
    title = "Measured errors over the accuracy asked for"
    print_table(title, SUMMARY, summary(record["rows"]))
    draw(record["rows"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
