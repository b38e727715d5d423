"""Tables of electrostatics for the page of ``validation.report``: accuracies that were asked for, peers, truths."""

from __future__ import annotations

from itertools import product
from statistics import geometric_mean, median

from .common import seconds
from .report_learning import recorded
from .report_tables import Lines, table

__all__ = ["accuracies", "distributed", "goals", "peers", "truths"]

MANY = 8000  # ions, from which on LAMMPS is to be beaten by more


def accuracies(record: dict) -> Lines:
    """What was asked of ``tune`` and what came, by calculator."""
    kept = "kept" if record["summary"]["kept"] else "not kept"
    yield f"Promised: at most 1.5 times what was asked for, and no less than 0.05 of it in the median; {kept}.\n"
    groups: dict[tuple, list[dict]] = {}
    for row in record["rows"]:
        groups.setdefault((row["calculator"], row["splitting"]), []).append(row)
    rows = []
    for (calculator, splitting), of_group in groups.items():
        ratios = [row["measured"] / row["asked"] for row in of_group]
        guesses = [row["measured"] / row["estimated"] for row in of_group]
        quantiles = (*(f"{f(ratios):.2f}" for f in (median, max)), *(f"{f(guesses):.2f}" for f in (min, median, max)))
        seconds = f"{median(row['seconds'] for row in of_group):.2f}"
        rows.append((calculator, splitting, len(ratios), *quantiles, seconds))
    header = ["calculator", "splitting", "cases", "measured/asked: median", "largest"]
    header += ["measured/estimated: least", "median", "largest", "seconds of tune, median"]
    yield from table(header, rows)


def truths(record: dict) -> Lines:
    """Errors of every case and calculator, and of lattice sums."""
    yield from recorded(record)
    yield f"Madelung constants and lattice sums: largest relative error {record['lattice_sums']:.1e}.\n"


def peers(record: dict) -> Lines:
    """Times beside those of others; and small systems."""
    if "lines" not in record:
        yield "Not finished: the file has no table yet.\n"
        return
    yield from recorded(record)
    yield from _below_goals(record["rows"])
    yield from _means(record["rows"])
    names = list(dict.fromkeys(name for values in record["small"].values() for name in values))
    rows = [(threads, *(f"{1e6 * values[name]:.0f}" for name in names)) for threads, values in record["small"].items()]
    yield "#### Systems of 100 ions, µs\n"
    yield from table(("threads", *names), rows)


def _below_goals(rows: list[dict]) -> Lines:
    """Which rows are slower beside their peer than was promised, with kept and with new neighbours."""
    below = []
    for row in (row for row in rows if "kept" in row and row["peer"] != "-"):
        for kind, words, goal in zip(("kept", "new"), ("", ", new list"), goals(row), strict=True):
            if goal is not None and (ratio := row[kind][1] / row[kind][0]) < goal:
                threads = f"{row['threads']} thread(s)"
                case = f"{row['system']}, {row['target']:.0e}, {threads}, {row['peer']}{words}"
                below.append(f"{case}: {ratio:.2f} of {goal}")
    yield "Promised: 3 times as fast as LAMMPS below 8,000 atoms, 4 times from there on, twice with new lists; 25 times"
    yield "as fast as torch-pme; " + ("not kept:\n" if below else "kept.\n")
    yield from (f"- {line}" for line in below)
    there = {(row["peer"], row["system"], row["target"], row["threads"]) for row in rows if row["peer"] != "-"}
    columns = [dict.fromkeys(each) for each in zip(*sorted(there), strict=True)]
    missing = [case for case in product(*columns) if case not in there] if there else []
    told = "; ".join(
        f"{peer}, {system}, {target:.0e}, {threads} thread(s)" for peer, system, target, threads in missing
    )
    yield f"\nNot measured: {told}.\n" if missing else ""


def goals(row: dict) -> tuple[float | None, float | None]:
    """How many times as fast as a peer a row is to be, with kept neighbours and with new ones; None where nothing is.

    Parameters
    ----------
    row : dict
        Of ``validation.benchmark_electrostatics``.
    """
    if row["peer"].startswith("LAMMPS"):
        return (4 if int(row["system"].split()[-1].replace(",", "")) >= MANY else 3), 2
    return (25 if row["peer"].startswith("torch") else None), None


def _means(rows: list[dict]) -> Lines:
    """Geometric means of the ratios to each peer, of the rows there are."""
    for peer in dict.fromkeys(row["peer"] for row in rows if row["peer"] != "-"):
        own = [row for row in rows if row["peer"] == peer and "kept" in row]
        for threads in sorted({row["threads"] for row in own}):
            some = [row for row in own if row["threads"] == threads]
            means = (geometric_mean(row[kind][1] / row[kind][0] for row in some) for kind in ("kept", "new"))
            kept, new = (f"{mean:.1f}" for mean in means)
            yield f"Geometric mean beside {peer}, {threads} thread(s), {len(some)} rows: {kept}, new list {new}.\n"


def distributed(record: dict) -> Lines:
    """Gains, bytes, and the model."""
    rows = [
        (
            g["what"],
            g["ranks"],
            seconds(g["alone"]),
            seconds(g["together"]),
            f"{g['alone'] / g['together']:.2f}",
            f"{g['alone'] / g['apart']:.2f}",
        )
        for g in record["gains"]
    ]
    yield "One thread each; medians of turns, the slowest rank counts. Last, what the machine gives: the gain of as"
    yield "many processes that do their shares without a word between them.\n"
    yield from table(("what", "ranks", "one rank", "all", "gain", "without a word"), rows)
    yield "What a rank sends in a convolution, and stored modes × 16 B × 2 (R − 1)/R:\n"
    rows = [(b["ranks"], b["sent"], round(b["model"]), f"{b['sent'] / b['model']:.4f}") for b in record["bytes"]]
    yield from table(("ranks", "bytes", "model", "ratio"), rows)
    yield (
        f"10⁹ points by the model of the script: a latency of {record['latency']:g} s, "
        f"{record['bandwidth'] / 1e9:g} GB/s. Seconds of a convolution: points + transforms + sum of modes. Every rank "
        "has the whole grid.\n"
    )
    cells = record["model"]["cells"]
    ranks = list(dict.fromkeys(cell["ranks"] for cell in cells))
    rows = []
    for modes in dict.fromkeys(cell["modes"] for cell in cells):
        own = [cell for cell in cells if cell["modes"] == modes]
        parts = (f"{c['points']:.3g} + {c['transforms']:.3g} + {c['sum']:.2g}" for c in own)
        rows.append((f"{modes}³", f"{own[0]['grid'] / 1e9:.1f} GB", *parts))
    yield from table(("modes", "grid", *(f"{rank} rank(s)" for rank in ranks)), rows)
    needed = "; ".join(
        f"{count} ranks: " + (f"{modes}³ modes" if modes else "none of these")
        for count, modes in record["model"]["distributed_fft_from"].items()
    )
    yield (
        "A distributed FFT would be needed where transforms and sum take longer than the points of a rank, or the grid "
        f"more than {record['memory'] / 1e9:g} GB, from these on: {needed}.\n"
    )
