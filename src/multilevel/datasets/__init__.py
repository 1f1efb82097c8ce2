"""Small classic data sets, each with its source."""
