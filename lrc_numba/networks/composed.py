r"""A message-passing network with scalar and vector features, and a long range that it learns.

Every point has C scalars s, at first those of its species, and C vectors v, at first zero. A round of it is

    s, v += Σ_j messages from the neighbours (``parts.messages``)
    s    += W_o conv[W_f s]              the long range: a convolution of learned features (LRC layer), if there is one
    s, v += (a + b ⟨Uv, Vv⟩, c Uv)       with a, b, c from a dense chain of s and |Vv|

and the energy of a point is a dense chain of s after the last round, plus that of its species and, where there is a
core, a sum over pairs: of inverse powers of the distance, which are all that is left of a pair within the core, and of
more radial functions than the messages have, with coefficients that ``fit_pairs`` finds. Energies do not change
when a structure is moved, turned, or its points are numbered anew; with the long range, turned to the accuracy of the
convolution, and in a cell as far as the cell allows.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from .. import arguments
from ..geometry.structures import Structures
from .energy import EnergyNetwork
from .layers.perceptron import Perceptron
from .long_range import CoulombKernel
from .loss import LossWeights
from .pair_fit import fit_pairs
from .parts.convolution import Convolution, SeriesEnd
from .parts.dense import Concatenate, Dense, Linear
from .parts.embedding import Embedding
from .parts.geometry import Directions, Displacements, Distances
from .parts.messages import LANES, Messages
from .parts.pairs import PairEnergies
from .parts.part import GEOMETRY
from .parts.products import Add, Norm, Product
from .parts.program import Program, Step
from .parts.radial import RadialBasis
from .parts.select import Select, Zeros
from .parts.small import MOST
from .references import ReferenceEnergies

__all__ = ["MessagePassingNetwork"]

POWERS = (1, 6, 12)  # of the inverse distance in a core: charges, dispersion, repulsion
FINER = 2  # times as many radial functions in energies of pairs as in messages
CORE = "core"  # name of the energies of pairs
GENTLE = 0.1  # of the usual size of the weights with which the long range begins


class MessagePassingNetwork(EnergyNetwork):
    """Rounds of messages between neighbours, with or without a learned long range.

    Parameters
    ----------
    species : sequence of int
        All that will occur, such as atomic numbers.
    cutoff : float
        Of the messages, units of length.
    channels, rounds, basis : int
        C, the number of rounds, and of radial functions.
    long_range : int
        Features that the convolution of each round carries; 0 for none.
    sigma : float, optional
        Width σ of its kernel, the Coulomb kernel of Gaussian charges; 0.4 cutoffs by default.
    train_sigma : bool
        Whether every round learns its σ.
    eps : float, optional
        Accuracy of the convolution, and where the series of its kernel ends; derivatives are exact at any.
    core : float, optional
        The distance at which atoms begin to touch, for data with closer and closer contacts: adds energies of pairs,
        and leaves contacts closer than this to their inverse powers, which go on beyond the data as they are.
    references : sequence of float, optional
        Energies of the species in rising order; ``fit_references`` finds them.
    dim : int
        d.
    dtype, seed, threads
        As for ``EnergyNetwork``.
    """

    kind = "message-passing"

    def __init__(
        self,
        species,
        cutoff: float,
        *,
        channels: int = 16,
        rounds: int = 2,
        basis: int = 8,
        long_range: int = 0,
        sigma: float | None = None,
        train_sigma: bool = False,
        eps: float | None = None,
        core: float | None = None,
        references=None,
        dim: int = 3,
        dtype=np.float64,
        seed: int = 0,
        threads: int | None = None,
    ):
        self.species = _as_species(species)
        if not self.species:
            raise ValueError("species: expected at least one, got none")
        if dim not in (1, 2, 3):
            raise ValueError(f"dim: expected 1, 2 or 3, got {dim!r}")
        dim = int(dim)
        cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        self.channels, self.rounds = _as_count("channels", channels, LANES, LANES), _as_count("rounds", rounds, 1)
        self.basis, self.long_range = _as_count("basis", basis, 1), _as_count("long_range", long_range, 0)
        self.sigma = 0.4 * cutoff if sigma is None else arguments.as_positive("sigma", sigma, np.inf)
        eps = (1e-4 if np.dtype(dtype) == np.float32 else 1e-6) if eps is None else eps
        self.eps = arguments.as_positive("eps", eps, 1.0)
        self.train_sigma = bool(train_sigma)
        self.core = None if core is None else arguments.as_positive("core", core, cutoff)
        self._pair_functions = self._functions_of_pairs(cutoff)
        self._pair_energies = PairEnergies(CORE, self.species, sum(each.count for each in self._pair_functions))
        program = Program(self._steps(cutoff, dim), "e")
        options = {"cutoff": cutoff, "dim": dim, "dtype": dtype, "seed": seed, "threads": threads}
        known = ReferenceEnergies(self.species, references)
        super().__init__(program, full_pairs=True, references=known, **options)

    def fit_pairs(self, structures: Structures, weights: LossWeights) -> None:
        """Find the coefficients of the energies of pairs by least squares, all else as it is; needs a core.

        A good start, as what is a sum over pairs then needs no training, and a good end.

        Parameters
        ----------
        structures : Structures
            With energies or forces, whichever have a weight.
        weights : LossWeights
            Of energies and forces.
        """
        if self.core is None:
            raise ValueError("core: this network has no energies of pairs; make one with a core")
        fit_pairs(self, self._pair_energies, self._pair_functions, self.as_structures(structures), weights)

    # ------------------------------------------------------------------ the parts
    def _functions_of_pairs(self, cutoff: float) -> list[RadialBasis]:
        """What energies of pairs are sums of; none without a core."""
        if self.core is None:
            return []
        powers = RadialBasis(cutoff, POWERS, "inverse", length=self.core)
        return [powers, RadialBasis(cutoff, FINER * self.basis, core=self.core)]

    def _steps(self, cutoff: float, dim: int) -> list[Step]:
        width = self.channels
        steps = [
            Step(Displacements(), (GEOMETRY,), "D"),
            Step(Distances(), ("D",), "r"),
            Step(Directions(), ("D", "r"), "u"),
            Step(RadialBasis(cutoff, self.basis, core=self.core), ("r",), "basis"),
            Step(Embedding("embedding", self.species, width), (), "s0"),
            Step(Zeros(dim, width), (), "v0"),
        ]
        for number in range(self.rounds):
            steps += self._round(number)
        last = Perceptron("energy", (width, width, 1), activation="silu", linear_end=True)
        steps.append(Step(Dense(last), (f"s{self.rounds}",), "learned e"))
        if self.core is None:
            return [*steps[:-1], Step(Dense(last), (f"s{self.rounds}",), "e")]
        return [
            *steps,
            *(Step(each, ("r",), f"of pairs {i}") for i, each in enumerate(self._pair_functions)),
            Step(Concatenate(), tuple(f"of pairs {i}" for i in range(len(self._pair_functions))), "of pairs"),
            Step(self._pair_energies, ("of pairs",), "core e"),
            Step(Add(), ("learned e", "core e"), "e"),
        ]

    def _round(self, n: int) -> list[Step]:
        """The lines of one round; names of round n end with its number."""
        width, s, v = self.channels, f"s{n}", f"v{n}"
        send = Perceptron(f"send{n}", (width, width, 3 * width), activation="silu", linear_end=True)
        mix = Perceptron(f"mix{n}", (2 * width, width, 3 * width), activation="silu", linear_end=True)
        steps = [
            Step(Dense(send), (s,), f"x{n}"),
            Step(Linear(f"radial{n}", self.basis, 3 * width), ("basis",), f"w{n}"),
            Step(Messages(), (f"x{n}", f"w{n}", "u", v), f"m{n}"),
            Step(Select(0), (f"m{n}",), f"ms{n}"),
            Step(Select(slice(1, None)), (f"m{n}",), f"mv{n}"),
        ]
        received = [s, f"ms{n}"]
        if self.long_range:
            steps += self._convolution(n, s)
            received.append(f"far{n}")
        blocks = [slice(i * width, (i + 1) * width) for i in range(3)]
        return [
            *steps,
            Step(Add(), tuple(received), f"s'{n}"),
            Step(Add(), (v, f"mv{n}"), f"v'{n}"),
            Step(Linear(f"turn{n}", width, 2 * width), (f"v'{n}",), f"UV{n}"),
            Step(Select(slice(None), blocks[0]), (f"UV{n}",), f"U{n}"),
            Step(Select(slice(None), blocks[1]), (f"UV{n}",), f"V{n}"),
            Step(Norm(), (f"V{n}",), f"|V|{n}"),
            Step(Concatenate(), (f"s'{n}", f"|V|{n}"), f"sV{n}"),
            Step(Dense(mix), (f"sV{n}",), f"abc{n}"),
            *(Step(Select(block), (f"abc{n}",), f"{name}{n}") for name, block in zip("abc", blocks, strict=True)),
            Step(Product("ndc,ndc->nc"), (f"U{n}", f"V{n}"), f"U·V{n}"),
            Step(Product("nc,nc->nc"), (f"b{n}", f"U·V{n}"), f"bUV{n}"),
            Step(Product("nc,ndc->ndc"), (f"c{n}", f"U{n}"), f"cU{n}"),
            Step(Add(), (f"s'{n}", f"a{n}", f"bUV{n}"), f"s{n + 1}"),
            Step(Add(), (f"v'{n}", f"cU{n}"), f"v{n + 1}"),
        ]

    def _convolution(self, n: int, s: str) -> list[Step]:
        kernel = CoulombKernel(self.sigma, f"far{n}.", self.train_sigma)
        end = float(np.sqrt(2 * np.log(1 / self.eps))) / self.sigma  # where the Gaussian has fallen to eps
        convolution = Convolution(kernel, SeriesEnd((end,)), self.eps, "features", MOST)
        return [
            Step(Linear(f"charge{n}", self.channels, self.long_range), (s,), f"f{n}"),
            Step(convolution, (GEOMETRY, f"f{n}"), f"u{n}"),
            Step(Linear(f"feel{n}", self.long_range, self.channels, GENTLE), (f"u{n}",), f"far{n}"),
        ]

    # ------------------------------------------------------------------ files
    def settings(self) -> dict:
        names = (
            "cutoff",
            "channels",
            "rounds",
            "basis",
            "long_range",
            "sigma",
            "train_sigma",
            "eps",
            "core",
            "dim",
            "seed",
        )
        own = {name: getattr(self, name) for name in names} | {"dtype": self.dtype.name}
        references = None if self.references is None else self.references.energies.tolist()
        return {"kind": self.kind, "species": list(self.species), "references": references} | own

    @classmethod
    def from_settings(cls, settings: dict, threads: int | None = None) -> Self:
        return cls(**{name: value for name, value in settings.items() if name != "kind"}, threads=threads)


def _as_species(species) -> tuple[int, ...]:
    """Integers from 0 on, rising, each once."""
    try:
        numbers = list(species)
    except TypeError:
        raise TypeError(f"species: expected integers from 0 on, got {species!r}") from None
    for number in numbers:
        if not isinstance(number, (int, np.integer)) or isinstance(number, bool) or number < 0:
            raise ValueError(f"species: expected integers from 0 on, such as atomic numbers, got {number!r}")
    return tuple(sorted({int(number) for number in numbers}))


def _as_count(name: str, value, least: int, multiple: int = 1) -> int:
    """An integer of at least ``least`` that is a multiple of a number."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least or value % multiple:
        what = f"a multiple of {multiple}" if multiple > 1 else f"an integer of at least {('zero', 'one')[least]}"
        raise ValueError(f"{name}: expected {what}, got {value!r}")
    return int(value)
