"""Tests of `charrnn.checkpoint`."""
