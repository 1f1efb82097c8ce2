"""How honest: error rates of tests and intervals where the truth is known, because it was simulated."""
