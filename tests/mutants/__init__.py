"""Mutants: the product with one token changed, against the tests that cover the changed file."""
