"""Minutes asked for by hand are given to every property, with new examples each time."""

import os
import re
import subprocess
import sys

from small_delivery import REPO


def test_a_property_is_tried_for_as_long_as_one_asks():
    words = ["-q", "-s", "-p", "no:cacheprovider", "-m", "hypothesis", "tests/data/dicom/test_scan.py"]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=REPO, capture_output=True, text=True,
                          env=os.environ | {"NAMD_FUZZ": "5", "NAMD_FUZZ_MINUTES": "0.02"})
    n, = re.findall(r"both_say_the_same: (\d+) times its examples in 0.02 minutes, no finding", done.stdout)
    assert done.returncode == 0 and int(n) > 1
