"""Pictures of tables: names of marks, losses that were not recorded throughout, legends beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from figures import table1, table4
from figures.experiments import style

ADAM = [[10, 1.0], [20, 0.5]]
WHOLE = [[20, 0.5, 0.1], [40, 0.1, 0.03], [50, 0.03, 0.02]]
LATE = [[220, 4e-3, 3e-3], [240, 3e-3, 2e-3]]


def _run(row: str, column: str, seed: int = 0, polish: list | None = None, **more) -> dict:
    """Of a training with a polish, the end of which alone is known where there are no pieces."""
    errors = {stage: {"stratified": {"true": [error]}} for stage, error in (("adam", 0.1), ("polished", 0.001))}
    curves = {"adam": ADAM} | ({} if polish is None else {"polish": polish})
    made = {"row": row, "column": column, "seed": seed, "errors": errors, "curves": curves, "polish": 200}
    return made | {"losses": {"adam": 0.5, "polished": 1e-3}, "method": "Levenberg–Marquardt"} | more


@pytest.fixture
def drawn(monkeypatch):
    """What ``draw`` of a table makes of runs: the figure, and its axes."""
    import matplotlib.pyplot as plt

    made = []
    monkeypatch.setattr(style, "save", lambda figure, _: made.append(figure))

    def draw(table, runs: list[dict]):
        table.draw({"runs": runs, "paper": table.FIGURE.paper}, Path("unused"))
        return made[-1], made[-1].axes

    yield draw
    plt.close("all")


def _words(figure) -> list[str]:
    """Of all legends."""
    legends = figure.legends
    return [text.get_text() for legend in legends for text in (legend.get_title(), *legend.get_texts())]


def test_marks_of_the_paper_say_what_it_has(drawn):
    """It has two kinds of networks and no split switch; its marks hide neither each other nor ours."""
    figure, (left, _, _) = drawn(table1, [_run(row, f"{mu:g}") for row in table1.ROWS[1:] for mu in table1.MU])
    words = _words(figure)
    assert [word for word in words if "paper" in word] == ["short-range, the paper", "full-range, the paper"]
    assert [word for word in words if word in table1.ROWS] == list(table1.ROWS[1:])
    markers = {marker for _, marker, _ in style.MARKS}
    shown = [line for line in left.lines if line.get_marker() in markers]  # ends of error bars have others
    assert len(shown) == 2 + len(table1.ROWS[1:])
    x = np.sort([line.get_xdata() for line in shown], axis=None)
    assert np.diff(x).min() > 0.9 * style.APART
    assert {tuple(line.get_ydata()) for line in shown if line.get_mfc() == "white"} == set(table1.PAPER_ROW.values())


def test_what_ours_were_trained_by(drawn):
    """The polish that the paper lacks is named, where there was one."""
    for row in ("error", *table1.ROWS):
        tables = [table1, *([table4] if row == "error" else [])]
        for table in tables:
            figure, _ = drawn(table, [_run(row, "501")])
            assert "here, after Levenberg–Marquardt" in _words(figure)
    adam = _run("error", "501", curves={"adam": ADAM}, losses={"adam": 0.5})
    del adam["errors"]["polished"]
    figure, (_, first, second) = drawn(table4, [adam])
    assert {"here, after Adam", "the paper, lowest"} <= set(_words(figure))
    assert first.lines
    assert not second.get_visible()
    assert "filled: here, after L-BFGS" in _words(drawn(table1, [_run(row, "5", method="L-BFGS") for row in "ab"])[0])


def test_losses_begin_with_what_was_recorded(drawn):
    """Nothing joins Adam's end to a piece that came much later, or to an end of which the way is not known."""
    runs = [_run("error", "None", 0, WHOLE), _run("error", "63", 0, LATE), _run("error", "501", 0)]
    runs += [_run("error", "501", 1, WHOLE)]  # of another seed, not drawn
    figure, (_, first, second) = drawn(table4, runs)
    assert [line.get_xydata().tolist() for line in first.lines] == [ADAM] * 3
    whole, late, end = (line.get_xydata().tolist() for line in second.lines)
    assert whole == [[0, 0.5], [20, 0.1], [40, 0.03], [50, 0.02]]
    assert late == [[200, 4e-3], [220, 3e-3], [240, 2e-3]]
    assert end == [[200, 1e-3]]
    assert second.lines[2].get_marker() == style.MARKS[2][1]
    assert second.get_ylim() == first.get_ylim()
    assert second.get_ylim()[0] < 1e-3
    missing = {"loss, beginning not recorded", "loss, end alone recorded"}
    assert missing <= set(_words(figure))
    assert not missing & set(_words(drawn(table4, runs[:1])[0]))


@pytest.mark.parametrize("table", [table1, table4])
def test_nothing_overlaps(table, drawn):
    """Legends beside each other, below the axes and within the picture, with all that they can have to say."""
    places = [(row, f"{mu:g}") for row in table1.ROWS for mu in table1.MU]
    if table is table4:
        places = [("error", modes) for modes in table4.MODES]
    polishes = (WHOLE, LATE, None)
    figure, axes = drawn(table, [_run(*place, 0, polishes[n % 3]) for n, place in enumerate(places)])
    figure.canvas.draw()
    boxes = [legend.get_window_extent() for legend in figure.legends]
    boxes += [each.get_tightbbox() for each in axes]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_what_they_are_trained_by():
    """All ways, where runs have several; a polish that does not say it is the first kind."""
    runs = [_run("error", "63"), _run("error", "63", method="L-BFGS"), {"errors": {"adam": {}}}]
    assert style._after({"runs": runs}) == "after Adam or L-BFGS or Levenberg–Marquardt"
    assert style._after({"runs": runs[2:]}) == "after Adam"
