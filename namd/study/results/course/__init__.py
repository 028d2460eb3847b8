"""`python -m namd course`: what a class gets, without answers, and what its teacher gets."""
