"""The networks: derivatives against differences, energy along a trajectory, and cost against the number of points.

1. Forces against fourth-order central differences of the energy, and the gradient of the loss against central
   differences, parameter by parameter, for both networks, both cutoffs, one to three dimensions.
2. 1000 steps of velocity Verlet in one dimension with networks that were trained for some epochs on screened Coulomb
   forces: the largest |E(t) − E(0)| for steps h, h/2, h/4 over the same time. The points start at rest near a lattice,
   as in one dimension they pass through each other otherwise, where no network was trained. Of second order for both,
   as g_θ is drawn linear among the data and its kinks beyond them are moved away: where an input of one of its relus,
   the paper's activation, crosses zero, forces jump.
3. Time of energy and forces for N = 10² … 10⁶ points at fixed density, and the fitted exponent.

  python -m validation.networks --quick
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.nbody import PairPotential, Snapshots, sample_points
from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork
from lrc_numba.training import Protocol, Stage, Trainer, force_error

from .tools.common import arguments, environment, print_table, save_json, seconds

BOX, CUTOFF, DELTA = 5.0, 1.5, 0.05
MODES = {1: 63, 2: 15, 3: 9}
POINTS = {1: ((10,), 2), 2: ((4, 4), 1), 3: ((3, 3, 3), 1)}  # cells, points per cell
SPACING = {dim: BOX / (cells[0] * per_cell) for dim, (cells, per_cell) in POINTS.items()}
NUDGE = 2e-6  # of a parameter
STEP, DISORDER = 0.01, 0.2  # of a trajectory: the longest step of time; of the start, in spacings


def _snapshots(dim: int, count: int, seed: int) -> np.ndarray:
    cells, per_cell = POINTS[dim]
    return sample_points(count, cells, per_cell, BOX / cells[0], DELTA, np.random.default_rng(seed))


def _network(kind: str, dim: int, cutoff_kind: str, threads: int | None):
    """Off its start values, so that every parameter counts."""
    options = {"dim": dim, "cutoff_kind": cutoff_kind, "threads": threads}
    if kind == "short-range":
        network = ShortRangeNetwork(BOX, CUTOFF, **options)
    else:
        network = FullRangeNetwork(BOX, CUTOFF, MODES[dim], **options)
    network.set_scales(_snapshots(dim, 20, seed=1))
    flat = network.parameters.flat
    flat += 0.05 * np.random.default_rng(2).standard_normal(flat.size)
    return network


# ---------------------------------------------------------------------- derivatives
def check_derivatives(kind: str, dim: int, cutoff_kind: str, threads: int | None, most: int) -> dict:
    """Largest differences, relative to the norm of the forces and to the largest part of the gradient.

    Parameters
    ----------
    kind : {"short-range", "full-range"}
        Which network.
    dim : int
        d.
    cutoff_kind : {"smooth", "paper"}
        Which cutoff.
    threads : int or None
        At most so many.
    most : int
        Parameters to look at, evenly among all.
    """
    network, points = _network(kind, dim, cutoff_kind, threads), _snapshots(dim, 1, seed=3)
    _, forces = network.energy_forces(points)
    h, differences = 1e-5, []  # of the points
    for flat in range(points.size):
        step = np.zeros(points.size)
        step[flat] = h
        u = [network.energy(points + n * step.reshape(points.shape))[0] for n in (-2, -1, 1, 2)]
        differences.append(-(u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h))
    worst_force = np.abs(np.array(differences) - forces.ravel()).max() / np.linalg.norm(forces)
    wanted = forces + np.random.default_rng(4).standard_normal(points.shape)
    _, gradient = network.loss_gradient(points, wanted)
    parameters = network.parameters.flat
    chosen, errors = np.unique(np.linspace(0, parameters.size - 1, most).astype(int)), []
    for i in tqdm(chosen, desc=f"{kind} {dim}-D {cutoff_kind}", file=sys.stderr, leave=False):
        start, losses = parameters[i], []
        for n in (1, -1):
            parameters[i] = start + n * NUDGE
            losses.append(((network.energy_forces(points)[1] - wanted) ** 2).sum())
        parameters[i] = start
        errors.append((losses[0] - losses[1]) / (2 * NUDGE) - gradient[i])
    worst = float(np.abs(errors).max() / np.abs(gradient).max())
    case = {"kind": kind, "dim": dim, "cutoff": cutoff_kind, "parameters": len(chosen)}
    return case | {"forces": float(worst_force), "gradient": worst}


# ---------------------------------------------------------------------- a trajectory
def trained(kind: str, threads: int | None, epochs: int) -> tuple[ShortRangeNetwork, dict]:
    """A network, and its errors before and after some epochs.

    Parameters
    ----------
    kind : {"short-range", "full-range"}
        Which network.
    threads : int or None
        At most so many.
    epochs : int
        With batches of eight out of 256 snapshots.
    """
    potential = PairPotential("screened_coulomb", (BOX,), (5.0,), (1.0,))
    data = Snapshots.make(potential, 256, (10,), 2, DELTA, seed=5)
    network: ShortRangeNetwork = (
        ShortRangeNetwork(BOX, CUTOFF, dim=1, threads=threads)
        if kind == "short-range"
        else FullRangeNetwork(BOX, CUTOFF, MODES[1], dim=1, threads=threads)
    )
    network.set_scales(data.points[:100])
    test = Snapshots.make(potential, 100, (10,), 2, DELTA, seed=6)
    trainer = Trainer(network, data.points, data.forces, Protocol((Stage(8, epochs),), every=2))
    errors = [force_error(network.energy_forces(test.points)[1], test.forces)["true"]]
    begin = time.perf_counter()
    trainer.run()
    taken = time.perf_counter() - begin
    if isinstance(network, FullRangeNetwork):
        network.move_kinks(data.points)
    network.fix_energies(data.points, data.energies)
    errors.append(force_error(network.energy_forces(test.points)[1], test.forces)["true"])
    return network, {"kind": kind, "epochs": epochs, "seconds": taken, "errors": errors}


def drift(network: ShortRangeNetwork, points: np.ndarray, step: float, steps: int) -> np.ndarray:
    """E(t) − E(0) along velocity Verlet from rest, unit masses, (steps,).

    Parameters
    ----------
    network : ShortRangeNetwork
        Energy and forces.
    points : (N, d)
        Start.
    step : float
        Of time.
    steps : int
        How many.
    """
    positions, speeds = points.copy(), np.zeros_like(points)
    start, forces = network.energy_forces(positions)
    drift = np.empty(steps)
    for n in range(steps):
        speeds += step / 2 * forces
        positions += step * speeds
        energy, forces = network.energy_forces(positions)
        speeds += step / 2 * forces
        drift[n] = energy + (speeds**2).sum() / 2 - start
    return drift


def follow(kind: str, threads: int | None, epochs: int, steps: int) -> dict:
    """Train a network, and its drift for three steps of time over the same time."""
    network, about = trained(kind, threads, epochs)
    cells, per_cell = POINTS[1]
    count = cells[0] * per_cell
    disorder = DISORDER * (np.random.default_rng(7).random((count, 1)) - 0.5)
    start, rows = (np.arange(count)[:, None] + 0.5 + disorder) * SPACING[1], []
    for halves in tqdm(range(3), desc=f"trajectory, {kind}", file=sys.stderr, leave=False):
        change = drift(network, start, STEP / 2**halves, steps * 2**halves)
        rows.append({"step": STEP / 2**halves, "steps": len(change), "largest": float(np.abs(change).max())})
        rows[-1]["curve"] = change[:: max(1, len(change) // 200)].tolist()
    return about | {"drift": rows}


# ---------------------------------------------------------------------- cost
def measure_cost(dim: int, counts: list[int], threads: int | None) -> list[dict]:
    """Median seconds of energy and forces at the density of the training data."""
    rows = []
    for count in tqdm(counts, desc=f"cost {dim}-D", file=sys.stderr, leave=False):
        cells = max(3, round(count ** (1 / dim)))
        box = cells * SPACING[dim]
        generator = np.random.default_rng(count)
        grid = np.stack(np.meshgrid(*[np.arange(cells)] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        points = (grid + 0.05 + 0.9 * generator.random(grid.shape)) * (box / cells)
        modes = 2 * cells + 1
        network = FullRangeNetwork(box, CUTOFF, modes, dim=dim, threads=threads)
        network.set_scales(points)
        taken = []
        for _ in range(4):
            start = time.perf_counter()
            network.energy_forces(points)
            taken.append(time.perf_counter() - start)
        rows.append({"dim": dim, "points": len(points), "modes": modes, "seconds": float(np.median(taken[1:]))})
    return rows


def exponent(rows: list[dict]) -> float:
    """Slope of log time against log N; from the second size on, as the first is what a call costs by itself."""
    n, t = ([row[name] for row in rows[1:]] for name in ("points", "seconds"))
    return float(np.polyfit(np.log(n), np.log(t), 1)[0])


# ---------------------------------------------------------------------- pictures and the whole
def draw(record: dict, path: Path) -> None:
    """Drift against time and cost against N."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    for axes, trajectory in zip((left, middle), record["trajectories"], strict=True):
        for row in trajectory["drift"]:
            times = row["step"] * row["steps"] * np.arange(1, len(row["curve"]) + 1) / len(row["curve"])
            label = f"h = {row['step']:g}, at most {row['largest']:.1e}"
            axes.semilogy(times, np.maximum(np.abs(row["curve"]), 1e-12), lw=1, label=label)
        axes.set(xlabel="time", ylabel="|E(t) − E(0)|", title=f"velocity Verlet, {trajectory['kind']}")
        axes.legend(fontsize=8)
    for dim in sorted({row["dim"] for row in record["cost"]}):
        rows = [row for row in record["cost"] if row["dim"] == dim]
        label = f"{dim}-D, exponent {record['exponents'][str(dim)]:.2f}"
        right.loglog([r["points"] for r in rows], [r["seconds"] for r in rows], "o-", label=label)
    right.set(xlabel="points", ylabel="seconds", title="energy and forces at fixed density")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"written: {path}")


def run(args: Namespace) -> dict:
    """All three parts, printed as they are done."""
    kinds = [(k, d, c) for k in ("short-range", "full-range") for d in (1, 2, 3) for c in ("smooth", "paper")]
    most = 200 if args.quick else 20_000
    derivatives = [check_derivatives(*kind, args.threads, most) for kind in kinds]
    lines = [[r["kind"], r["dim"], r["cutoff"], r["parameters"], r["forces"], r["gradient"]] for r in derivatives]
    header = ["network", "d", "cutoff", "parameters", "forces (1e-9)", "loss gradient (1e-6)"]
    print_table("Largest difference from central differences, relative", header, lines)
    epochs = 40 if args.quick else 200
    trajectories = [follow(kind, args.threads, epochs, 1000) for kind in ("short-range", "full-range")]
    lines = []
    for trajectory in trajectories:
        before, after = trajectory["errors"]
        rows = trajectory["drift"]
        for coarser, row in zip([None, *rows], rows, strict=False):
            times = f"{coarser['largest'] / row['largest']:.2f}" if coarser else None
            lines.append([trajectory["kind"], before, after, row["step"], row["steps"], row["largest"], times])
    header = ["network", "error untrained", "trained", "step", "steps", "largest |E(t) - E(0)|", "times smaller"]
    print_table("Velocity Verlet, 20 points in one dimension; relative force error of the networks", header, lines)
    counts = [100, 1000, 10_000] if args.quick else [100, 1000, 10_000, 100_000, 1_000_000]
    cost = [row for dim in (1, 2, 3) for row in measure_cost(dim, counts, args.threads)]
    exponents = {str(dim): exponent([row for row in cost if row["dim"] == dim]) for dim in (1, 2, 3)}
    lines = [[r["dim"], r["points"], f"{r['modes']}^{r['dim']}", seconds(r["seconds"])] for r in cost]
    fitted = ", ".join(f"{e:.2f} in {d}-D" for d, e in exponents.items())
    print_table(f"Energy and forces, full-range; exponents {fitted}", ["d", "points", "modes", "time"], lines)
    parts = {"derivatives": derivatives, "trajectories": trajectories, "cost": cost, "exponents": exponents}
    return {"environment": environment(args.threads), "quick": args.quick} | parts


def main() -> None:
    args = arguments("networks", __doc__ or "").parse_args()
    record = run(args)
    save_json(args.output / "networks.json", record)
    draw(record, args.output / "networks.png")


if __name__ == "__main__":
    main()
