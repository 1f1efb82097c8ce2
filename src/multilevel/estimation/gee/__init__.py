"""Generalized estimating equations: rows in clusters, moments of correlations, the solution."""
