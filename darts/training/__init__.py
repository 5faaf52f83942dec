"""The work of a run: search, retraining, and what comes with them."""
