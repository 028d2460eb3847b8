"""How long a property is tried: 2,000 examples in the suite; by hand for as long as one likes, anew each time.

    NAMD_FUZZ_MINUTES=30 python -m pytest -s -m hypothesis tests/data tests/ground      so many minutes each
"""

import os
import time

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("NAMD_FUZZ", "2000"))


def fuzz(examples=EXAMPLES):
    """Settings of one property; hypothesis may complain of inputs thrown away or too large, not of the clock."""
    unasked = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]       # a busy machine; a folder for them all
    return settings(max_examples=examples, deadline=None, suppress_health_check=unasked)


def repeat(test, minutes):
    """Call `test`, one property, with new examples until its time is over; how often."""
    end = time.monotonic() + 60 * minutes
    n = 0
    while n == 0 or time.monotonic() < end:
        test()
        n += 1
    return n
