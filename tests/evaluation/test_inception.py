"""Inception's features against torchmetrics' own FID, with random weights in torch-fidelity's network."""

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from namd.errors import UserError
from namd.evaluation import inception


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with seeded random weights of torch-fidelity's Inception."""
    network = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "load_state_dict_from_url", lambda url, progress: {})
        patch.setattr(network.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        net = network.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(net.state_dict(), file)
    return file


def test_features_are_those_of_torchmetrics_fid(weights):
    g = torch.Generator().manual_seed(0)
    x = torch.rand(4, 1, 24, 24, generator=g) * torch.tensor([2.0, 1.0, 0.5, 2.0]).reshape(4, 1, 1, 1) - 1
    net = inception.load(weights)
    ours = inception.features(net, x, batch=3)
    assert ours.shape == (4, 2048) and ours.std(0).mean() > 0 and not any(p.requires_grad for p in net.parameters())
    theirs = FrechetInceptionDistance(feature=2048, normalize=True, feature_extractor_weights_path=str(weights))
    theirs.update(((x + 1) / 2).expand(-1, 3, -1, -1), real=True)
    assert torch.allclose(theirs.real_features_sum, ours.double().sum(0), rtol=1e-4)
    assert torch.allclose(theirs.real_features_cov_sum, ours.double().T @ ours.double(), rtol=1e-4)


def test_what_is_missing_or_unreadable_is_one_sentence(tmp_path, monkeypatch):
    file = tmp_path / "weights.pth"
    monkeypatch.setattr(inception, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"torch-fidelity.*\[fidelity\]"):
        inception.load(file)
    monkeypatch.setattr(inception, "find_spec", lambda name: name)
    with pytest.raises(UserError, match="Inception weights .*weights.pth.*https://"):
        inception.load(file)
    for content in (b"", b"no weights"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="does not hold") as caught:
            inception.load(file)
        assert "\n" not in str(caught.value)


def test_other_weights_are_refused(tmp_path):
    pytest.importorskip("torch_fidelity")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="does not hold"):
        inception.load(tmp_path / "weights.pth")
