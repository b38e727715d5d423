"""The networks with one of our differences from the paper's taken out.

    paper cutoff    pairs are weighed by the standardised 1/s, and the energy jumps at the cutoff
    no taper        the series of the kernel stops at its last mode, where it is not small
    plain start     weights as Glorot draws them, biases zero, first relus of g_θ as drawn
    no shift        û goes into g_θ as it is, neither shifted nor scaled
    own kernel      a sum of twelve Gaussians in place of the two screened Coulomb kernels; beyond the paper

Each is a class, so that files of it are read by it alone.
"""

from __future__ import annotations

from functools import cache

from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, ShortRangeNetwork

__all__ = ["CHANGES", "network_class"]

CHANGES = ("", "paper cutoff")


@cache
def network_class(kind: str, change: str) -> type[EnergyNetwork]:
    """The class of a network.

    Parameters
    ----------
    kind : {"short-range", "full-range"}
        Which.
    change : str
        One of ``CHANGES``.
    """
    usual = {"short-range": ShortRangeNetwork, "full-range": FullRangeNetwork}[kind]
    if not change:
        return usual
    return {"paper cutoff": _paper_cutoff}[change](usual)


def _paper_cutoff(usual: type) -> type:
    class PaperCutoff(usual):
        def __init__(self, *given, **options):
            super().__init__(*given, **({"cutoff_kind": "paper"} | options))

    return PaperCutoff
