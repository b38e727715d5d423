r"""σ′ and σ″ of tanh and relu, written in a = σ(z), one pass each over the arrays that need them.

    tanh   σ′ = 1 − a²        σ″ ż = −2 a ȧ with ȧ = σ′ ż
    relu   σ′ = 1 where a > 0  σ″ = 0

tanh itself is NumPy's, which uses vector instructions; here there are only products.
"""

from __future__ import annotations

from ..cpu.compile import kernel

__all__ = ["scale", "scale_pair"]


@kernel
def scale(a, is_tanh, values):
    """values ← σ′ values, in place.

    Parameters
    ----------
    a, values : 1-D contiguous arrays of one length
        σ(z); changed.
    is_tanh : bool
        Which σ.
    """
    if is_tanh:
        for i in range(len(a)):
            values[i] *= 1 - a[i] * a[i]
    else:
        for i in range(len(a)):
            if not a[i] > 0:
                values[i] = 0


@kernel
def scale_pair(a, da, is_tanh, up, dup):
    """z̄ = σ′ ā + σ″ ż ǡ and ż̄ = σ′ ǡ, in place of ā and ǡ.

    Parameters
    ----------
    a, da, up, dup : 1-D contiguous arrays of one length
        σ(z) and its tangent; ā and ǡ, changed.
    is_tanh : bool
        Which σ.
    """
    if is_tanh:
        for i in range(len(a)):
            slope = 1 - a[i] * a[i]
            up[i] = slope * up[i] - 2 * a[i] * da[i] * dup[i]
            dup[i] *= slope
    else:
        for i in range(len(a)):
            if not a[i] > 0:
                up[i] = 0
                dup[i] = 0
