"""Terms and a table become a `Design`: the arrays that estimation works on, and the coding for new data."""
