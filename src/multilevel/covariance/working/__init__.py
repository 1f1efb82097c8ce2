"""Correlations within clusters: one specification a structure, and what follows from it for given times."""
