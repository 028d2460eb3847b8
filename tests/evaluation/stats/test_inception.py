"""Inception's features against torchmetrics' own FID, with random weights in torch-fidelity's network."""

import ast
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from namd.evaluation.stats import inception
from namd.ground import order, seeding
from namd.ground.errors import UserError
from namd.models.judge import Judge
from namd.study.preflight import weights as preflight


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
    assert preflight.fid_features(SimpleNamespace(eval_inception=str(weights))) == []
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


def test_notebook_08_scores_its_rows_with_the_file_that_is_named(weights, tmp_path):
    """Its own cell, with the names that its first cells import."""
    cells = [source for _, source in order.code_cells("08")]
    lines = [node for cell in cells for node in ast.parse(cell).body if isinstance(node, ast.ImportFrom)]
    (scoring,) = [cell for cell in cells if "load_inception(" in cell]
    with seeding.fresh_weights("judge"):
        Judge(64, 16, 16, 1, 2, 8, 32, 0.0).save(tmp_path / "judge")
    x1, x2 = seeding.noise((2, 4, 1, 64, 64), "x").clamp(-1, 1)
    (tmp_path / "samples").mkdir()
    np.save(tmp_path / "samples" / "namd.npy", x1[None, :, 0].half().numpy())
    run = SimpleNamespace(root=tmp_path, device=torch.device("cpu"), need=lambda path, made_by: tmp_path / path)
    names = dict(run=run, arm="namd", makers={}, x1=x1, x2=x2, seed=1, threads=1, eval_workers=1,
                 lpips_weights="random", eval_lpips_net="squeeze", eval_inception=str(weights))
    exec(compile(ast.Module(lines, []), "imports", "exec"), names)
    exec(scoring, names)                                          
    assert names["prob"]["namd"].shape == (1, 4)
    assert np.isfinite(names["values"]["namd"]["fid_inception"]).all() and names["values"]["namd"]["fid_inception"] > 0
