r"""The layer by itself: queries, keys and values as arrays in, what the queries read out.

    y_m = Σ_{k≠0} w_k φ(Q_m) e^{ik·r_m} (Σ_n φ(K_n) e^{−ik·r_n} V_nᵀ),    w_k = 4π e^{−σ²k²/2}/(k² V)

The kernel of Gaussians is finite at k = 0, which is part of its sum. In networks the layer is one of their parts
(``networks.parts.attention``), which does the work here, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import arguments
from ..geometry.neighbours import Pairs, find_pairs
from ..geometry.structures import Structures
from ..machine.cpu.parallel import available_threads
from ..machine.workspace import Workspace
from ..networks.checks import as_dim, check_cells
from ..networks.layers.parameters import Parameters
from ..networks.parts.activation import ACTIVATIONS
from ..networks.parts.attention import KERNELS, METHODS, Attention, Heads, attention_fields
from ..networks.parts.part import Motion, Scene, Tape
from ..plan import check_eps

__all__ = ["AttentionGradient", "ReciprocalSpaceAttention"]

WRT = ("points", "features", "parameters", "strain")


@dataclass
class AttentionGradient:
    """Gradient of Σ ȳ·y; what was not asked for is None.

    Attributes
    ----------
    output : (n, h, d_v)
        y.
    points : (n, d)
        By the positions.
    queries, keys : (n, h, d_k)
        By Q and K.
    values : (n, h, d_v)
        By V.
    strain : (B, d, d)
        By strains ε of positions and cells, x(1 + ε).
    parameters : dict of str to ndarray
        By those of the kernels, by name.
    """

    output: np.ndarray
    points: np.ndarray | None = None
    queries: np.ndarray | None = None
    keys: np.ndarray | None = None
    values: np.ndarray | None = None
    strain: np.ndarray | None = None
    parameters: dict[str, np.ndarray] | None = None


class ReciprocalSpaceAttention:
    """Attention of all points of a structure to each other, at the cost of N log N.

    Parameters
    ----------
    heads, key_width, value_width : int
        h, d_k of queries and keys, d_v of values.
    sigma : float or (h,) floats
        Width σ > 0 of the kernel of each head, units of length.
    kernel : {"coulomb", "paper", "gaussians"}
        w_k: 4π e^{−σ²k²/2}/(k² V); the paper's, which is that over 4π; or that of Σ_g a_g e^{−r²/2σ_g²} with three
        Gaussians, of σ, 2σ and 4σ, whose k = 0 is part of the sum: it is finite, and in cells what their images add up
        to. Without periodic images that is erf(r/√2σ)/r, and so on, of each pair.
    feature_map : {"silu", "tanh", "relu", "linear"}
        φ.
    eps : float
        Accuracy in any cell, relative ℓ², at least 1e-5 in float32: of what is computed, or of the points' own terms
        where waves cancel to less, as those of a crystal whose features are all alike. Derivatives are those of what is
        computed.
    trainable : bool
        Whether there are gradients by the kernels; heads of one σ are cheaper without.
    extent : float, optional
        The largest structure without periodic images, which its padded box is made for; by default boxes follow from
        the structures, in steps.
    method : {"auto", "pairs", "modes", "mesh"}
        How the sums are made: by a matrix of all pairs, by sums over modes, by the engine on a mesh, or by what is
        fastest. Results are the same to eps.
    dim : int
        d.
    dtype : float32 or float64
        Of features and results.
    threads : int, optional
        At most so many; results do not depend on it.

    Attributes
    ----------
    parameters : Parameters
        Those of the kernels, such as "attention.head0.sigma", where they are trainable; may be written to.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.

    Notes
    -----
    All modes are kept that eps asks for, up to a wavenumber that σ gives: what is computed is continuous in cell and
    positions up to eps. Up to 512 points, in a cell of few channels fewer, are done by matrices, few modes by explicit
    sums, all else by the engine. Without a cell, points may be moved and turned: y stays to rounding where matrices are
    used, to eps beyond. Memory is that of some 8 n h d_k d_v numbers.
    """

    def __init__(
        self,
        heads: int,
        key_width: int,
        value_width: int,
        *,
        sigma,
        kernel: str = "coulomb",
        feature_map: str = "silu",
        eps: float = 1e-4,
        trainable: bool = False,
        extent: float | None = None,
        method: str = "auto",
        dim: int = 3,
        dtype=np.float64,
        threads: int | None = None,
    ):
        named = {"heads": heads, "key_width": key_width, "value_width": value_width}
        self.heads = Heads(*(arguments.as_count(name, value, 1) for name, value in named.items()))
        self.sigmas = as_sigmas(sigma, self.heads.count)
        self.kernel = arguments.as_choice("kernel", kernel, KERNELS)
        self.feature_map = arguments.as_choice("feature_map", feature_map, tuple(ACTIVATIONS))
        self.eps, self.dtype = arguments.as_positive("eps", eps, 1.0), arguments.as_dtype(dtype)
        check_eps(self.eps, self.dtype)
        self.threads = arguments.as_threads(threads, available_threads())
        self.dim = as_dim(dim)
        self.extent = None if extent is None else arguments.as_positive("extent", extent, np.inf)
        options: dict[str, Any] = {"trainable": arguments.as_bool("trainable", trainable), "extent": self.extent}
        options["method"] = arguments.as_choice("method", method, tuple(METHODS))
        fields = attention_fields("attention", self.kernel, self.sigmas, self.eps, **options)
        self._part = Attention(self.heads, fields, self.feature_map)
        self.parameters = Parameters(self._part.shapes(), np.float64)
        self._part.initialise(self.parameters, np.random.default_rng(0))
        self._scene: Scene | None = None

    def __repr__(self) -> str:
        heads, sigmas = self.heads, ", ".join(f"{sigma:g}" for sigma in self.sigmas)
        return (
            f"ReciprocalSpaceAttention: {heads.count} head(s) of {heads.keys} x {heads.values}, {heads.channels} "
            f"channels, kernel {self.kernel}, sigma {sigmas}, eps {self.eps:g}, {self.parameters.flat.size} parameters"
        )

    # ------------------------------------------------------------------ points
    def set_points(self, positions, cell=None, *, periodic=None, offsets=None) -> ReciprocalSpaceAttention:
        """The points of the calls that follow. Returns the layer.

        Parameters
        ----------
        positions : Structures, or array (N, d) or (B, N, d)
            Units of length; with ``offsets``, (n, d), one structure after the other.
        cell, periodic, offsets
            As for ``Structures.from_arrays``; without a cell there are no images.

        Raises
        ------
        ValueError, TypeError
            Naming the argument, the structure and the point.
        """
        if not isinstance(positions, Structures):
            positions = Structures.from_arrays(positions, cell, periodic=periodic, offsets=offsets)
        if positions.dim != self.dim:
            raise ValueError(f"positions: expected {self.dim} dimension(s), got {positions.dim}")
        self._scene = Scene(positions, _no_pairs(self.dim), self.dtype, self.threads)
        return self

    def _tape(self) -> Tape:
        if self._scene is None:
            raise ValueError("positions: expected them first, by set_points")
        return Tape(self._scene, self.parameters, Workspace(), (True,) * 4)

    def _given(self, queries, keys, values) -> list[np.ndarray]:
        """Q and K as (n, h d_k), V as (n, h d_v)."""
        count = self._tape().scene.count
        widths = (self.heads.keys, self.heads.keys, self.heads.values)
        arrays = []
        for name, given, width in zip(("queries", "keys", "values"), (queries, keys, values), widths, strict=True):
            arrays.append(self._array(name, given, (count, self.heads.count, width)))
        return arrays

    def _array(self, name: str, given, shape: tuple[int, int, int]) -> np.ndarray:
        if np.shape(given) != shape:
            raise ValueError(f"{name}: expected (points, heads, width) = {shape}, got shape {np.shape(given)}")
        return arguments.as_array(name, given, self.dtype).reshape(shape[0], shape[1] * shape[2])

    def _shaped(self, array: np.ndarray | None, width: int) -> np.ndarray | None:
        return None if array is None else array.reshape(len(array), self.heads.count, width)

    # ------------------------------------------------------------------ the layer and its derivatives
    def attend(self, queries, keys, values) -> np.ndarray:
        """y (n, h, d_v).

        Parameters
        ----------
        queries, keys : (n, h, d_k)
            Q and K, to which φ is applied.
        values : (n, h, d_v)
            V.

        Raises
        ------
        ValueError, TypeError, MemoryError
            Naming the argument, what came and what was expected.
        """
        given, tape = self._given(queries, keys, values), self._tape()
        if not tape.scene.count:
            return np.zeros((0, self.heads.count, self.heads.values), self.dtype)
        return self._part.forward(tape, None, *given).reshape(-1, self.heads.count, self.heads.values)

    __call__ = attend

    def jvp(self, queries, keys, values, *, dpoints=None, dqueries=None, dkeys=None, dvalues=None, strain=None):
        """ẏ (n, h, d_v) along a direction.

        Parameters
        ----------
        queries, keys, values
            As for ``attend``.
        dpoints : (n, d), optional
            ẋ.
        dqueries, dkeys, dvalues : optional
            Of the shapes of the features.
        strain : (B, d, d), optional
            ε of every structure, beside ẋ; all have to be periodic.
        """
        given, tape = self._given(queries, keys, values), self._tape()
        structures = tape.scene.structures
        if strain is not None:
            check_cells(structures, "strain")
        tangents: list[np.ndarray | None] = []
        for name, tangent, width in zip(
            ("dqueries", "dkeys", "dvalues"),
            (dqueries, dkeys, dvalues),
            (self.heads.keys, self.heads.keys, self.heads.values),
            strict=True,
        ):
            shape = (tape.scene.count, self.heads.count, width)
            tangents.append(None if tangent is None else self._array(name, tangent, shape))
        motion = None
        if dpoints is not None or strain is not None:
            moved = np.zeros(structures.positions.shape, self.dtype)
            if dpoints is not None:
                moved = _of_shape("dpoints", dpoints, moved.shape).astype(self.dtype)
            motion = Motion(moved, None if strain is None else _of_shape("strain", strain, structures.cell.shape))
        if not tape.scene.count:
            return np.zeros((0, self.heads.count, self.heads.values), self.dtype)
        self._part.forward(tape, None, *given)
        moved = self._part.jvp(tape, motion, *tangents)
        return moved.reshape(-1, self.heads.count, self.heads.values)

    def vjp(
        self, queries, keys, values, cotangent, *, wrt: Collection[str] = ("points", "features")
    ) -> AttentionGradient:
        """Gradient of Σ ȳ·y.

        Parameters
        ----------
        queries, keys, values
            As for ``attend``.
        cotangent : (n, h, d_v)
            ȳ.
        wrt : collection of {"points", "features", "parameters", "strain"}
            What is wanted; "strain" needs structures that are all periodic.
        """
        if isinstance(wrt, str) or not set(wrt) <= set(WRT):
            raise ValueError(f"wrt: expected some of {', '.join(map(repr, WRT))}, got {wrt!r}")
        given, tape, heads = self._given(queries, keys, values), self._tape(), self.heads
        if "strain" in wrt:
            check_cells(tape.scene.structures, "strain")
        bar = self._array("cotangent", cotangent, (tape.scene.count, heads.count, heads.values))
        if not tape.scene.count:
            return self._of_no_points(wrt)
        output = self._part.forward(tape, None, *given)
        tape.strained = "strain" in wrt
        tape.wanted = ("points" in wrt or tape.strained, *("features" in wrt,) * 3)
        gradient = self.parameters.like() if "parameters" in wrt else None
        motion, *features = self._part.vjp(tape, bar, gradient)
        q_bar, k_bar, v_bar = features if "features" in wrt else [None] * 3
        return AttentionGradient(
            output.reshape(-1, heads.count, heads.values),
            motion.points if "points" in wrt else None,
            self._shaped(q_bar, heads.keys),
            self._shaped(k_bar, heads.keys),
            self._shaped(v_bar, heads.values),
            motion.strain if tape.strained else None,
            None if gradient is None else {name: np.array(gradient[name]) for name in gradient},
        )

    def _of_no_points(self, wrt: Collection[str]) -> AttentionGradient:
        """Empty arrays, and zeros by what is no point's."""
        structures, heads = self._tape().scene.structures, self.heads
        of_keys, of_values = (np.zeros((0, heads.count, width), self.dtype) for width in (heads.keys, heads.values))
        gradient = AttentionGradient(of_values)
        if "points" in wrt:
            gradient.points = np.zeros((0, self.dim), self.dtype)
        if "features" in wrt:
            gradient.queries, gradient.keys, gradient.values = of_keys, of_keys.copy(), of_values.copy()
        if "strain" in wrt:
            gradient.strain = np.zeros(structures.cell.shape)
        if "parameters" in wrt:
            gradient.parameters = {name: np.zeros_like(view) for name, view in self.parameters.items()}
        return gradient


def as_sigmas(sigma, heads: int) -> tuple[float, ...]:
    """σ of every head, from one for all or one for each.

    Parameters
    ----------
    sigma : float or sequence of float
        As given.
    heads : int
        How many.
    """
    several = [sigma] * heads if np.ndim(sigma) == 0 else list(sigma)
    if len(several) != heads:
        several_heads = f", or one for each of {heads} heads" if heads > 1 else ""
        raise ValueError(f"sigma: expected one width{several_heads}, got {len(several)}")
    return tuple(arguments.as_positive("sigma", value, np.inf) for value in several)


def _no_pairs(dim: int) -> Pairs:
    """None."""
    return find_pairs(np.zeros((0, dim)), 1.0, np.eye(dim))


def _of_shape(name: str, value, shape: tuple[int, ...]) -> np.ndarray:
    arguments.refuse_masked(name, value)
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return arguments.as_array(name, array, array.dtype)
