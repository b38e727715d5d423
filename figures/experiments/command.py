"""``python -m figures``: the list of all tables and figures, and their queue."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from validation.tools.common import positive, print_table

from .figure import POLISH, RESULTS, RUNS, Figure, as_folders, as_seeds, final
from .presets import PRESETS, SEEDS, Preset
from .queue import hours, work
from .records import rank, read, recorded
from .tasks import Task, sources
from .training import Store

__all__ = ["FIGURES", "figure_of", "main"]

FIGURES = (
    "table1",
    "table4",
    "table5",
    "table2",
    "table6",
    "table3",
    "fig7_left",
    "fig8",
    "fig7_right",
    "fig3",
    "differences",
)


def figure_of(name: str) -> Figure:
    """A table or figure by its name.

    Parameters
    ----------
    name : str
        One of ``FIGURES``.
    """
    return importlib.import_module(f"figures.{name}").FIGURE


def queue_of(names: Sequence[str], preset: Preset, seeds: Sequence[int], store: Store) -> list[Task]:
    """All tasks of some tables, each once, in the order in which they are done: seed by seed, table by table.

    Parameters
    ----------
    names : sequence of str
        Of tables and figures.
    preset, seeds
        As for ``Figure.tasks``.
    store : Store
        The first of two scales is a task where the second is not done.
    """
    tasks: dict[str, Task] = {}
    for name in names:
        figure = figure_of(name)
        for task in figure.tasks(preset, seeds):
            for each in (None if store.result(task) else task.before(), task):
                if each is not None:
                    tasks.setdefault(f"{each.key}-{each.training.polish}", each)
    return list(tasks.values())


def _state(name: str, preset: Preset, seeds: Sequence[int], store: Store, results: Path) -> list[str] | None:
    """A line of the list; None where there is nothing of this preset."""
    figure = figure_of(name)
    path = figure.path(preset, results)
    record = read(path)
    date = record.get("environment", {}).get("date", "-") if record else "-"
    if figure.compute is not None:
        return [name, preset.name, "recorded" if record else "missing", date, "-", "-"]
    tasks = figure.tasks(preset, seeds)
    done = [result for task in tasks if (result := store.result(task))]
    wrong = [store.result(task, "error") for task in tasks]
    old = sum(result["sources"] != sources() for result in done)
    state = f"{len(done)} of {len(tasks)}" + (f", {old} of other sources" if old else "")
    if record and not done:
        state = f"recorded: {len(record['runs'])} of {record['expected']}"
    date = max((result["environment"]["date"] for result in done), default=date)
    errors = [each["error"] for each in wrong if each]
    taken = sum(result["seconds"] for result in done) / 3600
    to_go = hours(tasks, store)
    return [name, preset.name, state, date, errors[0][:60] if errors else "-", f"{taken:.1f} h, {to_go:.1f} h to go"]


def _list(names: Sequence[str], seeds: Sequence[int], store: Store, results: Path) -> None:
    lines = [_state(name, preset, seeds, store, results) for name in names for preset in PRESETS.values()]
    header = ["name", "preset", "state", "last", "error", "processor"]
    print_table(f"seeds {', '.join(map(str, seeds))}", header, [line for line in lines if line])


def _store(names: Sequence[str], polish: int | None, folder: Path, results: Path) -> Store:
    """With what is recorded of some tables, at all presets."""
    runs: dict[tuple[str, int], dict] = {}
    for name in names:
        for preset in PRESETS.values():
            for place, run in recorded(figure_of(name).path(preset.polished(polish), results)).items():
                if place not in runs or rank(run) > rank(runs[place]):  # tables may share a training
                    runs[place] = run
    return Store(folder, runs)


def _several(count: int) -> bool:
    """Workers in processes of their own, which end with this one; whether all succeeded."""
    command = [sys.executable, "-m", "figures", *sys.argv[1:], "--worker"]
    workers = [subprocess.Popen(command) for _ in range(count)]

    def end(number: int, _) -> None:
        for worker in workers:
            worker.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return not any([worker.wait() for worker in workers])


def main(about: str) -> None:
    """The command line.

    Parameters
    ----------
    about : str
        What ``--help`` begins with.
    """
    parser = argparse.ArgumentParser(
        prog="python -m figures", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--all", action="store_true", help="make what is missing")
    ways.add_argument("--final", action="store_true", help="evaluate on the final tests")
    ways.add_argument("--plot-only", action="store_true", help="record and draw what is there")
    parser.add_argument("--worker", action="store_true", help="train in this process; nothing is drawn")
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=FIGURES, metavar="NAME", help="default: all")
    parser.add_argument("--preset", choices=PRESETS, default="quick")
    seeds = ",".join(map(str, SEEDS))
    parser.add_argument("--seeds", type=as_seeds, default=seeds, metavar="0,1,2", help="default: %(default)s")
    parser.add_argument("--polish", type=int, help=POLISH)
    parser.add_argument("--jobs", type=positive, default=len(os.sched_getaffinity(0)), help="default: %(default)s")
    parser.add_argument("--folder", type=Path, default=RUNS, help="of trainings (default: figures/checkpoints)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: figures/results")
    args = parser.parse_args()
    if args.worker and (args.final or args.plot_only):
        parser.error("--worker trains; it goes neither with --final nor with --plot-only")
    preset = PRESETS[args.preset].polished(args.polish)
    store = _store(args.only, args.polish, args.folder, args.results)
    if not (args.all or args.worker or args.final or args.plot_only):
        _list(args.only, args.seeds, store, args.results)
        return
    if not args.plot_only:
        as_folders(args.folder, args.results)
    tasks = queue_of(args.only, preset, args.seeds, store)
    if args.worker:
        raise SystemExit(0 if work(tasks, store, patient=False) else 1)
    if args.final:
        final(tasks, store)
    elif args.all:
        print(f"{len(tasks)} trainings, about {hours(tasks, store):.1f} hours of a processor to go", flush=True)
        if not _several(args.jobs):
            raise SystemExit(1)
    _show(args, preset, store)


def _show(args: argparse.Namespace, preset: Preset, store: Store) -> None:
    """Record and draw all that is there, after what has no trainings was computed where it is missing."""
    missing = []
    for name in args.only:
        figure = figure_of(name)
        if args.all and figure.compute is not None and not figure.path(preset, args.results).exists():
            figure.make(preset, args.seeds, store, results=args.results)
        try:
            figure.show(preset, args.seeds, store, results=args.results)
        except SystemExit as wrong:
            missing.append(str(wrong))
    if missing:
        raise SystemExit("\n".join(missing))
