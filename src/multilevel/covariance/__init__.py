"""Parameter vector to covariance and back, one structure a file."""
