"""Options of scripts that count or measure something: refused before anything is computed."""

from __future__ import annotations

import sys

import pytest

from validation import distributed


@pytest.mark.parametrize(
    "option",
    [
        ["--ranks", "0"],
        ["--ranks", "-2"],
        ["--latency", "0"],
        ["--bandwidth", "-1"],
        ["--bandwidth", "nan"],
        ["--memory", "fast"],
        ["--threads", "4"],  # each rank has one thread
    ],
)
def test_ranks_and_networks_that_are_none(option, tmp_path, monkeypatch, capsys):
    """Named as options."""
    monkeypatch.setattr(distributed, "measured", lambda *_: pytest.fail("something is measured"))
    monkeypatch.setattr(sys, "argv", ["distributed", "--quick", "--output", str(tmp_path), *option])
    with pytest.raises(SystemExit):
        distributed.main()
    assert option[0] in capsys.readouterr().err
