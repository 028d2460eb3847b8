"""The columns of Table 1: what the judge says of each row, and what its images are worth."""

import numpy as np
import pandas as pd
import torch

from namd.evaluation.stats import inception, intervals, likeness, metrics
from namd.forecasters.drawing import load_row
from namd.ground.workers import count, side_by_side

MEASURED = {"diameter"}         # of `image_values`: a measure of the images, and no column of their worth


def diagnosis_columns(label, prob_runs, patient):
    """AUROC and AUPRC of one row, with the spread over runs and the interval over patients.

    Args:
        label: (N,) in {0, 1}; prob_runs: (K, N); patient: (N,), whose nodule each is.

    Returns:
        dict: auroc_mean, auroc_sd, auprc_mean, auprc_sd over the K runs (the paper's statistic); auroc_kmean,
        auroc_low, auroc_high (DeLong), auprc_kmean, auprc_low, auprc_high (jackknife) and brier of the K-mean
        probability.

    Source: Sec. 4.1.2 for the first four; the rest is ours, because the paper's spread leaves the patients out.
    """
    prob = np.mean(prob_runs, axis=0)
    auroc_mean, auroc_sd = metrics.over_runs(metrics.auroc, label, prob_runs)
    auprc_mean, auprc_sd = metrics.over_runs(metrics.auprc, label, prob_runs)
    auroc, _, auroc_low, auroc_high = intervals.delong(label, prob, patient=patient)
    auprc, _, auprc_low, auprc_high = intervals.auprc_interval(label, prob, patient=patient)
    return dict(auroc_mean=auroc_mean, auroc_sd=auroc_sd, auroc_kmean=auroc, auroc_low=auroc_low, auroc_high=auroc_high,
                auprc_mean=auprc_mean, auprc_sd=auprc_sd, auprc_kmean=auprc, auprc_low=auprc_low, auprc_high=auprc_high,
                brier=metrics.brier(label, np.clip(prob, 0, 1)))


def clouds(x, judge, inception_net=None, net=None):
    """The features that FID and KID compare, of one set of images, each computed once.

    Args:
        x: (N, 1, S, S) in [-1, 1]; judge: Judge; inception_net: module of inception.load, or None; net: module of
            perceptual.load_perceptual, or None.

    Returns:
        {"": (N, dim) of the judge, "_inception": (N, 2048), "_lite0": (N, 112) where net is trained
        EfficientNet-Lite0}; a key is what the names fid and kid end in.

    Source: ours; Inception's FID is the paper's, the judge's and EfficientNet-Lite0's can be read at small N.
    """
    found = {"": judge.features(x)}
    if inception_net is not None:
        found["_inception"] = inception.features(inception_net, x)
    if net is not None and net.pools:
        found["_lite0"] = likeness.pooled_features(net, x)
    return found


def image_values(x1, x2, x2_hat, clouds_x2, clouds_hat, lpips):
    """What the image columns of one row are made of, run by run and patient by patient.

    Args:
        x1, x2: (N, 1, S, S) in [-1, 1]; x2_hat: (K, N, 1, S, S); clouds_x2: `clouds` of x2; clouds_hat: those of each
            run; lpips: (K, N) of likeness.compare_runs.

    Returns:
        dict: fid, kid and the same of other clouds where there are some, fid_lite0, kid_inception, ... (K,); lpips,
        delta_rmae, psnr (dB), ssim, diameter (mm, of x2_hat) and diameter_error (mm, against the diameter measured in
        x2), each (K, N).

    Source: Sec. 4.1.2 for LPIPS and FID; the others are ours.
    """
    runs = [_one_run(x1, x2, run, clouds_x2, found) for run, found in zip(x2_hat, clouds_hat, strict=True)]
    values = {"lpips": lpips}
    for name in runs[0]:
        values[name] = np.stack([run[name] for run in runs])
    values["diameter_error"] = np.abs(values["diameter"] - metrics.diameter_mm(x2))
    return values


def _one_run(x1, x2, x2_hat, clouds_x2, clouds_hat):
    """What `image_values` asks of the N images of one run."""
    found = {}
    for end in clouds_hat:
        found[f"fid{end}"] = metrics.fid(clouds_x2[end], clouds_hat[end])
        found[f"kid{end}"] = metrics.kid(clouds_x2[end], clouds_hat[end])
    found["delta_rmae"] = metrics.delta_rmae(x1, x2, x2_hat)
    found["psnr"] = metrics.psnr(x2_hat, x2)
    found["ssim"] = metrics.ssim(x2_hat, x2)
    found["diameter"] = metrics.diameter_mm(x2_hat)
    return found


def score_row(folder, row, x1, x2, clouds_x2, judge, net, threads=0, inception_net=None):
    """Everything one row's images are asked: the judge's probabilities and the image values.

    Args:
        folder, row: the images are folder/<row>.npy; x1, x2: (N, 1, S, S); clouds_x2: as in `image_values`; judge,
            net, inception_net: as in `clouds`; threads: torch threads, 0 leaves them alone.

    Returns:
        (prob (K, N) float64, dict of `image_values`).
    """
    if threads:
        torch.set_num_threads(threads)
    x2_hat = load_row(folder, row)
    clouds_hat = [clouds(run, judge, inception_net) for run in x2_hat]
    lpips, pooled = likeness.compare_runs(net, x2_hat, x2)
    if pooled is not None:
        clouds_hat = [found | {"_lite0": of_run} for found, of_run in zip(clouds_hat, pooled, strict=True)]
    prob = torch.stack([judge.logit(found[""]).sigmoid() for found in clouds_hat]).double().numpy()
    return prob, image_values(x1, x2, x2_hat, clouds_x2, clouds_hat, lpips)


def score_rows(folder, rows, x1, x2, judge, net, threads=0, workers=1, inception_net=None):
    """`score_row` for several rows, side by side.

    Returns:
        (prob {row: (K, N)}, values {row: dict of `image_values`}).

    Source: ours; the numbers are those of one process.
    """
    clouds_x2 = clouds(x2, judge, inception_net, net)
    jobs = [(folder, row, x1, x2, clouds_x2, judge, net, threads, inception_net) for row in rows]
    scored = side_by_side(score_row, jobs, count(workers, len(rows)))
    prob = {row: found[0] for row, found in zip(rows, scored, strict=True)}
    values = {row: found[1] for row, found in zip(rows, scored, strict=True)}
    return prob, values


def image_columns(values):
    """Whatever `image_values` gives of every row but what is MEASURED, each as mean and spread over its K runs.

    Args:
        values: {row: dict of `image_values`}.

    Returns:
        DataFrame indexed by row: lpips, fid, kid, those of other clouds where they were computed, delta_rmae, psnr,
        ssim, diameter_error, each with _mean and _sd (population standard deviation over runs of the mean over
        patients).

    Source: Sec. 4.1.2 for LPIPS and FID; KID and the change controls are ours.
    """
    rows = []
    for found in values.values():
        row = {}
        for name in [name for name in found if name not in MEASURED]:
            runs = found[name].reshape(len(found[name]), -1).mean(1)        # (K,), over patients
            row[f"{name}_mean"] = float(np.mean(runs))
            row[f"{name}_sd"] = float(np.std(runs))
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(values, name="row"))


def whole(label, prob, images, patient):
    """All rows as one table: what their images are worth, and what the judge says of each.

    Args:
        label: (N,); prob: {row: (K, N)}, in the order of the table; images: `image_columns`, of the rows that have
            images; patient: (N,).

    Returns:
        DataFrame indexed by row: `image_columns` (NaN where a row has none), `diagnosis_columns`, n, malignant, k.

    Source: Table 1.
    """
    found = pd.DataFrame({row: diagnosis_columns(label, runs, patient) for row, runs in prob.items()}).T
    found = images.reindex(found.index).join(found).rename_axis("row")
    return found.assign(n=len(label), malignant=int(label.sum()), k=[len(runs) for runs in prob.values()])


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
    read = {}
    for row, runs in images.items():
        readings = [prob[row]]
        for judge in judges:
            readings.append([judge.prob(run).numpy() for run in runs])
        read[row] = [metrics.over_runs(metrics.auroc, label, reading)[0] for reading in readings]
    names = [f"judge {i + 1}" for i in range(len(judges) + 1)]
    table = pd.DataFrame(read, index=names).T.rename_axis(index="row")
    return table.assign(mean=table.mean(axis=1), sd=table.std(axis=1))
