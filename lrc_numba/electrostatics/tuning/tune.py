"""``tune``: a calculator for an accuracy."""

from __future__ import annotations

from warnings import warn

import numpy as np

from ... import arguments
from ...geometry.structures import Structures
from ..calculators import Calculator, EwaldCalculator, MeshCalculator, P3MCalculator, PMECalculator
from ..checks import as_charges, as_structure, net_charge, with_short_vectors
from ..potentials import Potential
from .choose import Choice, choose
from .divisions import may_be_prolate
from .report import Tuning
from .system import System

__all__ = ["tune"]

METHODS = ("mesh", "ewald", "p3m", "pme")
AIM = 0.85  # of what is asked for, as estimates scatter
TIGHTER = 20.0  # the run that errors are measured against
LOOSE, MIDDLE = 0.2, 0.5  # of what is asked for: below the first it is too careful, and then the second is aimed at
LOOSEST = 3.0  # of what is asked for, by the estimate: on sites of a lattice errors of forces cancel, not beside them
WORTH_A_MESH = 1.0  # seconds of explicit sums
ROUNDS = 4  # choices that are measured
# Of forces between neighbours: rounding is a third of that. In float32 it was 2e-7 of 216 points and 7e-7 of 2,744,
# as roundings of many points on the mesh add up at random.
FLOORS = {"float64": (1e-12, 0.0), "float32": (5e-7, 4e-8)}  # a constant, and what is multiplied with √N


def tune(
    potential: Potential,
    positions,
    charges=None,
    cell=None,
    accuracy: float = 1e-4,
    *,
    periodic=True,
    calculator: str | type[Calculator] = "mesh",
    splitting: str | None = None,
    cutoff: float | None = None,
    skin: float = 0.0,
    fixed_mesh: bool = False,
    threads: int | None = None,
    dtype=np.float64,
) -> Calculator:
    r"""The calculator that is expected to be fastest for energies and forces of an accuracy.

    Cutoff, smearing or band, modes, mesh and window follow from estimates of errors (``tuning.estimates``) and of the
    cost. The error is then measured on the given points against a run for a twentieth of it, and the choice tightened
    where it is missed, or loosened where it is far better.

    Parameters
    ----------
    potential : Potential
        Its smearing, or cutoff and band, are chosen; what it has does not matter.
    positions, charges, cell, periodic
        As for ``Calculator.compute``; one structure, typical of those to come.
    accuracy : float
        Root of the mean square of the error of the force on a point, √(⟨|ΔF|²⟩): energy/length, that is prefactor ·
        charge²/length² for Coulomb's potential.
    calculator : {"mesh", "ewald", "p3m", "pme"} or a class
        Or for comparisons ``P3MCalculator`` or ``PMECalculator``, which take off what a charge does to itself.
    splitting : {"prolate", "gaussian"}, optional
        How the potential is divided; by default a prolate where that can be, on a mesh and for Coulomb's potential.
    cutoff, skin, threads, dtype
        As for the calculator; the cutoff by default the fastest.
    fixed_mesh : bool
        Keep modes and nodes when the cell changes, see ``MeshCalculator.freeze_mesh``.

    Returns
    -------
    Calculator
        ``print(calculator)`` shows all choices; ``calculator.tuning`` has them.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected; for an accuracy out of reach it says what is within.
    """
    method, kind = _method(calculator, dtype, fixed_mesh)
    wanted = arguments.as_positive("accuracy", accuracy, np.inf)
    structure, system = _system(potential, positions, charges, cell, periodic)
    settings = {"skin": skin, "threads": threads, "dtype": kind}
    search = _Search(potential, system, _splitting(splitting, potential, method), method, cutoff, settings)
    search.check_reach(wanted, kind.name)
    tuned = search.run(wanted, structure)
    if isinstance(tuned, MeshCalculator) and fixed_mesh:
        tuned.freeze_mesh()
    return tuned


def _method(calculator, dtype, fixed_mesh: bool) -> tuple[str, np.dtype]:
    """One of ``METHODS``, and float32 or float64, where it has them."""
    names: dict = {MeshCalculator: "mesh", EwaldCalculator: "ewald", P3MCalculator: "p3m", PMECalculator: "pme"}
    names |= {cls.__name__: name for cls, name in tuple(names.items())}
    name = names.get(calculator, calculator) if isinstance(calculator, (str, type)) else calculator
    method, kind = arguments.as_choice("calculator", name, METHODS), np.dtype(arguments.as_dtype(dtype))
    if fixed_mesh and method != "mesh":
        raise ValueError(f"fixed_mesh: expected calculator='mesh', got {calculator!r}")
    return method, kind


def _splitting(splitting: str | None, potential: Potential, method: str) -> str:
    """ "prolate" or "gaussian"."""
    if splitting is None:
        return "prolate" if method == "mesh" and may_be_prolate(potential) else "gaussian"
    name = arguments.as_choice("splitting", splitting, ("prolate", "gaussian"))
    if name == "prolate" and not may_be_prolate(potential):
        raise ValueError(f"splitting: a prolate divides Coulomb's potential, and this is {potential!r}; use 'gaussian'")
    return name


def _system(potential: Potential, positions, charges, cell, periodic) -> tuple[dict, System]:
    """Arguments of ``compute``, and the system, checked."""
    if not isinstance(potential, Potential):
        raise TypeError(f"potential: expected a Potential, got {type(potential).__name__}")
    if potential.exclusion is not None and potential.exclusion.part == "long_range":
        raise ValueError(
            "exclusion_part: what is computed with 'long_range' depends on the smearing, which tune chooses; use "
            "'whole', or make a calculator with your smearing"
        )
    if isinstance(positions, Structures):
        if len(positions) != 1:
            raise ValueError(f"positions: expected one structure, got {len(positions)}")
        periodic, cell = positions.periodic[0], positions.cell[0]
        charges = positions.charges if charges is None else charges
        positions = positions.positions
    structure = with_short_vectors(as_structure(positions, cell, periodic))
    points, flags = structure.positions.astype(np.float64), structure.periodic[0]
    values = as_charges(charges, len(points)).astype(np.float64)
    if len(points) < 2:
        raise ValueError(f"positions: expected two points or more, got {len(points)}")
    if not values.any():
        raise ValueError("charges: expected some that are not zero, got none")
    if flags.all():
        potential.check_net_charge(net_charge(values))
    system = System.of(points, values, structure.cell[0], flags)
    return {"positions": points, "charges": values, "cell": structure.cell[0], "periodic": flags}, system


class _Search:
    """Choices for one system, and what is measured of them."""

    def __init__(self, potential, system: System, splitting: str, method: str, cutoff, settings: dict):
        self.potential, self.system, self.splitting, self.method = potential, system, splitting, method
        self.cutoff = None if cutoff is None else arguments.as_positive("cutoff", cutoff, np.inf)
        self.settings = settings
        self.scale = system.scale(potential)

    def floor(self, dtype: str) -> float:
        """The smallest error that rounding allows."""
        constant, random = FLOORS[dtype]
        return max(constant, random * self.system.count**0.5) * self.scale

    def check_reach(self, accuracy: float, dtype: str) -> None:
        """A ValueError for what rounding does not allow.

        Parameters
        ----------
        accuracy : float
            RMS error of forces.
        dtype : {"float32", "float64"}
            Of results.
        """
        floor = self.floor(dtype)
        if accuracy < floor:
            raise ValueError(
                f"accuracy: {accuracy:.1e} is out of reach in {dtype} with forces of about {self.scale:.1e}; "
                f"expected at least {floor:.1e}" + (", or dtype=float64" if dtype == "float32" else "")
            )

    def choice(self, aim: float) -> Choice:
        """The cheapest for an error."""
        choice = choose(self.system, self.potential, self.splitting, self.method, aim, self.cutoff)
        if choice is None:
            within = self._within(aim)
            what = f"calculator={self.method!r}" + ("" if self.cutoff is None else f" and a cutoff of {self.cutoff:g}")
            ways = [] if within is None else [f"{within / AIM:.1e}, which is within it"]
            ways += [*([] if self.cutoff is None else ["a larger cutoff"]), "another calculator"]
            remedy = " or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))
            raise ValueError(f"accuracy: {aim / AIM:.1e} is out of reach with {what}; ask for {remedy}")
        return choice

    def _within(self, aim: float) -> float | None:
        """The smallest error that is possible, in steps of half a decade; None where none is."""
        tried = aim * 10.0 ** np.arange(0.5, 12.1, 0.5)
        low, high = -1, len(tried)
        while high - low > 1:
            middle = (low + high) // 2
            choice = choose(self.system, self.potential, self.splitting, self.method, tried[middle], self.cutoff)
            low, high = (middle, high) if choice is None else (low, middle)
        return float(tried[high]) if high < len(tried) else None

    def build(self, choice: Choice) -> Calculator:
        """A calculator."""
        division = choice.division
        if self.method == "mesh":
            built: Calculator = MeshCalculator(
                choice.potential,
                division.cutoff,
                division.k_cutoff,
                window=choice.window,
                spacing=choice.spacing,
                **self.settings,
            )
        elif self.method == "ewald":
            built = EwaldCalculator(choice.potential, division.cutoff, division.k_cutoff, **self.settings)
        else:
            kind = P3MCalculator if self.method == "p3m" else PMECalculator
            own = {"remove_self_interaction": True} | self.settings
            built = kind(choice.potential, division.cutoff, choice.spacing, choice.window.width, **own)  # type: ignore[union-attr]
        built.pair_tolerance = choice.tolerance
        return built

    def reference(self, accuracy: float, structure: dict) -> tuple[np.ndarray, float]:
        """Forces of a tighter run (N, 3), by explicit sums where that takes no longer than a second, and their error.

        Parameters
        ----------
        accuracy : float
            RMS error of forces of the run that is measured against it.
        structure : dict
            Arguments of ``Calculator.compute``.
        """
        aim = max(accuracy / TIGHTER, self.floor("float64") / 5)
        mesh = "prolate" if may_be_prolate(self.potential) else "gaussian"
        for method, splitting in (("ewald", "gaussian"), ("mesh", mesh)):
            for loosen in (1.0, 2.0, 4.0):
                choice = choose(self.system, self.potential, splitting, method, loosen * aim)
                if choice is not None:
                    break
            else:
                continue
            if method == "mesh" or 1e-9 * sum(choice.cost.values()) < WORTH_A_MESH:
                settings = {"threads": self.settings["threads"]}
                tight = _Search(self.potential, self.system, splitting, method, None, settings).build(choice)
                return tight.compute(**structure, forces=True).forces, choice.estimate  # type: ignore[return-value]
        raise ValueError(f"accuracy: {accuracy:.1e} is out of reach; expected at least {TIGHTER * aim:.1e}")

    def run(self, accuracy: float, structure: dict) -> Calculator:
        """Choose, measure, and choose again.

        Parameters
        ----------
        accuracy : float
            RMS error of forces.
        structure : dict
            Arguments of ``Calculator.compute``.
        """
        aim, kept, best = AIM * accuracy, None, -1.0
        choice = self.choice(aim)
        forces, expected = self.reference(accuracy, structure)
        for rounds in range(1, ROUNDS + 1):
            built = self.build(choice)
            result = built.compute(**structure, forces=True).forces
            measured = float(np.sqrt(np.mean(np.sum((result - forces) ** 2, axis=1, dtype=np.float64))))
            built.tuning = Tuning(accuracy, measured, expected, rounds, choice, self.system)
            if best < measured <= accuracy:
                kept, best = built, measured
            if LOOSE * accuracy <= measured <= accuracy or (kept is not None and measured > accuracy):
                break
            wanted = AIM if measured > accuracy else MIDDLE
            following = min(aim * min(wanted * accuracy / max(measured, 1e-300), 8.0), LOOSEST * accuracy)
            if following == aim:
                break
            aim = following
            choice = self.choice(aim)
        if kept is None:
            warn(
                f"accuracy: the choice with the smallest expected error has {measured:.1e}, not {accuracy:.1e}, on "
                "these points; ask for less, or for a smaller one",
                stacklevel=3,
            )
        return built if kept is None else kept
