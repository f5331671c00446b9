"""A character-level RNN text generator, compiled for plain processors.

Import what you need from its modules. Importing the package itself costs
neither numpy nor numba.
"""

__version__ = "0.1.0"
