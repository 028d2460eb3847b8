"""The columns of Table 1: what the judge says of each row, what its images are worth, what the paper reports."""

import joblib
import numpy as np
import pandas as pd
import torch

from namd.evaluation import intervals, metrics
from namd.evaluation.runs import load_row, n_processes
from namd.study.paper import PAPER

PAPER_ROWS = {"real baseline": "Real baseline LDCT", "real follow-up": "Real follow-up LDCT", "namd": "NAMD",
              "no_align_no_pred": "NAMD (w/o L_align)"}         # Sec. 4.2.2: both losses are omitted


def diagnosis_columns(label, prob_runs):
    """AUROC and AUPRC of one row, with the spread over runs and the interval over patients.

    Args:
        label: (N,) in {0, 1}; prob_runs: (K, N).

    Returns:
        dict: auroc_mean, auroc_sd, auprc_mean, auprc_sd over the K runs (the paper's statistic); auroc_kmean,
        auroc_low, auroc_high (DeLong), auprc_kmean, auprc_low, auprc_high (jackknife) and brier of the K-mean
        probability.

    Source: Sec. 4.1.2 for the first four; the rest is ours, because the paper's spread leaves the patients out.
    """
    prob = np.mean(prob_runs, axis=0)
    auroc_mean, auroc_sd = metrics.over_runs(metrics.auroc, label, prob_runs)
    auprc_mean, auprc_sd = metrics.over_runs(metrics.auprc, label, prob_runs)
    auroc, _, auroc_low, auroc_high = intervals.delong(label, prob)
    auprc, _, auprc_low, auprc_high = intervals.auprc_interval(label, prob)
    return dict(auroc_mean=auroc_mean, auroc_sd=auroc_sd, auroc_kmean=auroc, auroc_low=auroc_low, auroc_high=auroc_high,
                auprc_mean=auprc_mean, auprc_sd=auprc_sd, auprc_kmean=auprc, auprc_low=auprc_low, auprc_high=auprc_high,
                brier=metrics.brier(label, np.clip(prob, 0, 1)))


def image_values(x1, x2, x2_hat, features_x2, features_hat, net):
    """What the image columns of one row are made of, run by run and patient by patient.

    Args:
        x1, x2: (N, 1, S, S) in [-1, 1]; x2_hat: (K, N, 1, S, S); features_x2: (N, dim); features_hat: (K, N, dim)
            judge features; net: LPIPS network of losses.perceptual.

    Returns:
        dict: fid, kid (K,); lpips, delta_rmae, psnr (dB), ssim, diameter (mm, of x2_hat) and diameter_error (mm,
        against the diameter measured in x2), each (K, N).

    Source: Sec. 4.1.2 for LPIPS and FID; the others are ours.
    """
    diameter = metrics.diameter_mm(x2)
    runs = [dict(
        fid=metrics.fid(features_x2, features), kid=metrics.kid(features_x2, features),
        lpips=metrics.lpips_distance(net, run, x2), delta_rmae=metrics.delta_rmae(x1, x2, run),
        psnr=metrics.psnr(run, x2), ssim=metrics.ssim(run, x2), diameter=metrics.diameter_mm(run),
    ) for run, features in zip(x2_hat, features_hat, strict=True)]
    values = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    return values | {"diameter_error": np.abs(values["diameter"] - diameter)}


def score_row(folder, row, x1, x2, features_x2, judge, net, threads=0):
    """Everything one row's images are asked: the judge's probabilities and the image values.

    Args:
        folder, row: the images are folder/<row>.npy; x1, x2: (N, 1, S, S); features_x2: (N, dim); judge, net: as in
            `image_values`; threads: torch threads, 0 leaves them alone.

    Returns:
        (prob (K, N) float64, dict of `image_values`).
    """
    if threads:
        torch.set_num_threads(threads)
    x2_hat = load_row(folder, row)
    features = torch.stack([judge.features(run) for run in x2_hat])
    prob = torch.stack([judge.logit(part).sigmoid() for part in features]).double().numpy()
    return prob, image_values(x1, x2, x2_hat, features_x2, features, net)


def score_rows(folder, rows, x1, x2, judge, net, threads=0, workers=1):
    """`score_row` for several rows, side by side.

    Returns:
        (prob {row: (K, N)}, values {row: dict of `image_values`}).

    Source: ours; the numbers are those of one process.
    """
    features_x2 = judge.features(x2)
    scored = joblib.Parallel(n_jobs=n_processes(workers, len(rows)))(
        joblib.delayed(score_row)(folder, row, x1, x2, features_x2, judge, net, threads) for row in rows)
    return tuple({row: pair[part] for row, pair in zip(rows, scored, strict=True)} for part in (0, 1))


def image_columns(values):
    """LPIPS, FID, KID and the change controls of every row, each as mean and spread over its K runs.

    Args:
        values: {row: dict of `image_values`}.

    Returns:
        DataFrame indexed by row: lpips, fid, kid, delta_rmae, psnr, ssim, diameter_error, each with _mean and
        _sd (population standard deviation over runs of the mean over patients).

    Source: Sec. 4.1.2 for LPIPS and FID; KID and the change controls are ours.
    """
    names = ("lpips", "fid", "kid", "delta_rmae", "psnr", "ssim", "diameter_error")
    rows = [{f"{name}_{stat}": float(of(found[name].reshape(len(found[name]), -1).mean(1)))
             for name in names for stat, of in (("mean", np.mean), ("sd", np.std))} for found in values.values()]
    return pd.DataFrame(rows, index=pd.Index(values, name="row"))


def judge_spread(label, prob, images, judges):
    """AUROC of some rows by one judge and by others that saw the same training images in another order.

    Args:
        label: (N,); prob: {row: (K, N)} of the first judge; images: {row: (K, N, 1, S, S)} of the rows to be read
            again; judges: the others, may be empty.

    Returns:
        DataFrame indexed by row: judge 1, judge 2, ..., each the mean over runs, then their mean and sd (sample
        standard deviation, NaN for one judge).

    Source: ours, because the paper's AUROC is that of one judge, trained once.
    """
    read = {row: [metrics.over_runs(metrics.auroc, label, prob[row])[0],
                  *(metrics.over_runs(metrics.auroc, label, [judge.prob(run).numpy() for run in runs])[0]
                    for judge in judges)] for row, runs in images.items()}
    table = pd.DataFrame(read, index=[f"judge {i + 1}" for i in range(len(judges) + 1)]).T.rename_axis(index="row")
    return table.assign(mean=table.mean(axis=1), sd=table.std(axis=1))


def why_not(metric, synthetic, lpips_weights):
    """Why a number of ours may not be set beside the paper's; empty where it may."""
    if synthetic:
        return "phantom data"
    if metric == "fid":
        return "judge features, not Inception's"
    return "random LPIPS weights" if metric == "lpips" and lpips_weights == "random" else ""


def beside_the_paper(table, synthetic, lpips_weights):
    """`table` with the paper's means and a word on whether the two may be compared.

    Args:
        table: DataFrame indexed by row; lpips_weights: imagenet or random.

    Returns:
        The same with paper_row, paper_auroc, paper_auprc, paper_lpips, paper_fid (NaN where the paper has none) and
        comparable (empty where the paper has no such row).

    Source: Table 1, by namd.study.paper.
    """
    paper = [PAPER["table1"].get(PAPER_ROWS.get(row, ""), {}) for row in table.index]
    means = {f"paper_{name}": [known.get(name, (np.nan,))[0] for known in paper]
             for name in ("auroc", "auprc", "lpips", "fid")}
    verdicts = []
    for known in paper:
        refused = {name: why for name in known if name != "group" and (why := why_not(name, synthetic, lpips_weights))}
        but = ", ".join(f"{name.upper()} ({why})" for name, why in refused.items())
        verdicts.append("" if not known else "not comparable: phantom data" if synthetic else
                        f"all but {but}" if but else "yes")
    return table.assign(paper_row=[PAPER_ROWS.get(row, "") for row in table.index], **means, comparable=verdicts)


def panel_row(table, row, name, synthetic, lpips_weights):
    """One line of the panel "Paper and this run": mean ± sd of one metric of one row, theirs and ours.

    Args:
        table: as in `beside_the_paper`; row: a key of PAPER_ROWS; name: lpips, fid, auroc or auprc.

    Returns:
        dict for run.panel.
    """
    (mean, sd), ours, k = PAPER["table1"][PAPER_ROWS[row]][name], table.loc[row], int(table.loc[row, "k"])
    paper, here = mean, f"{ours[f'{name}_mean']:.3f}"
    if sd is not None:
        paper, here = f"{mean} ± {sd}", f"{here} ± {ours[f'{name}_sd']:.3f}"
    why = why_not(name, synthetic, lpips_weights)
    return dict(quantity=f"{name.upper()}, {row}", paper=paper, here=here, n=int(ours["n"]), k=k, comparable=not why,
                why=why)
