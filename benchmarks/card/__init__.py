"""What a GPU makes of the project, in one run of minutes: `python -m benchmarks.card`."""
