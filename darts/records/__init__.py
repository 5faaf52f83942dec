"""The records of a run: its folder, its environment, its data."""
