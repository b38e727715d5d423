"""The tour and the report of ``figures/``: scenes run, and what is written is what was measured."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from figures import report, report_learning, scenes, table1, tour
from lrc_numba import LRCPlan

FOLDER = Path(tour.__file__).parent
PUBLIC = {"lrc_numba", *(f"lrc_numba.{name}" for name in ("direct", "nbody", "networks", "training"))}


def _run(module, monkeypatch, *words: str) -> object:
    """The exit status of a script, or what it says when it ends early."""
    monkeypatch.setattr("sys.argv", [module.__name__, *words])
    try:
        module.main()
    except SystemExit as end:
        return end.code
    return 0


def test_the_report_is_what_the_results_say(monkeypatch, tmp_path, capsys):
    """``--check`` passes for the page of the repository, and for no other."""
    assert _run(report, monkeypatch, "--check") == 0
    page = tmp_path / "README.md"
    assert "is not what the results say" in str(_run(report, monkeypatch, "--check", "--output", str(page)))
    assert not page.exists()
    assert _run(report, monkeypatch, "--output", str(page)) == 0
    assert page.read_bytes() == (FOLDER / "README.md").read_bytes()
    page.write_text(page.read_text(encoding="utf-8").replace("0.05119", "0.06119"), encoding="utf-8")
    assert "is not what the results say" in str(_run(report, monkeypatch, "--check", "--output", str(page)))
    capsys.readouterr()


def _record(errors: dict[str, tuple[float, ...]]) -> dict:
    """Of trainings with these errors of seeds 0, 1, … for every μ₁; after a polish they are a tenth."""
    runs = []
    for row, several in errors.items():
        for mu in table1.MU:
            for seed, error in enumerate(several):
                two = np.sqrt(2) * error
                sets = {"adam": [0.0, two], "polished": [two / 10, 0.0]}
                run = {"row": row, "column": f"{mu:g}", "seed": seed, "seconds": 60.0, "stream": "final"}
                run |= {"key": "", "polish": 60, "losses": {}, "curves": {}, "development": {}}
                run["errors"] = {stage: {"stratified": {"true": each}} for stage, each in sets.items()}
                run["learned"] = {"adam": {"lam": [0.9 * mu, -40.0]}} if row == "full-range" else {"adam": {}}
                run["environment"] = {"date": "2026-01-01", "python": "3", "numpy": "2", "numba": "0"}
                runs.append(run)
    about = {"name": "table1", "preset": "paper", "about": "long", "paper": table1.FIGURE.paper, "seeds": [0, 1, 2]}
    return about | {"expected": len(runs), "protocols": [], "runs": runs}


def test_rows_of_several_seeds(tmp_path):
    """Medians and ranges over seeds, beside the paper's row as it was printed, bold where ours is above it."""
    record = _record({"short-range": (0.03, 0.01, 0.02), "full-range": (0.0003, 0.0001, 0.0002)})
    (tmp_path / "table1_paper.json").write_text(json.dumps(record), encoding="utf-8")
    text = "\n".join(report_learning.sections(tmp_path))
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["short-range, Adam, stratified"][0] == "0.020 (0.010 to 0.030)"
    assert rows["short-range, Adam, stratified"][2] == "**0.020** (0.010 to 0.030)"
    assert rows["short-range, polished, stratified"][2] == "0.0020 (0.0010 to 0.0030)"
    assert rows["short-range, the paper"] == ["0.05119", "0.02919", "0.00597", "0.00079", "0.00032"]
    assert rows["full-range, the paper"] == ["0.00828", "0.00602", "0.00336", "0.00077", "0.00054"]
    assert ["full-range", "0.5", "0", "0.450, 40.0", "0.450, 40.0", "0.5", "**0.900**"] in lines
    assert "Not computed yet: table2" in text
    verdicts = report_learning.verdicts(record)
    said = "- short-range, Adam: not above the paper in 2 of 5 columns in the median of seeds, and in 1 in the highest."
    assert said in verdicts
    assert "says little" not in said
    uneven = record | {"runs": record["runs"][:-2]}  # two columns of the last row have fewer seeds
    assert any("some of 1 seed(s), which says little" in line for line in report_learning.verdicts(uneven))
    few = record | {"runs": record["runs"][:1]}
    assert "all of 1 seed(s), which says little; 4 column(s) are not computed yet." in report_learning.verdicts(few)[0]


def test_factors_of_changes(tmp_path):
    """Of every change, seed by seed, of the networks and places that are there."""
    errors = {"full-range, as usual": (0.02, 0.01, 0.01), "full-range, no taper": (0.03, 0.09, 0.0)}
    errors |= {"full-range, no shift": (0.01, 0.02)}  # in which one seed is better, and one worse
    record = _record(errors | {"short-range, as usual": (0.1,), "short-range, plain start": (0.3,)})
    record["name"], record["preset"] = "differences", "reduced"
    for run in record["runs"]:
        run["learned"] = {"adam": {}}
        if (run["row"], run["seed"]) == ("full-range, no taper", 2):
            run["final_stream"] = 7  # other tests than the network as usual has
    record["runs"] = [run for run in record["runs"] if run["column"] in ("0.5", "10")]
    (tmp_path / "differences_reduced.json").write_text(json.dumps(record | {"paper": {}}), encoding="utf-8")
    text = "\n".join(report_learning.sections(tmp_path))
    one, other = "5.2 (1.5 to 9.0)", "*1.2 (0.50 to 2.0)*"
    assert f"| no taper | {one}; {one} | {one}; {one} | -; - | -; - |" in text
    assert f"| no shift | {other}; {other} | {other}; {other} | -; - | -; - |" in text
    assert "| plain start | -; - | -; - | 3.0; 3.0 | 3.0; 3.0 |" in text
    assert "| as usual |" not in text


def test_the_papers_numbers_stand_once():
    """In ``table1.PAPER_ROW``, for both networks and every μ₁."""
    assert set(table1.PAPER_ROW) == set(table1.KINDS)
    assert {len(row) for row in table1.PAPER_ROW.values()} == {len(table1.MU)}
    for file in FOLDER.glob("*.py"):
        if file.name != "table1.py":
            source = file.read_text(encoding="utf-8")
            assert not [number for row in table1.PAPER_ROW.values() for number in row if str(number) in source], file


@pytest.mark.parametrize("module", [tour, scenes, report])
def test_only_the_public_face_is_used(module):
    """So that these pages show what a user can do, and stay right when the inside changes."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {name for name in names if name.split(".")[0] == "lrc_numba"} <= PUBLIC


@pytest.mark.slow
def test_a_scene(monkeypatch, tmp_path, capsys):
    """One that only convolves: a line of text, a picture, the sheet, and a record that keeps other scenes."""
    (tmp_path / "tour.json").write_text(json.dumps({"scenes": {"5": {"name": "learning"}}}), encoding="utf-8")
    assert _run(tour, monkeypatch, "--scenes", "4", "--output", str(tmp_path)) == 0
    assert "4  A kernel of one's own: " in capsys.readouterr().out
    record = json.loads((tmp_path / "tour.json").read_text(encoding="utf-8"))["scenes"]
    assert set(record) == {"4", "5"}
    # eps of the convolution, 1e-6, and as much for what the images at half a box away, e^(−20²/2·4²), add to φ.
    assert record["4"]["numbers"]["error"] < 1e-6 + np.exp(-(20**2) / (2 * 4**2))
    size = tuple(round(inches * tour.DPI) for inches in tour.SIZE)
    for name in ("tour/4_own_kernel.png", "tour.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == size
            assert len(image.convert("RGB").getcolors(tour.COLOURS)) > 10  # something is drawn


def test_no_such_scene(monkeypatch, tmp_path, capsys):
    assert _run(tour, monkeypatch, "--scenes", "7", "--output", str(tmp_path)) == 2
    assert "--scenes" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_gradients_of_the_shown_kernel():
    """Its derivatives, which readers will copy, against central differences."""
    points = np.random.default_rng(0).random((20, 1))
    plan, g = LRCPlan(1.0, 15, dim=1).set_points(points), np.linspace(-1.0, 1.0, 20)
    values = {"height": 1.5, "q": 20.0, "width": 0.1}
    gradient = plan.vjp(None, scenes.Ripples(**values), g).parameters
    for name, value in values.items():
        step = 1e-5 * value
        up, down = (plan.convolve(None, scenes.Ripples(**values | {name: value + h})) for h in (step, -step))
        # Central differences are right to about step² + rounding/step, 1e-10 here.
        np.testing.assert_allclose(g @ (up - down) / (2 * step), gradient[name], rtol=1e-8)


def test_what_is_committed():
    """All scenes, in small files."""
    record = json.loads((FOLDER / "results" / "tour.json").read_text(encoding="utf-8"))["scenes"]
    assert list(record) == [str(number) for number in scenes.SCENES]
    for number, (name, title, _) in scenes.SCENES.items():
        assert (record[str(number)]["name"], record[str(number)]["title"]) == (name, title)
        assert (FOLDER / "results" / "tour" / f"{number}_{name}.png").stat().st_size < 150_000
    assert (FOLDER / "results" / "tour.png").stat().st_size < 1_000_000


def test_kept_networks_are_small():
    """All of them together, as they are part of every clone."""
    kept = list((FOLDER / "results" / "lrc" / "networks").glob("*.npz"))
    assert kept
    assert sum(path.stat().st_size for path in kept) < 1_000_000
