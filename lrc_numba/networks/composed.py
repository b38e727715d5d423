r"""A message-passing network with scalar and vector features, and a long range that it learns.

Every point has C scalars s, at first those of its species, and C vectors v, at first zero. A round of it is

    s, v += Σ_j messages from the neighbours (``parts.messages``)
    s    += the long range, if there is one: a convolution of learned features, or attention (``forms``)
    s, v += (a + b ⟨Uv, Vv⟩, c Uv)       with a, b, c from a dense chain of s and |Vv|

and the energy of a point is a dense chain of s after the last round, or after each, plus that of its species, that of
learned charges, if there are some, and, where there is a core, a sum over pairs: of inverse powers of the distance,
which are all that is left of a pair within the core, and of more radial functions than the messages have, with
coefficients that ``fit_pairs`` finds. Energies do not change when a structure is moved, turned, or its points are
numbered anew. With the long range that holds to rounding for structures without a cell of up to 512 points, which are
done by matrices of pairs; for larger ones, and in a cell, to eps, and turned as far as the cell allows.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .. import arguments
from ..electrostatics import Calculator
from ..geometry.structures import Structures
from ..plan import check_eps
from .calculators import calculator_from, calculator_settings
from .checks import as_dim
from .energy import EnergyNetwork
from .forms import FORMS, UNUSED, LearnedCharges, LongRange, as_names, as_widths, refuse_unused, unused
from .layers.perceptron import Perceptron
from .loss import LossWeights
from .pair_fit import fit_pairs
from .parts.attention import KERNELS
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
from .references import ReferenceEnergies, as_species, in_rising_order

__all__ = ["MessagePassingNetwork"]

POWERS = (1, 6, 12)  # of the inverse distance in a core: charges, dispersion, repulsion
FINER = 2  # times as many radial functions in energies of pairs as in messages
CORE = "core"  # name of the energies of pairs
READOUTS = ("last", "rounds")
SETTINGS = (  # in files as they are
    "cutoff",
    "channels",
    "rounds",
    "basis",
    "long_range",
    "long_range_form",
    "heads",
    "keys",
    "kernel",
    "sigma",
    "train_sigma",
    "eps",
    "extent",
    "charge_channels",
    "total_charge",
    "charge_parameters",
    "readout",
    "core",
    "dim",
    "seed",
)
GROUPS = {  # first words of names of parameters, without the number of the round
    "embedding": ("embedding",),
    "messages": ("send", "radial", "turn", "mix"),
    "long range": ("charge", "query", "key", "value", "far", "feel"),
    "learned charges": ("charges",),
    "readout": ("energy",),
    "pairs": (CORE,),
}


class MessagePassingNetwork(EnergyNetwork):
    """Rounds of messages between neighbours, with or without a learned long range.

    Parameters
    ----------
    species : sequence of int
        All that will occur, such as atomic numbers; the attribute has them rising, as ``references.energies``.
    cutoff : float
        Of the messages, units of length.
    channels, rounds, basis : int
        C, the number of rounds, and of radial functions.
    long_range : int
        Features that the long range of each round carries, of attention the values of all heads; 0 for none, and then
        its other settings stay as they are, as ``heads`` and ``keys`` do without attention.
    long_range_form : {"convolution", "attention"} or None
        A convolution of learned features, attention in reciprocal space, or none.
    heads, keys : int
        Of attention: how many heads, each with long_range/heads values, and how wide their queries and keys are.
    kernel : {"coulomb", "paper", "gaussians"}
        Of the long range: that of Gaussian charges; the same over 4π; or a sum of three Gaussians.
    sigma : float or (heads,) floats, optional
        Width σ of the kernel, of attention that of each head; 0.4 cutoffs by default.
    train_sigma : bool
        Whether every round, and of attention every head, learns its kernel.
    eps : float, optional
        Accuracy of the long range, and where the series of its kernel ends; at least 1e-5 in float32, and derivatives
        are exact at any. Of attention, and of the kernels "paper" and "gaussians", it is relative to what is computed,
        in any cell, or to the points' own terms where waves cancel to less. Of a convolution with "coulomb" it is
        relative to the kernel in open space: the series ends where e^{−σ²k²/2} has fallen to eps, so that of a cell
        shorter than some 2πσ/√(2 ln 1/eps), 1.5 σ at 1e-4, all modes, weaker than that, are left out.
    extent : float, optional
        The largest structure without periodic images, which padded boxes are made for; by default they follow from the
        structures, in steps.
    charges : Calculator, optional
        Of ``lrc_numba.electrostatics``: the energy of charges that are learned, read out after the last round.
    charge_channels : int
        Charges of each point; those of one channel see each other.
    total_charge : float or "given", optional
        What they add up to in each structure; "given" is the sum of the charges that structures bring along.
    charge_parameters : str or sequence of str
        Parameters of the potential that are learned, see ``parts.electrostatics``.
    readout : {"last", "rounds"}
        Whether the energy is read from the scalars after the last round, or after each and added up.
    core : float, optional
        The distance at which atoms begin to touch, for data with closer and closer contacts: adds energies of pairs,
        and leaves contacts closer than this to their inverse powers, which go on beyond the data as they are.
    references : sequence of float, optional
        Energies of the species, in the order of ``species``; ``fit_references`` finds them.
    dim : int
        d.
    dtype, seed, threads
        As for ``EnergyNetwork``.
    """

    kind = "message-passing"
    fixed: ClassVar[dict[str, str]] = (
        dict.fromkeys(("species", *SETTINGS), "make another network") | EnergyNetwork.fixed
    )

    def __init__(
        self,
        species,
        cutoff: float,
        *,
        channels: int = 16,
        rounds: int = 2,
        basis: int = 8,
        long_range: int = 0,
        long_range_form: str | None = "convolution",
        heads: int = 1,
        keys: int = 4,
        kernel: str = "coulomb",
        sigma=None,
        train_sigma: bool = False,
        eps: float | None = None,
        extent: float | None = None,
        charges: Calculator | None = None,
        charge_channels: int = 1,
        total_charge: float | str | None = None,
        charge_parameters=(),
        readout: str = "last",
        core: float | None = None,
        references=None,
        dim: int = 3,
        dtype=np.float64,
        seed: int = 0,
        threads: int | None = None,
    ):
        self.species, dim, single = as_species(species), as_dim(dim), arguments.as_dtype(dtype) == np.float32
        cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        self.channels = arguments.as_count("channels", channels, LANES, LANES)
        self.rounds, self.basis = arguments.as_count("rounds", rounds, 1), arguments.as_count("basis", basis, 1)
        self.long_range = arguments.as_count("long_range", long_range, 0)
        self.heads, self.keys = arguments.as_count("heads", heads, 1), arguments.as_count("keys", keys, 1)
        form = None if long_range_form is None else arguments.as_choice("long_range_form", long_range_form, FORMS)
        self.long_range_form, self.kernel = form, arguments.as_choice("kernel", kernel, KERNELS)
        widths = as_widths(sigma, cutoff, self.heads if form == "attention" else 1)
        self.sigma = widths[0] if len(set(widths)) == 1 else widths
        self.eps = arguments.as_positive("eps", (1e-4 if single else 1e-6) if eps is None else eps, 1.0)
        self.train_sigma = arguments.as_bool("train_sigma", train_sigma)
        self.extent = None if extent is None else arguments.as_positive("extent", extent, np.inf)
        asked = {name: getattr(self, name) for name in UNUSED} | {"sigma": sigma, "eps": eps}
        refuse_unused(asked, self.long_range, form)
        self.readout = arguments.as_choice("readout", readout, READOUTS)
        self._far = self._long_range(widths)
        if self._far is not None:
            check_eps(self.eps, arguments.as_dtype(dtype))
        learn = as_names("charge_parameters", charge_parameters)
        self._charges = self._learned_charges(charges, dim, charge_channels, total_charge, learn)
        self.core = None if core is None else arguments.as_positive("core", core, cutoff)
        self._pair_functions = self._functions_of_pairs(cutoff)
        self._pair_energies = PairEnergies(CORE, self.species, sum(each.count for each in self._pair_functions))
        program = Program(self._steps(cutoff, dim), "e")
        options = {"cutoff": cutoff, "dim": dim, "dtype": dtype, "seed": seed, "threads": threads}
        known = ReferenceEnergies(self.species, in_rising_order(species, references))
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
        parts, of_core = self._readouts(), self.core is not None
        if self._charges is not None:
            parts += self._charges.steps(width, f"s{self.rounds}")
        if of_core:
            parts += [
                *(Step(each, ("r",), f"of pairs {i}") for i, each in enumerate(self._pair_functions)),
                Step(Concatenate(), tuple(f"of pairs {i}" for i in range(len(self._pair_functions))), "of pairs"),
                Step(self._pair_energies, ("of pairs",), "core e"),
            ]
        terms = [step.output for step in parts if step.output.endswith(" e")]
        return [*steps, *parts, Step(Add(), tuple(terms), "e")]

    def _readouts(self) -> list[Step]:
        """Energies of points from their scalars."""
        sizes = (self.channels, self.channels, 1)
        if self.readout == "last":
            last = Perceptron("energy", sizes, activation="silu", linear_end=True)
            return [Step(Dense(last), (f"s{self.rounds}",), "learned e")]
        return [
            Step(
                Dense(Perceptron(f"energy{n}", sizes, activation="silu", linear_end=True)), (f"s{n}",), f"learned{n} e"
            )
            for n in range(1, self.rounds + 1)
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
        if self._far is not None:
            steps += self._far.steps(n, width, s)
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

    def _long_range(self, sigmas: tuple[float, ...]) -> LongRange | None:
        """What stands beside the messages; None where there is nothing."""
        if not self.long_range or self.long_range_form is None:
            return None
        heads = self.heads, self.keys, self.kernel
        return LongRange(self.long_range_form, self.long_range, *heads, sigmas, self.train_sigma, self.eps, self.extent)

    def _learned_charges(
        self, calculator: Calculator | None, dim: int, channels, total, learn
    ) -> LearnedCharges | None:
        """Learned charges, and what files tell of them; None where there are none."""
        charges = None
        told: dict[str, Any] = {"charge_channels": 1, "total_charge": None, "charge_parameters": ()}
        if calculator is None:
            for (name, usual), given in zip(told.items(), (channels, total, learn), strict=True):
                if given != usual:
                    raise ValueError(f"{name}: expected {usual} without learned charges, got {given}; pass charges")
        elif dim != 3:
            raise ValueError(f"charges: expected dim=3 with them, got {dim}")
        else:
            charges = LearnedCharges(calculator, channels, total, learn)
            told = dict(zip(told, (charges.channels, charges.total, charges.learn), strict=True))
        for name, value in told.items():
            setattr(self, name, value)
        return charges

    @property
    def has_learned_charges(self) -> bool:
        """Whether ``learned_charges`` has some."""
        return self._charges is not None

    def learned_charges(self, structures) -> np.ndarray:
        """The charges that the network gives to points, (n, charge_channels), in units of the calculator's potential.

        Parameters
        ----------
        structures : Structures
            At least one.

        Raises
        ------
        ValueError
            Without learned charges.
        """
        if self._charges is None:
            raise ValueError("charges: expected a network with learned charges, got one without")
        return self.values(structures, self._charges.output)

    # ------------------------------------------------------------------ sizes
    def count_parameters(self) -> dict[str, int]:
        """How many parameters there are of each kind, and of all kinds, "total"."""
        counts = dict.fromkeys(GROUPS, 0)
        for name, view in self.parameters.items():
            first = name.split(".")[0].rstrip("0123456789")
            counts[next(group for group, words in GROUPS.items() if first in words)] += view.size
        return {name: count for name, count in counts.items() if count} | {"total": self.parameters.flat.size}

    def __repr__(self) -> str:
        far = "none" if self._far is None else f"{self._far.form} of {self._far.features} feature(s)"
        charges = "" if self._charges is None else f", learned charges by {type(self._charges.calculator).__name__}"
        head = f"MessagePassingNetwork: {self.rounds} round(s) of {self.channels} channels, long range: {far}{charges}"
        return "\n".join([head, *(f"  {name:16}{count:8}" for name, count in self.count_parameters().items())])

    # ------------------------------------------------------------------ files
    def settings(self) -> dict:
        own = {name: getattr(self, name) for name in SETTINGS} | {"dtype": self.dtype.name}
        references = None if self.references is None else self.references.energies.tolist()
        charges = None if self._charges is None else calculator_settings(self._charges.calculator)
        return {"kind": self.kind, "species": list(self.species), "references": references, "charges": charges} | own

    @classmethod
    def from_settings(cls, settings: dict, threads: int | None = None) -> Self:
        own = {name: value for name, value in settings.items() if name != "kind"}
        idle = unused(own.get("long_range", 0), own.get("long_range_form", "convolution"))  # files name all settings
        own = {name: value for name, value in own.items() if value is None or name not in idle}
        if own.get("charges") is not None:
            own["charges"] = calculator_from(own["charges"])
        return cls(**own, threads=threads)
