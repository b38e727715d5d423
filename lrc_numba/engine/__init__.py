"""The engine: points → grid → modes → × multiplier → grid → points, see ``operator``; a folder for every stage.

Each stage has a ``stage`` module (forward, jvp and vjp side by side) and its loops, ``cpu`` and ``cuda``.

Which stage bounds which regime (``python -m validation.stages`` measures the first two):

* a point or more for every few nodes: spreading and interpolation, three quarters of the time, bound by loads and
  stores in the first-level cache; sorting, an eighth, by the latency of memory;
* fewer points: the transforms, and clearing and padding the grid, bound by the bandwidth of memory; where points
  keep to a part of the cell, only of the rows of the grid that their windows reach;
* a grid that is one tile (in one dimension, and small ones in two): nothing is sorted;
* below about a thousand points and modes: the interpreter, some 60 µs a call.

Glossary of the arrays and numbers that loops share
---------------------------------------------------
A loop is called as ``loop(part, lo, hi, *arguments)``: it does the items [lo, hi), range number ``part`` of several.
There are B snapshots of N points, C channels and d dimensions. A grid has three axes, first, second and last; those
that do not exist have length 1. "Sorted" is the order of the points by tile.

Points
    coordinates (B·N, d) float64     sorted grid coordinates; the floor is the first node under the window
    sorted_position (B·N,) int32     position among the sorted points of each point as given
    values (B·N, C)                  f_j, sorted
    cotangent (B·N, C)               ū_i, sorted
    chunks (n, 7) int64              ranges of sorted points of one tile; columns in ``points.indexing``: START, STOP,
                                     SNAPSHOT (or SLOT of scratch), OFFSET in nodes, first nodes of the tile
    merges (n, 6) int64              tiles that are spread to scratch; columns in ``points.indexing``: FIRST_SLOT,
                                     SLOTS, snapshot and first nodes of the tile
    to_grid (d, d)                   takes a displacement to grid cells

Window
    table (n_coefficients · lanes,)  polynomials of ψ, highest power first; a row has one coefficient of every node
    lanes                            length of a row of the table: the width of the window, rounded up to a vector
    n_coefficients                   coefficients of each polynomial: degree + 1
    supports                         tuple whose positions are named in ``window.indexing``: FIRST, SECOND, LAST (tuples
                                     as long as the window along each axis), PLANES (the length of the first as a
                                     number) and ROW (a tuple as long as the row of the grid that holds the window).
                                     The length of a tuple is a type, so the compiler knows it and unrolls loops over
                                     it: over the rows of one plane, but not over the planes, hence PLANES
    weights, slopes                  ψ and dψ/dg at the nodes under the windows of a few points, ``weights_length``
                                     numbers for each: along the first, the second and the last axis, ``lanes`` each,
                                     with zeros around the last where channels are interleaved
    weights_start                    index of the first weight of a point
    row_weights, row_slopes          those along the last axis as a vector, as long as a row of the grid

Grid
    grid, out                        (B, C, planes, rows, numbers per row) with padding, flattened to one axis
    grids                            (B·C, planes, rows, numbers per row) with padding
    strides                          numbers from one snapshot, channel, plane and row to the next, in that order
    nodes                            nodes per axis that are not padding
    n_interleaved                    channels interleaved in the rows of a grid, 1 or 2; "C" then counts grids
    reached (B, planes, rows) bool   rows that windows touch, or that stand for such rows; others are never used
    block                            nodes, along each axis, that the windows of the points of a tile can touch
    scratch (slots · C · block,)     blocks into which the points of crowded tiles are spread
    value_at_k0 (B, C)               the mode k = 0 of u, which does not go over the grid, added at every point
"""
