"""`python -m namd predict`: follow-ups of one nodule of a CT series, drawn, judged and written. Research only."""

from namd.predict.command import predict

__all__ = ["predict"]
