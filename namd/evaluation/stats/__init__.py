"""Numbers: one statistic a file."""
