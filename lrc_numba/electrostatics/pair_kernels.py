r"""Loops over pairs of charges: eight of them at a time, in registers from their coordinates to their sums.

With u = r² and N = −P, so that v = Σ_m a_m u^{−p_m/2} + N(t), the loops work with v and with

    g = −v'(r)/r = Σ_m p_m a_m u^{−p_m/2 − 1} − 4/r_c² N'(t)        t = 2u/r_c² − 1

of which both are multiplied by charges at the end; −g (x_i − x_j) is the gradient of v by x_i. Arguments they share,
for n points and E images, see ``geometry.neighbours.ImageLists``:

    part, lo, hi                the number of a share, and where it begins and ends
    rows         (4 (E + 1),)   coordinates and charge of images
    homes, owner, where, counts, listed     of the lists
    exponents, strengths  (M,)  p and a
    coefficients                of N and of −4/r_c² N', lowest power first, one after the other
    cutoff_square               r_c²
    squares                     u
    size         a tuple as long as there are coefficients of N
    kind         a tuple: empty without powers, of length 1 for a single 1/r, of length 2 for any others
    virial       a tuple: of length 1 where the virial is wanted, else empty
    potential    (n,)           Σ_j q_j v
    gradient     (n, 3)         of ½ Σ_ij q_i q_j v by the positions
    strains      (n, 6)         what points have of the derivative by the strain, by their lists: 11, 22, 33, 12, 13, 23
    ranks        (E + 1,)       where the home of an image's owner stands among the ``homes``; n for the dummy
    sums         (S, 4 (n + 1)) gradient and potential of every point in that order, as shares of half lists have them
    closest      (parts,)       least r² that a share met, or 2 r_c²
"""

from __future__ import annotations

from ..machine.cpu import simd
from ..machine.cpu.compile import inlined, kernel
from ..machine.cpu.simd_pairs import (
    add_quads,
    inverse_root,
    keep_below,
    least,
    load_quads,
    lower,
    polynomials,
    power,
    reload,
    sums_of,
)

__all__ = ["EIGHT", "LANES", "add_weighted", "apart", "fold", "radial", "spread_point", "sum_full", "sum_half"]

LANES = 8
EIGHT = (0,) * LANES


@inlined
def radial(squares, exponents, strengths, coefficients, cutoff_square, size, kind):
    """v and g for eight squares of distances, whatever they are beyond the cutoff.

    Parameters are those of the module.
    """
    t = simd.fma(2.0 / cutoff_square, squares, simd.fill(-1.0, EIGHT))
    value, steep = polynomials(coefficients, t, size)
    if len(kind) == 0:
        return value, steep
    inverse = inverse_root(squares)
    if len(kind) == 1:
        scaled = strengths[0] * inverse
        return value + scaled, simd.fma(scaled, inverse * inverse, steep)
    pole = simd.fill(0.0, EIGHT)
    for m in range(len(exponents)):
        exponent = exponents[m]
        whole = int(exponent)
        if whole == exponent:
            term = simd.fill(strengths[m], EIGHT)
            for _ in range(whole):
                term = term * inverse
        else:
            term = strengths[m] * power(squares, -0.5 * exponent)
        value = value + term
        pole = simd.fma(exponent, term, pole)
    return value, simd.fma(pole, inverse * inverse, steep)


@inlined
def spread_point(rows, e):
    """Coordinates of an image, three vectors of eight equal numbers.

    Parameters
    ----------
    rows : (4 (E + 1),) float64
        See the module; units of length.
    e : int
        The image.
    """
    return simd.fill(rows[4 * e], EIGHT), simd.fill(rows[4 * e + 1], EIGHT), simd.fill(rows[4 * e + 2], EIGHT)


@inlined
def apart(x, y, z, rows, listed, at):
    """What eight listed images are away from a point, three vectors; the squares of that; and their charges.

    Parameters
    ----------
    x, y, z : Vector of eight float64
        The point, from ``spread_point``; units of length.
    rows, listed
        See the module.
    at : int
        Where in ``listed`` they begin.
    """
    xj, yj, zj, charges = load_quads(rows, listed, at)
    dx, dy, dz = x - xj, y - yj, z - zj
    return dx, dy, dz, simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)), charges


@inlined
def _write_strain(strains, i, factor, xx, yy, zz, xy, xz, yz):
    """Six sums of lanes, times a factor, as row i of (n, 6)."""
    s0, s1, s2, s3 = sums_of(xx, yy, zz, xy)
    strains[i, 0], strains[i, 1], strains[i, 2], strains[i, 3] = factor * s0, factor * s1, factor * s2, factor * s3
    strains[i, 4], strains[i, 5] = factor * simd.total(xz), factor * simd.total(yz)


@kernel
def sum_full(
    part,
    lo,
    hi,
    rows,
    homes,
    owner,
    where,
    counts,
    listed,
    exponents,
    strengths,
    coefficients,
    cutoff_square,
    size,
    kind,
    virial,
    potential,
    gradient,
    strains,
    closest,
):
    """Sums of the points of ``homes`` [lo, hi) from full lists; each is written by its owner.

    Parameters are those of the module.
    """
    nearest = simd.fill(2.0 * cutoff_square, EIGHT)
    for h in range(lo, hi):
        e = homes[h]
        i = owner[e]
        charge = rows[4 * e + 3]
        x, y, z = spread_point(rows, e)
        total = simd.fill(0.0, EIGHT)
        fx, fy, fz = total, total, total
        xx, yy, zz, xy, xz, yz = total, total, total, total, total, total
        for at in range(where[i], where[i] + counts[i], LANES):
            reload()
            dx, dy, dz, squares, charges = apart(x, y, z, rows, listed, at)
            nearest = lower(squares, nearest)
            value, steep = radial(squares, exponents, strengths, coefficients, cutoff_square, size, kind)
            total = simd.fma(charges, keep_below(squares, cutoff_square, value), total)
            steep = charges * keep_below(squares, cutoff_square, steep)
            if len(virial) == 1:
                gx, gy, gz = steep * dx, steep * dy, steep * dz
                fx, fy, fz = fx + gx, fy + gy, fz + gz
                xx, yy, zz = simd.fma(gx, dx, xx), simd.fma(gy, dy, yy), simd.fma(gz, dz, zz)
                xy, xz, yz = simd.fma(gx, dy, xy), simd.fma(gx, dz, xz), simd.fma(gy, dz, yz)
            else:
                fx, fy, fz = simd.fma(steep, dx, fx), simd.fma(steep, dy, fy), simd.fma(steep, dz, fz)
        potential[i], pull_x, pull_y, pull_z = sums_of(total, fx, fy, fz)
        gradient[i, 0], gradient[i, 1], gradient[i, 2] = -charge * pull_x, -charge * pull_y, -charge * pull_z
        if len(virial) == 1:
            _write_strain(strains, i, -0.5 * charge, xx, yy, zz, xy, xz, yz)
    closest[part] = least(nearest)


@kernel
def sum_half(
    part,
    lo,
    hi,
    rows,
    homes,
    owner,
    where,
    counts,
    listed,
    exponents,
    strengths,
    coefficients,
    cutoff_square,
    size,
    kind,
    virial,
    ranks,
    bounds,
    sums,
    strains,
    closest,
):
    """Sums over the pairs of shares [lo, hi) of half lists, share s being ``homes`` from ``bounds``[s] to the next.

    To ``sums[s]`` (4 (n + 1),), from a full cache line on, are added gradient and potential of all points, four numbers
    each, in the order of the homes, so that what is added to lies in the cache. Shares are not those of threads: they
    are always the same. Parameters are those of the module.
    """
    for s in range(lo, hi):
        mine = sums[s]
        nearest = simd.fill(2.0 * cutoff_square, EIGHT)
        for h in range(bounds[s], bounds[s + 1]):
            e = homes[h]
            i = owner[e]
            x, y, z = spread_point(rows, e)
            q = simd.fill(rows[4 * e + 3], EIGHT)
            total = simd.fill(0.0, EIGHT)
            fx, fy, fz = total, total, total
            xx, yy, zz, xy, xz, yz = total, total, total, total, total, total
            for at in range(where[i], where[i] + counts[i], LANES):
                dx, dy, dz, squares, charges = apart(x, y, z, rows, listed, at)
                nearest = lower(squares, nearest)
                value, steep = radial(squares, exponents, strengths, coefficients, cutoff_square, size, kind)
                value = keep_below(squares, cutoff_square, value)
                total = simd.fma(charges, value, total)
                steep = charges * (q * keep_below(squares, cutoff_square, steep))
                gx, gy, gz = steep * dx, steep * dy, steep * dz
                fx, fy, fz = fx + gx, fy + gy, fz + gz
                if len(virial) == 1:
                    xx, yy, zz = simd.fma(gx, dx, xx), simd.fma(gy, dy, yy), simd.fma(gz, dz, zz)
                    xy, xz, yz = simd.fma(gx, dy, xy), simd.fma(gx, dz, xz), simd.fma(gy, dz, yz)
                add_quads(mine, ranks, listed, at, gx, gy, gz, q * value)
            pull_x, pull_y, pull_z, own = sums_of(fx, fy, fz, total)
            mine[4 * h] -= pull_x
            mine[4 * h + 1] -= pull_y
            mine[4 * h + 2] -= pull_z
            mine[4 * h + 3] += own
            if len(virial) == 1:
                _write_strain(strains, i, -1.0, xx, yy, zz, xy, xz, yz)
        closest[s] = least(nearest)


@kernel
def fold(part, lo, hi, homes, owner, sums, potential, gradient):
    """Add up what the shares of ``sum_half`` have for the points of ``homes`` [lo, hi), and clear it.

    Parameters are those of the module.
    """
    first, shares = sums[0], len(sums)
    for s in range(1, shares):
        more = sums[s]
        for k in range(4 * lo, 4 * hi):
            first[k] += more[k]
            more[k] = 0.0
    for h in range(lo, hi):
        i = owner[homes[h]]
        gradient[i, 0], gradient[i, 1], gradient[i, 2] = first[4 * h], first[4 * h + 1], first[4 * h + 2]
        potential[i] = first[4 * h + 3]
    for k in range(4 * lo, 4 * hi):
        first[k] = 0.0


@kernel
def add_weighted(first, second, weights, charges, both, out):
    """out_i += w_p q_j for every pair p = (i, j), and with ``both`` also out_j += w_p q_i.

    Parameters
    ----------
    first, second : (P,) int64
        Points i and j.
    weights : (P,) float64
        w.
    charges, out : (n, C) float64
        Read, and added to.
    both : bool
        Whether every pair is there once only.
    """
    for p in range(len(first)):
        i, j = first[p], second[p]
        for c in range(charges.shape[1]):
            out[i, c] += weights[p] * charges[j, c]
            if both:
                out[j, c] += weights[p] * charges[i, c]
