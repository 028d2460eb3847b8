"""The columns of Table 1: what the judge says of each row, what its images are worth, what the paper reports."""

import joblib
import numpy as np
import pandas as pd
import torch

from namd.evaluation.stats import inception, intervals, metrics
from namd.forecasters.drawing import load_row, n_processes
from namd.ground.paper import PAPER, ours

PAPER_ROWS = {"real baseline": "Real baseline LDCT", "real follow-up": "Real follow-up LDCT", "namd": "NAMD",
              "no_align_no_pred": "NAMD (w/o L_align)"}         # Sec. 4.2.2: both losses are omitted


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


def clouds(x, judge, inception_net=None):
    """The features that FID and KID compare, of one set of images, each computed once.

    Args:
        x: (N, 1, S, S) in [-1, 1]; judge: Judge; inception_net: module of inception.load, or None.

    Returns:
        {"": (N, dim) of the judge, "_inception": (N, 2048)}; a key is what the names fid and kid end in.

    Source: ours; Inception's FID is the paper's, the judge's can be read at small N.
    """
    found = {"": judge.features(x)}
    return found if inception_net is None else found | {"_inception": inception.features(inception_net, x)}


def image_values(x1, x2, x2_hat, clouds_x2, clouds_hat, net):
    """What the image columns of one row are made of, run by run and patient by patient.

    Args:
        x1, x2: (N, 1, S, S) in [-1, 1]; x2_hat: (K, N, 1, S, S); clouds_x2: `clouds` of x2; clouds_hat: those of each
            run; net: LPIPS network of losses.perceptual.

    Returns:
        dict: fid, kid and, where the clouds have them, fid_inception, kid_inception (K,); lpips, delta_rmae, psnr (dB),
        ssim, diameter (mm, of x2_hat) and diameter_error (mm, against the diameter measured in x2), each (K, N).

    Source: Sec. 4.1.2 for LPIPS and FID; the others are ours.
    """
    diameter = metrics.diameter_mm(x2)
    runs = [dict(
        **{f"{d.__name__}{end}": d(clouds_x2[end], found[end]) for end in found for d in (metrics.fid, metrics.kid)},
        delta_rmae=metrics.delta_rmae(x1, x2, run), psnr=metrics.psnr(run, x2), ssim=metrics.ssim(run, x2),
        diameter=metrics.diameter_mm(run),
    ) for run, found in zip(x2_hat, clouds_hat, strict=True)]
    values = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    return values | {"lpips": metrics.lpips_distance(net, x2_hat, x2),
                     "diameter_error": np.abs(values["diameter"] - diameter)}


def score_row(folder, row, x1, x2, clouds_x2, judge, net, threads=0, inception_net=None):
    """Everything one row's images are asked: the judge's probabilities and the image values.

    Args:
        folder, row: the images are folder/<row>.npy; x1, x2: (N, 1, S, S); clouds_x2, net: as in
            `image_values`; judge, inception_net: as in `clouds`; threads: torch threads, 0 leaves them alone.

    Returns:
        (prob (K, N) float64, dict of `image_values`).
    """
    if threads:
        torch.set_num_threads(threads)
    x2_hat = load_row(folder, row)
    clouds_hat = [clouds(run, judge, inception_net) for run in x2_hat]
    prob = torch.stack([judge.logit(found[""]).sigmoid() for found in clouds_hat]).double().numpy()
    return prob, image_values(x1, x2, x2_hat, clouds_x2, clouds_hat, net)


def score_rows(folder, rows, x1, x2, judge, net, threads=0, workers=1, inception_net=None):
    """`score_row` for several rows, side by side.

    Returns:
        (prob {row: (K, N)}, values {row: dict of `image_values`}).

    Source: ours; the numbers are those of one process.
    """
    clouds_x2 = clouds(x2, judge, inception_net)
    scored = joblib.Parallel(n_jobs=n_processes(workers, len(rows)))(
        joblib.delayed(score_row)(folder, row, x1, x2, clouds_x2, judge, net, threads, inception_net) for row in rows)
    return tuple({row: pair[part] for row, pair in zip(rows, scored, strict=True)} for part in (0, 1))


def image_columns(values):
    """LPIPS, FID, KID and the change controls of every row, each as mean and spread over its K runs.

    Args:
        values: {row: dict of `image_values`}.

    Returns:
        DataFrame indexed by row: lpips, fid, kid, fid_inception and kid_inception where they were computed,
        delta_rmae, psnr, ssim, diameter_error, each with _mean and _sd (population standard deviation over runs of the
        mean over patients).

    Source: Sec. 4.1.2 for LPIPS and FID; KID and the change controls are ours.
    """
    names = ("lpips", "fid", "kid", "fid_inception", "kid_inception", "delta_rmae", "psnr", "ssim", "diameter_error")
    rows = [{f"{name}_{stat}": float(of(found[name].reshape(len(found[name]), -1).mean(1)))
             for name in names if name in found for stat, of in (("mean", np.mean), ("sd", np.std))}
            for found in values.values()]
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


def why_not(metric, table, synthetic, lpips_weights):
    """Why a number of ours in `table` may not be set beside the paper's; empty where it may."""
    if synthetic:
        return "phantom data"
    if metric == "fid":
        n, n_paper = int(table["n"].max()), PAPER["cohort"]["test_pairs"]
        if ours("fid", table) == "fid":
            return "judge features, not Inception's"
        return "" if n == n_paper else f"it grows as N falls: {n} here, {n_paper} there"
    return "random LPIPS weights" if metric == "lpips" and lpips_weights == "random" else ""


def beside_the_paper(table, synthetic, lpips_weights, known_as=PAPER_ROWS):
    """`table` with the paper's means and a word on whether the two may be compared.

    Args:
        table: DataFrame indexed by row, with n; lpips_weights: imagenet or random; known_as: {row: the paper's name}.

    Returns:
        The same with paper_row, paper_auroc, paper_auprc, paper_lpips, paper_fid (NaN where the paper has none) and
        comparable (empty where the paper has no such row).

    Source: Table 1, by namd.ground.paper.
    """
    paper = [PAPER["table1"].get(known_as.get(row, ""), {}) for row in table.index]
    means = {f"paper_{name}": [known.get(name, (np.nan,))[0] for known in paper]
             for name in ("auroc", "auprc", "lpips", "fid")}
    verdicts = []
    for known in paper:
        refused = {name: why for name in known
                   if name != "group" and (why := why_not(name, table, synthetic, lpips_weights))}
        but = ", ".join(f"{name.upper()} ({why})" for name, why in refused.items())
        verdicts.append("" if not known else "not comparable: phantom data" if synthetic else
                        f"all but {but}" if but else "yes")
    return table.assign(paper_row=[known_as.get(row, "") for row in table.index], **means, comparable=verdicts)


def panel_row(table, row, name, synthetic, lpips_weights, known_as=PAPER_ROWS):
    """One line of the panel "Paper and this run": mean ± sd of one metric of one row, theirs and ours.

    Args:
        table: as in `beside_the_paper`; row: a key of `known_as`; name: lpips, fid, auroc or auprc.

    Returns:
        dict for run.panel.
    """
    (mean, sd), line, column = PAPER["table1"][known_as[row]][name], table.loc[row], ours(name, table)
    paper, here = mean, f"{line[f'{column}_mean']:.3f}"
    if sd is not None:
        paper, here = f"{mean} ± {sd}", f"{here} ± {line[f'{column}_sd']:.3f}"
    why, n, k = why_not(name, table, synthetic, lpips_weights), int(line["n"]), int(line["k"])
    return dict(quantity=f"{name.upper()}, {row}", paper=paper, here=here, n=n, k=k, comparable=not why,
                why=why)
