"""NAMD, step by step: the helper module of the notebook series (arXiv 2603.15932)."""

import warnings

__version__ = "0.1.0"

# Progress bars are plain text here, so the missing widgets are no news to a reader.
warnings.filterwarnings("ignore", message="IProgress not found")
