"""Tests of `charrnn.generation`."""
