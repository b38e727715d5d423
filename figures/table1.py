"""Table 1 of the LRC paper: force errors of the short- and the full-range network against the range of the potential.

Screened Coulomb in one dimension, α₂ = 0, box L = 5, N = 20 points (two in each of ten cells, no two closer than 0.05),
cutoff R = 1.5, 501 modes; μ₁ = 0.5, 1, 2, 5, 10. Both networks are trained on forces by the paper's protocol; kinks of
g_θ beyond the data are moved away (``FullRangeNetwork.move_kinks``). The test is the forces on 100 fresh snapshots,
‖F − F*‖ / ‖F*‖; "median" is that of twelve such tests, as one rare snapshot can make the error. λ starts blind, at 2/L
and 20/L, unless ``--init truth`` starts it at μ₁ and 10 μ₁.

    python -m figures.table1 --preset quick
    python -m figures.table1 --preset paper --resume

Trainings run in processes of their own, ``--jobs`` at a time on one thread each; an interrupted one goes on with
--resume, and begins anew only with --restart. --resume also keeps the results that are there, unless the networks have
changed since; how they begin does not count as a change. A checkpoint of changed networks is refused, and needs
--restart. Results of trainings that are not asked for stay in the file. ``--plot`` only prints and plots what is there.
Trained networks lie beside the checkpoints, in files …-network.npz that ``FullRangeNetwork.load`` reads.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np

import lrc_numba
from lrc_numba.files import write_json
from lrc_numba.machine.cpu.parallel import available_threads
from lrc_numba.networks.storage import VERSION as NETWORK_VERSION
from lrc_numba.training.protocol import COUNTING

HERE = Path(__file__).parent
MU = (0.5, 1.0, 2.0, 5.0, 10.0)
KINDS = ("short-range", "full-range")
PAPER_ROW = {
    "short-range": (0.05119, 0.02919, 0.00597, 0.00079, 0.00032),
    "full-range": (0.00828, 0.00602, 0.00336, 0.00077, 0.00054),  # λ started at μ₁
}
BOX, CELLS, PER_CELL, CUTOFF, DELTA, MODES = 5.0, 10, 2, 1.5, 0.05, 501
SAMPLES = {"quick": 256, "paper": 1000}
TESTS, SETS = 100, 12  # snapshots in a test set; sets, of which the first is the paper's test
USUAL = ("blind", "smooth", "steps", 0)


@dataclass(frozen=True)
class Job:
    """One network for one potential.

    Attributes
    ----------
    preset, kind, init, cutoff_kind, counting : str
        "quick" or "paper"; which network; start of λ; which cutoff; how the epochs between two decays are counted.
    mu : float
        μ₁.
    seed : int
        Of data, weights and batches.
    """

    preset: str
    kind: str
    init: str
    cutoff_kind: str
    counting: str
    mu: float
    seed: int

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.preset}-{self.kind}-mu{self.mu:g}-{self.init}-{self.cutoff_kind}-{self.counting}-{self.seed}"


def _network(job: Job, points: np.ndarray):
    """The network of a job, normalised by the first 100 snapshots."""
    from lrc_numba.networks import FullRangeNetwork, ShortRangeNetwork

    options = {"dim": 1, "cutoff_kind": job.cutoff_kind, "seed": job.seed, "threads": 1}
    if job.kind == "short-range":
        network = ShortRangeNetwork(BOX, CUTOFF, **options)
    else:
        lam = (job.mu, 10.0 * job.mu) if job.init == "truth" else None
        network = FullRangeNetwork(BOX, CUTOFF, MODES, lam=lam, **options)
    network.set_scales(points[:100])
    return network


def _error(network, potential, seed: int) -> dict[str, float]:
    """Errors of the forces on 100 fresh snapshots."""
    from lrc_numba.nbody import Snapshots
    from lrc_numba.training import force_error

    test = Snapshots.make(potential, TESTS, (CELLS,), PER_CELL, DELTA, seed=seed, progress=False)
    return force_error(network.energy_forces(test.points)[1], test.forces)


def train(job: Job, folder: Path, resume: bool) -> dict:
    """Train one network, and its errors."""
    from lrc_numba.nbody import PairPotential, Snapshots
    from lrc_numba.training import PAPER, QUICK, Trainer

    potential = PairPotential("screened_coulomb", (BOX,), (job.mu,), (1.0,))
    data = Snapshots.make(potential, SAMPLES[job.preset], (CELLS,), PER_CELL, DELTA, seed=job.seed, progress=False)
    network = _network(job, data.points)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, log = folder / f"{job.name}.npz", folder / f"{job.name}.jsonl"
    trainer = Trainer(
        network,
        data.points,
        data.forces,
        replace(PAPER if job.preset == "paper" else QUICK, counting=job.counting),
        seed=job.seed,
        checkpoint=checkpoint,
        log=log,
    )
    if not resume:
        checkpoint.unlink(missing_ok=True)
    if not trainer.resume():
        log.unlink(missing_ok=True)
    begin, done = time.perf_counter(), trainer.step
    trainer.run(progress=False)
    taken = time.perf_counter() - begin
    if job.kind == "full-range":
        network.move_kinks(data.points)
    network.fix_energies(data.points, data.energies)
    network.save(folder / f"{job.name}-network.npz")
    curve = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    errors = [_error(network, potential, job.seed + 1000 + number) for number in range(SETS)]
    result = {"job": vars(job), "errors": errors[0], "errors_of_sets": [test["true"] for test in errors]}
    result |= {"versions": _versions(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    result |= {"steps": trainer.step, "seconds": taken, "steps_timed": trainer.step - done}
    if job.kind == "full-range":
        result |= {name: network.parameters[name].tolist() for name in ("beta", "lam")}
    thin = max(1, len(curve) // 150)
    return result | {"curve": [[row["step"], row["loss"]] for row in [*curve[::thin], *curve[-1:]]]}


def _versions() -> dict[str, str | int]:
    import numba

    ours = {"lrc_numba": lrc_numba.__version__, "networks": NETWORK_VERSION, "numba": numba.__version__}
    return {"python": platform.python_version(), "numpy": np.__version__} | ours


def _todo(args: argparse.Namespace, results: dict) -> list[Job]:
    """The jobs to do; ends the program where that would destroy a training that has begun."""
    options = (args.init, args.cutoff, args.counting)
    wanted = ((kind, mu) for kind in dict.fromkeys(args.kinds) for mu in dict.fromkeys(args.mu))
    jobs = [Job(args.preset, kind, *options, mu, args.seed) for kind, mu in wanted]
    current = {name for name, r in results["jobs"].items() if r.get("versions", {}).get("networks") == NETWORK_VERSION}
    if args.resume:
        return [job for job in jobs if job.name not in current]
    begun = [job.name for job in jobs if (args.folder / f"{job.name}.npz").exists()]
    if begun and not args.restart:
        raise SystemExit(f"{args.folder}: {', '.join(begun)} has begun; --resume goes on, --restart begins anew")
    return jobs


def _follow(parent: int) -> None:
    """In a process that trains: end with the one that began it, so that nobody else writes to its checkpoint."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stop(running: dict) -> None:
    """Ctrl-C in a terminal goes to the trainings too, which leave a checkpoint; a signal to this process does not."""
    if wait(running, timeout=3.0).not_done:
        for process in active_children():
            os.kill(process.pid, signal.SIGINT)


def run(args: argparse.Namespace, results: dict) -> bool:
    """All jobs, with --resume those that have no result; each is written when it is there. Whether all succeeded."""
    from tqdm import tqdm

    todo = _todo(args, results)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    pool = ProcessPoolExecutor(args.jobs, get_context("spawn"), _follow, (os.getpid(),))
    queue, running, fine = list(todo), {}, True
    write_json(args.output, results)  # a place that cannot be written to is noticed now
    try:
        with tqdm(total=len(todo) * _total_steps(args.preset), unit="step", unit_scale=True) as bar:
            begin = time.time()
            while queue or running:
                while queue and len(running) < args.jobs:  # no more, as Ctrl-C cannot take back what a process has
                    job = queue.pop(0)
                    running[pool.submit(train, job, args.folder, args.resume)] = job
                done, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    fine &= _keep(running.pop(future), future, args, results)
                bar.n = sum(_steps_done(args.folder / f"{job.name}.jsonl", begin) for job in todo)
                bar.set_postfix_str(f"{len(todo) - len(queue) - len(running)} of {len(todo)} networks done")
    except KeyboardInterrupt:
        _stop(running)
        print("stopped; --resume goes on from the checkpoints")
        raise SystemExit(130) from None
    except BrokenProcessPool:
        raise SystemExit("a training was killed; --resume goes on from the checkpoints") from None
    finally:
        pool.shutdown()
    return fine


def _keep(job: Job, future: Future, args: argparse.Namespace, results: dict) -> bool:
    """The result of a training to the file, or why there is none: then --resume begins at its checkpoint."""
    if (wrong := future.exception()) is not None:
        print(f"{job.name}: {wrong!r}")
        return False
    others = json.loads(args.output.read_text(encoding="utf-8"))["jobs"]  # also those of another run
    results["jobs"] = others | {job.name: future.result()}
    write_json(args.output, results)
    print(f"{job.name}: relative force error {results['jobs'][job.name]['errors']['true']:.2e}")
    return True


def _total_steps(preset: str) -> int:
    from lrc_numba.training import PAPER, QUICK

    return (PAPER if preset == "paper" else QUICK).total_steps(SAMPLES[preset])


def _steps_done(log: Path, begin: float) -> int:
    """From the last line of a log of this run."""
    if not log.exists() or log.stat().st_mtime < begin:
        return 0
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        lines = file.read().split(b"\n")
    try:
        return int(json.loads(lines[-2])["step"])
    except (IndexError, ValueError):  # nothing yet
        return 0


def show(results: dict, args: argparse.Namespace) -> None:
    """Print the table for the μ that were asked for, and plot errors and losses for all that are there."""
    wanted = {"preset": args.preset, "init": args.init, "cutoff_kind": args.cutoff, "counting": args.counting}
    wanted["seed"] = args.seed
    chosen = [r for r in results["jobs"].values() if wanted.items() <= r["job"].items()]
    shown = {(r["job"]["kind"], r["job"]["mu"]): r for r in chosen}
    print(f"\npreset {args.preset}, λ starts {args.init}, cutoff {args.cutoff}, counting {args.counting}, ", end="")
    print(f"seed {args.seed}")
    for metric, title in (("true", "‖F − F*‖/‖F*‖"), ("predicted", "‖F − F*‖/‖F‖, as in the authors' code")):
        print(f"\n{title}\n{'mu':22}" + "".join(f"{mu:>12g}" for mu in args.mu))
        rows = {kind: {mu: r["errors"][metric] for (k, mu), r in shown.items() if k == kind} for kind in KINDS}
        if metric == "true":
            for kind in KINDS:
                sets = {mu: r["errors_of_sets"] for (k, mu), r in shown.items() if k == kind and "errors_of_sets" in r}
                if sets:
                    rows[f"{kind}, median"] = {mu: float(np.median(errors)) for mu, errors in sets.items()}
            rows |= {f"paper, {kind}": dict(zip(MU, row, strict=True)) for kind, row in PAPER_ROW.items()}
        for name, row in rows.items():
            print(f"{name:22}" + "".join(f"{row[mu]:12.5f}" if mu in row else f"{'-':>12}" for mu in args.mu))
    if shown:
        options = (args.init, args.cutoff, args.counting, args.seed)
        name = args.output.stem + ("" if options == USUAL else "_" + "_".join(map(str, options)))
        _draw(shown, sorted({mu for _, mu in shown}), args.output.with_name(f"{name}.png"))


def _draw(results: dict, mus: list[float], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), constrained_layout=True)
    for number, kind in enumerate(KINDS):
        rows = [(mu, results[kind, mu]) for mu in mus if (kind, mu) in results]
        left.loglog(
            [mu for mu, _ in rows], [r["errors"]["true"] for _, r in rows], "o-", color=f"C{number}", label=kind
        )
        for shade, (mu, r) in enumerate(rows):
            steps, losses = np.array(r["curve"]).reshape(-1, 2).T
            label = f"{kind}, μ = {mu:g}"
            right.loglog(
                steps, losses, color=f"C{number}", alpha=0.3 + 0.7 * (shade + 1) / len(rows), lw=1, label=label
            )
    for number, kind in enumerate(KINDS):
        left.loglog(MU, PAPER_ROW[kind], "s--", color=f"C{number}", mfc="white", ms=5, lw=1, label=f"{kind}, the paper")
    left.set(xlabel="μ₁", ylabel="relative force error", xticks=MU, xticklabels=[f"{mu:g}" for mu in MU])
    left.minorticks_off()
    right.set(xlabel="step", ylabel="loss")
    left.legend(fontsize=8)
    right.legend(fontsize=7, ncols=2)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m figures.table1", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=("quick", "paper"), default="quick")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="keep results and checkpoints that are there")
    again.add_argument("--restart", action="store_true", help="begin anew, also where a training has begun")
    parser.add_argument("--plot", action="store_true", help="train nothing")
    parser.add_argument("--init", choices=("blind", "truth"), default="blind", help="start values of λ")
    parser.add_argument("--cutoff", choices=("smooth", "paper"), default="smooth")
    parser.add_argument("--counting", choices=COUNTING, default="steps", help="of the decays of the rate")
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS[::-1], help="of networks, longest first")
    parser.add_argument("--mu", type=float, nargs="+", default=MU, metavar="MU", help="default: those of the paper")
    parser.add_argument("--seed", type=int, default=0, help="of data, weights and batches")
    parser.add_argument("--jobs", type=int, default=available_threads(), help="trainings at a time (%(default)s)")
    parser.add_argument("--folder", type=Path, default=HERE / "checkpoints", help="of checkpoints and logs")
    parser.add_argument("--output", type=Path, help="results (default: figures/results/table1_PRESET.json)")
    args = parser.parse_args()
    if args.jobs < 1 or not all(0 < mu < np.inf for mu in args.mu):
        parser.error(f"--jobs, --mu: expected at least one job and positive numbers, got {args.jobs}, {args.mu}")
    args.output = args.output or HERE / "results" / f"table1_{args.preset}.json"
    if args.output.suffix != ".json":  # the picture lies beside it
        parser.error(f"--output: expected a name that ends with .json, got {args.output}")
    results: dict = {"jobs": {}}
    if args.output.exists():
        try:
            results = json.loads(args.output.read_text(encoding="utf-8"))
            for job in results["jobs"].values():
                Job(**job["job"]), job["errors"]["true"], job["errors"]["predicted"], job["curve"]
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            parser.error(f"--output: {args.output} is damaged, or no results of this script ({wrong!r})")
    fine = args.plot or run(args, results)
    show(results, args)
    raise SystemExit(0 if fine else 1)


if __name__ == "__main__":
    main()
