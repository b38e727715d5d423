"""Energies and forces of ions by lrc_numba, LAMMPS, torch-pme and OpenMM, at equal measured error of the forces.

Perturbed rock salt and water, in no lattice order. Ours are the parameters of ``tune``, asked for what is measured to
keep the target; the settings of peers are the fastest of a grid over cutoff, order and mesh whose measured root mean
square error is within the target, which is in e²/Å². Times are medians of turns, in each of which every library makes
some calls on end, as in dynamics: as many as fill 0.05 s, one at least. Once with the neighbours of the call before
(found 0.5 Å further than needed), and once with neighbours found in every call (no further).

  python -m validation.benchmark_electrostatics --quick
  python -m validation.benchmark_electrostatics --threads 1 2 --peers lammps torch openmm
  python -m validation.benchmark_electrostatics --resume --limit 500

Each case is written as soon as it is measured; with ``--resume`` only what is not in the file yet is measured, and
settings of peers that were searched for are taken from it. Peers that are not installed are left out and named. Also
measured: a batch of 16 systems of 100 ions against one by one, the time of a system of 100 ions, and how much more a
stress costs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np

from lrc_numba.electrostatics import CoulombPotential, MeshCalculator, ProlateCoulombPotential, tune
from lrc_numba.geometry.structures import Structures

from .tools.common import arguments, environment, print_table, save_json
from .tools.electrostatics_peers import PEERS, Peer, calls_on_end, installed
from .tools.electrostatics_search import candidates, error, quickest
from .tools.ionic_systems import Ions, perturbed_nacl, water

TARGETS = (1e-4, 1e-5, 1e-6)
TURNS, LEAST = 7, 0.3  # turns, and seconds of each peer at least
SKIN = 0.5  # angstrom, of lists that are kept
REFERENCE_BAND, REFERENCE_CUTOFF = 36.0, 9.0
AIMS = (1.3, 1.15, 1.0, 0.8, 0.6, 0.4)  # of the target: what tune makes of them scatters
SYSTEMS: dict[str, Callable[[], Ions]] = {
    "NaCl 1,000": lambda: perturbed_nacl(5),
    "NaCl 8,000": lambda: perturbed_nacl(10),
    "water 3,000": lambda: water(10),
    "NaCl 64,000": lambda: perturbed_nacl(20),
    "water 24,000": lambda: water(20),
}
SMALLER = {"NaCl 64,000": "NaCl 8,000", "water 24,000": "water 3,000"}  # of the same kind, where peers were searched


def reference(ions: Ions) -> np.ndarray:
    """Forces to some 1e-12."""
    exact = MeshCalculator(ProlateCoulombPotential(REFERENCE_CUTOFF, REFERENCE_BAND), REFERENCE_CUTOFF, eps=1e-12)
    return exact.compute(ions.positions, ions.charges, ions.cell, forces=True).forces


class Ours:
    """A tuned calculator with a list of neighbours that is kept, and one whose list is found in every call."""

    name = "lrc_numba"

    def __init__(self, ions: Ions, target: float, threads: int, exact: np.ndarray):
        self.ions = ions
        for aim in AIMS:
            self.kept = self._tuned(aim * target, threads, SKIN)
            self.error = error(self.compute(self.kept), exact)
            if self.error <= target:
                break
        self.new = self._tuned(aim * target, threads, 0.0)

    def _tuned(self, accuracy: float, threads: int, skin: float):
        ions = self.ions
        return tune(CoulombPotential(), ions.positions, ions.charges, ions.cell, accuracy, threads=threads, skin=skin)

    def compute(self, calculator) -> np.ndarray:
        """Forces."""
        return calculator.compute(self.ions.positions, self.ions.charges, self.ions.cell, forces=True).forces

    def step(self, rebuild: bool, calls: int = 1) -> float:
        """Seconds of energy and forces, of one of so many calls on end."""
        start = time.perf_counter()
        for _ in range(calls):
            if rebuild:
                self.new.forget_neighbours()
            self.compute(self.new if rebuild else self.kept)
        return (time.perf_counter() - start) / calls


def turns(ours: Ours, peer: Peer | None, rebuild: bool) -> tuple[float, float]:
    """Medians of both, taking turns."""
    own: list[float] = []
    theirs: list[float] = []
    for _ in range(3):  # a call that comes again is done with less ado from the third on
        ours.step(rebuild)
    calls = calls_on_end(ours.step, rebuild)
    calls_of_peer = 0 if peer is None else calls_on_end(peer.step, rebuild)
    begin = time.perf_counter()
    while len(own) < TURNS or time.perf_counter() - begin < LEAST:
        own.append(ours.step(rebuild, calls))
        if peer is not None:
            theirs.append(peer.step(rebuild, calls_of_peer))
    return float(np.median(own)), float(np.median(theirs)) if theirs else np.nan


class Record:
    """What is measured, case by case, in a file.

    Parameters
    ----------
    path : Path
        Of the file.
    resume : bool
        Whether to go on with what is there.
    threads : int
        The largest number.
    """

    def __init__(self, path: Path, resume: bool, threads: int):
        self.path = path
        self.data: dict = {"rows": [], "searched": []}
        if resume and path.exists():
            self.data |= json.loads(path.read_text("utf-8"))
        self.data["environment"] = environment(threads)

    def row(self, **case) -> dict | None:
        """A case that is measured; None where there is none."""
        return next((row for row in self.data["rows"] if case.items() <= row.items()), None)

    def searched(self, **case) -> list[dict] | None:
        """Settings of a peer that were searched for; None where they were not."""
        return next((each["among"] for each in self.data["searched"] if case.items() <= each.items()), None)

    def add(self, kind: str, entry: dict) -> None:
        """Write one more."""
        self.data[kind].append(entry)
        save_json(self.path, self.data)


class Case:
    """One system and target, with what is made for it when it is first needed."""

    def __init__(self, system: str, target: float, threads: int, exact: dict):
        self.system, self.target, self.threads, self._exact = system, target, threads, exact
        self.ions, self._ours = SYSTEMS[system](), None

    @property
    def exact(self) -> np.ndarray:
        """Forces, found once for every system."""
        if self.system not in self._exact:
            self._exact[self.system] = reference(self.ions)
        return self._exact[self.system]

    def measure(self, kind: type[Peer] | None, record: Record) -> dict:
        """A row beside one peer, or of ours alone."""
        self._ours = self._ours or Ours(self.ions, self.target, self.threads, self.exact)
        base = {"system": self.system, "target": self.target, "threads": self.threads, "error": self._ours.error}
        base["choices"] = repr(self._ours.kept)
        if kind is None:
            kept, new = (turns(self._ours, None, rebuild) for rebuild in (False, True))
            return base | {"peer": "-", "kept": kept, "new": new}
        among = self._among(kind, record)
        if not among:
            return base | {"peer": kind.name, "settings": None}
        peer = kind(self.ions, self.threads)
        best = quickest(peer, among)
        peer.open(**best["settings"])
        kept = turns(self._ours, peer, rebuild=False)
        if hasattr(peer, "reopen"):
            peer.reopen()
        new = turns(self._ours, peer, rebuild=True)
        peer.close()
        more = {"peer": kind.name, "settings": best["settings"], "peer_error": best["error"]}
        return base | more | {"kept": kept, "new": new}

    def _among(self, kind: type[Peer], record: Record) -> list[dict]:
        """Settings of a peer: searched for on one thread, once."""
        case = {"target": self.target, "peer": kind.name}
        among = record.searched(system=self.system, **case)
        if among is None:
            near = record.searched(system=SMALLER.get(self.system), **case)
            near = None if near is None else [each["settings"] for each in near]
            among = candidates(kind(self.ions, 1), self.target, self.exact, near)
            record.add("searched", {"system": self.system} | case | {"among": among})
        return among


def small_systems(threads: int) -> dict:
    """Seconds of 100 ions, by explicit sums and on a mesh, with a stress, and of 16 such systems, at once or not."""
    rng, length, count = np.random.default_rng(0), 13.0, 100
    sets = []
    for _ in range(16):
        sites = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        chosen = rng.permutation(len(sites))[:count]
        sets.append((sites[chosen] + 0.2 * rng.standard_normal((count, 3))) * length / 5)
    charges = np.where(np.arange(count) % 2, 1.0, -1.0)
    make = lambda: tune(CoulombPotential(), sets[0], charges, length, 1e-4, threads=threads, skin=SKIN)  # noqa: E731
    together, alone = make(), make()
    batch = Structures.from_arrays(np.stack(sets), length)
    all_charges = np.tile(charges, 16)

    def one_by_one() -> None:
        for points in sets:
            alone.forget_neighbours()
            alone.compute(points, charges, length, forces=True)

    single, meshed = make(), make()
    meshed.explicit_sums = False
    calls = {
        "one system of 100": lambda: single.compute(sets[0], charges, length, forces=True),
        "on a mesh": lambda: meshed.compute(sets[0], charges, length, forces=True),
        "with stress": lambda: single.compute(sets[0], charges, length, forces=True, stress=True),
        "16 in one call": lambda: together.compute(batch, all_charges, forces=True),
        "16 one by one": one_by_one,
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(60):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= 10:
                taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in taken.items()}


def _line(row: dict) -> list:
    if "kept" not in row:
        return [row["system"], f"{row['target']:.0e}", row["threads"], f"{row['error']:.1e}", row["peer"], *["-"] * 6]
    (own, theirs), (own_new, theirs_new) = row["kept"], row["new"]
    ratios = [f"{theirs / own:.1f}", f"{theirs_new / own_new:.1f}"] if row["peer"] != "-" else ["-", "-"]
    times = [f"{1e3 * value:.2f}" for value in (own, theirs, own_new, theirs_new)]
    return [row["system"], f"{row['target']:.0e}", row["threads"], f"{row['error']:.1e}", row["peer"], *times, *ratios]


def main() -> None:
    parser = arguments("benchmark_electrostatics", __doc__ or "", threads=(1, 2))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all")
    parser.add_argument("--targets", type=float, nargs="+", default=list(TARGETS), help="default: %(default)s e²/Å²")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=None, help="default: all, with --quick two")
    parser.add_argument("--resume", action="store_true", help="measure what is not in the file yet")
    parser.add_argument("--limit", type=float, default=np.inf, help="seconds after which no other case is begun")
    args, begin = parser.parse_args(), time.perf_counter()
    peers = [peer for peer in map(installed, args.peers) if peer is not None]
    record = Record(args.output / "benchmark_electrostatics.json", args.resume, max(args.threads))
    few = 2 if args.quick else None
    names, targets = args.systems or list(SYSTEMS)[:few], args.targets[:few]
    exact: dict[str, np.ndarray] = {}
    for threads in args.threads:
        if str(threads) not in record.data.setdefault("small", {}):
            record.data["small"][str(threads)] = small_systems(threads)
    for name, target, threads in product(names, targets, args.threads):
        case = None
        for kind in peers or [None]:
            key = {"system": name, "target": target, "threads": threads, "peer": "-" if kind is None else kind.name}
            if record.row(**key) is not None or time.perf_counter() - begin > args.limit:
                continue
            case = case or Case(name, target, threads, exact)
            record.add("rows", case.measure(kind, record))
            print(*_line(record.data["rows"][-1]), flush=True)
    finish(record)


def finish(record: Record) -> None:
    """Print and write the table of all that is measured by now."""
    rows = record.data["rows"]
    header = ["system", "target", "threads", "error", "peer", "ours (ms)", "theirs", "ours, new list", "theirs"]
    header += ["ratio", "new list"]
    title = "Energy and forces at equal measured error of the forces, calls on end"
    lines = [[str(cell) for cell in _line(row)] for row in rows]
    print_table(title, header, lines)
    for threads, values in record.data["small"].items():
        print(f"{threads} thread(s): " + ", ".join(f"{name} {1e6 * value:.0f} us" for name, value in values.items()))
    record.data |= {"title": title, "header": header, "lines": lines}
    save_json(record.path, record.data)


if __name__ == "__main__":
    main()
