"""The tables of ``report``: what a record of a script becomes in Markdown, one function for each script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .benchmark_report import summary

__all__ = [
    "Lines",
    "benchmark",
    "direct_sum",
    "gradient_error",
    "neighbours",
    "networks",
    "origin",
    "promises",
    "stages",
    "table",
    "threads",
    "training",
    "windows",
]

VERDICTS = {"met": "kept", "missed": "not kept"}
PEERS = {"finufft": "FINUFFT", "ducc0": "ducc0"}
Lines = Iterator[str]


# ---------------------------------------------------------------------- pieces of a page
def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Lines:
    """A Markdown table and an empty line; a ValueError where a row has not as many cells as the header."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        cells = (cell for _, cell in zip(header, row, strict=True))
        yield "| " + " | ".join("–" if cell is None else str(cell).replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _seconds(value: float | None) -> str | None:
    """With its unit, three digits."""
    if value is None:
        return None
    unit, scale = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e-3)) if value >= s), ("µs", 1e-6))
    return f"{value / scale:.3g} {unit}"


def _error(value: float | None) -> str | None:
    return None if value is None else f"{value:.1e}"


def _times(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _engines(record: dict) -> str:
    """The digests of the engine that a record carries."""
    cells = record.get("cells", [])
    named = {cell["versions"]["lrc_numba"]: cell["operation"] for cell in cells if "versions" in cell}
    if not named:
        return record["environment"].get("engine", "digest not recorded")
    by_digest = {
        digest: sorted({c["operation"] for c in cells if c["versions"]["lrc_numba"] == digest})
        for digest in sorted(named)
    }
    if len(by_digest) == 1:
        return f"digest {next(iter(by_digest))}"
    return "digests " + ", ".join(f"{digest} ({', '.join(of)})" for digest, of in by_digest.items())


def origin(name: str, record: dict) -> Lines:
    """Where, when and with what a file was measured."""
    about = record["environment"]

    def told(key: str) -> object:
        return about.get(key, "not recorded")

    dates = sorted(cell["date"] for cell in record.get("cells", []) if "date" in cell)
    date = f"{dates[0]} to {dates[-1]}" if dates else told("date")
    command = f"`{told('command')}`" + (" (the last run of several)" if dates else "")
    libraries = ", ".join(
        f"{key} {about[key]}" for key in ("numpy", "numba", "finufft", "ducc0", "vesin") if key in about
    )
    yield f"**{told('processor')}**, {told('processors')} processors, {told('threads')} thread(s); {command};"
    yield f"{date}, load {told('load_average')}; lrc_numba {told('lrc_numba')}, engine: {_engines(record)};"
    yield f"Python {told('python')}, {libraries}; file `validation/{name}`."
    yield ""


# ---------------------------------------------------------------------- promises
GROUPS = (
    ("Error over eps", ("error/eps",), "The worst over kernels (among them a flat one), charges, points and eps."),
    (
        "Gradient",
        ("gradient of",),
        "Of the energy U = ½ Σ f u against differences of U; of φ: against its exact gradient.",
    ),
    ("Continuity", ("continuity",), "One point crosses two grid cells; jumps of U over |U|, and of the force."),
    ("Small problems", ("N = 20", "64 snapshots"), "Twenty points, and 64 such snapshots at once."),
    (
        "Import, first call, compiling",
        ("import", "first", "compiling"),
        "In fresh processes; cold: nothing compiled yet.",
    ),
    ("Memory", ("peak memory",), "Resident peak of one call above its inputs and compiled code."),
)


def _unit(shown: str) -> str | None:
    """A number with its unit, as a record of ``promises`` has it; None for its dash."""
    return None if shown == "-" else shown.replace(" us", " µs")


def promises(record: dict) -> Lines:
    """Bounds and what was measured."""
    for title, begins, about in GROUPS:
        rows = [
            (
                p["promise"],
                _unit(p["goal"]),
                _unit(p["measured"]),
                VERDICTS.get(p["verdict"]),
                p["note"],
            )
            for p in record["promises"]
            if p["promise"].startswith(begins)
        ]
        yield f"#### {title}\n\n{about}\n"
        yield from table(("what", "bound", "measured", "kept?", "case"), rows)
    yield f"Of {record['errors_measured']} errors measured, {len(record['errors_above_eps'])} were above eps.\n"


# ---------------------------------------------------------------------- gradients of the kernel
COMPUTED = {"convolution": "u", "exact": 'gradient="exact"', "spectral": 'gradient="spectral"'}
SIZES = {"bound": "the bound", "terms": "eps × terms", "itself": "eps × itself"}


def _quantiles(ratios: dict) -> str:
    """Three numbers, and how many cases are above one."""
    shown = ", ".join(f"{ratios[key]:.2g}" for key in ("median", "95%", "largest"))
    return f"{shown} ({ratios['above']} above 1)" if ratios["above"] else shown


def gradient_error(record: dict) -> Lines:
    """Errors over what bounds them, for u and both gradients."""
    yield f"{record['cases']} random problems per dimension, seed {record['seed']}. *Bound*: a proved one, at the worst"
    yield "point. *Terms*: the size of what is added up. *Itself*: the norm of the result, small where they cancel."
    yield "Of all cases: median, 95%, largest.\n"
    for what, title in COMPUTED.items():
        entries = [entry for entry in record["summary"] if entry["what"] == what]
        sizes = [size for size in SIZES if entries and size in entries[0]]
        rows = [
            (
                entry["dim"],
                "all" if entry["eps"] is None else f"{entry['eps']:.0e}",
                entry["cases"],
                *(_quantiles(entry[size]) for size in sizes),
            )
            for entry in entries
        ]
        yield f"#### Error of {title}\n"
        yield from table(("d", "eps", "cases", *(f"error / {SIZES[size]}" for size in sizes)), rows)


# ---------------------------------------------------------------------- direct sums
def direct_sum(record: dict) -> Lines:
    """Errors, band limiting, crossovers and times."""
    yield "#### Largest error over eps, against the Fourier sum\n"
    worst: dict[tuple, list[float]] = {}
    for row in record["errors"]:
        if row["error_fourier"] is not None:
            key = (row["dim"], row["modes"], row["dtype"], row["distribution"])
            worst.setdefault(key, []).append(row["error_fourier"] / row["eps"])
    rows = [(d, f"{m}^{d}", t, p, len(v), f"{max(v):.2g}") for (d, m, t, p), v in worst.items()]
    yield from table(("d", "modes", "dtype", "points", "cases", "error/eps"), rows)

    yield "#### Error that band limiting leaves, against the sum over pairs\n"
    yield "It does not depend on eps: what the modes that are left out would add.\n"
    rows = [(r["dim"], f"{r['modes']}^{r['dim']}", _error(r["error_pairs"])) for r in record["truncation"]]
    yield from table(("d", "modes", "error"), rows)

    yield '#### `window="gaussian_paper"`\n'
    yield "Appendix B of the LRC paper as printed there, without oversampling; nothing is promised about eps.\n"
    rows = [(r["modes"], r["kernel"], _error(r["error"]), _error(r["authors"])) for r in record["gaussian_paper"]]
    yield from table(("modes", "kernel", "measured error", "error that the authors state"), rows)

    yield "#### From how many points on it is faster\n"
    yield "Than a direct Fourier sum, a pair sum in NumPy, a compiled pair sum. – : not measured.\n"
    rows = [(r["kernel"], r["dim"], r["fourier"], r["pairs"], r["compiled"]) for r in record["crossovers"]]
    yield from table(("kernel", "d", "Fourier sum", "pair sum, NumPy", "pair sum, compiled"), rows)

    yield "#### Times\n"
    yield "~ : a part of the targets was timed and scaled. *Call* is `lrc_convolve`, *plan* a prepared plan.\n"
    rows = []
    for r in record["times"]:
        # Of a sum that was not measured there is no entry.
        times = {k: ("~" if r["scaled"][k] else "") + (_seconds(v) or "–") for k, v in r["seconds"].items()}
        shown = [times.get(k) for k in ("ours", "planned", "pairs", "compiled", "fourier")]
        rows.append(
            (r["kernel"], r["dim"], r["points"], f"{r['modes']}^{r['dim']}", *shown, _error(r["error_fourier"]))
        )
    header = (
        "kernel",
        "d",
        "points",
        "modes",
        "call",
        "plan",
        "pairs, NumPy",
        "pairs, compiled",
        "Fourier sum",
        "error",
    )
    yield from table(header, rows)


# ---------------------------------------------------------------------- other libraries
def _ratio_rows(rows: list[dict], *labels: object) -> list[tuple]:
    """One per operation and number of threads, of ``summary``."""
    return [
        (
            *labels,
            row["operation"],
            part["threads"],
            part["cells"],
            *(_times(part["means"][peer][mode]) for peer in PEERS for mode in ("new", "kept", "both")),
            _times(part["worst"]),
            part["worst_cell"],
        )
        for row in rows
        for part in row["threads"]
    ]


def benchmark(record: dict) -> Lines:
    """Ratios of times: all dimensions, and one by one."""
    header = ["operation", "threads", "cells"]
    header += [f"{name}: {mode}" for name in PEERS.values() for mode in ("new", "kept", "both")]
    header += ["slowest", "slowest cell"]
    yield "#### All dimensions\n"
    yield "How many times as fast as the others, geometric means; *slowest* is against the faster of the two.\n"
    yield from table(header, _ratio_rows(record["summary"]))
    yield "#### By dimension\n"
    rows = []
    for dim in sorted({cell["dim"] for cell in record["cells"]}):
        rows += _ratio_rows(summary([cell for cell in record["cells"] if cell["dim"] == dim]), dim)
    yield from table(["d", *header], rows)
    yield "#### Loosening of eps, and targets that were out of reach\n"
    names = {"lrc_numba": "lrc_numba", **PEERS}
    rows = [
        (
            row["operation"],
            *(f"{row['looser'][name]:.1f}" for name in names),
            *(sum(part["missed"][name] for part in row["threads"]) for name in names),
        )
        for row in record["summary"]
    ]
    header = [f"{name}: decades" for name in names.values()] + [f"{name}: cells" for name in names.values()]
    yield from table(["operation", *header], rows)


# ---------------------------------------------------------------------- stages, threads, windows
def stages(record: dict) -> Lines:
    """Rates over ceilings, and growth."""
    for part in record["parts"]:
        yield f"#### Stages, {part['threads']} thread(s)\n"
        sizes = ("memory", "cache", "operations")
        rows = [
            (s["stage"], _seconds(s["seconds"]), *(f"{100 * s[f'{size}_of_ceiling']:.0f}%" for size in sizes))
            for s in part["stages"]
        ]
        yield from table(("stage", "time", "of memory's rate", "of the cache's", "of multiply–adds"), rows)
        ceilings = part["ceilings"]
        yield f"Ceilings: {ceilings['memory'] / 1e9:.1f} GB/s from memory, {ceilings['cache'] / 1e9:.0f} GB/s in cache,"
        yield f"{ceilings['operations'] / 1e9:.0f}·10⁹ operations per second."
        yield f"`set_points` and `convolve` as a whole: {_seconds(part['whole'])}.\n"
    yield "#### Time over the number of points\n"
    rows = [(r["points"], r["threads"], _seconds(r["set_points"]), _seconds(r["convolve"])) for r in record["growth"]]
    yield from table(("points N", "threads", "`set_points`", "`convolve`"), rows)
    grows = "; ".join(f"N^{value:.2f} on {threads} thread(s)" for threads, value in record["exponents"].items())
    yield f"Over the last decade it grows as {grows}.\n"


def threads(record: dict) -> Lines:
    """Gains of the library and of the machine."""
    few, many = record["threads"]
    names = {
        "new": "new points",
        "kept": "kept points",
        "memory": "copy",
        "cache": "in cache",
        "operations": "multiply–adds",
    }
    rows = [
        (text, *(_times(record["means"][key][of]) for of in ("medians", "shortest"))) for key, text in names.items()
    ]
    yield f"How many times as fast {many} threads are as {few}, geometric means; the last three rows are loops.\n"
    yield from table(("what", "medians", "shortest times"), rows)
    groups: dict[tuple, dict[str, list[float]]] = {}
    for p in record["problems"]:
        lists = groups.setdefault((p["dim"], p["points"], p["modes"]), {"new": [], "kept": []})
        for mode in lists:
            lists[mode].append(p[mode]["medians"])
    rows = [
        (d, n, f"{m}^{d}", *(f"{min(v[mode]):.2f} to {max(v[mode]):.2f}" for mode in ("new", "kept")))
        for (d, n, m), v in groups.items()
    ]
    yield from table(("d", "points", "modes", "new points", "kept points"), rows)
    empty = record["empty_loop_seconds"]
    yield f"An empty loop: {_seconds(empty['awake'])}, or {_seconds(empty['asleep'])} where threads sleep.\n"


def neighbours(record: dict) -> Lines:
    """Times of both, and what they find."""
    yield f"A full list has about {record['neighbours']} neighbours for each point, a half list every pair once."
    yield "*Difference*: of the sum of all distances, relative. – : vesin was not installed.\n"
    rows = []
    for r in record["rows"]:
        ours, theirs = r["seconds"]["lrc_numba"], r["seconds"].get("vesin")
        more = None if theirs is None else r["pairs"]["lrc_numba"] - r["pairs"]["vesin"]
        times = (_seconds(ours), _seconds(ours / r["points"]), _seconds(theirs), _times(r.get("ratio")))
        about = (r["cell"], r["list"], r["points"], r["threads"])
        rows.append((*about, *times, r["pairs"]["lrc_numba"], more, _error(r.get("difference"))))
    header = ("cell", "list", "points", "threads", "lrc_numba", "per point", "vesin", "ratio")
    yield from table((*header, "pairs", "more than vesin", "difference"), rows)
    if not record["growth"]:
        return
    yield "Exponents p of time ~ N^p, from the least to the largest number of points:\n"
    names = list(record["growth"][0]["exponents"])
    rows = [
        (g["cell"], g["list"], g["threads"], *(f"{g['exponents'][name]:.2f}" for name in names))
        for g in record["growth"]
    ]
    yield from table(("cell", "list", "threads", *names), rows)


def windows(record: dict) -> Lines:
    """Widths, jumps and aliasing."""
    kinds = ("cut off", "shifted", "C1")
    rows = [
        (
            r["oversampling"],
            f"{r['eps']:.0e}",
            *((r[kind] or {}).get("width") for kind in kinds),
            _error(r.get("energy jump")),
            _error(r.get("force jump")),
            *(_error((r[kind] or {}).get("long")) for kind in ("cut off", "C1")),
        )
        for r in record["rows"]
    ]
    header = [
        "oversampling",
        "eps",
        *(f"width, {kind}" for kind in kinds),
        "energy jump, cut off",
        "force jump, shifted",
    ]
    yield from table([*header, "gradient of a long wave, cut off", "the same, C1"], rows)


# ---------------------------------------------------------------------- networks
def networks(record: dict) -> Lines:
    """Derivatives, trajectories and cost."""
    yield "#### Derivatives against differences, largest relative errors\n"
    keys = ("kind", "dim", "cutoff", "parameters")
    rows = [(*(r[k] for k in keys), _error(r["forces"]), _error(r["gradient"])) for r in record["derivatives"]]
    yield from table(("network", "d", "cutoff", "parameters", "forces", "gradient of the loss"), rows)
    yield "#### Energy along a trajectory\n"
    rows = [
        (t["kind"], f"{s['step']:g}", s["steps"], _error(s["largest"]))
        for t in record["trajectories"]
        for s in t["drift"]
    ]
    yield from table(("network", "time step", "steps", "largest \\|E(t) − E(0)\\|"), rows)
    yield "#### Energy and forces over the number of points\n"
    rows = [(r["dim"], r["points"], f"{r['modes']}^{r['dim']}", _seconds(r["seconds"])) for r in record["cost"]]
    yield from table(("d", "points", "modes", "time"), rows)
    grows = ", ".join(f"N^{value:.2f} in {dim}-D" for dim, value in record["exponents"].items())
    yield f"It grows as {grows}.\n"


def training(record: dict) -> Lines:
    """Times of a step."""
    yield "PyTorch's step is a script that is not part of this project; medians of turns.\n"
    rows = []
    for r in record["rows"]:
        dim, count, batch, modes, dtype = r["case"]
        theirs = r.get("torch")
        ratio = theirs / r["seconds"] if theirs else None
        rows.append(
            (dim, count, batch, f"{modes}^{dim}", dtype, _seconds(r["seconds"]), _seconds(theirs), _times(ratio))
        )
    yield from table(("d", "points", "batch", "modes", "dtype", "lrc_numba", "PyTorch", "ratio"), rows)
