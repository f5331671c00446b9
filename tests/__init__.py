"""Tests of charrnn; a package, so that tests share helpers by name."""
