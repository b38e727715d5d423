"""What ``validation.distributed`` measures, on the ranks that it starts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from mpi4py import MPI

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.distributed import DistributedPlan
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import MessagePassingNetwork
from lrc_numba.training import Protocol, Stage, Trainer

BOX, EPS, KERNEL = 10.0, 1e-6, Yukawa(1.0, 2.0)
NAP = 1e-3  # seconds
SNAPSHOTS, ATOMS, BATCH, STEPS = 32, 64, 16, 4


def asleep(comm: MPI.Intracomm) -> None:
    """A barrier that takes no processor from those who are not there yet."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(NAP)


def turns(comm: MPI.Intracomm, alone: Callable, together: Callable, apart: Callable, rounds: int) -> dict[str, float]:
    """Median seconds of what the first rank does alone, of what all do, and of shares without a word between them.

    A round before does not count. The last is what the machine gives: processors share memory and caches.
    """
    taken: dict[str, list[float]] = {"alone": [], "together": [], "apart": []}
    for _ in range(rounds + 1):
        asleep(comm)
        start = time.perf_counter()
        if comm.rank == 0:
            alone()
        taken["alone"].append(time.perf_counter() - start)
        asleep(comm)
        for name, call in (("together", together), ("apart", apart)):
            comm.Barrier()
            start = time.perf_counter()
            call()
            taken[name].append(comm.allreduce(time.perf_counter() - start, MPI.MAX))
    return {name: float(np.median(each[1:])) for name, each in taken.items()}


def of_plan(comm: MPI.Intracomm, points: int, modes: int, rounds: int) -> dict:
    """Convolutions and energies with gradients of uniform points that are set anew."""
    rng = np.random.default_rng(0)
    x, f = BOX * rng.random((points, 3)), rng.standard_normal(points)
    own = slice(points * comm.rank // comm.size, points * (comm.rank + 1) // comm.size)
    x_own, f_own = x[own].copy(), f[own].copy()
    whole = LRCPlan(BOX, modes, eps=EPS, threads=1)
    plan = DistributedPlan(comm, BOX, modes, eps=EPS, threads=1).set_points(x_own)
    lone = LRCPlan(BOX, modes, eps=EPS, threads=1, nodes=plan.grid.n)
    calls = {
        "convolution": lambda plan, x, f: plan.set_points(x).convolve(f, KERNEL),
        "energy and gradient": lambda plan, x, f: plan.set_points(x).energy(f, KERNEL),
    }
    gains = []
    for what, call in calls.items():
        jobs = ((whole, x, f), (plan, x_own, f_own), (lone, x_own, f_own))
        each = turns(comm, *(partial(call, *job) for job in jobs), rounds)
        gains.append({"what": f"{what}, {points:,} points, {modes}^3 modes", "ranks": comm.size} | each)
    # What one rank spends on points, and what on transforms: of few points there are transforms alone.
    spread_out = BOX * rng.random((modes**2, 3))
    ones = np.ones(len(spread_out))
    nothing = partial(int)
    alone = turns(comm, lambda: lone.set_points(spread_out).convolve(ones, KERNEL), nothing, nothing, rounds)["alone"]
    transforms = min(alone, gains[0]["alone"])
    split = {"transforms": transforms, "points": gains[0]["alone"] - transforms}
    return {"gains": gains, "one": {"points": points, "modes": modes, "nodes": list(plan.grid.n), "seconds": split}}


def of_training(comm: MPI.Intracomm, rounds: int) -> dict:
    """Steps of a network with messages and a long range."""
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = 2.5 * (corners[:ATOMS] + 0.2 * rng.random((SNAPSHOTS, ATOMS, 3)))
    data = Structures.from_arrays(
        positions, 10.0, species=np.ones(ATOMS, dtype=int), forces=rng.standard_normal(positions.shape)
    )

    def trainer(given, batch: int = BATCH) -> Trainer:
        """Of the same network."""
        protocol = Protocol((Stage(batch, 1000),))
        network = MessagePassingNetwork([1], cutoff=4.0, channels=16, rounds=2, long_range=4, threads=1)
        return Trainer(network, data, protocol=protocol, comm=given)

    one, shared, lone = trainer(None), trainer(comm), trainer(None, BATCH // comm.size)
    each = turns(comm, *(partial(each.run, STEPS, progress=False) for each in (one, shared, lone)), rounds)
    what = f"{STEPS} steps of training, batches of {BATCH} snapshots of {ATOMS} points"
    return {"gains": [{"what": what, "ranks": comm.size} | each]}


def of_bytes(comm: MPI.Intracomm, points: int, modes: int) -> dict:
    """What a rank sends in one convolution: the most of any."""
    rng = np.random.default_rng(comm.rank)
    plan = DistributedPlan(comm, BOX, modes, eps=EPS, threads=1).set_points(BOX * rng.random((points, 3)))
    before = plan.ranks.sent
    plan.convolve(np.ones(points), KERNEL)
    sent = comm.allreduce(plan.ranks.sent - before, MPI.MAX)
    modelled = plan.grid.mode_set.size * 16 * 2 * (comm.size - 1) / comm.size
    return {"ranks": comm.size, "modes": modes, "sent": sent, "model": modelled}


def main() -> None:
    """One part; the first rank writes."""
    part, points, modes, rounds, path = sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5])
    comm = MPI.COMM_WORLD
    if part == "plan":
        record = of_plan(comm, points, modes, rounds)
    elif part == "training":
        record = of_training(comm, rounds)
    else:
        record = of_bytes(comm, points, modes)
    if comm.rank == 0:
        path.write_text(json.dumps(record), encoding="utf-8")


if __name__ == "__main__":
    main()
