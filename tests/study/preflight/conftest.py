import pytest
from huggingface_hub import constants


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """A machine without any downloaded weights."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NAMD_OUTPUTS", str(tmp_path / "outputs"))
