"""What ``figures.report`` says of the tables and figures of the LRC paper, from the records of their trainings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .differences import AS_USUAL
from .experiments.command import FIGURES, figure_of
from .experiments.figure import Column
from .experiments.presets import PRESETS
from .experiments.records import error_of, last_of, read
from .experiments.training import FIRST, METHOD
from .fig3 import CUTOFF, beyond
from .markdown import fill, table
from .report_texts import DIFFERENCES, FORMER, START, TITLES

__all__ = ["cell", "errors_of", "sections", "verdicts"]

STAGES = {"adam": "Adam", "polished": "polished"}
NEAR = 1.1  # the factor by which a learned inverse length may be off where it counts as identified


def errors_of(record: dict, row: str, column: str, stage: str, test: str) -> list[float]:
    """One number for each seed, over all of its test sets.

    Parameters
    ----------
    record : dict
        Of a ``Figure``.
    row, column : str
        Of the table.
    stage : {"start", "adam", "polished"}
        After which training.
    test : str
        Which.
    """
    runs = [run for run in record["runs"] if (run["row"], run["column"]) == (row, column)]
    return [error_of(run["errors"][stage], test) for run in runs if test in run["errors"].get(stage, {})]


def _range(values: Sequence[float]) -> str:
    return f"{_digits(min(values))} to {_digits(max(values))}"


def _digits(value: float) -> str:
    return f"{value:#.2g}".removesuffix(".")


def cell(errors: Sequence[float], paper: float | None = None) -> str:
    """Median and range as text, bold where the median is above the paper's.

    Parameters
    ----------
    errors : sequence of float
        One for each seed.
    paper : float, optional
        Theirs.
    """
    if not errors:
        return "-"
    text = _digits(float(np.median(errors)))
    if paper is not None and np.median(errors) > paper:
        text = f"**{text}**"
    return text if len(errors) == 1 else f"{text} ({_range(errors)})"


def _names(record: dict, what: str) -> list[str]:
    return list(dict.fromkeys(run[what] for run in record["runs"]))


def _in_order(names: Iterable[str]) -> list[str]:
    """By the numbers in them; without numbers first, as they came."""
    return sorted(names, key=lambda name: [float(number) for number in re.findall(r"[0-9.]+", name)])


def _errors(record: dict) -> str:
    """All rows, after each stage and on each test, beside the paper's."""
    columns, lines = _in_order(_names(record, "column")), list[list[str]]()
    mixed = len({_stream(run) for run in record["runs"]}) > 1
    for row in _names(record, "row"):
        streams = " and ".join(sorted({_stream(run) for run in record["runs"] if run["row"] == row}))
        theirs = record["paper"].get(row, {})
        tests = dict.fromkeys(t for run in record["runs"] if run["row"] == row for t in last_of(run["errors"]))
        for test in _in_order(tests):
            for stage, name in STAGES.items():
                errors = [errors_of(record, row, column, stage, test) for column in columns]
                if not any(errors):
                    continue
                like = theirs if test == next(iter(tests)) else {}
                cells = [cell(each, like.get(column)) for each, column in zip(errors, columns, strict=True)]
                lines.append([f"{row}, {name}, {test}" + (f", {streams} tests" if mixed else ""), *cells])
        if any("training_error" in run for run in record["runs"]):
            trained = [
                [r["training_error"] for r in record["runs"] if (r["row"], r["column"]) == (row, c)] for c in columns
            ]
            lines.append([f"{row}, on snapshots of the training", *(cell(each) for each in trained)])
        if theirs:
            lines.append([f"{row}, the paper", *(f"{theirs[c]:g}" if c in theirs else "-" for c in columns)])
    return table(["", *columns], lines)


def verdicts(record: dict) -> list[str]:
    """For every row of the paper, in how many columns ours is not above it, in the median and in the highest seed.

    Parameters
    ----------
    record : dict
        Of a ``Figure``.
    """
    lines = []
    for row, theirs in record["paper"].items():
        for stage, name in STAGES.items():
            test = next((t for run in record["runs"] if run["row"] == row for t in run["errors"].get(stage, {})), None)
            if test is None:
                continue
            ours = {column: errors_of(record, row, column, stage, test) for column in theirs}
            ours = {column: errors for column, errors in ours.items() if errors}
            middle = sum(np.median(errors) <= theirs[column] for column, errors in ours.items())
            highest = sum(max(errors) <= theirs[column] for column, errors in ours.items())
            seeds = {len(errors) for errors in ours.values()}
            text = f"- {row}, {name}: not above the paper in {middle} of {len(ours)} columns in the median of seeds"
            text += f", and in {highest} in the highest"
            if min(seeds) < 3:
                text += f"; {'all' if max(seeds) < 3 else 'some'} of {min(seeds)} seed(s), which says little"
            missing = len(theirs) - len(ours)
            lines.append(text + (f"; {missing} column(s) are not computed yet." if missing else "."))
    return lines


def _learned(record: dict) -> str:
    """Learned inverse lengths, of every seed, with the truth; empty where there is none."""
    lines, figure = [], figure_of(record["name"])
    truths = {(c.row, c.column): c.system.mu for c in figure.columns(PRESETS[record["preset"]])}
    for run in record["runs"]:
        last = last_of(run["learned"])
        truth = truths.get((run["row"], run["column"]))
        if "lam" not in last or truth is None:
            continue
        mu = min(truth)
        near = min(np.abs(last["lam"]), key=lambda lam: abs(np.log(lam / mu)))
        ratio = f"{near / mu:#.3g}"
        if abs(np.log(near / mu)) > np.log(NEAR):
            ratio = f"**{ratio}**"
        first, learned = (_lengths(each["lam"]) for each in (next(iter(run["learned"].values())), last))
        lines.append([run["row"], run["column"], str(run["seed"]), first, learned, f"{mu:g}", ratio])
    if not lines:
        return ""
    lines.sort(key=lambda line: (line[0], [float(number) for number in re.findall(r"[0-9.]+", line[1])], line[2]))
    about = (
        f"Learned λ; bold where the nearest one is more than a factor of {NEAR} from the smallest μ. The others are "
    )
    return (
        fill(about + "hardly determined.")
        + "\n"
        + table(["row", "column", "seed", "λ before the polish", "λ", "μ", "nearest λ / μ"], lines)
    )


def _factors(record: dict) -> str:
    """By what every change multiplies the error of a seed, of networks "kind, change" beside "kind, as usual"."""
    columns, rows = _in_order(_names(record, "column")), _names(record, "row")
    kinds = dict.fromkeys(row.partition(", ")[0] for row in rows if row.endswith(f", {AS_USUAL}"))
    places = [(kind, column) for kind in kinds for column in columns]
    lines = []
    for change in dict.fromkeys(row.partition(", ")[2] for row in rows):
        cells = []
        for kind, column in places:
            parts = [_ratios(record, kind, change, column, stage) for stage in ("adam", "polished")]
            cells.append("; ".join(parts))
        if change != AS_USUAL:
            lines.append([change, *cells])
    about = "Error on stratified points divided by that of the network as usual with the same seed: median over the "
    about += "seeds, lowest and highest, after Adam; polished. In *italics* where seeds disagree whether that is "
    about += "better or worse. Errors on uniform points are below."
    return fill(about) + "\n" + table(["", *(f"{kind}, μ₁ = {column}" for kind, column in places)], lines)


def _ratios(record: dict, kind: str, change: str, column: str, stage: str) -> str:
    names = (f"{kind}, {change}", f"{kind}, {AS_USUAL}")
    changed, usual = (_by_seed(record, name, column, stage) for name in names)
    ratios = [changed[tests] / usual[tests] for tests in changed if tests in usual]
    if not ratios:
        return "-"
    mark = "*" if min(ratios) < 1.0 < max(ratios) else ""
    return f"{mark}{cell(ratios)}{mark}"


def _by_seed(record: dict, row: str, column: str, stage: str) -> dict[tuple[int, str], float]:
    runs = [run for run in record["runs"] if (run["row"], run["column"]) == (row, column) and stage in run["errors"]]
    return {(run["seed"], _stream(run)): error_of(run["errors"][stage], "stratified") for run in runs}


def _lengths(lam: Sequence[float]) -> str:
    return ", ".join(f"{abs(each):#.3g}" for each in lam)


def _made(record: dict, command: str) -> str:
    """Where the numbers are from."""
    runs = record["runs"]
    dates = sorted({run["environment"]["date"][:10] for run in runs})
    made = [run["environment"] for run in runs]
    versions = {f"Python {each['python']}, NumPy {each['numpy']}, Numba {each['numba']}" for each in made}
    processors = {f"processor {each.get('processor', 'not recorded')}" for each in made}
    streams = ", ".join(sorted({_stream(run) for run in runs}))
    seconds = [run["seconds"] / 60 for run in runs]
    methods = {run.get("method", FIRST) for run in runs if "polished" in run["errors"]} - {METHOD}
    about = PRESETS[record["preset"]].about
    polished = f" ({' or '.join(sorted(methods))} instead)" if methods else ""
    text = f"`{command}`: {about}{polished}; {len(runs)} of {record['expected']} trainings, {streams} tests; "
    text += f"{dates[0]} to {dates[-1]}, {' / '.join(sorted(versions))}, {' / '.join(sorted(processors))}; "
    first = ", those of a second scale without its first" * any("start" in run["errors"] for run in runs)
    return text + f"{min(seconds):.0f} to {max(seconds):.0f} minutes of a core each{first}.{_versions(runs)}"


def _stream(run: dict) -> str:
    return f"final ({run.get('final_stream', FORMER[0])})" if run["stream"] == "final" else run["stream"]


def _versions(runs: list[dict]) -> str:
    """The versions of the code that trains, by their hashes, where there are several."""
    versions = {version for run in runs for version in str(run.get("sources")).split("+")}
    known, more = sorted(versions - {"earlier"}), ", and by some that were not noted" * ("earlier" in versions)
    return f" By {len(known)} versions of the code that trains: {', '.join(known)}{more}." if len(versions) > 1 else ""


def _trained(record: dict, stem: str) -> list[str]:
    parts = [_errors(record)]
    if record["name"] == "differences":
        parts.insert(0, _factors(record))
    lines = verdicts(record)
    if lines:
        parts.append("".join(fill(line) for line in lines))
    if learned := _learned(record):
        parts.append(learned)
    preset = PRESETS[record["preset"]]
    asked = {run.get("asked", preset.polish) for run in record["runs"]} - {preset.polish}
    polish = f"--polish {', '.join(map(str, sorted(asked)))} " if asked else ""
    command = f"python -m figures.{record['name']} --preset {record['preset']} {polish}--seeds "
    parts.append(fill(_made(record, command + ",".join(map(str, record["seeds"])))))
    columns = figure_of(record["name"]).columns(preset)
    there: dict[tuple[str, str], set[int]] = {}
    for run in record["runs"]:
        there.setdefault((run["row"], run["column"]), set()).add(run["polish"])
    missing = [column for column in columns if (column.row, column.column) not in there]
    made = [
        replace(column, training=replace(column.training, polish=length))  # as it was
        for column in columns
        for length in sorted(there.get((column.row, column.column), ()))
    ]
    parts.append(fill("Snapshots / epochs of Adam / iterations of the polish: " + _amounts(made, columns) + "."))
    if any(run.get("method", FIRST) != METHOD for run in record["runs"] if "polished" in run["errors"]):
        parts.append(fill("Of earlier scripts: the command makes these trainings anew, with another polish."))
    if missing:
        parts.append(fill("Not trained yet: " + _places(missing, columns) + "."))
    return [*parts, f"![{record['name']}](results/lrc/{stem}.png)\n"]


def _amounts(made: Sequence[Column], columns: Sequence[Column]) -> str:
    """How much some of the columns are trained, the usual amount first."""
    places: dict[str, list[Column]] = {}
    for column in made:
        training, small = column.training, column.small
        stages = training.protocol.stages if training.protocol is not None else ()
        amount = f"{training.samples} / {sum(stage.epochs for stage in stages)} / {training.polish}"
        places.setdefault(amount + (", after the small scale" if small is not None else ""), []).append(column)
    if len(places) == 1:
        return next(iter(places))
    return "; ".join(f"{amount} ({_places(some, columns)})" for amount, some in places.items())


def _places(some: Sequence[Column], columns: Sequence[Column]) -> str:
    """Some of the columns as text; a row alone where all of it is meant."""
    texts = []
    for row in dict.fromkeys(column.row for column in some):
        mine, every = ([each.column for each in several if each.row == row] for several in (some, columns))
        texts.append(row if len(mine) == len(every) else f"{row} at {', '.join(_in_order(mine))}")
    return "; ".join(texts)


def _drawn(name: str, record: dict) -> list[str]:
    """Another picture of trainings whose numbers are told elsewhere."""
    text = f'From the trainings of "{TITLES[record["name"]]}", where the numbers are: '
    text += f"`python -m figures.{name} --preset {record['preset']} --plot-only`."
    return [fill(text), f"![{name}](results/lrc/{name}_{record['preset']}.png)\n"]


def _measured(record: dict, stem: str) -> list[str]:
    if record["name"] == "fig3":
        mus = list(dict.fromkeys(row["mu"] for row in record["rows"]))
        shares = [[beyond(row, CUTOFF) for row in record["rows"] if row["mu"] == mu] for mu in mus]
        lines = [[f"{mu:g}", cell(each)] for mu, each in zip(mus, shares, strict=True)]
        parts = [table(["μ", f"share of Σ|F_ij| from beyond the cutoff {CUTOFF}"], lines)]
    else:
        header = [
            "dimensions",
            "points",
            "modes along an axis",
            "error of the sum over modes",
            "difference from direct sums",
            "convolution, s",
            "direct sums, s",
            "points per second",
        ]
        lines = []
        for run in record["runs"]:
            direct = f"{run['direct']:.2g}" if "direct" in run else "-"
            rate = f"{run['points'] / run['convolution']:.2g}"
            apart = f"{run['difference']:.2g}" if "difference" in run else "-"
            size = [str(run["dim"]), f"{run['points']:,}", str(run["modes"]), f"{run['error']:.0e}", apart]
            lines.append([*size, f"{run['convolution']:.2g}", direct, rate])
        parts = [table(header, lines)]
    made = record["environment"]
    text = f"`python -m figures.{record['name']} --preset {record['preset']}`; {made['date']}, {made['processor']}, "
    text += f"Python {made['python']}, NumPy {made['numpy']}, Numba {made['numba']}."
    return [*parts, fill(text), f"![{record['name']}](results/lrc/{stem}.png)\n"]


def sections(results: Path) -> list[str]:
    """A section for every table and figure that is there, with every preset of it but "quick", largest first.

    Parameters
    ----------
    results : Path
        Folder of the records.
    """
    made, missing = ["## The LRC paper\n", START], []
    for name in sorted(FIGURES, key=list(TITLES).index):
        figure = figure_of(name)
        there = [preset for preset in PRESETS.values() if figure.path(preset, results).exists()]
        if figure.trained_as:  # whose record may be there without this picture
            there = [preset for preset in there if (results / f"{name}_{preset.name}.png").exists()]
        if not there:
            missing.append(name)
            continue
        made += [f"### {TITLES[name]}\n", figure.about.partition("\n\n")[2].strip() + "\n"]
        shown = [preset for preset in there if preset.name != "quick"] or there
        for preset in reversed(shown):
            record = read(figure.path(preset, results))
            made += [f"#### Preset {preset.name}\n"] if len(shown) > 1 else []
            if figure.trained_as:
                made += _drawn(name, record)
            else:
                made += (_measured if "environment" in record else _trained)(record, f"{name}_{preset.name}")
    if missing:
        made.append(fill(f"Not computed yet: {', '.join(missing)}; `python -m figures` says how long each takes."))
    return [*made, DIFFERENCES]
