import pytest
from small_delivery import write_series


@pytest.fixture
def two(tmp_path):
    """Two participants with two series each, below tmp_path."""
    for pid in (100001, 100002):
        for year in (0, 1):
            write_series(tmp_path / f"{pid}_{year}", pid, year, 5 + year)
    return tmp_path
