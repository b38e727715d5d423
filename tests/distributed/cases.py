"""What the ranks of one ``mpiexec`` do: every case on 1, 2, 3 and 4 of them, and what the first rank saw as JSON.

Started by ``test_distributed.py``. On four ranks two have no points, and the last has most.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mpi4py import MPI

from lrc_numba import ChannelMatrix, LRCPlan, Yukawa
from lrc_numba.distributed import DistributedCalculator, DistributedNetwork, DistributedPlan, Ranks
from lrc_numba.distributed.halo import Halo
from lrc_numba.electrostatics import CoulombPotential, MeshCalculator
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, MessagePassingNetwork
from lrc_numba.training import Protocol, Stage

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from runs import trainer

EVERYTHING = ("points", "values", "parameters", "cell")
CELL = np.array([[5.0, 0.0, 0.0], [0.5, 4.5, 0.0], [0.2, -0.5, 5.5]])
COUNT = 90
SHORT, LONG = Protocol((Stage(3, 20), Stage(5, 40))), Protocol((Stage(2, 4000),))
KNOWN: dict = {}  # what one process comes to


def share(comm, count: int = COUNT) -> slice:
    """The points of a rank."""
    bounds = {4: [0, 0, count // 3, count // 3, count]}.get(comm.size)
    bounds = bounds or [count * rank // comm.size for rank in range(comm.size + 1)]
    return slice(bounds[comm.rank], bounds[comm.rank + 1])


def apart(own, whole) -> float:
    """The largest difference over the largest number of one process."""
    own, whole = np.asarray(own, dtype=float), np.asarray(whole, dtype=float)
    assert own.shape == whole.shape
    return float(np.abs(own - whole).max() / np.abs(whole).max()) if own.size else 0.0


# ---------------------------------------------------------------------- as one process
def convolution(comm) -> dict[str, float]:
    """Values and all derivatives of two snapshots, two channels to three, at targets."""
    rng = np.random.default_rng(0)
    kernel = ChannelMatrix([[1.0, 0.3], [-0.2, 0.7], [0.4, -1.1]], Yukawa(1.3, 0.7))
    points, targets, g = 10 * rng.random((2, 30, 1)), 10 * rng.random((2, 20, 1)), rng.standard_normal((2, 20, 3))
    f, df, dx, dt = (rng.standard_normal((2, *shape)) for shape in ((30, 2), (30, 2), (30, 1), (20, 1)))
    s, t = share(comm, 30), share(comm, 20)
    whole = LRCPlan(10.0, 15).set_points(points, targets)
    plan = DistributedPlan(comm, 10.0, 15).set_points(points[:, s], targets[:, t])
    seen = {"u": apart(plan.convolve(f[:, s], kernel), whole.convolve(f, kernel)[:, t])}
    moved = plan.jvp(f[:, s], kernel, dx[:, s], df[:, s], dtargets=dt[:, t])
    seen["jvp"] = apart(moved, whole.jvp(f, kernel, dx, df, dtargets=dt)[:, t])
    made, wanted = plan.vjp(f[:, s], kernel, g[:, t], wrt=EVERYTHING), whole.vjp(f, kernel, g, wrt=EVERYTHING)
    seen |= {"points": apart(made.points, wanted.points[:, s]), "values": apart(made.values, wanted.values[:, s])}
    seen |= {"targets": apart(made.targets, wanted.targets[:, t]), "cell": apart(made.cell, wanted.cell)}
    seen["parameters"] = max(apart(made.parameters[name], each) for name, each in wanted.parameters.items())
    directions = ((made.points, dx[:, s]), (made.values, df[:, s]), (made.targets, dt[:, t]))
    there = comm.allreduce(float((g[:, t] * moved).sum()))
    back = comm.allreduce(float(sum((a * b).sum() for a, b in directions)))
    return seen | {"adjoint": abs(there - back) / abs(there)}


def energy(comm) -> dict[str, float]:
    """An energy without the points' own terms, by everything, and after the cell changed; in two dimensions."""
    rng, kernel, s = np.random.default_rng(1), Yukawa(1.0, 0.5), share(comm)
    points, f = 10 * rng.random((COUNT, 2)), rng.standard_normal(COUNT)
    whole, plan = LRCPlan(10.0, 9).set_points(points), DistributedPlan(comm, 10.0, 9).set_points(points[s])
    seen = {}
    for name in ("before", "after"):
        made, wanted = (
            p.energy(each, kernel, wrt=EVERYTHING, exclude_self=True) for p, each in ((plan, f[s]), (whole, f))
        )
        seen |= {f"{name}: u": apart(made.output, wanted.output[s]), f"{name}: cell": apart(made.cell, wanted.cell)}
        seen |= {f"{name}: points": apart(made.points, wanted.points[s])}
        seen |= {f"{name}: {key}": apart(made.parameters[key], each) for key, each in wanted.parameters.items()}
        whole.set_cell(11.0, points)
        plan.set_cell(11.0, points[s])
    moved = [
        p.parameters_jvp(each, kernel, each, dpoints=x, dvalues=x[:, 0], dcotangent=x[:, 1])
        for p, each, x in ((plan, f[s], points[s]), (whole, f, points))
    ]
    return seen | {key: apart(moved[0][key], each) for key, each in moved[1].items()}


def charges(comm) -> dict[str, float]:
    """Energy, forces, stress and charge gradient of charges in a triclinic cell, some far outside of it."""
    rng, s = np.random.default_rng(2), share(comm)
    x = rng.random((COUNT, 3)) @ CELL + 20.0 * rng.integers(-1, 2, (COUNT, 1))
    q = rng.standard_normal(COUNT)
    one = MeshCalculator(CoulombPotential(smearing=0.6), 2.0, 5.0, explicit_sums=False)
    wanted = one.compute(x, q, CELL, forces=True, stress=True, charge_gradient=True)
    made = DistributedCalculator(comm, one).compute(x[s], q[s], CELL, forces=True, stress=True, charge_gradient=True)
    seen = {"energy": apart(made.energy, wanted.energy), "stress": apart(made.stress, wanted.stress)}
    seen |= {"potential": apart(made.potential, wanted.potential[s]), "forces": apart(made.forces, wanted.forces[s])}
    return seen | {"charge gradient": apart(made.charge_gradient, wanted.charge_gradient[s])}


def network(comm) -> dict[str, float]:
    """Energy, forces and stress of a full-range network."""
    rng, s, one = np.random.default_rng(3), share(comm), FullRangeNetwork(6.0, 1.5, 5, dim=3)
    x = rng.random((COUNT, 3)) @ CELL
    wanted = one.predict(Structures.from_arrays(x, CELL), stress=True)
    made = DistributedNetwork(comm, one).predict(Structures.from_arrays(x[s], CELL), stress=True)
    seen = {"energy": apart(made.energies, wanted.energies), "stress": apart(made.stress, wanted.stress)}
    return seen | {
        "potential": apart(made.potentials, wanted.potentials[s]),
        "forces": apart(made.forces, wanted.forces[s]),
    }


def halo(comm) -> dict[str, float]:
    """Ghosts: every image of another rank's point within the reach is there, and what they receive comes back."""
    rng, s = np.random.default_rng(4), share(comm)
    x, reach = rng.random((COUNT, 3)) @ CELL, 1.0
    made = Halo(Ranks(comm), x[s], CELL, reach)
    numbers = made.extend(np.arange(COUNT)[s])
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ CELL
    near = np.zeros(COUNT, dtype=bool)
    for shift in shifts:
        near |= (np.linalg.norm(x[s][:, None] - x[None] - shift, axis=2) < reach).any(axis=0)
    missing = np.setdiff1d(np.flatnonzero(near), numbers)
    # What each rank gives to its copies of a point arrives there: so many ranks have it.
    received = made.collect(np.ones((len(numbers), 2)))
    every = np.concatenate(comm.allgather(numbers))
    return {"missing": float(len(missing)), "received": apart(received[:, 1], np.bincount(every, minlength=COUNT)[s])}


def bits(comm) -> dict[str, float]:
    """The same bits twice, and sums that are the same on all ranks."""
    s, rng = share(comm, 4000), np.random.default_rng(5)
    points, f = rng.random((4000, 1)), rng.standard_normal(4000)
    plan = DistributedPlan(comm, 1.0, 1023).set_points(points[s])
    first, again = (plan.energy(f[s], Yukawa(1.0, 3.0), wrt=EVERYTHING) for _ in range(2))
    gradients = comm.allgather((first.cell.tobytes(), first.parameters["lam"].tobytes()))
    return {"again": float((first.output != again.output).sum()), "ranks": float(len(set(gradients)) - 1)}


def training(comm, steps: int = 100) -> dict[str, float]:
    """Losses and parameters of a hundred steps beside one process, batches with fewer snapshots than ranks as well."""
    with TemporaryDirectory() as folder:
        own = Path(comm.bcast(folder))
        made = trainer(own, SHORT, comm=comm)
        made.run(steps, progress=False)
        comm.Barrier()
        losses = losses_of(own)
        comm.Barrier()
    seen = {"parameters": apart(made.network.parameters.flat, KNOWN["short"])}
    return seen | {"losses": apart(losses, KNOWN["losses"]), "epochs": float(len(losses) < 30)}


def known() -> dict:
    """What one process comes to, of the short protocol, and of the long one after every five steps."""
    with TemporaryDirectory() as folder:
        one, long = trainer(Path(folder), SHORT), trainer(Path(folder) / "long", LONG)
        one.run(100, progress=False)
        seen = {"short": one.network.parameters.flat, "losses": losses_of(Path(folder))}
        for steps in range(5, 25, 5):
            long.run(5, progress=False)
            seen[steps] = long.network.parameters.flat.copy()
    return seen


def losses_of(folder: Path) -> list[float]:
    """Those of the log in a folder."""
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def resumed(comm, folder: Path, steps: int = 5) -> dict[str, float]:
    """Goes on from what fewer ranks left, as one process that never stopped."""
    made = trainer(folder, LONG, comm=comm)
    began = made.resume()
    made.run(steps, progress=False)
    seen = {"parameters": apart(made.network.parameters.flat, KNOWN[steps * comm.size])}
    return seen | {"resumed": float(began != (comm.size > 1)), "steps": float(made.step - steps * comm.size)}


# ---------------------------------------------------------------------- errors
def plan_of(comm, modes=9, **settings) -> DistributedPlan:
    """A plan in one dimension with four points on each rank."""
    return DistributedPlan(comm, 1.0, modes, dim=1, **settings).set_points(np.full((4, 1), 0.3))


def charges_of(comm, count: int, q: float = 1.0, **wanted):
    """Potentials of some points on each rank, the first with a charge of its own."""
    calculator = DistributedCalculator(comm, MeshCalculator(CoulombPotential(smearing=0.6), 2.0))
    return calculator.compute(
        np.random.default_rng(comm.rank).random((4, 3)), np.array([q, *np.ones(count - 1)]), 5.0, **wanted
    )


def frozen_of(comm, last: bool):
    """Charges whose mesh is kept on the last rank alone."""
    calculator = DistributedCalculator(comm, MeshCalculator(CoulombPotential(smearing=0.6), 2.0))
    points = np.random.default_rng(comm.rank).random((4, 3))
    calculator.compute(points, np.ones(4), 5.0)
    if last:
        calculator.freeze_mesh()
    return calculator.compute(points, np.ones(4), 5.0)


def messages_of(comm, **settings) -> DistributedNetwork:
    """A network of messages, whose parameters depend on none of these settings."""
    choices = {"cutoff": 1.9, "channels": 8, "rounds": 1, "long_range": 4, "threads": 1} | settings
    return DistributedNetwork(comm, MessagePassingNetwork((1,), **choices))


def seeds_apart(comm) -> None:
    """Networks that began from other numbers and have the same ones now are the same."""
    own, first = (FullRangeNetwork(6.0, 1.5, 5, dim=3, seed=seed) for seed in (comm.rank, 0))
    own.parameters.flat[:] = first.parameters.flat
    DistributedNetwork(comm, own)


def unnamed_of(comm, **settings) -> DistributedNetwork:
    """One that has no settings, as it is not stored."""
    own = MessagePassingNetwork((1,), 1.9, channels=8, rounds=1, threads=1)
    choices = {"cutoff": 1.9, "dim": 3, "full_pairs": True, "threads": 1} | settings
    return DistributedNetwork(comm, EnergyNetwork(own.program, **choices))


def wrong_plans(comm, last: bool) -> dict[str, Callable]:
    """Calls of plans that are wrong on the last of two ranks."""
    ones, kernel = np.ones(4), Yukawa(1.0, 1.0)
    mixing, mixed = ([1.0, 2.0], [2.0, 1.0]) if last else ([2.0, 1.0], [1.0, 2.0]), np.ones((4, 2))
    return {
        "modes": lambda: plan_of(comm, 11 if last else 9),
        "eps": lambda: plan_of(comm, eps=1e-30 if last else 1e-6),
        "backend": lambda: DistributedPlan(comm, 1.0, 9, backend="cuda"),
        "dimensions": lambda: DistributedPlan(comm, 1.0, 9).set_points(np.zeros((3, 1 + last))),
        "snapshots": lambda: plan_of(comm).set_points(np.zeros((1 + last, 3, 1))),
        "targets": lambda: plan_of(comm).set_points(np.zeros((3, 1)), np.zeros((2, 1)) if last else None),
        "no points": lambda: (
            DistributedPlan(comm, 1.0, 9, dim=1).convolve(ones, kernel)
            if last
            else plan_of(comm).convolve(ones, kernel)
        ),
        "values": lambda: plan_of(comm).convolve(ones * np.nan if last else ones, kernel),
        "overflow": lambda: plan_of(comm).convolve(ones * (1e305 if last else 1.0), Yukawa(1e10, 1.0)),
        "channels": lambda: plan_of(comm).convolve(np.ones((4, 1 + last)), kernel),
        "multiplier": lambda: plan_of(comm).convolve(ones, Yukawa(1.0 + last, 1.0)),
        "sign": lambda: plan_of(comm).convolve(ones, Yukawa(-1.0 if last else 1.0, 1.0)),
        "order": lambda: plan_of(comm, 121).convolve(mixed, ChannelMatrix(mixing, kernel)),
        "cell of a plan": lambda: plan_of(comm).set_cell(2.0 if last else 1.5, np.full((4, 1), 0.3)),
        "no wrt": lambda: plan_of(comm).vjp(ones, kernel, ones, wrt=5 if last else "points"),
        "wrt": lambda: plan_of(comm).vjp(ones, kernel, ones, wrt="values" if last else "points"),
        "method": lambda: (plan_of(comm).energy if last else plan_of(comm).convolve)(ones, kernel),
        "complex": lambda: plan_of(comm).convolve(ones + 1j if last else ones, kernel),
        "complex cotangent": lambda: plan_of(comm).vjp(ones, kernel, ones + 1j if last else ones, wrt="points"),
        "set_cell": lambda: plan_of(comm).set_cell(2.0, np.zeros((4, 1))) if last else plan_of(comm).spread(ones),
        "linearise": lambda: plan_of(comm).linearise(ones, kernel),
        "repeat": lambda: plan_of(comm).repeat_energy(np.zeros((4, 1)), ones, kernel),
        "comm": lambda: DistributedPlan("world", 1.0, 9),
    }


def wrong_models(comm, last: bool) -> dict[str, Callable]:
    """Charges, networks and trainings that are wrong on the last of two ranks."""
    network = FullRangeNetwork(6.0, 1.5, 5, dim=3)
    calculator = MeshCalculator(CoulombPotential(smearing=0.6), 2.0)
    return {
        "charge": lambda: charges_of(comm, 4, np.nan if last else 1.0),
        "charges": lambda: charges_of(comm, 3 if last else 4),
        "no calculator": lambda: DistributedCalculator(comm, "p3m" if last else calculator),
        "no network": lambda: DistributedNetwork(comm, "full" if last else network),
        "data": lambda: trainer(Path("nowhere"), LONG, frozen=("nothing",) if last else (), comm=comm),
        "frozen": lambda: frozen_of(comm, last),
        "parameter gradient": lambda: charges_of(comm, 4, parameter_gradient=True),
        "cell": lambda: DistributedCalculator(comm, MeshCalculator(CoulombPotential(smearing=0.6), 2.0)).compute(
            np.zeros((1, 3)), np.ones(1), 5.0 + last
        ),
        "training": lambda: trainer(Path("nowhere"), LONG, seed=int(last), comm=comm),
        "network": lambda: DistributedNetwork(comm, FullRangeNetwork(6.0, 1.5, 5, dim=3, seed=int(last))),
        "network's cutoff": lambda: messages_of(comm, cutoff=1.9 + 0.1 * last),
        "network's sigma": lambda: messages_of(comm, sigma=0.5 + 0.5 * last),
        "network's eps": lambda: messages_of(comm, eps=1e-6 if last else 1e-3),
        "network's references": lambda: messages_of(comm, references=[1.0 + last]),
        "unnamed": lambda: unnamed_of(comm, cutoff=1.9 + 0.1 * last),
        "seed": lambda: seeds_apart(comm),
    }


def errors(comm) -> dict[str, str]:
    """What is said of things that are wrong on the last of two ranks, and whether all ranks say it."""
    last, said = comm.rank == comm.size - 1, {}
    for name, call in (wrong_plans(comm, last) | wrong_models(comm, last)).items():
        try:
            call()
            own = "nothing"
        except Exception as error:
            own = f"{type(error).__name__}: {error}"
        every = comm.allgather(own)
        said[name] = every[0] if len(set(every)) == 1 else f"different things: {every}"
    made = plan_of(comm).vjp(np.ones(4), Yukawa(1.0, 1.0), np.ones(4), wrt=(name for name in ["values"]))
    said["a generator"] = f"{made.points is None} {made.values is not None}"
    return said


def asleep(comm) -> None:
    """A barrier that takes no processor from those who are not there yet."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def main() -> None:
    """All cases; the first rank prints."""
    world, seen, folder = MPI.COMM_WORLD, {}, Path(sys.argv[1])
    if world.rank == 0:
        KNOWN.update(known())
    asleep(world)
    KNOWN.update(world.bcast(KNOWN))
    for size in range(1, world.size + 1):
        part = world.Split(0 if world.rank < size else 1, world.rank)
        if world.rank < size:
            for case in (convolution, energy, charges, network, training, halo, bits):
                worst = part.gather(case(part))
                if worst is not None:
                    seen[f"{case.__name__} {size}"] = {name: max(each[name] for each in worst) for name in worst[0]}
            if size == 2:
                seen["errors"] = errors(part)
            worst = part.gather(resumed(part, folder))
            if worst is not None:
                seen[f"resumed {size}"] = {name: max(each[name] for each in worst) for name in worst[0]}
        asleep(world)
    if world.rank == 0:
        json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
