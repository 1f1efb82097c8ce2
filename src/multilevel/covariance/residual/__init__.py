"""Covariance of residuals: unbounded parameters to correlations and standard deviations, with derivatives."""
