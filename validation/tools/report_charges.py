"""Tables of electrostatics for the page of ``validation.report``: accuracies that were asked for, peers, truths."""

from __future__ import annotations

from statistics import median

from .report_learning import recorded
from .report_tables import Lines, table

__all__ = ["accuracies", "peers", "truths"]


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
    names = list(dict.fromkeys(name for values in record["small"].values() for name in values))
    rows = [(threads, *(f"{1e6 * values[name]:.0f}" for name in names)) for threads, values in record["small"].items()]
    yield "#### Systems of 100 ions, µs\n"
    yield from table(("threads", *names), rows)
