r"""Energies of structures as a program of parts, their derivatives, and the gradient of a loss.

U = Σᵢ eᵢ, F = −∂U/∂x, and the stress (1/V) ∂U/∂ε where ε strains positions and cell. The gradient of a loss (see
``loss``) needs no second-order differentiation, see ``parts.part``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from .. import arguments
from ..geometry.neighbours import find_pairs
from ..geometry.ragged import sums_of
from ..geometry.structures import Structures
from ..machine.alone import Idle, alone
from ..machine.cpu import parallel
from ..machine.fixed import Fixed
from ..machine.workspace import Workspaces
from .checks import as_counted, as_dim, check_cells
from .layers.parameters import Parameters
from .loss import LossWeights, Prediction, as_weights, residuals_of
from .parts.needs import check_pairs
from .parts.part import Motion, Scene
from .parts.program import Program
from .parts.run import Run
from .portions import in_portions
from .references import ReferenceEnergies
from .residuals import Residuals
from .storage import read_network, write_network

__all__ = ["EnergyNetwork"]

APART = 1e-6  # cutoffs; two points nearer to each other than that are in one place


class EnergyNetwork(Fixed):
    """Parts, one flat vector of parameters, and settings.

    Parameters
    ----------
    program : Program
        From the geometry to a number for each point.
    cutoff : float
        Of the neighbours, units of length.
    dim : int
        d.
    full_pairs : bool
        Whether parts are given every pair from both its ends, or once; parts say which they need.
    dtype : float32 or float64
        Of parameters and forces; energies and stresses are in double precision.
    seed : int
        Of the initial parameters.
    threads : int, optional
        At most so many, which share the structures; results do not depend on it.
    references : ReferenceEnergies, optional
        Energies of the species, in double precision, which are added to those of the program.

    Attributes
    ----------
    parameters : Parameters
        One flat vector with named views.

    Raises
    ------
    ValueError
        Naming the argument; also a setting of a part, such as an accuracy that is out of reach in this dtype.

    Notes
    -----
    A network belongs to no cell. It keeps memory between calls, so it serves one thread of the user's at a time: a call
    while another is at work is a RuntimeError, and ``copy.deepcopy`` makes a network for another thread.

    Examples
    --------
    Any program can be evaluated and trained. What is to be stored, or trained with checkpoints, has to say how it is
    made again: a subclass with a ``kind``, ``settings`` and ``from_settings``.

    >>> from lrc_numba.networks.parts.embedding import Embedding
    >>> from lrc_numba.networks.parts.program import Step
    >>> class IdealGas(EnergyNetwork):
    ...     kind = "ideal-gas"
    ...
    ...     def __init__(self, species, *, dim=3, threads=None):
    ...         self.species = tuple(species)
    ...         program = Program([Step(Embedding("energy", self.species, 1), (), "e")], "e")
    ...         super().__init__(program, cutoff=1.0, dim=dim, threads=threads)
    ...
    ...     def settings(self):
    ...         return {"kind": self.kind, "species": list(self.species), "dim": self.dim}
    ...
    ...     @classmethod
    ...     def from_settings(cls, settings, threads=None):
    ...         return cls(settings["species"], dim=settings["dim"], threads=threads)
    >>> IdealGas((1, 8)).settings()
    {'kind': 'ideal-gas', 'species': [1, 8], 'dim': 3}

    After that ``IdealGas((1, 8)).save(path)`` writes what ``EnergyNetwork.load(path)`` reads.
    """

    fixed: ClassVar[dict[str, str]] = {
        "parameters": "write to parameters.flat or to its views",
        **dict.fromkeys(("program", "cutoff", "dim", "full_pairs", "dtype", "seed"), "make another network"),
    }
    kind: ClassVar[str] = ""
    noun: ClassVar[str] = "network"
    kinds: ClassVar[dict[str, type[EnergyNetwork]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):  # one without a kind of its own is stored, and loaded, as what it is made from
            EnergyNetwork.kinds[cls.kind] = cls

    def __init__(
        self,
        program: Program,
        *,
        cutoff: float,
        dim: int,
        full_pairs: bool = False,
        dtype=np.float64,
        seed: int = 0,
        threads: int | None = None,
        references: ReferenceEnergies | None = None,
    ):
        if not isinstance(program, Program):
            raise TypeError(f"program: expected a Program, got {type(program).__name__}")
        self.program, self.dim, self.full_pairs = program, as_dim(dim), arguments.as_bool("full_pairs", full_pairs)
        self.cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        self.dtype, self.seed = arguments.as_dtype(dtype), arguments.as_seed(seed)
        self.threads = arguments.as_threads(threads, parallel.available_threads())
        check_pairs(program.steps, self.cutoff, self.full_pairs)
        self._spaces, self._idle = Workspaces(), Idle()
        parts = sorted(program.parts, key=lambda part: part.whole)  # files hold parameters in this order
        shapes: dict[str, tuple[int, ...]] = {}
        for part in parts:
            part.check(self.dtype)
            if twice := sorted(shapes.keys() & part.shapes().keys()):
                raise ValueError(f"program: expected other names of parameters for every part, got {twice} twice")
            shapes |= part.shapes()
        self.parameters = Parameters(shapes, self.dtype)
        generator = np.random.default_rng(seed)
        for part in parts:
            part.initialise(self.parameters, generator)
        self._generator = generator
        self.references = references

    # ------------------------------------------------------------------ structures
    def as_structures(self, structures) -> Structures:
        """Structures of the right dimension; subclasses take arrays of points as well.

        Parameters
        ----------
        structures : Structures
            Of d dimensions.
        """
        if not isinstance(structures, Structures):
            raise TypeError(f"structures: expected Structures, got {type(structures).__name__}")
        if structures.dim != self.dim:
            raise ValueError(f"structures: expected {self.dim} dimension(s), got {structures.dim}")
        return structures

    def scene(self, structures: Structures) -> Scene:
        """Structures with their neighbours.

        Parameters
        ----------
        structures : Structures
            Of d dimensions.
        """
        pairs = find_pairs(
            structures.positions,
            self.cutoff,
            structures.cell,
            periodic=structures.periodic,
            offsets=structures.offsets,
            full=self.full_pairs,
            threads=self.threads,
            dtype=self.dtype,
        )
        pairs.check_apart(APART * self.cutoff)
        return Scene(structures, pairs, self.dtype, self.threads)

    # ------------------------------------------------------------------ values
    @alone
    def predict(
        self, structures, *, forces: bool = True, stress: bool = False, counted: np.ndarray | None = None
    ) -> Prediction:
        """Energies, and what follows from them.

        Parameters
        ----------
        structures : Structures
            Any number of them.
        forces, stress : bool
            What is wanted besides; a stress needs cells.
        counted : (n,) bool, optional
            Points whose energies are added up; all by default. Others are there as their neighbours: forces are those
            of the sum.

        Raises
        ------
        ValueError
            Naming structure and point: of another dimension, two points in one place, a species that is not known.
            And where parameters are no numbers.
        """
        given = self.as_structures(structures)
        counted = as_counted(counted, len(given.positions))
        self.parameters.check_finite()
        if stress:
            check_cells(given)

        def some(part: Structures, points: slice) -> Prediction:
            own = None if counted is None else counted[points]
            return self._evaluate(Run.of(self.scene(part)), forces, stress, keep=False, counted=own)

        return Prediction.joined(in_portions(given, some))

    @alone
    def values(self, structures, name: str) -> np.ndarray:
        """What lies between two parts, a row for each point, or for each pair.

        Parameters
        ----------
        structures : Structures
            At least one.
        name : str
            Of the output of a step of ``program``.
        """
        given = self.as_structures(structures)
        if not len(given):
            raise ValueError("structures: expected at least one, got none")

        def some(part: Structures, _: slice) -> np.ndarray:
            run = Run.of(self.scene(part))
            return np.concatenate(self.program.forward(run, self.parameters, self._spaces, keep=False, until=name))

        return np.concatenate(in_portions(given, some))

    def _evaluate(
        self, run: Run, forces: bool, stress: bool, keep: bool, counted: np.ndarray | None = None
    ) -> Prediction:
        structures = run.whole.structures
        if not len(structures.positions):
            return Prediction.of_nothing(len(structures), self.dim, self.dtype, forces, stress)
        shares, motion = self._outputs(run, forces, stress, keep, counted)
        potentials = np.concatenate([share[:, 0] for share in shares]).astype(np.float64, copy=False)
        result = Prediction(sums_of(potentials, structures.offsets), potentials)
        if self.references is not None:
            known = self.references.of_points(structures)
            result.potentials = potentials + known
            result.energies += sums_of(known, structures.offsets)
        if counted is not None:
            result.energies = sums_of(np.where(counted, result.potentials, 0.0), structures.offsets)
        if motion is not None:
            result.forces = -motion.points if forces else None
        if motion is not None and motion.strain is not None:
            result.stress = motion.strain / structures.volume[:, None, None]
        return result

    def _outputs(
        self, run: Run, forces: bool, stress: bool, keep: bool, counted: np.ndarray | None
    ) -> tuple[list[np.ndarray], Motion | None]:
        """e of every share, and the gradient of their sum where that is wanted."""
        if forces or stress:
            return self.program.evaluate(run, self.parameters, self._spaces, keep, stress, counted)
        return self.program.forward(run, self.parameters, self._spaces, keep), None

    # ------------------------------------------------------------------ the loss
    def loss(self, structures: Structures, weights: LossWeights) -> tuple[float, np.ndarray]:
        """L and ∂L/∂θ.

        Parameters
        ----------
        structures : Structures
            With the energies, forces or stress that have a weight.
        weights : LossWeights
            Of the terms.

        Returns
        -------
        float, (n_parameters,) ndarray
            The loss, and its gradient in the order of ``parameters``.
        """
        return Residuals(self, structures, weights).loss()

    def fit_references(self, structures: Structures) -> None:
        """Fit the energies of the species to those of structures, less what the network says now, by least squares.

        Parameters
        ----------
        structures : Structures
            With energies.
        """
        given = self.as_structures(structures)
        if self.references is None:
            raise ValueError("references: this network knows no species")
        if given.energies is None:
            raise ValueError("energies: expected them for every structure, got none")
        self.references.fit(given, given.energies - self.predict(given, forces=False).energies)

    def loss_alone(self, structures: Structures, weights: LossWeights) -> float:
        """L without its gradient.

        Parameters
        ----------
        structures, weights
            As for ``loss``.
        """
        given = self.as_structures(structures)
        if not len(given):
            raise ValueError("structures: expected at least one, got none")
        as_weights(weights).check(given)
        made = self.predict(given, forces=weights.forces > 0, stress=weights.stress > 0)
        values = residuals_of(made, given, weights)
        return float(values @ values)

    # ------------------------------------------------------------------ files
    def settings(self) -> dict:
        """What makes the same network again, apart from the parameters, as JSON can hold it."""
        raise NotImplementedError(
            f"{type(self).__name__} has no settings to be stored; to save it, or to train it with checkpoints, define "
            "a subclass with a kind, settings() and from_settings(), as the example of EnergyNetwork shows"
        )

    @classmethod
    def from_settings(cls, settings: dict, threads: int | None = None) -> Self:
        """A network with these settings, which ``settings`` returned.

        Parameters
        ----------
        settings, threads
            As for a new network.
        """
        raise NotImplementedError(f"{cls.__name__} is not made from settings; define from_settings() for its kind")

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` with everything that makes the network again, atomically; see ``storage``.

        Parameters
        ----------
        path : str or Path
            Replaced where it exists.

        Raises
        ------
        NotImplementedError, ValueError
            Where a network does not say how it is made again, see the example above; where parameters are no numbers.
        """
        settings = self.settings()
        if settings.get("kind") not in self.kinds:
            raise ValueError(
                f"settings: expected one of the kinds {sorted(self.kinds)}, got {settings.get('kind')!r}; define kind "
                f"in {type(self).__name__}, and return it with the settings"
            )
        write_network(path, settings, self.parameters.flat)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """The network that ``save`` wrote; ``EnergyNetwork.load`` takes one of any kind.

        Parameters
        ----------
        path : str or Path
            The file.
        threads : int, optional
            As for a new network.

        Raises
        ------
        ValueError
            Naming the file: where it is damaged, of another version, or of a network of another kind.
        """
        settings, flat = read_network(path, cls.kind)
        made: Any = EnergyNetwork.kinds.get(settings.get("kind", ""))
        if made is None:
            raise ValueError(f"path: {path} holds a network of an unknown kind, {settings.get('kind')!r}")
        try:
            network = made.from_settings(settings, threads)
        except (KeyError, TypeError, ValueError) as wrong:
            raise ValueError(f"path: the settings in {path} make no network ({wrong!r})") from wrong
        own = network.parameters.flat
        if flat.shape != own.shape or flat.dtype != own.dtype or not np.isfinite(flat).all():
            raise ValueError(
                f"path: expected {own.size} finite parameters in {own.dtype} in {path}, got shape {flat.shape} in "
                f"{flat.dtype}, {int((~np.isfinite(flat)).sum())} of them no numbers"
            )
        own[...] = flat
        return network
