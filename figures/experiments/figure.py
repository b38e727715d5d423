"""A table or figure of the paper as data, and the command that every one of them has."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lrc_numba.files import replaced, write_json
from lrc_numba.networks import EnergyNetwork
from validation.tools.common import environment, print_table

from .presets import PRESETS, SEEDS, SEEDS_BELOW, STREAMS, Preset
from .queue import work
from .records import error_of, merged, read, recorded
from .tasks import Model, Small, System, Task, Test, Training
from .training import FIRST, Store, errors_of

__all__ = ["POLISH", "RESULTS", "RUNS", "Column", "Figure", "as_folders", "as_seeds", "final"]

RESULTS = Path(__file__).parents[1] / "results" / "lrc"
POLISH = "iterations of Levenberg–Marquardt after Adam, of which some columns have a multiple; 0 leaves it out"
RUNS = Path(__file__).parents[1] / "checkpoints"


@dataclass(frozen=True)
class Column:
    """One entry of a table: a network and what it is trained for.

    Attributes
    ----------
    row, column : str
        Where it stands.
    system, model, training : System, Model, Training
        What is learned, by what, how.
    tests : tuple of Test
        What it is asked afterwards; the first is that of the paper.
    small : Small, optional
        The first of two scales.
    """

    row: str
    column: str
    system: System
    model: Model
    training: Training
    tests: tuple[Test, ...]
    small: Small | None = None


@dataclass(frozen=True)
class Figure:
    """A table or figure.

    Attributes
    ----------
    name : str
        Of its script.
    about : str
        Docstring of the script.
    columns : function
        Takes a ``Preset`` to its entries, in the order in which they are computed; () where nothing is trained.
    draw : function
        Takes the record and the path of a picture without its ending.
    paper : dict
        The paper's numbers by row and column, where there are any.
    compute : function, optional
        Takes a preset and seeds to what is recorded, where nothing is trained.
    seeds : tuple of int
        By default.
    kept : tuple of str
        Rows whose networks are kept beside the results, those of the first seed, once the final tests are done.
    trained_as : str
        Name of the figure whose trainings and record this one draws; its own by default.
    """

    name: str
    about: str
    draw: Callable[[dict, Path], None]
    columns: Callable[[Preset], Sequence[Column]] = lambda _: ()
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    compute: Callable[[Preset, Sequence[int]], dict] | None = None
    seeds: tuple[int, ...] = SEEDS
    kept: tuple[str, ...] = ()
    trained_as: str = ""

    @property
    def recorded_as(self) -> str:
        """Name of the figure whose record this one draws."""
        return self.trained_as or self.name

    # ------------------------------------------------------------------ tasks
    def tasks(
        self,
        preset: Preset,
        seeds: Sequence[int],
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> list[Task]:
        """What is to be trained, seed by seed.

        Parameters
        ----------
        preset : Preset
            How long.
        seeds : sequence of int
            Of data, weights and batches.
        rows, columns : sequence of str, optional
            Some of them, all by default.
        """
        wanted = [
            column
            for column in self.columns(preset)
            if (rows is None or column.row in rows) and (columns is None or column.column in columns)
        ]
        table = f"{self.recorded_as}_{preset.name}"
        return [
            Task(table, c.row, c.column, c.system, c.model, c.training, seed, c.small, c.tests)
            for seed in seeds
            for c in wanted
        ]

    def path(self, preset: Preset, folder: Path = RESULTS) -> Path:
        """Of the record.

        Parameters
        ----------
        preset : Preset
            Its name is part of that.
        folder : Path
            Where records are.
        """
        return folder / f"{self.recorded_as}_{preset.name}.json"

    def collect(self, preset: Preset, seeds: Sequence[int], store: Store) -> dict:
        """The record of all tasks that are done.

        Parameters
        ----------
        preset, seeds
            As for ``tasks``.
        store : Store
            Where they are.
        """
        runs = []
        for task in self.tasks(preset, seeds):
            result = store.result(task)
            if result is None:
                continue
            run = {"row": task.row, "column": task.column, "seed": task.seed, "key": task.key}
            run |= {"polish": task.training.polish, "asked": preset.polish}
            kept = ("sources", "environment", "seconds", "parameters", "losses", "learned", "training_error", "curves")
            run["method"] = result.get("method", FIRST)
            run |= {name: result[name] for name in kept} | {"errors": result["errors"], "stream": "development"}
            tested = store.result(task, "final")
            if tested is not None:
                run |= {"errors": tested["errors"], "stream": "final", "development": result["errors"]}
                run["final_stream"] = tested["stream"]
            runs.append(run)
        about = {"name": self.recorded_as, "preset": preset.name, "about": preset.about, "paper": self.paper}
        used = [t.training.protocol for t in self.tasks(preset, seeds)]
        protocols = {json.dumps(each.record(), sort_keys=True) for each in used if each is not None}
        about |= {"protocols": [json.loads(each) for each in sorted(protocols)], "seeds": list(seeds)}
        return about | {"polish": preset.polish, "expected": len(self.tasks(preset, seeds)), "runs": runs}

    # ------------------------------------------------------------------ the command
    def make(
        self,
        preset: Preset,
        seeds: Sequence[int],
        store: Store,
        *,
        results: Path = RESULTS,
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> bool:
        """Compute what is missing, and record it where nothing is trained; whether all succeeded.

        Parameters
        ----------
        preset, seeds, store
            As for ``collect``.
        rows, columns
            As for ``tasks``.
        results : Path
            Where records are.
        """
        if self.compute is not None:
            record = {"name": self.name, "preset": preset.name, "seeds": list(seeds), "environment": environment(1)}
            record["environment"].pop("command")  # which may be that of all figures
            write_json(self.path(preset, results), record | self.compute(preset, seeds))
        elif tasks := self.tasks(preset, seeds, rows, columns):
            return work(tasks, store)
        return True

    def show(self, preset: Preset, seeds: Sequence[int], store: Store, *, results: Path = RESULTS) -> None:
        """Record what is there, print it, and draw.

        Parameters
        ----------
        preset, seeds, store, results
            As for ``make``.
        """
        path = self.path(preset, results)
        if self.compute is None:
            record, earlier = self.collect(preset, seeds, store), read(path)
            if record["runs"]:
                if earlier is not None:
                    both = sorted({*seeds, *(run["seed"] for run in earlier["runs"])})
                    record = merged(record, earlier, self.tasks(preset, both))
                write_json(path, record)
                self._keep_networks(preset, seeds[0], store, results)
            elif earlier is None:
                raise SystemExit(f"{self.name}: no results of preset {preset.name} in {store.root} or {path}")
            else:
                record = earlier
            self._print(record)
        elif not path.exists():
            raise SystemExit(f"{self.name}: no result at {path}")
        self.draw(read(path), results / f"{self.name}_{preset.name}")

    def _keep_networks(self, preset: Preset, seed: int, store: Store, results: Path) -> None:
        """Copy trained networks that have been evaluated on the final tests."""
        for task in self.tasks(preset, (seed,)):
            trained = store.path(task, "network", ".npz")
            if task.row in self.kept and store.result(task, "final") is not None and trained.exists():
                path = results / "networks" / f"{task.name.removesuffix('-' + task.key)}.npz"
                with replaced(path) as file:
                    file.write(trained.read_bytes())

    def _print(self, record: dict) -> None:
        lines = []
        for run in sorted(record["runs"], key=lambda run: (run["row"], run["column"], run["seed"])):
            paper = record["paper"].get(run["row"], {}).get(run["column"])
            cells = [run["row"], run["column"], str(run["seed"]), "-" if paper is None else f"{paper:g}"]
            for errors in (run["errors"].get("adam"), run["errors"].get("polished")):
                cells += ["-"] if errors is None else [f"{error_of(errors):.5f}"]
            lines.append([*cells, run["stream"], f"{run['seconds'] / 60:.0f} min"])
        done = f"{len(record['runs'])} of {record['expected']}"
        header = ["row", "column", "seed", "paper", "error, Adam", "polished", "test", "taken"]
        print_table(f"{self.name}, preset {record['preset']}: {done} trainings", header, lines)

    def main(self) -> None:
        """The command line."""
        parser = argparse.ArgumentParser(
            prog=f"python -m figures.{self.name}",
            description=self.about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--preset", choices=PRESETS, default="quick")
        seeds = ",".join(map(str, self.seeds))
        parser.add_argument("--seeds", type=as_seeds, default=seeds, metavar="0,1,2", help="default: %(default)s")
        for what in ("row", "column") if self.compute is None else ():
            names = list(dict.fromkeys(getattr(column, what) for column in self.columns(PRESETS["paper"])))
            about = f"of {names}; default: all"
            parser.add_argument(f"--{what}s", nargs="+", choices=names, metavar=what.upper(), help=about)
        parser.add_argument("--resume", action="store_true", help="go on where it was left, which is always done")
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument("--plot-only", action="store_true", help="compute nothing: table and picture of what is")
        ways.add_argument("--final", action="store_true", help="evaluate on the final tests, once, when all is done")
        if self.compute is None:
            parser.add_argument("--polish", type=int, help=POLISH)
        parser.add_argument("--folder", type=Path, default=RUNS, help="of trainings (default: figures/checkpoints)")
        parser.add_argument("--results", type=Path, default=RESULTS, help="default: figures/results")
        args = parser.parse_args()
        preset = PRESETS[args.preset].polished(getattr(args, "polish", None))
        only = {what: getattr(args, what, None) for what in ("rows", "columns")}
        store, whole = Store(args.folder, recorded(self.path(preset, args.results))), True
        if not args.plot_only:
            as_folders(args.folder, args.results)
        if args.final:
            final(self.tasks(preset, args.seeds, **only), store)
        elif not args.plot_only:
            whole = self.make(preset, args.seeds, store, results=args.results, **only)
        self.show(preset, args.seeds, store, results=args.results)
        if not whole:
            raise SystemExit(f"{self.name}: some trainings failed; python -m figures says which")


def as_seeds(text: str) -> tuple[int, ...]:
    """Seeds of a command line.

    Parameters
    ----------
    text : str
        Numbers with commas between them.

    Raises
    ------
    ArgumentTypeError
        Where they are negative, too large for the streams to be apart, twice the same, or no numbers.
    """
    words = text.split(",")
    seeds = [int(word) for word in words if word.strip().isdecimal() and int(word) < SEEDS_BELOW]
    if len(set(seeds)) < len(words):
        range_ = f"different numbers from 0 to {SEEDS_BELOW - 1}"
        raise argparse.ArgumentTypeError(f"expected {range_}, as 0,1,2, got {text!r}")
    return tuple(seeds)


def as_folders(*paths: Path) -> None:
    """Make folders, before anything is computed for them.

    Parameters
    ----------
    *paths : Path
        Which may be there.

    Raises
    ------
    SystemExit
        Where that is not possible, or nothing can be written there.
    """
    for path in paths:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as wrong:
            raise SystemExit(f"{path}: no folder can be made there ({wrong.strerror})") from wrong
        if not os.access(path, os.W_OK):
            raise SystemExit(f"{path}: nothing can be written there")


def final(tasks: Sequence[Task], store: Store) -> None:
    """Evaluate trained networks on the final tests; once, so what is there stays as it is.

    Parameters
    ----------
    tasks : sequence of Task
        All of which are done.
    store : Store
        Where.
    """
    missing = [task.name for task in tasks if store.result(task) is None]
    if missing:
        raise SystemExit(f"--final: {len(missing)} trainings are not done yet, such as {missing[0]}")
    twice = [task.name for task in tasks if store.evaluated_before(task)]
    if twice:
        raise SystemExit(
            f"--final: {len(twice)} trainings were evaluated before, after another polish or as they were trained "
            f"before this, such as {twice[0]}; a second evaluation would be one to choose by. To repeat a record, take "
            "another --folder and --results."
        )
    for task in tasks:
        if (tested := store.result(task, "final")) is not None:
            if tested["stream"] != STREAMS["final"]:
                print(
                    f"{task.name}: recorded on the tests {tested['stream']}, and its network is not there", flush=True
                )
            continue
        errors, paths = {}, {task.training.first: store.folder(task) / f"network-{task.training.first}.npz"}
        if task.training.polish:
            paths["polished"] = store.path(task, "network", ".npz")
        for stage, path in paths.items():
            network = EnergyNetwork.load(path, threads=1)
            errors[stage] = errors_of(network, task.tests, "final")
        made = {"errors": errors, "stream": STREAMS["final"], "table": task.figure, "environment": environment(1)}
        write_json(store.path(task, "final"), made)
        print(f"{task.name}: evaluated on the final tests", flush=True)
