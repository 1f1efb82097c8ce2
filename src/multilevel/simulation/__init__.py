"""New data from a fitted record."""
