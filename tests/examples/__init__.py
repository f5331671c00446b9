"""Tests of `charrnn.examples`: the figures of five tutorials."""
