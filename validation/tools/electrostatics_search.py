"""The fastest settings of a peer whose measured error of the forces is within a target."""

from __future__ import annotations

import numpy as np

from .electrostatics_peers import Peer, calls_on_end

__all__ = ["candidates", "error", "quickest"]

KEPT, SLOWER = 5, 2.0  # settings that are timed again, none of which took so many times as long as the fastest


def error(forces: np.ndarray, exact: np.ndarray) -> float:
    """Root of the mean square of |ΔF|.

    Parameters
    ----------
    forces, exact : (N, 3)
        Forces.
    """
    return float(np.sqrt(((forces - exact) ** 2).sum(axis=1).mean()))


def candidates(peer: Peer, target: float, exact: np.ndarray, near: list[dict] | None = None) -> list[dict]:
    """The few fastest settings within the target, with error and seconds, fastest first.

    Of each list of settings, in which errors fall and costs rise, the first that is accurate enough is found by
    bisection and timed with few steps.

    Parameters
    ----------
    peer : Peer
        With the ions.
    target : float
        RMS error of forces, e²/Å².
    exact : (N, 3)
        Forces.
    near : list of dict, optional
        Settings that were fast for a smaller system of this kind: no others are tried, but with other meshes.
    """
    kept = []
    for group in peer.settings(target):
        if near is None or any(_alike(group[0], settings) for settings in near):
            within = _first_within(peer, group, target, exact)
            kept += [] if within is None else [within]
    peer.close()
    fastest = min((each["seconds"] for each in kept), default=0.0)
    kept = [each for each in kept if each["seconds"] < SLOWER * fastest or each["seconds"] == fastest]
    return sorted(kept, key=lambda each: each["seconds"])[:KEPT]


def _alike(one: dict, two: dict) -> bool:
    """Whether settings agree in all but the mesh, or what decides on it."""
    names = [name for name in one if name not in ("mesh", "spacing", "tolerance")]
    return all(np.isclose(one[k], two[k]) if isinstance(one[k], float) else one[k] == two[k] for k in names)


def _first_within(peer: Peer, group: list[dict], target: float, exact: np.ndarray) -> dict | None:
    """The first settings of a group with an error within the target; None where there are none."""
    low, high, best = -1, len(group), None
    while high - low > 1:
        middle = (low + high) // 2
        try:
            peer.open(**group[middle])
            measured = error(peer.forces(), exact)
        except Exception as refused:  # whatever a library says of settings that it cannot do
            print(f"  {peer.name} refuses {group[middle]}: {refused}")
            peer.close()
            measured = np.inf
        if measured <= target:
            calls = calls_on_end(peer.step, rebuild=False)
            seconds = min(peer.step(False, calls) for _ in range(2))
            high, best = middle, {"settings": group[middle], "error": measured, "seconds": seconds}
        else:
            low = middle
    return best


def quickest(peer: Peer, among: list[dict], rounds: int = 7) -> dict:
    """The fastest of some settings, each of which is timed again.

    Parameters
    ----------
    peer : Peer
        With the ions, and as many threads as wanted.
    among : list of dict
        From ``candidates``.
    rounds : int
        Turns of each, of which the median counts.
    """
    timed = []
    for each in among if len(among) > 1 else []:
        peer.open(**each["settings"])
        calls = calls_on_end(peer.step, rebuild=False)
        timed.append(float(np.median([peer.step(False, calls) for _ in range(rounds)])))
    return among[int(np.argmin(timed))] if timed else among[0]
