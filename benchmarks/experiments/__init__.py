"""The paper's empirical claims, tried at the scale of a few cores: definitions, queue, pages.

docs/experiments/README.md says how to run them and what a record holds.
"""
