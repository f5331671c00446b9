"""The arithmetic, compiled by Numba.

Kernels validate nothing and raise nothing: their callers hand them arrays of
the right shape and type, and own the memory. Of ours they import
`charrnn.arrays`, the records of `charrnn.cells` and, for the compiler's cache,
`charrnn.caching`. One concern a file; one cell a file; the loops over time once.
"""
