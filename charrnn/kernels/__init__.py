"""The arithmetic, compiled by Numba.

Kernels validate nothing and raise nothing: their callers hand them arrays of
the right shape and type, and own the memory. They import numpy, numba,
`charrnn.arrays` and, for the compiler's cache, `charrnn.caching`; nothing else
of ours. One concern a file; one cell a file.
"""
