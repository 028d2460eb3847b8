"""What a run lacks, as one item of the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Missing:
    """An input that is not there, and the page or command that provides it; a run goes without an optional one."""

    what: str
    how: str
    optional: bool = False
    unreadable: bool = False    # it is there, and cannot be used
