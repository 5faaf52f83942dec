"""Settings of runs: what there is to set, by name, with its ranges, and as JSON."""
