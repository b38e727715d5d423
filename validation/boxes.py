"""A network belongs to no box: trained in a small one, evaluated untrained in larger ones.

Screened Coulomb forces in one dimension (mu = 0.5, all images), N = 20 points in L = 5, by the full-range network of
the LRC paper with 501 modes there. What ends the series of its kernel is a length, so a box of ten times the length
gets ten times the modes. The same network is then asked for the forces of fresh snapshots in boxes of up to L = 50 with
points of the same density, none of which it has seen. Beside it: the same with 501 modes in every box, as a series that
belongs to the box has, which is wrong.

What is left in the large boxes is the length of the kernel that was learned: in the small box only few modes tell it.
So Adam is followed by L-BFGS on all data at once. Recorded beside the errors is what lambda ends up at.

  python -m validation.boxes --quick
  python -m validation.boxes --seeds 0 1 2

A run that was interrupted goes on from its checkpoints in the folder of the results.
"""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.nbody import PairPotential
from lrc_numba.networks import FullRangeNetwork, LossWeights
from lrc_numba.training import Protocol, Stage, Trainer, force_error, polish

from .tools.common import arguments
from .tools.learning import record

BOX, CELLS, PER_CELL, CUTOFF, DELTA, MODES, MU = 5.0, 10, 2, 1.5, 0.05, 501, 0.5
TIMES = (1, 2, 5, 10)  # the box of the training
SAMPLES, TESTS = 1000, 20
TEST_SEED = 77000  # of snapshots that nothing is learned from or chosen by
PROTOCOL = Protocol((Stage(16, 200), Stage(64, 300)), rate=2e-3, schedule="cosine", warmup=100)
POLISHED, PIECE = 1200, 300  # iterations of L-BFGS, and of each piece, after which the network is kept
QUICK = Protocol((Stage(16, 30),), rate=2e-3, schedule="cosine", warmup=20)


def _snapshots(times: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (B, N, 1) in a box ``times`` as long, two in each cell and none nearer than DELTA, and their forces.

    Cell by cell, each drawn again until it fits to the ones before: of whole configurations of 200 points hardly one in
    millions would do.
    """
    rng, length = np.random.default_rng(seed), times * BOX
    cells = times * CELLS
    width, points = length / cells, np.empty((count, cells, PER_CELL))
    for snapshot in points:
        for i in range(cells):
            while True:
                snapshot[i] = np.sort((i + rng.random(PER_CELL)) * width)
                line = snapshot[: i + 1].ravel()
                gaps = np.diff(line[-PER_CELL - 1 :])
                closes = i < cells - 1 or line[0] + length - line[-1] > DELTA
                if closes and (gaps > DELTA).all():
                    break
    points = points.reshape(count, -1, 1)
    potential = PairPotential("screened_coulomb", (length,), (MU,), (1.0,))
    return points, potential.energy_forces(points)[1]


def trained(seed: int, folder: Path, quick: bool, threads: int | None) -> tuple[FullRangeNetwork, float]:
    """A network trained in the small box, and how long that took now."""
    points, forces = _snapshots(1, 100 if quick else SAMPLES, seed)
    network = FullRangeNetwork(BOX, CUTOFF, MODES, dim=1, seed=seed, threads=threads)
    network.set_scales(points[:100])
    protocol, checkpoint = QUICK if quick else PROTOCOL, folder / f"boxes-{seed}.npz"
    if quick:
        checkpoint.unlink(missing_ok=True)
    trainer = Trainer(network, points, forces, protocol, seed=seed, checkpoint=checkpoint)
    trainer.resume()
    start = time.perf_counter()
    trainer.run()
    network.move_kinks(points)
    if not quick:
        _polish(network, Structures.from_arrays(points, BOX, forces=forces), checkpoint)
    return network, time.perf_counter() - start


def _polish(network: FullRangeNetwork, data: Structures, checkpoint: Path) -> None:
    """L-BFGS in pieces, going on after the last one that is on file for a training with this outcome."""
    outcome = sha256(network.parameters.flat.tobytes()).hexdigest()[:12]
    for done in range(PIECE, POLISHED + PIECE, PIECE):
        path = checkpoint.with_name(f"{checkpoint.stem}-{outcome}-{done}.npz")
        if path.exists():
            network.parameters.flat[...] = FullRangeNetwork.load(path).parameters.flat
            continue
        polish(network, data, LossWeights(forces=1.0), iterations=PIECE)
        network.save(path)


def errors(network: FullRangeNetwork, seed: int) -> list[dict]:
    """Errors of the forces in every box, of the network and of one whose number of modes is always the same."""
    rows = []
    for times in TIMES:
        points, forces = _snapshots(times, TESTS, seed=TEST_SEED + seed)
        found = network.predict(Structures.from_arrays(points, times * BOX)).forces.reshape(points.shape)
        old = FullRangeNetwork(times * BOX, CUTOFF, MODES, dim=1, lam=network.lam, scales=network.descriptor.scales)
        old.parameters.flat[...] = network.parameters.flat
        old.scaled.shift, old.scaled.scale = network.long_shift, network.long_scale
        series = old.energy_forces(points)[1]
        rows.append(
            {
                "length": times * BOX,
                "points": points.shape[1],
                "error": force_error(found, forces)["true"],
                "same_modes": force_error(series, forces)["true"],
            }
        )
    return rows


def main() -> None:
    parser = arguments("boxes", __doc__ or "")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: %(default)s")
    args = parser.parse_args()
    args.plot_only = False
    seeds = args.seeds[:1] if args.quick else args.seeds
    runs = []
    for seed in seeds:
        network, taken = trained(seed, args.output / "checkpoints", args.quick, args.threads)
        runs.append(
            {"seed": seed, "seconds": taken, "lam": network.parameters["lam"].tolist(), "boxes": errors(network, seed)}
        )
    lines = []
    for i, times in enumerate(TIMES):
        found, fixed = (np.array([run["boxes"][i][name] for run in runs]) for name in ("error", "same_modes"))
        spread = f"{found.min():.1e} to {found.max():.1e}"
        points = runs[0]["boxes"][i]["points"]
        lines.append([f"{times * BOX:g}", points, f"{np.median(found):.1e}", spread, f"{np.median(fixed):.1e}"])
    header = ["L", "N", "error, median", "seeds", "501 modes in every box"]
    title = f"Relative error of forces, trained in L = {BOX:g}, {len(seeds)} seed(s)"
    record(args, "boxes", title, header, lines, runs=runs)


if __name__ == "__main__":
    main()
