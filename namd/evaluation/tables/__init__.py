"""Rows of metrics/*.csv, how Table 1 is laid out, and the claims that they settle."""
