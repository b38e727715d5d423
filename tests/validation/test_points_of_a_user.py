"""``python -m validation.direct_sum --points``: what cannot be read is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_missing_file_of_points_is_an_error(tmp_path):
    """What a user typed and does not exist, or is something else, ends with a status other than 0 and says which."""
    command = [sys.executable, "-m", "validation.direct_sum", "--points"]
    other = tmp_path / "other.npz"
    other.write_text("no archive")
    for path, words in ((tmp_path / "none.npz", "No such file"), (other, "is no such file")):
        done = subprocess.run([*command, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode not in (0, -11), path
        assert f"{path}: " in done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr
