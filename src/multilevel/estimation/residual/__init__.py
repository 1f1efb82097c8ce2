"""Rows whose residuals correlate or vary unequally: how to whiten them, and the derivatives of that."""
