"""What a run writes down: its folder, its environment, its data."""
