"""How clustered the data are: ICC, structure, centring."""
