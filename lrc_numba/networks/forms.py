r"""Forms of a long range that is learned, as lines of a program; all of them stand beside the messages of a round.

convolution   s += W_o conv[W_f s]                                   of learned features (LRC layer)
attention     s += W_o RSA(W_q s, W_k s, W_v s)                      in reciprocal space
charges       E += Σ_i q_i V_i[q]      q from s after the last round: electrostatics of learned charges
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np

from .. import arguments
from ..electrostatics import Calculator
from .layers.perceptron import Perceptron
from .long_range import CoulombKernel
from .parts.attention import Attention, Heads, attention_fields
from .parts.charges import GIVEN, TotalCharge
from .parts.convolution import Convolution, SeriesEnd
from .parts.dense import Dense, Linear
from .parts.electrostatics import Electrostatics
from .parts.part import GEOMETRY
from .parts.products import Add, Product
from .parts.program import Step
from .parts.select import Select
from .parts.small import MOST, MOST_MODES

__all__ = ["FORMS", "LearnedCharges", "LongRange", "as_names", "as_widths", "refuse_unused", "unused"]

FORMS = ("convolution", "attention")
UNUSED = {  # settings of networks that belong to the long range, and what they are without one
    "long_range_form": "convolution",
    "heads": 1,
    "keys": 4,
    "kernel": "coulomb",
    "sigma": None,
    "train_sigma": False,
    "eps": None,
    "extent": None,
}
GENTLE = 0.1  # of the usual size of the weights with which the long range begins


@dataclass(frozen=True)
class LongRange:
    """What is added to the scalars of a point in every round.

    Attributes
    ----------
    form : {"convolution", "attention"}
        Which.
    features : int
        That are carried; of attention the values of all heads.
    heads, keys : int
        Of attention: how many heads, and how wide queries and keys are in each.
    kernel : {"coulomb", "paper", "gaussians"}
        See ``attention_fields``.
    sigmas : tuple of float
        Its width; of attention one for each head.
    trainable : bool
        Whether kernels are learned.
    eps : float
        Accuracy, and where the series of kernels end.
    extent : float or None
        The largest structure without images.

    Raises
    ------
    ValueError
        Where features cannot be shared out among heads, or a convolution is given several widths.
    """

    form: str
    features: int
    heads: int
    keys: int
    kernel: str
    sigmas: tuple[float, ...]
    trainable: bool
    eps: float
    extent: float | None

    def __post_init__(self) -> None:
        if self.form == "attention" and self.features % self.heads:
            raise ValueError(
                f"long_range: expected a multiple of heads, {self.heads}, with as many values in each, got "
                f"{self.features}"
            )
        if self.form == "convolution" and len(set(self.sigmas)) > 1:
            raise ValueError(f"sigma: expected one width for a convolution, got {list(self.sigmas)}")

    def steps(self, n: int, width: int, s: str) -> list[Step]:
        """The lines of round n, from the scalars ``s`` to "far" and the number of the round.

        Parameters
        ----------
        n : int
            The round.
        width : int
            Scalars.
        s : str
            Their name.
        """
        lines = self._attention(n, width, s) if self.form == "attention" else self._convolution(n, width, s)
        return [*lines, Step(Linear(f"feel{n}", self.features, width, GENTLE), (f"u{n}",), f"far{n}")]

    def _convolution(self, n: int, width: int, s: str) -> list[Step]:
        if self.kernel == "coulomb":
            kernel = CoulombKernel(self.sigmas[0], f"far{n}.", self.trainable)
            end = sqrt(2 * log(1 / self.eps)) / self.sigmas[0]  # where the Gaussian has fallen to eps
            sizes = MOST, MOST_MODES
            convolution = Convolution(kernel, SeriesEnd((end,)), self.eps, "features", *sizes, extent=self.extent)
        else:
            convolution = self._fields(n)[0]
        return [
            Step(Linear(f"charge{n}", width, self.features), (s,), f"f{n}"),
            Step(convolution, (GEOMETRY, f"f{n}"), f"u{n}"),
        ]

    def _fields(self, n: int) -> list[Convolution]:
        own = f"far{n}", self.kernel, self.sigmas, self.eps
        return attention_fields(*own, trainable=self.trainable, extent=self.extent)

    def _attention(self, n: int, width: int, s: str) -> list[Step]:
        heads = Heads(self.heads, self.keys, self.features // self.heads)
        return [
            Step(Linear(f"query{n}", width, self.heads * self.keys), (s,), f"q{n}"),
            Step(Linear(f"key{n}", width, self.heads * self.keys), (s,), f"k{n}"),
            Step(Linear(f"value{n}", width, self.features), (s,), f"f{n}"),
            Step(Attention(heads, self._fields(n)), (GEOMETRY, f"q{n}", f"k{n}", f"f{n}"), f"u{n}"),
        ]


@dataclass(frozen=True)
class LearnedCharges:
    """Charges from the scalars of the last round, and their electrostatic energy.

    Attributes
    ----------
    calculator : Calculator
        Of that energy.
    channels : int
        Charges of each point, whose channels do not see each other.
    total : float, "given" or None
        Their sum over a structure; None leaves it free.
    learn : tuple of str
        Parameters of the potential that are learned.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    calculator: Calculator
    channels: int = 1
    total: float | str | None = None
    learn: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.calculator, Calculator):
            raise TypeError(
                f"charges: expected a calculator of lrc_numba.electrostatics, got {type(self.calculator).__name__}"
            )
        total = self.total
        if total is not None:
            word = isinstance(total, str)
            total = (
                arguments.as_choice("total_charge", total, (GIVEN,))
                if word
                else arguments.as_real("total_charge", total)
            )
        # Python's own numbers, as files hold no others.
        object.__setattr__(self, "channels", arguments.as_count("charge_channels", self.channels, 1))
        object.__setattr__(self, "total", total)
        object.__setattr__(self, "learn", as_names("charge_parameters", self.learn))

    @property
    def output(self) -> str:
        """The name of the charges among what the lines make."""
        return "free q" if self.total is None else "q"

    def steps(self, width: int, s: str) -> list[Step]:
        """The lines from the scalars ``s`` to "charge e".

        Parameters
        ----------
        width : int
            Scalars.
        s : str
            Their name.
        """
        hidden = Perceptron("charges.hidden", (width, width), activation="silu")
        lines = [
            Step(Dense(hidden), (s,), "hidden q"),
            Step(Linear("charges.out", width, self.channels, GENTLE), ("hidden q",), "free q"),
        ]
        name = self.output
        if self.total is not None:
            lines.append(Step(TotalCharge(self.total), ("free q",), name))
        part = Electrostatics(self.calculator, self.learn, "charges.potential")
        lines += [Step(part, (GEOMETRY, name), "V"), Step(Product("nc,nc->nc"), (name, "V"), "q V")]
        each = [Step(Select(slice(c, c + 1)), ("q V",), f"q V {c}") for c in range(self.channels)]
        return [*lines, *each, Step(Add(), tuple(step.output for step in each), "charge e")]


def unused(long_range: int, form: str | None) -> dict[str, Any]:
    """Settings of networks that have nothing to do there, and what they are then.

    Parameters
    ----------
    long_range : int
        Features of the long range.
    form : str or None
        One of ``FORMS``.
    """
    if not long_range:
        return UNUSED
    return {} if form == "attention" else {name: UNUSED[name] for name in ("heads", "keys")}


def refuse_unused(given: dict[str, Any], long_range: int, form: str | None) -> None:
    """A ValueError that names a setting with nothing to do in a network.

    Parameters
    ----------
    given : dict of str to object
        Of the names of ``UNUSED``; a form of None is as good as the usual one.
    long_range, form
        As for ``unused``.
    """
    without, remedy = ("attention", "long_range_form='attention'") if long_range else ("a long range", "long_range")
    for name, usual in unused(long_range, form).items():
        value = given[name]
        if value is None or (usual is not None and value == usual):
            continue
        raise ValueError(f"{name}: expected {usual} without {without}, got {value}; pass {remedy}")


def as_names(name: str, value) -> tuple[str, ...]:
    """Some names, or a single one.

    Parameters
    ----------
    name : str
        What to call them in a message.
    value : str or sequence of str
        As given.
    """
    several = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(each, str) for each in several):
        raise TypeError(f"{name}: expected names, got {value!r}")
    return tuple(str(each) for each in several)


def as_widths(sigma, cutoff: float, heads: int) -> tuple[float, ...]:
    """Widths of the kernels, one for each head, 0.4 cutoffs by default.

    Parameters
    ----------
    sigma : float, sequence of float or None
        As given.
    cutoff : float
        Of the messages.
    heads : int
        How many.
    """
    several = [0.4 * cutoff] * heads if sigma is None else [sigma] * heads if np.ndim(sigma) == 0 else list(sigma)
    if len(several) != heads:
        several_heads = f", or one for each of {heads} heads" if heads > 1 else ""
        raise ValueError(f"sigma: expected one width{several_heads}, got {len(several)}")
    return tuple(arguments.as_positive("sigma", value, np.inf) for value in several)
