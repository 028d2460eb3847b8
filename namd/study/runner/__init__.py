"""The runner: which notebook runs when, and what is current."""
