"""Generalized estimating equations: rows in clusters, the moments of working correlations, and the solution."""
