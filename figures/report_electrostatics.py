"""The part of ``figures/README.md`` on the figures of Loche et al. (2025), from those results that are there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from validation.tools.common import seconds

from . import ewald_speed, learned_charges, lode, madelung, water
from .markdown import fill, table

__all__ = ["sections"]

ABOUT = """## Figures of Loche et al. (2025)

Range-separated electrostatics as in P. Loche et al., *Fast and flexible long-range models for atomistic machine
learning*, J. Chem. Phys. 162, 142501 (2025). What is shown is of the same kind; systems and settings are ours, so
numbers of theirs stand beside ours only for water.
"""


def sections(folder: Path) -> list[str]:
    """Markdown of every figure whose results are in a folder; nothing where there are none.

    Parameters
    ----------
    folder : Path
        With JSON files and pictures.
    """
    made: dict[str, Callable[[dict], list[str]]] = {
        "madelung": _madelung,
        "ewald_speed": _speed,
        "learned_charges": _learned,
        "lode": _lode,
        "water": _water,
    }
    texts = []
    for name, write in made.items():
        path = folder / f"{name}.json"
        if path.exists():
            record = json.loads(path.read_text(encoding="utf-8"))
            parts = [*write(record), fill(_provenance(record)), f"![{name}](results/{name}.png)\n"]
            texts.append("\n".join(parts))
    return [ABOUT, *texts] if texts else []


def _provenance(record: dict) -> str:
    """How the numbers were made."""
    made = record["environment"]
    text = f"`{made['command']}`; {made['date']}, {made['processor']}, Python {made['python']}, NumPy {made['numpy']}, "
    text += f"Numba {made['numba']}; {made['threads']} thread(s)"
    taken = record.get("processor_seconds")
    return text + (f", {seconds(taken)} of processor time." if taken else ".")


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:#.2g}"


def _madelung(record: dict) -> list[str]:
    rows = record["rows"]
    counts = [row["ions"] for row in rows]
    crystals = len({row["crystal"] for row in rows})
    targets = [row["target"] for row in rows]
    about = (
        f"{crystals} crystals of {min(counts)} to {max(counts)} ions, rattled by {madelung.RATTLED:g} of the distance "
        "of nearest neighbours; each calculator is what `tune` gives for an RMS error of forces from "
        f"{max(targets):.0e} to {min(targets):.0e} of the force between nearest neighbours (P3M and PME: to "
        f"{madelung.FINEST:.0e}, as their meshes get large). Below, measured over asked: forces of the rattled "
        "crystal, and the relative error of the Madelung constant of the perfect one. The constant "
        "alone says little, as errors cancel in it by symmetry."
    )
    lines = [[str(cell) for cell in line[:3]] + [_ratio(v) for v in line[3:]] for line in madelung.summary(rows)]
    parts = ["### Madelung constants, and forces (their Fig. 3)\n", fill(about), table(madelung.SUMMARY, lines)]
    over = [row for row in rows if row["forces"] is not None and row["forces"] > row["target"]]
    if over:
        worst = max(over, key=lambda row: row["forces"] / row["target"])
        parts.append(
            fill(
                f"In {len(over)} of {len(rows)} cases the measured error of forces is above what was asked for, at "
                f"most {worst['forces'] / worst['target']:.2f} times ({worst['calculator']}, {worst['crystal']}, "
                f"{worst['target']:.0e}); `tune` measures against a run for a twentieth of it, not against exact sums."
            )
        )
    if not record["complete"]:
        preset = madelung.PRESETS[record["preset"]]
        parts.append(fill(f"This run was ended early: the preset has {len(preset.crystals)} crystals."))
    missed = [row for row in rows if row["missed"] is not None]
    if missed:
        by = {
            label: sorted({row["target"] for row in missed if row["calculator"] == label}, reverse=True)
            for label in madelung.CALCULATORS
        }
        text = "; ".join(f"{label} {', '.join(f'{t:.0e}' for t in ts)}" for label, ts in by.items() if ts)
        parts.append(fill(f"Missed, so `tune` says itself, by an error or a warning, at: {text}."))
    return parts


def _speed(record: dict) -> list[str]:
    rows, parts = record["rows"], ["### Time of energy and forces (their Fig. 4)\n"]
    names = list(dict.fromkeys(row["name"] for row in rows))
    parts.append(fill("Perturbed rock salt; seconds of energy and forces, with neighbours that are kept."))
    for accuracy in ewald_speed.ACCURACIES:
        here = [row for row in rows if row["accuracy"] == accuracy]
        lines = []
        for count in sorted({row["ions"] for row in here}):
            by = {row["name"]: seconds(row["seconds"]) for row in here if row["ions"] == count}
            lines.append([f"{count:,}", *(by.get(name, "-") for name in names)])
        parts.append(table([f"ions, {accuracy:.0e} e²/Å²", *names], lines))
    return parts


def _learned(record: dict) -> list[str]:
    preset, runs = learned_charges.PRESETS[record["preset"]], record["runs"]
    about = (
        f"{preset.structures} structures of {learned_charges.IONS} ions at random places, energies of tight Ewald "
        f"sums; Adam, {preset.steps} steps of {preset.batch} structures, on a mesh. The truth is {_pair('charges')} "
        f"for the charges of two species, or both with the other sign, and {_pair('weights')} for the weights of 1/r "
        "and 1/r²."
    )
    lines = [
        [run["what"], str(run["seed"]), _numbers(run["start"], 2), _numbers(run["end"], 6), f"{run['error']:.1e}"]
        for run in sorted(runs, key=lambda run: (run["what"], run["seed"]))
    ]
    header = ["learned", "seed", "start", "end", "largest difference from the truth"]
    parts = ["### Charges and weights learned from energies (their Fig. 6)\n", fill(about), table(header, lines)]
    taken = [run["processor_seconds"] for run in runs]
    return [*parts, fill(f"Seconds of one core a training, tight sums included: {min(taken):.0f} to {max(taken):.0f}.")]


def _pair(name: str) -> str:
    return " and ".join(f"{value:+g}".replace("-", "−") for value in learned_charges.TRUTH[name])


def _numbers(values: list[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def _lode(record: dict) -> list[str]:
    runs = record["runs"]
    about = (
        f"{len(runs)} structures of {runs[0]['ions']} random ions; smearing {lode.SIGMA:g}, radius {lode.RADIUS:g}, "
        "n < 2, l ≤ 2. Relative ℓ² errors of all features, the largest of the structures, against a reference with all "
        "of it tight."
    )
    parts = ["### LODE features (their Fig. 8)\n", fill(about)]
    for name, title in lode.TITLES.items():
        settings, errors = lode.largest(runs, name)
        lines = [["error", *(f"{error:.1e}" for error in errors)]]
        parts.append(table([title, *(f"{setting:g}" for setting in settings)], lines))
    settings, errors = lode.largest(runs, "eps")
    kept = int(np.sum(errors <= settings))
    text = f"The error is within the eps asked for at {kept} of {len(settings)} of them. Wavenumbers come in steps, "
    parts.append(fill(text + "as whole shells of modes are kept."))
    return parts


def _water(record: dict) -> list[str]:
    preset = water.PRESETS[record["preset"]]
    about = (
        f"{preset.molecules} rigid SPC/E molecules in LAMMPS, {preset.average:g} ps at {water.KELVIN:g} K and "
        f"{water.ATM:g} atm after {preset.before:g} ps that do not count, steps of {water.STEP:g} fs; only who adds up "
        f"the charges differs, both asked for forces to {preset.accuracy:g}. Errors are of {water.BLOCKS} blocks; the "
        "compressibilities of the paper are of 2 ns. The drift is that of a molecule without thermostat, over "
        f"{preset.free:g} ps."
    )
    if record["preset"] == "quick":
        about += (
            f" So short runs decide neither: {preset.average:g} ps have few of the fluctuations that a compressibility "
            f"is made of, {preset.free:g} ps little of a drift, and errors of {water.BLOCKS} blocks are uncertain by "
            "some 40 % themselves; the preset `paper` is for that."
        )
    lines = [[str(cell) for cell in water.summary(run, preset)] for run in record["runs"]]
    return ["### Water at constant pressure (their Fig. 5)\n", fill(about), table(water.HEADER, lines)]
