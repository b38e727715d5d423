"""Records of ``validation.long_range``, and words that are refused."""

from __future__ import annotations

import pytest

from validation.tools.learning import learning_arguments


@pytest.mark.parametrize("number", ["0", "-3", "1.5", "many"])
def test_numbers_of_steps_that_are_refused(number, tmp_path, capsys):
    with pytest.raises(SystemExit):
        learning_arguments("toy", "", "").parse_args(["--data", "x", "--output", str(tmp_path), "--steps", number])
    assert f"argument --steps: expected an integer of at least one, got {number}" in capsys.readouterr().err
