"""NLST: its tables, its links over the years, its labels, and the cohort made of them."""
