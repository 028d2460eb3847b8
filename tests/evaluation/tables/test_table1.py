"""Columns of Table 1 on scores and images whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from namd.evaluation.stats import inception, likeness, metrics
from namd.evaluation.tables import table1
from namd.forecasters import drawing
from namd.forecasters.controls import CopyBaseline
from namd.models.judge import Judge
from namd.models.perceptual import load_perceptual


class Coarse(torch.nn.Module):
    """Stands for Inception: four numbers of an 8-bit image with three channels."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        assert x.dtype == torch.uint8 and x.shape[1] == 3
        return x[:, :, ::32, ::32].float().mean(1).flatten(1)


def test_diagnosis_columns_report_both_spreads():
    rng, label = np.random.default_rng(0), np.array([1] * 80 + [0] * 320)
    prob = 1 / (1 + np.exp(-(rng.normal(size=(2, 400)) + 1.5 * label)))
    row = table1.diagnosis_columns(label, prob, np.arange(400))
    one, two = (metrics.auroc(label, p) for p in prob)
    assert row["auroc_mean"] == pytest.approx((one + two) / 2) and row["auroc_sd"] == pytest.approx(abs(one - two) / 2)
    assert row["auroc_kmean"] == pytest.approx(metrics.auroc(label, prob.mean(0)))
    assert row["auroc_kmean"] > row["auroc_mean"]                            # averaging runs removes noise
    assert row["auprc_kmean"] == pytest.approx(metrics.auprc(label, prob.mean(0)))
    assert row["auroc_low"] < row["auroc_kmean"] < row["auroc_high"]
    assert row["auprc_low"] < row["auprc_kmean"] < row["auprc_high"]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")          # the PSNR of equal images is infinite
def test_rows_on_disk_are_scored_alike_by_one_and_by_two_processes(tmp_path):
    x1 = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x2, ehr = x1.flip(0), pd.DataFrame({"age": range(6)}, index=[f"pair{i}" for i in range(6)])
    torch.manual_seed(0)
    judge, net = Judge(64, 16, 8, 1, 1, 8, 8, 0.0), load_perceptual("squeeze", "random", 0)
    drawing.draw_rows({"copy-baseline": CopyBaseline}, x1, ehr, {"copy-baseline": [1]}, tmp_path, 4)
    np.save(drawing.row_file(tmp_path, "perfect twice"), np.stack([x2[:, 0], x2[:, 0]]))
    rows = ["copy-baseline", "perfect twice"]
    prob, values = table1.score_rows(tmp_path, rows, x1, x2, judge, net, threads=1, workers=1)
    again, values_two = table1.score_rows(tmp_path, rows, x1, x2, judge, net, threads=1, workers=2)
    columns = table1.image_columns(values)
    assert columns.equals(table1.image_columns(values_two))
    assert all(np.array_equal(prob[row], again[row]) for row in rows)
    assert prob["perfect twice"] == pytest.approx(np.stack([judge.prob(x2)] * 2), abs=1e-6)
    perfect, copied = columns.loc["perfect twice"], columns.loc["copy-baseline"]
    assert perfect["lpips_mean"] == pytest.approx(0, abs=1e-6) and copied["lpips_mean"] > 0.01
    assert perfect["delta_rmae_mean"] == 0 and copied["delta_rmae_mean"] == pytest.approx(2, abs=1e-2)
    assert perfect["ssim_mean"] == pytest.approx(1) and copied["ssim_mean"] < 0.2
    assert (perfect.filter(like="_sd") == 0).sum() >= 6


def test_image_columns_are_means_over_patients_and_spreads_over_runs():
    flat = dict.fromkeys(("delta_rmae", "psnr", "ssim", "diameter_error"), np.ones((2, 3)))
    row = table1.image_columns({"namd": dict(lpips=np.array([[1., 2, 3], [3, 4, 5]]), fid=np.array([5., 9]),
                                             kid=np.zeros(2), **flat)}).loc["namd"]
    assert (row["lpips_mean"], row["lpips_sd"], row["fid_mean"], row["fid_sd"]) == (3, 1, 7, 2)


def test_a_number_more_of_the_images_is_a_column_more_of_the_table():
    found = dict(mae=np.array([[1., 2, 3], [3, 4, 5]]), diameter=np.ones((2, 3)))
    assert table1.image_columns({"namd": found}).loc["namd"].to_dict() == {"mae_mean": 3, "mae_sd": 1}


def test_inceptions_distances_stand_beside_the_judges(tmp_path):
    x = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.manual_seed(0)
    judge, net = Judge(64, 16, 8, 1, 1, 8, 8, 0.0), load_perceptual("squeeze", "random", 0)
    np.save(drawing.row_file(tmp_path, "namd"), x.flip(2)[None, :, 0])
    scored = {}
    for name, extra in (("judge", {}), ("both", dict(inception_net=Coarse()))):
        scored[name] = table1.score_rows(tmp_path, ["namd"], x, x, judge, net, **extra)[1]["namd"]
    assert "fid_inception" not in scored["judge"] and scored["judge"]["fid"] == scored["both"]["fid"]
    coarse = [inception.features(Coarse(), images) for images in (x, x.flip(2))]
    assert scored["both"]["fid_inception"] == [pytest.approx(metrics.fid(*coarse))]
    assert scored["both"]["kid_inception"] == [pytest.approx(metrics.kid(*coarse))]
    columns = table1.image_columns({"namd": scored["both"]})
    assert columns.loc["namd", "fid_inception_mean"] > 1 and columns.loc["namd", "kid_inception_sd"] == 0


def test_lite0_compares_clouds_with_the_features_it_read_for_its_distance(tmp_path, monkeypatch):
    x = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x2_hat = torch.stack([x.flip(2), x.flip(3)])
    judge, net = Judge(64, 16, 8, 1, 1, 8, 8, 0.0), load_perceptual("efficientnet_lite0", "imagenet", 0)
    np.save(drawing.row_file(tmp_path, "namd"), x2_hat[:, :, 0])
    read = []
    whole = net.features
    monkeypatch.setattr(net, "features", lambda images: read.append(len(images)) or whole(images))
    values = table1.score_rows(tmp_path, ["namd"], x, x, judge, net)[1]["namd"]
    assert read == [6, 6, 6, 6]                         # x2 for the clouds, x2 for the distance, each run once
    by_hand = [metrics.fid(likeness.pooled_features(net, x), likeness.pooled_features(net, run)) for run in x2_hat]
    assert values["fid_lite0"] == pytest.approx(by_hand)
    random = load_perceptual("efficientnet_lite0", "random", 0)
    assert "fid_lite0" not in table1.score_rows(tmp_path, ["namd"], x, x, judge, random)[1]["namd"]


def test_several_judges_read_the_same_images():
    torch.manual_seed(0)
    judges = [Judge(16, 8, 8, 1, 1, 8, 8, 0.0) for _ in range(3)]
    label, images = np.array([1, 0, 1, 0, 0, 1]), torch.rand(2, 6, 1, 16, 16)
    prob = {"namd": torch.stack([judges[0].prob(run) for run in images]).numpy()}
    alone = table1.judge_spread(label, prob, {"namd": images}, []).loc["namd"]
    assert alone["mean"] == alone["judge 1"] == metrics.over_runs(metrics.auroc, label, prob["namd"])[0]
    assert np.isnan(alone["sd"])
    three = table1.judge_spread(label, prob, {"namd": images}, judges[1:]).loc["namd"]
    last = metrics.over_runs(metrics.auroc, label, torch.stack([judges[2].prob(run) for run in images]).numpy())[0]
    assert three["judge 1"] == alone["judge 1"] and three["judge 3"] == last
    assert three["sd"] == pytest.approx(np.std(three[["judge 1", "judge 2", "judge 3"]].to_numpy(float), ddof=1))
