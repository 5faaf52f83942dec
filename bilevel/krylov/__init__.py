"""Iterations and sketches that know an operator by its products alone."""
