r"""A batch whose snapshots are shared out over processes: losses and gradients are summed in the order of ranks.

    L = Σ_r (B_r/B) L_r        ∂L/∂θ = Σ_r (B_r/B) ∂L_r/∂θ        rank r has B_r of B snapshots, one after the other

One process has them all, and computes what it would without this.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any

import numpy as np

from ..distributed.ranks import Ranks
from ..geometry.structures import Structures
from ..networks import EnergyNetwork, LossWeights, Parameters
from ..networks.portions import of_chosen

__all__ = ["Shares"]


class Shares:
    """What a rank has of every batch.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        The processes; by default there is this one.
    """

    def __init__(self, comm=None):
        self._ranks = None if comm is None else Ranks(comm)

    def __getstate__(self) -> dict:
        return {"_ranks": None}  # a copy trains by itself

    @property
    def leads(self) -> bool:
        """Whether this process has the files."""
        return self._ranks is None or self._ranks.rank == 0

    # ------------------------------------------------------------------ losses
    def _own(self, chosen: np.ndarray) -> np.ndarray:
        """Of the numbers of some structures, those that are this rank's."""
        ranks = self._ranks
        if ranks is None:
            return chosen
        return chosen[len(chosen) * ranks.rank // ranks.size : len(chosen) * (ranks.rank + 1) // ranks.size]

    def loss(
        self, network: EnergyNetwork, data: Structures, chosen: np.ndarray, weights: LossWeights
    ) -> tuple[float, np.ndarray]:
        """``EnergyNetwork.loss`` of some structures.

        Parameters
        ----------
        network, weights
            As for ``EnergyNetwork.loss``.
        data : Structures
            All there are.
        chosen : (B,) ints
            Which of them; errors name structures by these numbers.
        """
        own, size = self._own(chosen), network.parameters.flat.size
        with self.together("loss"):
            made = of_chosen(lambda: network.loss(data[own], weights), own) if len(own) else (0.0, np.zeros(size))
            if self._ranks is None:
                return made
            total = self._ranks.sum(len(own) / len(chosen) * np.concatenate([[made[0]], made[1]]).astype(np.float64))
            return float(total[0]), total[1:].astype(network.parameters.flat.dtype)

    def loss_alone(self, network: EnergyNetwork, data: Structures, weights: LossWeights) -> float:
        """``EnergyNetwork.loss_alone``.

        Parameters
        ----------
        network, data, weights
            As there.

        Raises
        ------
        ValueError
            Naming a structure, where the loss is no number.
        """
        every = np.arange(len(data))
        own = self._own(every)
        with self.together("validation"):
            mine = data if self._ranks is None else data[own]
            made = of_chosen(lambda: _number(network, mine, weights), own) if len(own) else 0.0
            return made if self._ranks is None else float(self._ranks.sum(np.array([len(own) / len(every) * made]))[0])

    # ------------------------------------------------------------------ what ranks share
    def together(self, name: str) -> AbstractContextManager:
        """Work whose errors all ranks raise.

        Parameters
        ----------
        name : str
            Of the work.
        """
        return nullcontext() if self._ranks is None else self._ranks.together(name)

    def agree(self, identity: Callable[[], dict], parameters: Parameters) -> None:
        """A ValueError where ranks are to train different things.

        Parameters
        ----------
        identity : function
            Of network, protocol and data.
        parameters : Parameters
            That training starts with.
        """
        if self._ranks is None:
            return
        for name, value in identity().items():
            self._ranks.agree(name, sha256(json.dumps(value, default=str).encode()).hexdigest()[:8])
        layout = json.dumps(parameters.shapes).encode()
        self._ranks.agree("parameters", sha256(layout + parameters.flat.tobytes()).hexdigest()[:8])

    def any(self, flag: bool) -> bool:
        """Whether something is so on some rank."""
        return flag if self._ranks is None else self._ranks.total(int(flag)) > 0

    def interrupted(self) -> KeyboardInterrupt:
        """What all ranks raise that were told to stop, once the files are written."""
        return KeyboardInterrupt() if self._ranks is None else self._ranks.interrupted()

    def first(self, state: Any) -> Any:
        """What the process that has the files has."""
        return state if self._ranks is None else self._ranks.first(state)

    def as_known(self, error: Exception, cause: Exception) -> Exception:
        """An error that stands for another one, which all ranks raised, or one of them.

        Parameters
        ----------
        error, cause : Exception
            The new one, and the other.
        """
        if self._ranks is not None:
            self._ranks.same(error, cause)
        return error


def _number(network: EnergyNetwork, data: Structures, weights: LossWeights) -> float:
    """The loss; a ValueError that names the first structure whose loss is no number, if one alone is to blame."""
    loss = network.loss_alone(data, weights)
    if np.isfinite(loss):
        return loss
    losses = (network.loss_alone(data[b : b + 1], weights) for b in range(len(data)))
    blamed = next((f" of structure {b}" for b, own in enumerate(losses) if not np.isfinite(own)), "")
    raise ValueError(f"the loss{blamed} is {loss}")
