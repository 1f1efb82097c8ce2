"""Text to terms: bars and the left side are split off, the rest is formulaic's. Syntax only, no data."""
