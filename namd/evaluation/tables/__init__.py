"""Rows: what the metrics/*.csv of a run hold."""
