"""What tests of kernels share with the examples: a matrix as products read it."""

from charrnn.examples.layers import packed

__all__ = ["packed"]
