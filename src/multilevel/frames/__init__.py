"""Any data frame in, the user's own kind of frame out: the only importer of narwhals."""
