"""Ways to divide a potential at a cutoff so that pairs and modes both keep an error: by a Gaussian or a prolate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..potentials import CoulombPotential, Potential, ProlateCoulombPotential
from ..potentials.spline import TableEndsError
from .estimates import Spectrum, modes_term, pairs_term
from .system import System, exits

__all__ = ["Division", "divisions", "may_be_prolate"]

BANDS = np.arange(2.0, 45.01, 0.25)
INTO_BAND = (0.88, 0.94, 1.0)  # highest kept k over c/r_c: modes in the corners of their region are kept as well
NARROWER = 1.25  # steps in which σ gets smaller where a table ends too early for it
STEEPEST = 13.0  # r_c/σ: beyond that v_SR is below rounding
SHARES = {"gaussian": (0.3, 0.25), "prolate": (0.0, 0.45)}  # of ΔF², for pairs and for modes that are left out


@dataclass(frozen=True)
class Division:
    """A divided potential.

    Attributes
    ----------
    splitting : {"gaussian", "prolate"}
        How.
    cutoff : float
        r_c.
    parameter : float
        σ or c.
    k_cutoff : float
        Of the modes.
    spectrum : Spectrum
        v̂.
    cell : (3, 3)
        That of the modes.
    pairs : float
        ``pairs_term``.
    """

    bare: Potential
    splitting: str
    cutoff: float
    parameter: float
    k_cutoff: float
    spectrum: Spectrum
    cell: np.ndarray
    pairs: float

    def potential(self) -> Potential:
        """The potential itself, with the exclusion that was asked for."""
        if self.splitting == "prolate":
            prolate = ProlateCoulombPotential(self.cutoff, self.parameter, self.bare.prefactor)
            prolate.exclusion = self.bare.exclusion
            return prolate
        return self.bare.with_smearing(self.parameter)


def divisions(
    system: System,
    bare: Potential,
    splitting: str,
    cutoff: float,
    aim: float,
    shares: tuple[float, float] | None = None,
) -> Iterator[Division]:
    """Ways to keep an error with this cutoff; none where it cannot be kept.

    Parameters
    ----------
    system : System
        Charges.
    bare : Potential
        To be divided.
    splitting : {"gaussian", "prolate"}
        How.
    cutoff : float
        r_c.
    aim : float
        RMS error of forces.
    shares : two floats, optional
        Parts of ΔF² for pairs and for modes.
    """
    for_pairs, for_modes = (share * aim**2 / system.strength for share in shares or SHARES[splitting])
    if splitting == "prolate":
        yield from _prolate(system, bare, cutoff, for_modes)
    else:
        yield from _gaussian(system, bare, cutoff, for_pairs, for_modes)


def _prolate(system: System, bare: Potential, cutoff: float, limit: float) -> Iterator[Division]:
    cell = system.boundary(ProlateCoulombPotential(cutoff, BANDS[-1])).cell if not all(system.periodic) else system.cell
    ways = _relative_exits(cell)

    def term(i: int, into: float) -> float:
        """Of a band, where the cutoff is r_c."""
        spectrum = Spectrum.of_prolate(float(BANDS[i]))
        return bare.prefactor**2 / cutoff * float(modes_term(spectrum, into * BANDS[i] * ways))

    for into in INTO_BAND:
        low, high = -1, len(BANDS) - 1
        if term(high, into) > limit:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if term(middle, into) <= limit else (middle, high)
        band = float(BANDS[high])
        spectrum = Spectrum.of_prolate(band).scaled(cutoff, bare.prefactor)
        yield Division(bare, "prolate", cutoff, band, into * band / cutoff, spectrum, cell, 0.0)


def _gaussian(system: System, bare: Potential, cutoff: float, limit: float, of_modes: float) -> Iterator[Division]:
    low, high = 0.8, STEEPEST  # r_c/σ
    if pairs_term(bare.with_smearing(cutoff / high), cutoff) > limit:
        return
    for _ in range(16):
        middle = (low + high) / 2
        keeps = pairs_term(bare.with_smearing(cutoff / middle), cutoff) <= limit
        low, high = (low, middle) if keeps else (middle, high)
    while True:
        potential = bare.with_smearing(cutoff / high)
        try:
            cell, spectrum = system.boundary(potential).cell, Spectrum.of(potential)
            break
        except TableEndsError:  # what is of long range begins where the table ends
            high *= NARROWER
            if high > STEEPEST:
                return
    k = spectrum.k[-1] * np.linspace(0.02, 1, 150)
    enough = modes_term(spectrum, k[:, None] * _relative_exits(cell)) <= of_modes
    if enough.any():
        highest = float(k[np.argmax(enough)])
        yield Division(bare, "gaussian", cutoff, cutoff / high, highest, spectrum, cell, pairs_term(potential, cutoff))


def _relative_exits(cell: np.ndarray) -> np.ndarray:
    """k at which directions leave the kept modes, over the cutoff of k (D,), where there are many of them."""
    many = 1e6
    return exits(cell, many * np.linalg.norm(cell, axis=1) - 0.5) / (2 * np.pi * many)


def may_be_prolate(potential: Potential) -> bool:
    """Whether a prolate divides this potential.

    Parameters
    ----------
    potential : Potential
        Coulomb's, or another.
    """
    return type(potential) in (CoulombPotential, ProlateCoulombPotential)  # a class of one's own may be anything
