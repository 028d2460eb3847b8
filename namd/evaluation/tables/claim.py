"""What a claim is, and how a run decides it; tables.claims and tables.autorad_claims declare them."""

from collections.abc import Callable
from dataclasses import dataclass

from namd.evaluation.tables import causes

COMMAND = "python -m namd run {number} --params params/{run}.yaml"


@dataclass(frozen=True)
class Claim:
    """One claim, and how a run decides it.

    The number is the value, low and high of the one row of metrics/<table>.csv, written by notebook `made_by`,
    that equals `where`. The rule: the claim holds when the interval lies "above" or "below" the limit, fails when it
    lies on the other side. `reported` is the size that a paper gives, in words: the measured one is set beside it.
    `unless` says why the number is not the paper's quantity, `cause` why the claim may not
    hold; both read the run's causes.Evidence. `absent` is the way to a missing row.
    """

    id: str
    claim: str
    place: str
    statistic: str
    unit: str
    table: str
    where: dict
    made_by: str
    rule: str = "above"
    limit: float = 0.0
    over: str = "patients"
    absent: str = COMMAND
    reported: str = ""
    unless: Callable = causes.nothing
    cause: Callable = causes.nothing
