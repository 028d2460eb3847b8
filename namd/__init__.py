"""NAMD, step by step: the helper module of the notebook series (arXiv 2603.15932)."""

__version__ = "0.1.0"
