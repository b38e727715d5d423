"""How much is trained, from which random numbers, and what counts as a test: said once, for all tables and figures.

Every random number of a run comes from a stream of its own. What is looked at while networks and presets are made is
the *development* streams; the *final* test is drawn from a stream that nothing is chosen by. ``--final`` evaluates
trained networks there, once. Where something has to be made again after that, the final stream becomes another one, and
networks that are still there are evaluated on it; records say which stream it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lrc_numba.training import PAPER, Protocol, Stage

__all__ = ["FORMER", "PRESETS", "SEEDS", "SEEDS_BELOW", "STREAMS", "TESTS", "TEST_SETS", "Preset"]

SEEDS = (0, 1, 2)  # of data, weights and batches of the runs that are published
SEEDS_BELOW = 100_000  # that streams do not meet
STREAMS = {"training": 4_000_000, "weights": 5_000_000, "development": 6_000_000, "final": 9_680_000}
# final streams before; records that name none are of the first
FORMER = (9_180_000, 9_280_000, 9_380_000, 9_480_000, 9_580_000)
TESTS, TEST_SETS = 100, 12  # snapshots in a test set, as in the paper; sets


@dataclass(frozen=True)
class Preset:
    """How long a network is trained.

    Attributes
    ----------
    name : {"quick", "reduced", "paper"}
        In file names.
    protocol : Protocol
        Batches, epochs and rates of Adam.
    polish : int
        Iterations of Levenberg–Marquardt after it; errors are recorded before and after.
    share : float
        Of the paper's number of snapshots.
    about : str
        For tables.
    """

    name: str
    protocol: Protocol
    polish: int
    share: float
    about: str

    def polished(self, iterations: int | None) -> Preset:
        """With another number of iterations of Levenberg–Marquardt.

        Parameters
        ----------
        iterations : int or None
            None leaves it as it is.
        """
        if iterations is not None and iterations < 0:
            raise SystemExit(f"--polish: expected a number of iterations, got {iterations}")
        return self if iterations is None else replace(self, polish=iterations)

    def longer(self, factor: float) -> Preset:
        """With so many times the iterations of Levenberg–Marquardt.

        Parameters
        ----------
        factor : float
            1 leaves it as it is.
        """
        return replace(self, polish=round(factor * self.polish))

    def samples(self, papers: int, least: int = 10) -> int:
        """How many snapshots are trained with.

        Parameters
        ----------
        papers : int
            In the paper.
        least : int
            Not fewer than that, unless the paper has fewer.
        """
        return min(papers, max(least, round(self.share * papers)))


def _cosine(*stages: tuple[int, int]) -> Protocol:
    return Protocol(tuple(Stage(*stage) for stage in stages), rate=2e-3, schedule="cosine", warmup=100)


PRESETS = {
    "quick": Preset("quick", _cosine((16, 60)), 0, 0.25, "a quarter of the snapshots and 60 epochs, to see it run"),
    "reduced": Preset(
        "reduced",
        _cosine((16, 20)),
        100,
        0.5,
        "Adam with a cosine, then Levenberg–Marquardt, as often as said below",
    ),
    "paper": Preset("paper", PAPER, 100, 1.0, "the paper's protocol, then Levenberg–Marquardt"),
}
