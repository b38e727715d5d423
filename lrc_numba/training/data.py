"""What a trainer is given to learn from, checked before the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import arguments
from ..geometry.structures import Structures
from ..networks import EnergyNetwork, LossWeights
from ..networks.checks import as_energies, as_forces, as_weight, check_data, check_some
from ..networks.layers.parameters import Parameters
from ..networks.loss import as_weights

__all__ = ["as_data", "as_validation", "free_parameters", "weights_for"]


def as_data(network: EnergyNetwork, points, forces, energies) -> Structures:
    """Structures as they are, or arrays as structures, of the dtype of the network.

    Parameters
    ----------
    network : EnergyNetwork
        That is to learn.
    points, forces, energies
        As for a ``Trainer``.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, the structure and the point.
    """
    if isinstance(points, Structures):
        if forces is not None or energies is not None:
            raise ValueError("forces, energies: expected none beside Structures, which hold their own")
        data = network.as_structures(points)
        if not len(data.positions):
            raise ValueError("points: expected at least one structure of one point, got none")
        return data
    array = arguments.as_points("points", points, network.dtype, network.dim)
    if array.ndim != 3:
        raise ValueError(f"points: expected snapshots (B, N, d), got shape {array.shape}")
    check_some(array)
    given = network.as_structures(array)
    wanted: np.ndarray | None = None
    if forces is not None or energies is None:
        wanted = as_forces(forces, array.shape, network.dtype).reshape(-1, network.dim)
    known = None if energies is None else as_energies(energies, len(array))
    return replace(given, forces=wanted, energies=known)


def weights_for(data: Structures, weights: LossWeights | None, energy_weight: float | None) -> LossWeights:
    """Weights as they are given, or of what data hold.

    Parameters
    ----------
    data : Structures
        To learn from.
    weights, energy_weight
        As for a ``Trainer``.
    """
    if energy_weight is None:
        energy = 1.0
    elif weights is not None:
        raise ValueError(
            f"energy_weight: expected none beside weights, which hold it, got {energy_weight} and {weights}"
        )
    elif data.energies is None:
        raise ValueError(f"energy_weight: expected none without energies, got {energy_weight}")
    else:
        energy = as_weight("energy_weight", energy_weight)
    return LossWeights(energy=energy if data.energies is not None else 0.0) if weights is None else as_weights(weights)


def as_validation(network: EnergyNetwork, validation, weights: LossWeights) -> Structures:
    """Structures to compare with; errors say that they are these.

    Parameters
    ----------
    network, validation, weights
        As for a ``Trainer``.
    """
    try:
        given = network.as_structures(validation)
        if not len(given):
            raise ValueError("expected at least one structure, got none")
        check_data(network, given, weights)
    except (TypeError, ValueError) as wrong:
        raise type(wrong)(f"validation: {wrong}") from None
    return given


def free_parameters(frozen: tuple[str, ...], parameters: Parameters) -> np.ndarray | None:
    """Which numbers are trained, booleans of their count; None for all.

    Parameters
    ----------
    frozen : tuple of str
        Beginnings of the names of those that are not.
    parameters : Parameters
        Of the network.

    Raises
    ------
    TypeError, ValueError
        For one string, and for what no name begins with.
    """
    if isinstance(frozen, str):
        raise TypeError(f"frozen: expected a tuple of names, got {frozen!r}; for one of them ({frozen!r},)")
    if not frozen:
        return None
    free = np.ones(parameters.flat.size, dtype=bool)
    for prefix in frozen:
        names = [name for name in parameters if name.startswith(prefix)]
        if not names:
            raise ValueError(f"frozen: expected beginnings of {list(parameters)}, got {prefix!r}")
        for name in names:
            free[parameters.offsets[name] : parameters.offsets[name] + parameters[name].size] = False
    return free
