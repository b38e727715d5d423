"""Compiled code on disk: one warning where it cannot be kept, and a damaged file is as good as none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    from loop import double, triple
    assert double(0, 0, 3) == 6
    assert triple(0, 0, 3) == 9
print(*(sum(kernel.stats.cache_hits.values()) for kernel in (double, triple)))
for warning in told:
    print(warning.category.__name__, warning.message)
"""

KERNELS = """
from lrc_numba.machine.cpu.compile import kernel

@kernel
def double(part, lo, hi):
    return 2 * (hi - lo)

@kernel
def triple(part, lo, hi):
    return 3 * (hi - lo)
"""


def _run(folder: Path, **environment: str) -> tuple[str, list[str]]:
    """Two kernels in a process of their own: whether each was found on disk, and what was warned of."""
    (folder / "loop.py").write_text(KERNELS)
    done = subprocess.run(
        [sys.executable, "-c", LOOP, str(folder)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts, *warned = done.stdout.splitlines()
    return counts, warned


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A directory where both kernels are kept."""
    where = tmp_path / "kept"
    assert _run(tmp_path, NUMBA_CACHE_DIR=str(where)) == ("0 0", [])
    assert _run(tmp_path, NUMBA_CACHE_DIR=str(where)) == ("1 1", [])
    return where


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _emptied(content: bytes) -> bytes:
    return b""


def _garbled(content: bytes) -> bytes:
    return b"no pickle at all" * 10


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.slow
def test_damaged_files_are_replaced(tmp_path, kept):
    """Index or code, cut off, empty, garbage, or with one wrong byte: compiled again, kept again, without a word."""
    (index,), (code,) = kept.rglob("loop.double-*.nbi"), kept.rglob("loop.triple-*.nbc")
    for damage in (_cut, _emptied, _garbled, _flipped):
        whole = [file.read_bytes() for file in (index, code)]
        for file, content in zip((index, code), whole, strict=True):
            file.write_bytes(damage(content))
        assert _run(tmp_path, NUMBA_CACHE_DIR=str(kept)) == ("0 0", []), damage
    assert _run(tmp_path, NUMBA_CACHE_DIR=str(kept)) == ("1 1", [])


@pytest.mark.slow
def test_a_file_that_cannot_be_read(tmp_path, kept):
    """A directory in its place: compiled anew, and one warning, as it cannot be kept."""
    for file in kept.rglob("loop.*.nbi"):
        file.unlink()
        file.mkdir()
    counts, warned = _run(tmp_path, NUMBA_CACHE_DIR=str(kept))
    assert counts == "0 0"
    assert len(warned) == 1
    assert "RuntimeWarning compiled code cannot be kept in" in warned[0]
    assert "set NUMBA_CACHE_DIR" in warned[0]


@pytest.mark.slow
def test_a_directory_that_cannot_be_made(tmp_path):
    """Below a file: one warning for all kernels, and they are kept somewhere else."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    _, warned = _run(tmp_path, NUMBA_CACHE_DIR=str(blocked / "below"), XDG_CACHE_HOME=str(tmp_path / "home"))
    assert len(warned) == 1
    assert warned[0].startswith("RuntimeWarning NUMBA_CACHE_DIR=")
    assert "cannot be written to: compiled code is kept elsewhere" in warned[0]


@pytest.mark.slow
def test_nothing_can_be_kept(tmp_path):
    """Neither beside the source nor in the user's cache: one warning that names the way out."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    (tmp_path / "__pycache__").write_text("")  # in the way of the directory, for every user
    environment = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked / "below"), "NUMBA_CACHE_DIR": ""}
    counts, warned = _run(tmp_path, **environment)
    assert counts == "0 0"
    assert len(warned) == 1
    assert "RuntimeWarning compiled code can be kept nowhere" in warned[0]
    assert "set NUMBA_CACHE_DIR" in warned[0]
