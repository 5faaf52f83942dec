"""The paper's appendix examples, run with every estimator."""
