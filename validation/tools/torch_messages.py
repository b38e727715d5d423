r"""``MessagePassingNetwork`` with a convolution, in PyTorch: a peer for time, and a second opinion of the numbers.

The same parameters, messages, radial functions and loss; the long range is a matrix of pairs, made of erf for molecules
in free space, or a sum over half of the modes of a cell. Pairs within the cutoff are found beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np

from lrc_numba.geometry.neighbours import find_pairs
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights, MessagePassingNetwork

try:
    import torch
except ImportError:  # optional
    torch = None  # type: ignore[assignment]

__all__ = ["Batch", "TorchMessages", "available"]


def available() -> bool:
    """Whether PyTorch is installed."""
    return torch is not None


@dataclass
class Batch:
    """Structures of one number of atoms as tensors.

    Attributes
    ----------
    positions, forces, energies : tensors
        (n, 3), (n, 3) and (B,).
    index, first, second, shifts, structure : tensors
        Numbers of the species, of the ends of pairs, where images are (P, 3), and of structures (n,).
    k, weights : tensors or None
        Half of the modes of each structure (B, M, 3), and of the kernel (B, M); None in free space.
    """

    positions: Any
    forces: Any
    energies: Any
    index: Any
    first: Any
    second: Any
    shifts: Any
    structure: Any
    k: Any = None
    weights: Any = None

    @classmethod
    def of(cls, data: Structures, network: MessagePassingNetwork) -> Batch:
        """What a network needs of some structures.

        Parameters
        ----------
        data : Structures
            With energies and forces.
        network : MessagePassingNetwork
            Its species, cutoff, and kernel.
        """
        dtype = torch.float32 if network.dtype == np.float32 else torch.float64
        pairs = find_pairs(
            data.positions, network.cutoff, data.cell, periodic=data.periodic, offsets=data.offsets, full=True
        )
        x = data.positions
        shifts = pairs.displacement - (x[pairs.first] - x[pairs.second])
        index = np.searchsorted(np.array(network.species), data.species)
        own = cls(
            *(torch.tensor(np.asarray(each), dtype=dtype) for each in (x, data.forces, data.energies)),
            *(torch.tensor(np.asarray(each), dtype=torch.int64) for each in (index, pairs.first, pairs.second)),
            torch.tensor(shifts, dtype=dtype),
            torch.tensor(data.structure_of, dtype=torch.int64),
        )
        if data.periodic.any():
            made = [_modes(cell, float(network.sigma), network.eps) for cell in data.cell]
            own.k, own.weights = (torch.tensor(np.stack(each), dtype=dtype) for each in zip(*made, strict=True))
        return own


def _modes(cell: np.ndarray, sigma: float, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """One of every k and −k (M, 3) up to where e^{−σ²k²/2} is eps, and twice 4π e^{−σ²k²/2}/(k² V)."""
    highest = sqrt(2 * np.log(1 / eps)) / sigma
    top = [int(highest * length / (2 * pi)) for length in np.linalg.norm(cell, axis=1)]
    n = np.stack(np.meshgrid(*[np.arange(-t, t + 1) for t in top], indexing="ij"), axis=-1).reshape(-1, 3)
    n = n[len(n) // 2 + 1 :]
    k = 2 * pi * n @ np.linalg.inv(cell).T
    k2 = (k**2).sum(axis=1)
    return k, 8 * pi * np.exp(-(sigma**2) * k2 / 2) / k2 / abs(np.linalg.det(cell))


class TorchMessages:
    """The same network; its parameters are copies.

    Parameters
    ----------
    network : MessagePassingNetwork
        With a convolution of learned features or without a long range, energies read after the last round.
    """

    def __init__(self, network: MessagePassingNetwork):
        self.network = network
        self.p = {name: torch.tensor(np.array(view), requires_grad=True) for name, view in network.parameters.items()}
        dtype = next(iter(self.p.values())).dtype
        references = np.zeros(len(network.species)) if network.references is None else network.references.energies
        self.references = torch.tensor(np.asarray(references), dtype=dtype)

    def _dense(self, name: str, x):
        """A layer with SiLU and a linear one."""
        p = self.p
        hidden = torch.nn.functional.silu(x @ p[f"{name}.weight0"] + p[f"{name}.bias0"])
        return hidden @ p[f"{name}.weight1"] + p[f"{name}.bias1"]

    def _basis(self, r):
        """Radial functions (P, basis)."""
        cutoff = self.network.cutoff
        t = torch.clamp(r / cutoff, max=1.0)
        switch = 1 - t**3 * (10 - 15 * t + 6 * t * t)
        n = torch.arange(1, self.network.basis + 1, dtype=r.dtype)
        return sqrt(2 / cutoff) * torch.sin(n * pi / cutoff * r[:, None]) / r[:, None] * switch[:, None]

    def _convolve(self, batch: Batch, x, f):
        """Σ_j φ(x_i − x_j) f_j of every structure, all of one number of atoms."""
        count = len(batch.energies)
        x, f = x.reshape(count, -1, 3), f.reshape(count, -1, f.shape[1])
        if batch.k is None:
            apart = x[:, :, None] - x[:, None]
            same = torch.eye(x.shape[1], dtype=torch.bool)
            r = torch.sqrt((apart**2).sum(dim=-1) + same.to(x.dtype))
            matrix = torch.erf(r / (sqrt(2) * self.network.sigma)) / r
            matrix = torch.where(same, torch.full_like(matrix, sqrt(2 / pi) / self.network.sigma), matrix)
            return (matrix @ f).reshape(-1, f.shape[2])
        phases = x @ batch.k.transpose(1, 2)
        c, s = torch.cos(phases), torch.sin(phases)
        w = batch.weights[:, None]
        return ((c * w) @ (c.transpose(1, 2) @ f) + (s * w) @ (s.transpose(1, 2) @ f)).reshape(-1, f.shape[2])

    def energies(self, batch: Batch, x):
        """U (B,).

        Parameters
        ----------
        batch : Batch
            Structures.
        x : (n, 3) tensor
            Positions.
        """
        net, p, width = self.network, self.p, self.network.channels
        displacement = x[batch.first] - x[batch.second] + batch.shifts
        r = torch.sqrt((displacement**2).sum(dim=1))
        u, basis = displacement / r[:, None], self._basis(r)
        s = p["embedding.rows"][batch.index]
        v = torch.zeros(len(s), 3, width, dtype=s.dtype)
        for n in range(net.rounds):
            product = self._dense(f"send{n}", s)[batch.second] * (basis @ p[f"radial{n}.weight0"])
            a, b, c = product.split(width, dim=1)
            arrows = u[:, :, None] * c[:, None] + v[batch.second] * b[:, None]
            s1 = s.index_add(0, batch.first, a)
            v = v.index_add(0, batch.first, arrows)
            if net.long_range:
                s1 = s1 + self._convolve(batch, x, s @ p[f"charge{n}.weight0"]) @ p[f"feel{n}.weight0"]
            of_u, of_v = (v @ p[f"turn{n}.weight0"]).split(width, dim=2)
            norm = torch.sqrt((of_v**2).sum(dim=1) + 1e-4)
            a, b, c = self._dense(f"mix{n}", torch.cat([s1, norm], dim=1)).split(width, dim=1)
            s = s1 + a + b * (of_u * of_v).sum(dim=1)
            v = v + c[:, None] * of_u
        each = self._dense("energy", s)[:, 0] + self.references[batch.index]
        return torch.zeros_like(batch.energies).index_add(0, batch.structure, each)

    def loss(self, batch: Batch, weights: LossWeights) -> tuple[float, np.ndarray]:
        """The loss and its gradient, in the order of the parameters of the network.

        Parameters
        ----------
        batch : Batch
            Structures.
        weights : LossWeights
            Of energies and forces.
        """
        x = batch.positions.clone().requires_grad_(True)
        energies = self.energies(batch, x)
        forces = -torch.autograd.grad(energies.sum(), x, create_graph=True)[0]
        loss = weights.forces * ((forces - batch.forces) ** 2).sum() / len(batch.energies)
        loss = loss + weights.energy * ((energies - batch.energies) ** 2).mean()
        names = list(self.p)
        gradient = torch.autograd.grad(loss, [self.p[name] for name in names], allow_unused=True)
        flat = [
            np.zeros(tuple(self.p[n].shape)) if g is None else g.numpy() for n, g in zip(names, gradient, strict=True)
        ]
        return float(loss.detach()), np.concatenate([each.ravel() for each in flat])
