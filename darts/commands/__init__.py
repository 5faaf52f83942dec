"""The commands of `darts`: each its options and what it does with them."""
