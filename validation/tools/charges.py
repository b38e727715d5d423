"""Systems of charges for validation scripts: crystals, random ions, a droplet, surfaces, and water from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Charges", "crystals", "open_systems", "periodic_systems", "water"]

SPACING = 2.8  # of neighbours, units of length
# Fractions of the cube, charges, and the edge of the cube over the spacing.
LATTICES = {
    "NaCl": ([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]], None, 2.0),
    "CsCl": ([[0, 0, 0], [0.5, 0.5, 0.5]], [1, -1], 2 / 3**0.5),
    "zincblende": ([[0, 0, 0], [0.25, 0.25, 0.25]], [1, -1], 4 / 3**0.5),
    "fluorite": ([[0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]], [2, -1, -1], 4 / 3**0.5),
}
FACES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


@dataclass(frozen=True)
class Charges:
    """One system: positions (N, 3), charges (N,), cell (3, 3) and along which axes there are images."""

    name: str
    positions: np.ndarray
    charges: np.ndarray
    cell: np.ndarray
    periodic: tuple[bool, bool, bool] = (True, True, True)

    @property
    def structure(self) -> dict:
        """Arguments of a calculator."""
        return {"positions": self.positions, "charges": self.charges, "cell": self.cell, "periodic": self.periodic}


def _crystal(name: str, times: int, rng: np.random.Generator) -> Charges:
    """A cube of so many unit cells, every point moved by 0.05 spacings along each axis."""
    basis, charges, edge = LATTICES[name]
    if name == "NaCl":
        sites = np.vstack([FACES, FACES + np.array([0.5, 0, 0])]) % 1
        charges = [1] * 4 + [-1] * 4
    elif name == "CsCl":
        sites = np.array(basis, dtype=float)
    else:
        sites = np.vstack([FACES + site for site in basis]) % 1
        charges = np.repeat(charges, 4)
    shifts = np.stack(np.meshgrid(*[np.arange(times)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    length = times * edge * SPACING
    x = (shifts + sites).reshape(-1, 3) * edge * SPACING
    x += 0.05 * SPACING * rng.standard_normal(x.shape)
    return Charges(name, x, np.tile(np.asarray(charges, dtype=float), times**3), length * np.eye(3))


def crystals(size: int) -> list[Charges]:
    """Rattled crystals of about ``size`` points.

    Parameters
    ----------
    size : int
        Number of points.
    """
    in_cell = {"NaCl": 8, "CsCl": 2, "zincblende": 8, "fluorite": 12}
    return [
        _crystal(name, max(1, round((size / number) ** (1 / 3))), np.random.default_rng(i))
        for i, (name, number) in enumerate(in_cell.items())
    ]


def _ions(count: int, box: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random points, none nearer than half a spacing to another where that can be, and charges that alternate."""
    points = np.empty((0, 3))
    inverse = np.linalg.inv(box)
    while len(points) < count:
        new = rng.random(3) @ box
        apart = (points - new) @ inverse
        apart = (apart - np.rint(apart)) @ box
        if not len(points) or np.min(np.einsum("na,na->n", apart, apart)) > (0.5 * SPACING) ** 2:
            points = np.vstack([points, new])
    return points, (-1.0) ** np.arange(count)


def periodic_systems(size: int) -> list[Charges]:
    """Random ions, charged and not, in a cube and in a triclinic cell, and a droplet in a box five times as wide.

    Parameters
    ----------
    size : int
        Number of points.
    """
    rng = np.random.default_rng(7)
    side = SPACING * size ** (1 / 3)
    cube = side * np.eye(3)
    tilted = side * np.array([[1.1, 0, 0], [0.4, 1.0, 0], [-0.3, 0.45, 0.95]])
    found = []
    for name, cell in (("random ions", cube), ("triclinic", tilted)):
        x, q = _ions(size, cell, rng)
        found.append(Charges(name, x, q, cell))
    x, q = _ions(size, cube, rng)
    found.append(Charges("charged", x, q + 0.3, cube))
    x, q = _ions(size, cube, rng)
    found.append(Charges("droplet", x + side, q, 4 * cube))
    return found


def open_systems(size: int) -> list[Charges]:
    """A slab, a wire and a cluster.

    Parameters
    ----------
    size : int
        Number of points.
    """
    rng = np.random.default_rng(8)
    side = SPACING * (size / 2) ** (1 / 3)
    systems = []
    for name, shape, flags in (
        ("slab", (1.4, 1.4, 1.0), (True, True, False)),
        ("wire", (2.0, 1.0, 1.0), (True, False, False)),
        ("cluster", (1.26, 1.26, 1.26), (False, False, False)),
    ):
        box = side * np.diag(shape)
        x, q = _ions(size, box, rng)
        cell = np.where(np.array(flags)[:, None], box, 0.0)
        systems.append(Charges(name, x, q, cell, flags))
    return systems


def water(folder: Path) -> Charges | None:
    """A box of water with point charges, ``water_spce_256.npz``; None where there is no such file.

    Parameters
    ----------
    folder : Path
        Where it is.
    """
    path = folder / "water_spce_256.npz"
    if not path.exists():
        return None
    with np.load(path) as data:
        return Charges("water", data["positions"], data["charges"], np.diag(data["box"]))
