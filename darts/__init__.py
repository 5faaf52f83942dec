"""Differentiable architecture search: spaces, networks and runs."""
