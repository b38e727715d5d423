"""Trainings with few or many snapshots, whose Adam costs the same."""

from __future__ import annotations

from lrc_numba.training import Protocol, Stage

from .presets import Preset
from .tasks import Training

__all__ = ["by_cost"]

BATCH = 8  # as in the first stage of the paper's protocol
MOST_EPOCHS = 20_000


def by_cost(preset: Preset, samples: int, gradients: dict[str, int], drawn: str = "stratified") -> Training:
    """A training with so many snapshots, whose Adam costs the same for any number of them, up to ``MOST_EPOCHS``.

    The preset "paper" has the paper's protocol, whose cost grows with the snapshots; others have as many epochs as a
    number of gradients of single snapshots allows, with a cosine. Levenberg–Marquardt follows, which costs more with
    more snapshots, up to ``Task.at_once``.

    Parameters
    ----------
    preset : Preset
        Which.
    samples : int
        Snapshots.
    gradients : dict of str to int
        By the name of the preset.
    drawn : {"stratified", "uniform"}
        How snapshots are drawn.
    """
    if preset.name not in gradients:
        return Training(samples, preset.protocol, preset.polish, drawn)
    allowed = gradients[preset.name]
    epochs = min(MOST_EPOCHS, max(1, allowed // samples))
    protocol = Protocol((Stage(min(BATCH, samples), epochs),), rate=2e-3, schedule="cosine", warmup=20)
    return Training(samples, protocol, preset.polish, drawn)
