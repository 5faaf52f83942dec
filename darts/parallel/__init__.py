"""Processes and machines that share the work of a run, or of many."""
