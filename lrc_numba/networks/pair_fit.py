"""Coefficients of pair energies by least squares: what of a data set is a sum over pairs needs no training."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..geometry.neighbours import find_pairs, scatter_add
from ..geometry.structures import Structures
from .energy import EnergyNetwork
from .loss import LossWeights, as_weights
from .parts.pairs import PairEnergies
from .parts.radial import RadialBasis

__all__ = ["fit_pairs"]

SMALLEST = 1e-10  # singular values over the largest, of columns of length 1, below which nothing is determined
STORED = (
    8.0  # units of rounding of the network; along smaller ones coefficients are so large that rounding them is worse
)


def fit_pairs(
    network: EnergyNetwork,
    part: PairEnergies,
    functions: list[RadialBasis],
    structures: Structures,
    weights: LossWeights,
) -> None:
    """Change the coefficients of a part so that the loss is least, all other parameters as they are.

    Parameters
    ----------
    network : EnergyNetwork
        Its parameters are written.
    part : PairEnergies
        Which of its parts.
    functions : list of RadialBasis
        What the part reads, side by side.
    structures : Structures
        With energies or forces, whichever have a weight.
    weights : LossWeights
        Of energies and forces.

    Raises
    ------
    ValueError
        Where data are missing, and for a weight of stress.
    """
    as_weights(weights).check(structures)
    if weights.stress:
        raise ValueError(f"weights: pairs are fitted to energies and forces, got a weight of stress {weights.stress:g}")
    coefficients = network.parameters[f"{part.name}.coefficients"]
    triangle = np.zeros((0, coefficients.size + 1))  # that of the QR decomposition of all rows up to now
    made = network.predict(structures, forces=weights.forces > 0)
    for b in np.flatnonzero(structures.counts):
        own, points = structures[b : b + 1], slice(*structures.offsets[b : b + 2])
        of_energy, of_forces = _design(network, part, functions, own)
        blocks, each = [triangle], 1.0 / (len(own.positions) if weights.per_point else 1)
        if weights.energy:
            row = np.append(of_energy, cast(np.ndarray, own.energies) - made.energies[b])
            blocks.append(np.sqrt(weights.energy) * each * row[None])
        if weights.forces:
            left = (cast(np.ndarray, own.forces) - cast(np.ndarray, made.forces)[points]).reshape(-1, 1)
            blocks.append(np.sqrt(weights.forces * each) * np.concatenate([of_forces, left], axis=1))
        triangle = np.asarray(np.linalg.qr(np.concatenate(blocks), mode="r"))
    design, left = triangle[:, :-1], triangle[:, -1]
    lengths = np.linalg.norm(design, axis=0)
    lengths = np.where(lengths > 0, lengths, 1.0)
    smallest = max(SMALLEST, STORED * float(np.finfo(network.dtype).eps))
    change = np.linalg.lstsq(design / lengths, left, rcond=smallest)[0] / lengths
    coefficients += change.reshape(coefficients.shape).astype(network.dtype)


def _design(network: EnergyNetwork, part: PairEnergies, functions: list[RadialBasis], structure: Structures) -> tuple:
    """The energy (coefficients,) and the forces (n d, coefficients) of one structure for coefficients of 1."""
    pairs = find_pairs(
        structure.positions,
        network.cutoff,
        structure.cell,
        periodic=structure.periodic,
        offsets=structure.offsets,
        threads=network.threads,
        dtype=np.float64,
    )
    distance = pairs.distance[:, None]
    values, slopes, _ = (
        np.concatenate(each, axis=1) for each in zip(*[f.evaluate(distance) for f in functions], strict=True)
    )
    kinds, (count, dim) = part.kinds(structure, pairs), structure.positions.shape
    shape = (network.parameters[f"{part.name}.coefficients"].shape[0], values.shape[1])
    energy, forces = np.zeros(shape), np.zeros((shape[0], count, dim, shape[1]))
    for kind in range(shape[0]):
        some = kinds == kind
        energy[kind] = values[some].sum(axis=0)
        pull = -(pairs.displacement[some] / distance[some])[:, :, None] * slopes[some][:, None, :]
        flat = np.zeros((count, dim * shape[1]))
        scatter_add(pairs.first[some], pairs.second[some], pull.reshape(len(pull), flat.shape[1]), flat)
        forces[kind] = flat.reshape(count, dim, shape[1])
    return energy.ravel(), np.moveaxis(forces, 0, 2).reshape(count * dim, -1)
