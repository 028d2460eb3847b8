"""Columns of Table 1 on scores and images whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from namd.evaluation.figures import curves
from namd.evaluation.stats import inception, metrics
from namd.evaluation.tables import table1
from namd.forecasters import drawing
from namd.forecasters.controls import CopyBaseline
from namd.models.judge import Judge
from namd.models.losses import perceptual


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


def test_reliability_bins_by_hand():
    predicted, observed, low, high = curves.reliability_bins([0, 1, 0, 1], [0.1, 0.3, 0.8, 0.6], n_bins=2)
    assert predicted == pytest.approx([0.2, 0.7]) and observed == pytest.approx([0.5, 0.5])
    wilson = binomtest(1, 2).proportion_ci(method="wilson")
    assert low == pytest.approx([wilson.low] * 2) and high == pytest.approx([wilson.high] * 2)


def test_a_bin_without_malignant_nodules_is_not_known_to_be_free_of_them():
    label, prob = np.repeat([0, 1], [30, 10]), np.linspace(0, 1, 40)
    _, observed, low, high = curves.reliability_bins(label, prob, n_bins=4)
    assert observed[0] == low[0] == 0 and high[0] == pytest.approx(0.2775, abs=1e-4)         # 0 of 10
    fig = curves.reliability(label, {"row": prob}, n_bins=4)
    bars = fig.axes[0].containers[0][2][0].get_segments()
    assert bars[0][:, 1] == pytest.approx([0, high[0]]) and "95 %" in fig.get_suptitle()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")          # the PSNR of equal images is infinite
def test_rows_on_disk_are_scored_alike_by_one_and_by_two_processes(tmp_path):
    x1 = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x2, ehr = x1.flip(0), pd.DataFrame({"age": range(6)}, index=[f"pair{i}" for i in range(6)])
    torch.manual_seed(0)
    judge, net = Judge(64, 16, 8, 1, 1, 8, 8, 0.0), perceptual("squeeze", "random", 0)
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


def test_inceptions_distances_stand_beside_the_judges(tmp_path):
    x = torch.rand(6, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.manual_seed(0)
    judge, net = Judge(64, 16, 8, 1, 1, 8, 8, 0.0), perceptual("squeeze", "random", 0)
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


def test_the_paper_stands_beside_its_own_rows_only():
    table = pd.DataFrame(dict(n=450), index=["namd", "no_align_no_pred", "direct", "real baseline"])
    phantom, real, random = (table1.beside_the_paper(table, synthetic, weights) for synthetic, weights in
                             ((True, "imagenet"), (False, "imagenet"), (False, "random")))
    assert phantom["paper_auroc"].tolist()[:2] == [0.805, 0.765] and np.isnan(phantom["paper_auroc"]["direct"])
    assert phantom["comparable"]["namd"] == "not comparable: phantom data" and phantom["comparable"]["direct"] == ""
    assert "FID" in real["comparable"]["namd"] and "LPIPS" not in real["comparable"]["namd"]
    assert "LPIPS" in random["comparable"]["namd"] and random["comparable"]["real baseline"] == "yes"


def test_inceptions_fid_is_comparable_on_as_many_real_images():
    table = pd.DataFrame(dict(fid_mean=1.0, fid_inception_mean=84.0, fid_inception_sd=0.5, n=450, k=20), index=["namd"])
    assert table1.beside_the_paper(table, False, "imagenet").loc["namd", "comparable"] == "yes"
    row = table1.panel_row(table, "namd", "fid", False, "imagenet")
    assert (row["paper"], row["here"], row["comparable"]) == ("83.06 ± 0.699", "84.000 ± 0.500", True)
    assert "200 here, 450 there" in table1.panel_row(table.assign(n=200), "namd", "fid", False, "imagenet")["why"]
    assert table1.why_not("fid", table, True, "imagenet") == "phantom data"
    assert "judge" in table1.why_not("fid", table.drop(columns="fid_inception_mean"), False, "imagenet")


def test_the_panel_sets_one_number_beside_the_papers():
    table = pd.DataFrame(dict(auroc_mean=[0.7, 0.6], auroc_sd=[0.01, 0.0], fid_mean=[1.0, 2.0], fid_sd=[0.5, 0.0],
                              n=10, k=[4, 1]), index=["namd", "real baseline"])
    row = table1.panel_row(table, "namd", "auroc", False, "imagenet")
    assert (row["paper"], row["here"], row["k"], row["comparable"]) == ("0.805 ± 0.018", "0.700 ± 0.010", 4, True)
    assert table1.panel_row(table, "real baseline", "auroc", False, "imagenet")["here"] == "0.600"
    assert not table1.panel_row(table, "namd", "fid", False, "imagenet")["comparable"]
    assert table1.panel_row(table, "namd", "auroc", True, "imagenet")["why"] == "phantom data"


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
