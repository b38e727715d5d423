"""Figure 4 of Loche et al. (2025): time of energy and forces against the number of ions, at two accuracies.

Perturbed rock salt from 64 to 64,000 ions, on one core. Ours are what ``tune`` chooses for the accuracy: explicit sums
(few ions), the mesh with its prolate, and P3M. Of LAMMPS and torch-pme, where they are installed, the fastest settings
of a grid whose measured error is within the accuracy; from a thousand ions on, of those that differ from the five
fastest for the system before in nothing but the mesh; where a call takes more than two seconds, no larger system is
tried. Times are medians of calls, warm, with neighbours that are kept.

    python -m figures.ewald_speed --preset quick
    python -m figures.ewald_speed --preset paper --resume
    python -m figures.ewald_speed --preset paper --again
    python -m figures.ewald_speed --plot-only

Written are results/ewald_speed.json, after every row, and .png. With ``--resume`` rows that are there are kept: hours
of searching for settings of peers may be interrupted; the date and the versions are then those of the last run alone.
Measure on a machine that does nothing else; where the search did not have one, --again takes all times anew, with the
settings it found.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.electrostatics import CoulombPotential, tune
from lrc_numba.files import write_json
from validation.benchmark_electrostatics import reference
from validation.tools.common import print_table, seconds
from validation.tools.electrostatics_peers import Peer, calls_on_end, installed
from validation.tools.electrostatics_search import candidates, quickest
from validation.tools.ionic_systems import Ions, perturbed_nacl

from .common import figure_parser, kept_record, new_record, rms

ACCURACIES = (1e-4, 1e-6)  # RMS error of forces, e²/Å²
CALCULATORS = {"Ewald": "ewald", "mesh (prolate)": "mesh", "P3M": "p3m"}
PEERS = ("lammps", "torch")
CALLS, LEAST = 5, 0.2  # calls that are timed, and seconds of them at least
SKIN = 0.5  # angstrom
LONGEST = 2.0  # seconds of a call of a peer, after which it is not asked for more ions
SEARCHED = 1000  # ions, from which on settings of peers are sought near those of fewer ions


@dataclass(frozen=True)
class Preset:
    """Unit cells of eight ions along each axis, and up to how many ions explicit sums are made."""

    cells: tuple[int, ...]
    explicit: int


PRESETS = {"quick": Preset((2, 3, 4), 216), "paper": Preset((2, 3, 4, 6, 8, 12, 16, 20), 1728)}


def median_time(call: Callable[[], float]) -> float:
    """Of a call that says how long it took, after one to warm up."""
    call()
    times, begin = [], time.perf_counter()
    while len(times) < CALLS or time.perf_counter() - begin < LEAST:
        times.append(call())
    return float(np.median(times))


def ours(ions: Ions, kind: str, accuracy: float, exact: np.ndarray) -> dict:
    """Time and error of a tuned calculator.

    Parameters
    ----------
    ions : Ions
        Of what.
    kind : str
        Of calculator, as ``tune`` knows it.
    accuracy : float
        RMS error of forces.
    exact : (N, 3)
        Forces.
    """
    structure = {"positions": ions.positions, "charges": ions.charges, "cell": ions.cell}
    tuned = tune(CoulombPotential(), **structure, accuracy=accuracy, calculator=kind, skin=SKIN, threads=1)

    def step() -> float:
        start = time.perf_counter()
        tuned.compute(**structure, forces=True)
        return time.perf_counter() - start

    forces = tuned.compute(**structure, forces=True).forces
    return {"error": rms(forces - exact), "seconds": median_time(step), "choices": repr(tuned)}


def theirs(ions: Ions, kind: type[Peer], accuracy: float, exact: np.ndarray, smaller: list[dict]) -> dict | None:
    """Time and error of a peer's fastest settings; None where none are within the accuracy, or it takes too long.

    Parameters
    ----------
    ions, accuracy, exact
        As for ``ours``.
    kind : type of Peer
        Which.
    smaller : list of dict
        Its rows for fewer ions.
    """
    peer = kind(ions, 1)
    alike = [row for row in smaller if row["accuracy"] == accuracy]
    if any(row["seconds"] > LONGEST for row in alike):
        return None
    known = [row["among"] for row in alike if "among" in row]
    near = known[-1] if known and len(ions.positions) >= SEARCHED else None
    among = candidates(peer, accuracy, exact, near)
    if not among:
        return None
    return timed(peer, among, exact) | {"among": [each["settings"] for each in among]}


def again(rows: list[dict], cells: tuple[int, ...]) -> None:
    """All times of a record anew, of peers with the fastest of the settings that were found.

    Parameters
    ----------
    rows : list of dict
        Written.
    cells : tuple of int
        Unit cells along each axis of the systems that may be there.
    """
    kinds = {peer.name: peer for peer in map(installed, PEERS) if peer is not None}
    counts = {8 * each**3: each for each in cells}
    if absent := {row["name"] for row in rows} - {*kinds, *CALCULATORS}:
        raise SystemExit(f"--again: {', '.join(sorted(absent))} of the record is not installed")
    for count, seed in dict.fromkeys((row["ions"], row["seed"]) for row in rows):
        ions = perturbed_nacl(counts[count], seed=seed)
        exact = reference(ions)
        for row in (row for row in rows if (row["ions"], row["seed"]) == (count, seed)):
            if row["name"] in CALCULATORS:
                row |= ours(ions, CALCULATORS[row["name"]], row["accuracy"], exact)
                continue
            peer = kinds[row["name"]](ions, 1)
            row |= timed(peer, [{"settings": settings} for settings in row["among"]], exact)


def timed(peer: Peer, among: list[dict], exact: np.ndarray) -> dict:
    """Time and error of the fastest of some settings.

    Parameters
    ----------
    peer : Peer
        With the ions.
    among : list of dict
        Each with "settings".
    exact : (N, 3)
        Forces.
    """
    best = quickest(peer, among)
    peer.open(**best["settings"])
    measured, calls = rms(peer.forces() - exact), calls_on_end(peer.step, rebuild=False)
    taken = median_time(lambda: peer.step(False, calls))
    peer.close()
    return {"error": measured, "seconds": taken, "choices": repr(best["settings"])}


def run(preset: Preset, seeds: list[int], rows: list[dict], save: Callable[[list[dict]], None]) -> None:
    """A row for every number of ions, seed, accuracy and library, but those that are there; each is saved."""
    peers = [peer for peer in map(installed, PEERS) if peer is not None]
    known = {tuple(row[name] for name in ("ions", "seed", "accuracy", "name")) for row in rows}
    for cells in tqdm(preset.cells, file=sys.stderr, leave=False):
        for seed in seeds:
            ions = perturbed_nacl(cells, seed=seed)
            count, exact = len(ions.positions), reference(ions)
            kinds = {k: v for k, v in CALCULATORS.items() if v != "ewald" or count <= preset.explicit}
            measures = {label: partial(ours, ions, kind) for label, kind in kinds.items()}
            for peer in peers:
                smaller = [row for row in rows if row["name"] == peer.name and row["ions"] < count]
                measures[peer.name] = partial(theirs, ions, peer, smaller=smaller)
            for accuracy, (name, measure) in product(ACCURACIES, measures.items()):
                if (count, seed, accuracy, name) in known:
                    continue
                measured = measure(accuracy, exact)
                if measured is not None:
                    rows.append({"ions": count, "seed": seed, "accuracy": accuracy, "name": name} | measured)
                    save(rows)


def table(rows: list[dict]) -> None:
    """All rows."""
    lines = [
        [f"{r['ions']:,}", f"{r['accuracy']:.0e}", r["name"], r["error"], seconds(r["seconds"]), _per_ion(r)]
        for r in rows
    ]
    header = ["ions", "accuracy", "by", "measured", "time", "per ion"]
    print_table("Energy and forces of rock salt on one core", header, lines)


def _per_ion(row: dict) -> str:
    return seconds(row["seconds"] / row["ions"])


def draw(rows: list[dict], path: Path) -> None:
    """A panel for each accuracy: times against numbers of ions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(ACCURACIES), figsize=(9.5, 4), sharey=True, layout="constrained")
    names = list(dict.fromkeys(row["name"] for row in rows))
    for axis, accuracy in zip(axes, ACCURACIES, strict=True):
        for number, name in enumerate(names):
            here = [row for row in rows if (row["name"], row["accuracy"]) == (name, accuracy)]
            counts = sorted({row["ions"] for row in here})
            times = [np.median([row["seconds"] for row in here if row["ions"] == count]) for count in counts]
            axis.loglog(counts, times, "osv^D"[number % 5] + "-", ms=5, lw=1.2, color=f"C{number}", label=name)
        counts = np.array(sorted({row["ions"] for row in rows}), dtype=np.float64)
        level = min(row["seconds"] / row["ions"] for row in rows) / 2
        axis.loglog(counts, level * counts, "k:", lw=1, label="∝ N")
        axis.set_title(f"RMS force error {accuracy:.0e} e²/Å²", fontsize=11)
        axis.set_xlabel("ions")
        axis.set_xticks(counts, [f"{int(count):,}" for count in counts], fontsize=8, rotation=30)
        axis.set_xticks([], minor=True)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds of energy and forces")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    parser = figure_parser("ewald_speed", __doc__ or "", PRESETS, (0,))
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--again", action="store_true", help="times anew, with the settings that were found")
    args = parser.parse_args()
    path = args.output / "ewald_speed.json"
    rows = (
        kept_record(parser, path, "rows")["rows"]
        if args.plot_only or args.again or (args.resume and path.exists())
        else []
    )
    if args.again:
        again(rows, PRESETS[args.preset].cells)
        write_json(path, new_record("ewald_speed", args, 1, rows=rows))
    elif not args.plot_only:
        run(
            PRESETS[args.preset],
            args.seeds,
            rows,
            lambda r: write_json(path, new_record("ewald_speed", args, 1, rows=r)),
        )
    table(rows)
    draw(rows, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
