"""Executed notebooks as pages that need no network: their template, their look, their formulas."""
