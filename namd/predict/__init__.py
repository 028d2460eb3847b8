"""`python -m namd predict`: follow-ups of one nodule of a CT series, drawn, judged and written. Research only."""

from namd.predict.command import predict
from namd.predict.finished import open_run

__all__ = ["open_run", "predict"]
