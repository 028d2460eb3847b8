"""Numbers: one statistic a file; columns names those of Table 1."""
