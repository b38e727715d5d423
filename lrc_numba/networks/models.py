r"""The networks of arXiv 2010.05295: a short-range one, eq. (15), and a full-range one, eqs (21)–(23).

    short-range   U = Σᵢ 𝒩(Dᵢ)
    full-range    U = Σᵢ 𝒩(Dᵢ, g_θ(ûᵢ)),   uᵢ^c = Σ_j φ^c(xᵢ − x_j),   φ̂ that of ``long_range.TaperedYukawa``

û = (u − shift)/scale is positive, some spreads above zero, so that the relus of g_θ can be linear at first; ``start``
draws them so. scale is such that the outputs of g_θ start with a spread of 1. All that lets blind start values of λ
learn. 𝒩 starts as that of a short-range network: its weights of g_θ are zero, and grow as far as the forces ask for it.

Both are an ``EnergyNetwork`` of few parts. They have a box, in which points that come as arrays lie, and which gives
the lengths of the kernel; ``Structures`` bring their own cells.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from .. import arguments
from ..geometry.modes import highest_mode
from ..geometry.structures import Structures
from . import start
from .checks import as_energies, as_forces, as_lengths, as_weight, check_some
from .energy import EnergyNetwork
from .layers.perceptron import Perceptron
from .long_range import TAPER, TaperedYukawa, YukawaChannels
from .loss import LossWeights
from .parts.convolution import Convolution, SeriesEnd
from .parts.dense import Concatenate, Dense, Scale
from .parts.part import GEOMETRY
from .parts.program import Program, Step
from .short_range import Descriptor, Scales

__all__ = ["FullRangeNetwork", "ShortRangeNetwork"]

FITTING = (32,) * 6
POST = (2, 4, 8, 16, 32)


class ShortRangeNetwork(EnergyNetwork):
    """U = Σᵢ 𝒩(Dᵢ) of the neighbours within a cutoff.

    Parameters
    ----------
    box : float or (d,) array
        Box lengths, for points that come as arrays.
    cutoff : float
        R.
    dim : int
        d; only needed where ``box`` is a number.
    cutoff_kind : {"smooth", "split", "paper"}
        How contributions of neighbours end at R, see ``short_range``.
    scales : Scales, optional
        Normalisation of the neighbours; ``set_scales`` measures it.
    dtype : float32 or float64
        Of points, parameters and forces; energies and stresses are in double precision.
    seed : int
        Of the initial weights.
    threads : int, optional
        At most so many, which share the structures; results do not depend on it.

    Attributes
    ----------
    parameters : Parameters
        One flat vector with named views.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    kind = "short-range"
    fixed: ClassVar[dict[str, str]] = EnergyNetwork.fixed | dict.fromkeys(
        ("box", "cutoff_kind"), "make another network"
    )

    def __init__(
        self,
        box,
        cutoff: float,
        *,
        dim: int | None = None,
        cutoff_kind: str = "smooth",
        scales: Scales | None = None,
        dtype=np.float64,
        seed: int = 0,
        threads: int | None = None,
    ):
        self.box = as_lengths(box, dim)
        cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        if cutoff > self.box.min() / 2:
            raise ValueError(f"cutoff: expected at most half the shortest box length {self.box.min():g}, got {cutoff}")
        self.cutoff_kind = arguments.as_choice("cutoff_kind", cutoff_kind, ("smooth", "split", "paper"))
        dims = len(self.box)
        self.descriptor = Descriptor(dims, cutoff, self.cutoff_kind, scales or Scales())
        widths = (self.descriptor.width + self._extra_width(), *FITTING, 1)
        self.fitting = Perceptron("fit", widths, residual=True, linear_end=True)
        options = {"cutoff": cutoff, "dim": dims, "dtype": dtype, "seed": seed, "threads": threads}
        super().__init__(Program(self._steps(), "e"), **options)
        self._start = start.start_near_linear(*self._first_layer, self._generator)

    def _extra_width(self) -> int:
        """Number of features per point besides the descriptor."""
        return 0

    def _steps(self) -> list[Step]:
        return [Step(self.descriptor, (GEOMETRY,), "D"), Step(Dense(self.fitting), ("D",), "e")]

    @property
    def _first_layer(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the first layer of 𝒩."""
        return self.parameters["fit.weight0"], self.parameters["fit.bias0"]

    # ------------------------------------------------------------------ points in the box of the network
    def as_structures(self, structures) -> Structures:
        """Structures, or points (N, d) or (B, N, d) in the box of the network.

        Parameters
        ----------
        structures : Structures or array
            Units of length; arrays of the dtype of the network.
        """
        if isinstance(structures, Structures):
            return super().as_structures(structures)
        points = arguments.as_points("points", structures, self.dtype, self.dim)
        points = points[None] if points.ndim == 2 else points
        batch, count, dim = points.shape
        offsets = np.arange(batch + 1, dtype=np.int64) * count
        cell = np.broadcast_to(np.diag(self.box), (batch, dim, dim))
        return Structures(points.reshape(-1, dim), offsets, cell, np.ones((batch, dim), dtype=bool))

    def potential(self, points) -> np.ndarray:
        """𝒩 of every point, (N,) or (B, N); (n,) for structures.

        Parameters
        ----------
        points : array or Structures
            As for ``as_structures``.
        """
        values = self.predict(points, forces=False).potentials
        return values if isinstance(points, Structures) else values.reshape(np.shape(points)[:-1])

    def energy(self, points) -> np.ndarray | float:
        """U of every snapshot, (B,), or a number.

        Parameters
        ----------
        points : array or Structures
            As for ``as_structures``.
        """
        values = self.predict(points, forces=False).energies
        return values if isinstance(points, Structures) or np.ndim(points) == 3 else float(values[0])

    def energy_forces(self, points) -> tuple[np.ndarray | float, np.ndarray]:
        """U, and F = −∂U/∂x of the shape of the points.

        Parameters
        ----------
        points : array or Structures
            As for ``as_structures``.
        """
        made = self.predict(points)
        assert made.forces is not None
        if isinstance(points, Structures):
            return made.energies, made.forces
        forces = made.forces.reshape(np.shape(points))
        return (made.energies, forces) if forces.ndim == 3 else (float(made.energies[0]), forces)

    def loss_gradient(self, points, forces, energies=None, weight: float = 1.0) -> tuple[float, np.ndarray]:
        """L = mean over snapshots of Σ‖F − F*‖² + w (U − U*)², and ∂L/∂θ.

        Parameters
        ----------
        points : (N, d) or (B, N, d)
            Snapshots.
        forces : array of the shape of the points
            F*.
        energies : (B,) array or float, optional
            U*; without them there is no second term.
        weight : float
            w.

        Returns
        -------
        float, (n_parameters,) ndarray
            The loss, and its gradient in the order of ``parameters``.
        """
        given = self.as_structures(points)
        check_some(given.positions)
        wanted = as_forces(forces, np.shape(points), self.dtype).reshape(-1, self.dim)
        known = None if energies is None else as_energies(energies, len(given))
        as_weight("weight", weight)
        data = Structures(given.positions, given.offsets, given.cell, given.periodic, forces=wanted, energies=known)
        return self.loss(data, LossWeights(energy=0.0 if energies is None else weight))

    def fix_energies(self, points, energies) -> float:
        """Shift the zero of the energy, which forces do not determine, to where the mean of U − U* is 0.

        The last bias of 𝒩 is changed, so every point carries the same share. Returns the change of U, its mean over
        the snapshots.

        Parameters
        ----------
        points : (N, d) or (B, N, d)
            Snapshots.
        energies : float or (B,)
            U*.
        """
        given = self.as_structures(points)
        check_some(given.positions)
        wanted = as_energies(energies, len(given))
        change = float(np.mean(wanted - self.predict(given, forces=False).energies))
        self.parameters[self.fitting.last_bias][...] += change / given.counts.mean()
        return change

    # ------------------------------------------------------------------ scales
    def set_scales(self, points) -> None:
        """Normalise the inputs by snapshots; to be called before training, as it writes parameters.

        The first biases of 𝒩 start as they were drawn less what the mean of its inputs gives, so that no tanh is
        saturated from the start; a full-range network also draws g_θ here, see ``start``.

        Parameters
        ----------
        points : (B, N, d) array or Structures
            To learn from.
        """
        given = self.as_structures(points)
        check_some(given.positions)
        self._measure(given)
        mean = self.values(given, self.program.steps[-1].inputs[0]).mean(axis=0)
        self._first_layer[1][...] = self._start - mean @ self._first_layer[0]

    def _measure(self, structures: Structures) -> None:
        self.descriptor.scales = Scales.of(self.scene(structures).pairs, self.dim)

    # ------------------------------------------------------------------ files
    def settings(self) -> dict:
        """Settings that make the same network again, apart from the parameters, as JSON can hold them."""
        return {
            "kind": self.kind,
            "box": self.box.tolist(),
            "cutoff": self.cutoff,
            "cutoff_kind": self.cutoff_kind,
            "dim": self.dim,
            "dtype": self.dtype.name,
            "seed": self.seed,
            "scales": vars(self.descriptor.scales),
        }

    @classmethod
    def _options(cls, settings: dict) -> dict:
        """Arguments of the constructor, but for box and threads."""
        names = ("cutoff", "dim", "cutoff_kind", "dtype", "seed")
        return {name: settings[name] for name in names} | {"scales": Scales(**settings["scales"])}

    @classmethod
    def from_settings(cls, settings: dict, threads: int | None = None) -> Self:
        return cls(settings["box"], **cls._options(settings), threads=threads)


class FullRangeNetwork(ShortRangeNetwork):
    """A short-range network whose 𝒩 also reads g_θ of a trainable long-range convolution.

    Parameters
    ----------
    box, cutoff, dim, cutoff_kind, scales, dtype, seed, threads
        As for ``ShortRangeNetwork``.
    modes : int or d ints
        Of the convolution in this box. They give the length with which the series of its kernel ends; in other cells
        the modes follow from that.
    lam : sequence of float, optional
        Start values λ of the channels, inverse lengths; spread over the box by default. β starts at 1.
    eps : float, optional
        Accuracy of the convolution; its derivatives are exact at any.
    """

    kind = "full-range"
    fixed: ClassVar[dict[str, str]] = ShortRangeNetwork.fixed | dict.fromkeys(
        ("modes", "lam", "eps"), "make another network"
    )

    def __init__(self, box, cutoff: float, modes, *, lam=None, eps: float | None = None, dtype=np.float64, **options):
        lengths = as_lengths(box, options.get("dim"))
        longest = float(lengths.max())
        lam = (2.0 / longest, 20.0 / longest) if lam is None else np.atleast_1d(lam)  # half the box, a tenth of that
        self.lam = tuple(arguments.as_positive("lam", float(value), np.inf) for value in lam)
        if not self.lam:
            raise ValueError("lam: expected at least one start value, got none")
        self.modes = modes
        ends = _series_ends(lengths, arguments.as_modes(modes, len(lengths)))
        self.kernel = YukawaChannels(self.lam, TAPER / min(end for end in ends if end > 0))
        self.eps = float(eps) if eps is not None else 1e-5 if arguments.as_dtype(dtype) == np.float32 else 1e-6
        self.convolution = Convolution(self.kernel, SeriesEnd(ends), self.eps)
        self.post = Perceptron("g", (len(self.lam), *POST), activation="relu")
        self.scaled = Scale()
        super().__init__(box, cutoff, dtype=dtype, **options)
        self._first_layer[0][self.descriptor.width :] = 0.0
        self._set_long_scales(np.zeros(len(self.lam)), np.ones(len(self.lam)))
        self.convolution.check_settings(np.diag(self.box), self.dtype, self.threads)

    def _extra_width(self) -> int:
        return self.post.sizes[-1]

    def _steps(self) -> list[Step]:
        return [
            Step(self.convolution, (GEOMETRY,), "u"),  # first: what follows then is one job for each share
            Step(self.descriptor, (GEOMETRY,), "D"),
            Step(self.scaled, ("u",), "scaled u"),
            Step(Dense(self.post), ("scaled u",), "long"),
            Step(Concatenate(), ("D", "long"), "features"),
            Step(Dense(self.fitting), ("features",), "e"),
        ]

    # ------------------------------------------------------------------ the long range
    @property
    def multiplier(self) -> TaperedYukawa:
        """φ̂ of the channels with their present parameters."""
        return self.kernel.multiplier(self.parameters)

    @property
    def long_shift(self) -> np.ndarray:
        """What is taken off u, (C,)."""
        return self.scaled.shift

    @property
    def long_scale(self) -> np.ndarray:
        """What that is divided by, (C,)."""
        return self.scaled.scale

    def _set_long_scales(self, shift, scale) -> None:
        self.scaled.shift, self.scaled.scale = (np.asarray(value, dtype=self.dtype) for value in (shift, scale))

    def _measure(self, structures: Structures) -> None:
        super()._measure(structures)
        u = self.values(structures, "u")
        shift, spread = start.input_scales(u, self.eps)
        inputs = ((u - shift) / spread).astype(self.dtype)
        start.draw_linear_relus(self.post, self.parameters, inputs, self.seed)
        passed = float(np.sqrt((start.centred_outputs(self.post, self.parameters, inputs) ** 2).mean())) or 1.0
        self._set_long_scales(shift, spread * passed)

    def move_kinks(self, points, spreads: float = 20.0, *, among: bool = False) -> None:
        """Move kinks of the relus of g_θ away from the training points.

        After a training nearly all kinks lie just beyond its data, which do not determine them, and a point in a denser
        neighbourhood than any there meets another g_θ. Here they move away, see ``start.move_kinks``: g_θ goes on
        beyond the points as it is among them. Energies and forces at the points stay the same up to rounding.

        At a kink among the points forces jump. As parameters change, points cross it, and the gradient of the loss does
        not see these jumps: methods that go by gradients stand still or go astray. With ``among`` such kinks move as
        well: energies and forces change, as g_θ is a linear function of u at the points afterwards, and the training
        has to go on.

        Parameters
        ----------
        points : (B, N, d) or (N, d) array, or Structures
            Those it is trained with, units of length.
        spreads : float
            How far kinks are to be from them, in standard deviations of what the relu is given; below 10⁶.
        among : bool
            Whether kinks among the points move as well.
        """
        spreads = arguments.as_positive("spreads", spreads, 1e6)
        given = self.as_structures(points)
        check_some(given.positions)
        inputs = self.values(given, "scaled u")
        rise = start.move_kinks(self.post, self.parameters, inputs, spreads, among)
        weight, bias = self._first_layer
        bias -= rise @ weight[self.descriptor.width :]

    # ------------------------------------------------------------------ files
    def settings(self) -> dict:
        modes = int(self.modes) if np.ndim(self.modes) == 0 else [int(m) for m in self.modes]
        own = {"modes": modes, "lam": list(self.lam), "eps": self.eps}
        scales = {"long_shift": self.long_shift.tolist(), "long_scale": self.long_scale.tolist()}
        return super().settings() | own | scales

    @classmethod
    def _options(cls, settings: dict) -> dict:
        modes = settings["modes"] if isinstance(settings["modes"], int) else tuple(settings["modes"])
        return super()._options(settings) | {"modes": modes, "lam": settings["lam"], "eps": settings["eps"]}

    @classmethod
    def from_settings(cls, settings: dict, threads: int | None = None) -> Self:
        network = super().from_settings(settings, threads)
        network._set_long_scales(settings["long_shift"], settings["long_scale"])
        shift, scale = network.long_shift, network.long_scale
        if {shift.shape, scale.shape} != {(len(network.lam),)} or not (np.isfinite(shift + scale) & (scale > 0)).all():
            raise ValueError(f"expected {len(network.lam)} finite shifts and positive scales of u")
        return network


def _series_ends(lengths: np.ndarray, modes: tuple[int, ...]) -> tuple[float, ...]:
    """The highest wavenumber along each axis of a box."""
    if max(modes) < 3:
        raise ValueError(f"modes: expected three or more along some axis, as k = 0 is left out, got {modes}")
    return tuple(2 * np.pi * highest_mode(m) / length for m, length in zip(modes, lengths, strict=True))
