"""A `Design` in, an optimum out."""
