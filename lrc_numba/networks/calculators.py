"""Calculators of electrostatics as settings that JSON can hold, for networks that are stored."""

from __future__ import annotations

from typing import Any

from ..electrostatics import (
    Calculator,
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    Potential,
    ProlateCoulombPotential,
)

__all__ = ["calculator_from", "calculator_settings"]

# Arguments of the constructors, which are attributes of the same names.
POTENTIALS: dict[type[Potential], tuple[str, ...]] = {
    CoulombPotential: ("smearing", "prefactor"),
    InversePowerLawPotential: ("exponent", "smearing", "prefactor", "reference_length"),
    ProlateCoulombPotential: ("cutoff", "band", "prefactor"),
}
CALCULATORS: dict[type[Calculator], tuple[str, ...]] = {
    EwaldCalculator: ("cutoff", "k_cutoff"),
    MeshCalculator: ("cutoff", "k_cutoff", "eps", "nodes", "spacing", "explicit_sums"),
}


def _potential_settings(potential: Potential) -> dict[str, Any]:
    if type(potential) is CombinedPotential:
        parts = [_potential_settings(part) for part in potential.potentials]
        own = {"potentials": parts, "weights": potential.weights.tolist()}
        own |= {"smearing": potential.smearing, "prefactor": potential.prefactor}
    elif type(potential) in POTENTIALS:
        own = {name: getattr(potential, name) for name in POTENTIALS[type(potential)]}
    else:
        raise ValueError(f"charges: {type(potential).__name__} cannot be stored")
    if potential.exclusion is not None:
        own |= {f"exclusion_{name}": getattr(potential.exclusion, name) for name in ("radius", "degree", "part")}
    return {"kind": type(potential).__name__} | own


def _potential_from(settings: dict[str, Any]) -> Potential:
    own = {name: value for name, value in settings.items() if name != "kind"}
    if settings["kind"] == CombinedPotential.__name__:
        return CombinedPotential([_potential_from(part) for part in own.pop("potentials")], **own)
    return {kind.__name__: kind for kind in POTENTIALS}[settings["kind"]](**own)


def calculator_settings(calculator: Calculator) -> dict[str, Any]:
    """Settings that make the same calculator again, but for its threads.

    Parameters
    ----------
    calculator : Calculator
        An ``EwaldCalculator`` or a ``MeshCalculator``, with a potential that is none of the user's own.

    Raises
    ------
    ValueError
        Naming what cannot be stored.
    """
    if type(calculator) not in CALCULATORS or getattr(calculator, "window", None) is not None:
        raise ValueError(f"charges: {type(calculator).__name__} cannot be stored with these settings")
    own = {name: getattr(calculator, name) for name in CALCULATORS[type(calculator)]}
    own |= {"dtype": calculator.dtype.name} if isinstance(calculator, MeshCalculator) else {}
    return {"kind": type(calculator).__name__, "potential": _potential_settings(calculator.potential)} | own


def calculator_from(settings: dict[str, Any]) -> Calculator:
    """A calculator with these settings.

    Parameters
    ----------
    settings : dict
        What ``calculator_settings`` returned.
    """
    own = {name: value for name, value in settings.items() if name not in ("kind", "potential")}
    if own.get("nodes") is not None:
        own["nodes"] = tuple(own["nodes"])
    kind: Any = {kind.__name__: kind for kind in CALCULATORS}[settings["kind"]]
    return kind(_potential_from(settings["potential"]), **own)
