"""The step of another version of the repository: measured there, and refused by name where there is none."""

import pytest

from validation import versions


def version(folder, body: str):
    """A checkout whose step takes what it says."""
    (folder / "validation").mkdir()
    (folder / "validation" / "__init__.py").touch()
    (folder / "validation" / "benchmark_training.py").write_text(f"def measure(case, threads, repeats):\n    {body}\n")
    return folder


def test_the_step_of_the_folder(tmp_path):
    """Of that version, not of this one, with what it is told."""
    made = version(tmp_path, "print('noise'); return case[1] + threads / 10 + repeats / 1000")
    assert versions.step(made, (1, 20, 64, 501, "float64"), 2, 5) == pytest.approx(20.205)


def test_no_step(tmp_path):
    with pytest.raises(RuntimeError, match=r"no step of this version: [\s\S]*KeyError"):
        versions.step(version(tmp_path, "raise KeyError(case)"), versions.CASES[0], 1, 1)


def test_no_such_version(capsys):
    """Said, and no error: a clone may have been made without its history."""
    with pytest.raises(SystemExit) as left:
        versions.git("rev-parse", "--verify", "no-such-commit")
    assert not left.value.code
    assert "SKIPPED" in capsys.readouterr().out
