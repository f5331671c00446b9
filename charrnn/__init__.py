"""A character-level RNN text generator, compiled for plain processors.

The public names are loaded when they are first used, so that importing the
package costs neither numpy nor numba.
"""

__version__ = "0.1.0"
