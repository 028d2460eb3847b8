import sys

import pytest
from stand_in import StandIn, write_phantom

from namd.data.open import bucket


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The delivery that the bucket was made of."""
    return write_phantom(tmp_path_factory.mktemp("whole") / "delivery", 6)


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="session")
def server(whole, package):
    """The stand-in; a test that changes what it holds puts it back."""
    made = StandIn(whole, package)
    yield made
    made.server.stop()


@pytest.fixture(autouse=True)
def here(monkeypatch, package):
    """The index package is installed, and waits are short."""
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setattr(bucket, "WAITS", (.01, .02))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield
    sys.modules.pop("idc_index_data", None)


@pytest.fixture
def idc(server, monkeypatch):
    """The bucket is where the environment says."""
    monkeypatch.setenv("NAMD_OPEN_ENDPOINT", server.endpoint)
    return server
