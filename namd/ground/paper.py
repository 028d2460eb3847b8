"""What the papers report: each number once, with its place.

PAPER is NAMD's (arXiv 2603.15932), where a pair is (mean, sd over K runs); AUTORAD is AutoRad-Lung's (arXiv
2503.20662), where a pair is (number, place).
"""

PAPER = {
    "k_runs": 20,                   # Sec. 4.1.2 and App. D
    "cohort": {                     # Sec. 4.1.1
        "subjects": 1226,
        "train_val_pairs": 1121,
        "train_val_subjects": 776,
        "train_val_malignant": 165,  # 165 + 611 = 776: these count subjects, not pairs
        "train_val_benign": 611,
        "test_pairs": 450,
        "test_subjects": 450,
        "test_malignant": 53,
        "test_benign": 397,
    },
    "table1": {                     # Table 1, in its order; sd None: one run, no spread reported
        "Real baseline LDCT": dict(group="Real image baselines", auroc=(0.742, None), auprc=(0.263, None)),
        "Real follow-up LDCT": dict(group="Real image baselines", auroc=(0.819, None), auprc=(0.393, None)),
        "McWGAN": dict(group="Deterministic methods", lpips=(0.364, None), fid=(80.443, None),
                       auroc=(0.763, None), auprc=(0.307, None)),
        "CorrFlowNet (ODE)": dict(group="Deterministic methods", lpips=(0.202, None), fid=(91.695, None),
                                  auroc=(0.779, None), auprc=(0.318, None)),
        "SD1.5": dict(group="Stochastic methods", lpips=(0.207, 0.003), fid=(97.550, 1.140),
                      auroc=(0.701, 0.031), auprc=(0.245, 0.032)),
        "Flux (rectified flow)": dict(group="Stochastic methods", lpips=(0.248, 0.002), fid=(95.843, 1.162),
                                      auroc=(0.668, 0.030), auprc=(0.227, 0.034)),
        "DDL-CXR": dict(group="Stochastic methods", lpips=(0.235, 0.004), fid=(122.410, 2.409),
                        auroc=(0.701, 0.026), auprc=(0.237, 0.030)),
        "ImageFlowNet (SDE)": dict(group="Stochastic methods", lpips=(0.362, 0.001), fid=(217.706, 1.051),
                                   auroc=(0.782, 0.014), auprc=(0.339, 0.022)),
        "CorrFlowNet (SDE)": dict(group="Stochastic methods", lpips=(0.202, 0.001), fid=(88.560, 0.231),
                                  auroc=(0.776, 0.004), auprc=(0.321, 0.011)),
        "NAMD": dict(group="Stochastic methods", lpips=(0.220, 0.001), fid=(83.060, 0.699),
                     auroc=(0.805, 0.018), auprc=(0.346, 0.028)),
        "NAMD (w/o L_align)": dict(group="Stochastic methods", lpips=(0.205, 0.002), fid=(101.301, 1.108),
                                   auroc=(0.765, 0.017), auprc=(0.305, 0.031)),
    },
    "gap_closed_auroc": 0.82,       # (0.805 - 0.742) / (0.819 - 0.742), from Table 1
    "running_variance_nodules": 50,  # App. D, Fig. 5
    "running_variance_plateau": 20,  # App. D: runs after which the variance is stable
    "training": {                   # App. B
        "vae_lr": 5.0e-5, "vae_batch": 64, "uncond_steps": 100_000, "uncond_batch": 16, "uncond_lr": 1.0e-4,
        "cond_lr": 2.0e-5, "cond_batch": 8, "cond_epochs": 60, "ddim_steps": 50, "n_timesteps": 1000, "seed": 23,
    },
}

# Gains are relative, over CLIP-based models. Abstract and Table 2 contradict each other in the accuracy at 50 tokens.
AUTORAD = {
    "accuracy": (0.646, "Abstract"),
    "gains": {"recall_unsure": (0.16, "Abstract"), "f1_unsure": (0.24, "Abstract"), "accuracy": (0.06, "Abstract")},
    "tokens": {                     # accuracy by number of context tokens
        50: (0.6610, "Table 2, where the abstract says 64.6 %"),
        70: (0.6233, "Table 2"),
    },
    "best_tokens": 50,              # Table 2
}


def ours(metric, columns):
    """Our column beside the paper's `metric`: its FID is Inception's, which a run has when eval_inception is set.

    Args:
        metric: lpips, fid, auroc or auprc; columns: names of metrics/table1.csv.
    """
    return "fid_inception" if metric == "fid" and "fid_inception_mean" in columns else metric
