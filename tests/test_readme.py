"""README.md: its lines of code give what it prints, its links lead somewhere, its pages say what the JSON files say."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from figures import overview

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, ROOT / "validation" / "README.md", ROOT / ".github" / "CONTRIBUTING.md")


def _blocks(language: str) -> list[str]:
    """The fenced blocks of the README in one language; the fence itself would pass for printed output."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def test_code_prints_what_the_readme_says():
    """All blocks as one session."""
    example = doctest.DocTestParser().get_doctest("".join(_blocks("pycon")), {}, "README", str(README), 0)
    assert len(example.examples) >= 10
    said: list[str] = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)


def test_a_wrong_result_is_noticed():
    """The parser above reads results, not only statements."""
    (block,) = _blocks("pycon")
    wrong = doctest.DocTestParser().get_doctest(block, {}, "README", str(README), 0)
    assert [example.want for example in wrong.examples if example.want] != []
    assert all("```" not in example.want for example in wrong.examples)


def test_short_enough():
    """A newcomer reads it in some minutes: at most 800 words, counted between blanks."""
    assert len(README.read_text(encoding="utf-8").split()) <= 800


def test_command_of_the_tests():
    """One line between the markers, which ``.ci/run`` reads."""
    lines = README.read_text(encoding="utf-8").splitlines()
    begin = lines.index("<!-- the tests -->")
    inside = lines[begin + 1 : lines.index("<!-- end -->", begin)]
    command = [line for line in inside if not line.startswith("```")]
    assert len(command) == 1
    assert command[0].endswith("-m pytest")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "/" + page.name)
def test_links_lead_somewhere(page):
    """To files of the project, and to headings of the page itself."""
    text = page.read_text(encoding="utf-8")
    headings = [re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines()]
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif "://" not in link:
            assert (page.parent / link.split("#")[0]).exists(), link


def test_measurements_are_those_of_the_json_files():
    """``python -m validation.report`` writes the page anew."""
    command = [sys.executable, "-m", "validation.report", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_measurements_that_changed_are_noticed(tmp_path, monkeypatch):
    """Against a page with one digit more, the check fails."""
    from validation import report

    page = report.text()
    results = ROOT / "validation" / "results"
    (tmp_path / "results").symlink_to(results)
    (tmp_path / "README.md").write_text(page + "1\n", encoding="utf-8")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["report", "--check"])
    assert report.main() == 1
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    assert report.main() == 0


def test_picture_has_what_it_draws():
    """Three errors of every library, tighter ones slower, and both networks for every μ₁ of Table 1."""
    drawn = overview.convolutions(json.loads(overview.BENCHMARK.read_text(encoding="utf-8")))
    for errors, seconds in drawn.values():
        assert errors.shape == (3,)
        assert (np.diff(errors) < 0).all()
        assert (np.diff(seconds) > 0).all()
    for by_mu in overview.force_errors(json.loads(overview.TABLE.read_text(encoding="utf-8"))).values():
        assert sorted(by_mu) == sorted(overview.MU)
    assert overview.PICTURE.stat().st_size < 300_000


def test_errors_of_gradients_get_a_table():
    """Of a record of ``validation.gradient_error``: one table for each of what is computed, with all its ratios."""
    from validation import report_tables

    ratios = {"median": 0.01234, "95%": 0.5, "largest": 0.75, "above": 3}
    entry = {"what": "exact", "dim": 2, "eps": None, "cases": 40, "itself": ratios, "terms": ratios, "bound": ratios}
    page = "\n".join(report_tables.gradient_error({"cases": 40, "seed": 7, "summary": [entry, entry | {"eps": 1e-2}]}))
    three = "0.012, 0.5, 0.75 (3 above 1)"
    assert f"| 2 | all | 40 | {three} | {three} | {three} |" in page
    assert f"| 2 | 1e-02 | 40 | {three} | " in page
