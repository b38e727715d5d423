"""README.md: its lines of code give what it prints, its links lead somewhere, and it is short."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import lrc_numba

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


def test_one_version():
    """What is cited is what is installed, and measurements of an uninstalled checkout say it as well."""
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cited[1] == lrc_numba.__version__
