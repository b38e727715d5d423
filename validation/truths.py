"""Electrostatics against sums by brute force that nobody of this project made part of it.

Sums of 1/r^p in cells of any shape, slabs, a wire and free space, with potentials, energies, forces, strain and charge
gradients and exterior features; dipoles; LODE features; each with its own error; and Madelung constants and other
lattice sums. Every one is computed by the Ewald calculator and by tight meshes, with the Gaussian and (for Coulomb) the
prolate splitting.

  python -m validation.truths --data FOLDER

The folder holds electrostatics.npz and electrostatics.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from lrc_numba.electrostatics import (
    Calculator,
    CoulombPotential,
    DipoleEwaldCalculator,
    DipoleMeshCalculator,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    Potential,
    ProlateCoulombPotential,
)
from lrc_numba.electrostatics.features import LodeFeatures

from .tools.common import arguments, environment, print_table, save_json

BOUND = 1e-10  # relative, or the truth's own error where that is larger
FIELDS = {"potential": "potential", "forces": "forces", "charge_grad": "charge_gradient", "strain_grad": "strain"}
EPS, BAND = 1e-12, 36.0
EXTERIOR = {"whole": "epf_bare", "long_range": "epf_torchpme"}  # of which part of a potential, and names of truths
DIPOLES_SMEARING, REACH = 0.8, 9.0  # and smearings that a cutoff has


def read(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The description of the cases, and their arrays."""
    paths = [folder / f"electrostatics.{ending}" for ending in ("json", "npz")]
    if not all(path.exists() for path in paths):
        sys.exit(f"--data: there is no electrostatics.json and electrostatics.npz in {folder}")
    with np.load(paths[1]) as file:
        arrays = dict(file)
    return json.loads(paths[0].read_text(encoding="utf-8")), arrays


def potential_of(case: dict, count: int) -> Potential:
    """The potential of a case, with a smearing that leaves some ten neighbours."""
    length = case.get("volume", 6.0**3) ** (1 / 3)
    sigma = 0.6 * max(0.1, min(length / count ** (1 / 3), 1.2))
    if case["p"] == 1:
        return CoulombPotential(sigma)
    reference = {"reference_length": case["smearing"]} if case["p"] == 3 else {}
    return InversePowerLawPotential(case["p"], sigma, **reference)


def calculators(potential: Potential) -> dict[str, Calculator]:
    """Tight ones of every kind."""
    cutoff, highest = potential.reach(1e-17), potential.highest_wavenumber(1e-17)
    made: dict[str, Calculator] = {
        "Ewald": EwaldCalculator(potential, cutoff, highest),
        "mesh": MeshCalculator(potential, cutoff, highest, eps=EPS, explicit_sums=False),
    }
    if isinstance(potential, CoulombPotential):
        made["prolate"] = MeshCalculator(ProlateCoulombPotential(cutoff, BAND), cutoff, eps=EPS, explicit_sums=False)
    return made


def relative(found, wanted) -> float:
    """The largest difference over the largest number; that itself where all should be zero."""
    scale = np.abs(wanted).max(initial=0.0)
    return float(np.abs(found - wanted).max(initial=0.0) / (scale if scale > 1e-12 else 1.0))


def errors_of(case: dict, arrays: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """By calculator and field, relative to the largest number of it."""
    if case["kind"] == "dipole":
        return dipoles(case, arrays)
    if case["kind"] == "lode":
        return {"mesh": lode(case, arrays)}
    made = calculators(potential_of(case, case["n"]))
    found = {name: errors(case, arrays, calculator) for name, calculator in made.items()}
    if "exclusion" in case:
        for name, exterior in exterior_features(case, arrays).items():
            found[name] |= exterior
    return found


def dipoles(case: dict, arrays: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Potentials, energy and forces of dipoles."""
    name, potential = case["id"], CoulombPotential(DIPOLES_SMEARING)
    given = (arrays[f"{name}/{field}"] for field in ("positions", "dipoles", "cell"))
    positions, moments, cell = given
    cutoff, found = REACH * DIPOLES_SMEARING, {}
    for label, calculator in (
        ("Ewald", DipoleEwaldCalculator(potential, cutoff)),
        ("mesh", DipoleMeshCalculator(potential, cutoff, eps=EPS)),
    ):
        result = calculator.compute(positions, moments, cell, forces=True)
        found[label] = {"energy": relative(result.energy, case["energy"])}
        for field in ("potential", "forces"):
            found[label][field] = relative(getattr(result, field), arrays[f"{name}/{field}"])
    return found


def own_potential(case: dict, **options) -> Potential:
    """That of a case with the smearing that its features depend on."""
    reference = {"reference_length": case["smearing"]} if case["p"] == 3 else {}
    return InversePowerLawPotential(case["p"], case["smearing"], **reference, **options)


def lode(case: dict, arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """Features of l ≤ 2 and all n of a truth."""
    name, potential = case["id"], own_potential(case)
    wanted = arrays[f"{name}/features"]
    highest = round(wanted.shape[3] ** 0.5) - 1
    features = LodeFeatures(potential, case["radius"], wanted.shape[2], highest, eps=EPS)
    found = features.compute(*(arrays[f"{name}/{field}"] for field in ("positions", "charges", "cell")))
    return {"features": relative(found, wanted)}


def exterior_features(case: dict, arrays: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Potentials of what lies beyond the exclusion radius, of the whole 1/r^p and of its long-range part."""
    name, radius = case["id"], case["exclusion"]["radius"]
    given = [arrays[f"{name}/{field}"] for field in ("positions", "charges", "cell")]
    found: dict[str, dict[str, float]] = {"Ewald": {}, "mesh": {}}
    for degree in case["exclusion"]["degrees"]:
        for part, field in EXTERIOR.items():
            options = {"exclusion_radius": radius, "exclusion_degree": degree, "exclusion_part": part}
            potential, cutoff = own_potential(case, **options), max(REACH * case["smearing"], radius)
            for label, calculator in (
                ("Ewald", EwaldCalculator(potential, cutoff)),
                ("mesh", MeshCalculator(potential, cutoff, eps=EPS)),
            ):
                result = calculator.compute(*given, periodic=case["periodic"])
                found[label][f"{field}_n{degree}"] = relative(result.potential, arrays[f"{name}/{field}_n{degree}"])
    return found


def errors(case: dict, arrays: dict[str, np.ndarray], calculator: Calculator) -> dict[str, float]:
    """By field, relative to the largest number of it."""
    name = case["id"]
    result = calculator.compute(
        arrays[f"{name}/positions"],
        arrays[f"{name}/charges"],
        arrays[f"{name}/cell"],
        periodic=case["periodic"],
        forces=True,
        stress=True,
        charge_gradient=True,
    )
    out = {"energy": relative(result.energy, case["energy"])}
    for field, own in FIELDS.items():
        if f"{name}/{field}" in arrays:
            out[field] = relative(getattr(result, own), arrays[f"{name}/{field}"])
    if f"{name}/inplane_strain_grad" in arrays:
        frame = arrays[f"{name}/inplane_frame"]
        found = frame @ result.strain @ frame.T
        out["inplane_strain_grad"] = relative(found, arrays[f"{name}/inplane_strain_grad"])
    return out


def lattice_sums(truths: dict) -> float:
    """The largest relative error of Madelung constants and lattice sums, by the Ewald calculator."""
    crystals = {each["name"]: each for each in truths["madelung"]}
    worst = 0.0
    for each in truths["lattice_sums"]:
        crystal = crystals[each["name"]]
        positions, cell, charges = (np.array(crystal[name]) for name in ("positions", "cell", "charges"))
        if each["p"] == 3 and abs(charges.sum()) > 0:
            continue
        sigma = 0.25 * abs(np.linalg.det(cell)) ** (1 / 3) / len(charges) ** (1 / 3)
        potential = InversePowerLawPotential(each["p"], sigma)
        energy = calculators(potential)["Ewald"].compute(positions, charges, cell).energy / crystal["formula_units"]
        worst = max(worst, relative(energy, each["energy_per_formula_unit"]))
    for crystal in crystals.values():
        positions, cell, charges = (np.array(crystal[name]) for name in ("positions", "cell", "charges"))
        sigma = 0.25 * abs(np.linalg.det(cell)) ** (1 / 3) / len(charges) ** (1 / 3)
        energy = calculators(CoulombPotential(sigma))["Ewald"].compute(positions, charges, cell).energy
        factor = 2 if "* 2" in crystal["definition"] else 1
        worst = max(worst, relative(-factor * energy / crystal["formula_units"], crystal["madelung"]))
    return worst


def _cell(error: float | None) -> str:
    return "-" if error is None else f"{error:.0e}"


def main() -> None:
    parser = arguments("truths", __doc__ or "")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="with electrostatics.npz and .json")
    args = parser.parse_args()
    truths, arrays = read(args.data)
    rows, lines = [], []
    for case in truths["cases"][:: 4 if args.quick else 1]:
        for name, found in errors_of(case, arrays).items():
            met = all(error <= max(BOUND, case["error"].get(field, 0.0)) for field, error in found.items())
            rows.append({"case": case["id"], "calculator": name, "errors": found, "met": met})
            worst = max(found, key=lambda field: found[field])
            cells = [case["id"], f"{case['p']:g}", name, _cell(found.get("energy")), _cell(found[worst]), worst]
            lines.append([*cells, "yes" if met else "NO"])
    header = ["case", "p", "calculator", "energy", "largest", "which", "within bound"]
    title = f"Relative errors against brute force; bound {BOUND:g} or the truth's own error"
    print_table(title, header, lines)
    sums = lattice_sums(truths)
    print(f"Madelung constants and lattice sums: largest relative error {sums:.1e}")
    table = {"title": title, "header": header, "lines": lines}
    save_json(
        args.output / "truths.json",
        {"environment": environment(args.threads), **table, "rows": rows, "lattice_sums": sums},
    )


if __name__ == "__main__":
    main()
