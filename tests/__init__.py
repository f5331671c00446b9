"""Tests of charrnn; each stands in a directory like that of what it tests."""

import os

# NumPy's threads wait for each other by turning in circles, and a process for every
# processor is at work already: to begin a network took a second. The command does the
# same. NumPy reads it when it is imported, which is after this.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
