"""The rows of Table 1 as a newcomer would call them, and the groups in which figures and tables show them."""

from itertools import chain

GROUPS = {
    "real images": {"real baseline": "real baseline", "real follow-up": "real follow-up"},
    "drawn from image and record": {
        "namd": "NAMD", "no_align": "NAMD without alignment", "no_pred": "NAMD without prediction loss",
        "no_align_no_pred": "NAMD without both losses", "no_text": "NAMD without the report",
        "no_llm": "NAMD without language model", "frozen_prompts": "NAMD with frozen prompts",
        "prompts_every_step": "NAMD with prompts in every step", "no_pretraining": "NAMD without stage 2 (Eq. 9)",
        "scratch": "NAMD from scratch", "flat_latent": "NAMD on the flat latent", "epsilon": "NAMD predicting noise",
        "no_pred-epsilon": "same without prediction loss", "no_align-epsilon": "same without alignment",
        "no_align_no_pred-epsilon": "same without both losses", "linear_schedule": "NAMD on a linear schedule",
        "pooled_latent": "NAMD on the pooled latent", "raw_features": "NAMD on raw features",
        "lambda_align0.01": "NAMD, λ_align 0.01", "lambda_align0.2": "NAMD, λ_align 0.2",
        "lambda_align1": "NAMD, λ_align 1", "sigma_z1": "NAMD, σ_z 1", "sigma_z64": "NAMD, σ_z 64"},
    "drawn with a wrong record": {"permuted records": "another's record",
                                  "permuted patients": "another's patient fields"},
    "other systems": {
        "mcwgan": "McWGAN", "corrflownet_ode": "CorrFlowNet (ODE)", "corrflownet_sde": "CorrFlowNet (SDE)",
        "sd15": "SD1.5", "flux": "Flux", "ddl_cxr": "DDL-CXR", "imageflownet": "ImageFlowNet", "brlp": "BrLP",
        "delta_lfm": "Δ-LFM", "sd15_report": "SD1.5 + report (ours)",
        "imageflownet_record": "ImageFlowNet + record (ours)"},
    "no generator": {"copy-baseline": "copied baseline", "mean follow-up": "one mean image for all",
                         "direct x1": "refitted baseline (direct x1)", "direct": "baseline + record (direct)",
                         "record only": "record only", "Brock": "Brock model"},
    "known to the phantom alone": {"oracle": "oracle (a perfect drawing)", "true risk": "true risk"},
    "two arms against two": {"soft prompts": "soft prompts learn", "alignment": "alignment",
                             "alignment, epsilon": "alignment (predicting noise)"},
}
ARMS = "drawn from image and record"
_NAMES = dict(chain.from_iterable(group.items() for group in GROUPS.values()))


def plain(row):
    """"NAMD without both losses" of no_align_no_pred; a row without such a name keeps its own."""
    return _NAMES.get(row, row)


def grouped(rows):
    """{group: its rows}, groups and rows in the order of GROUPS; a row that is in none is an arm of NAMD."""
    rows = list(dict.fromkeys(rows))
    found = {}
    for group, names in GROUPS.items():
        found[group] = [row for row in names if row in rows]
    found[ARMS] += [row for row in rows if row not in _NAMES]
    return {group: inside for group, inside in found.items() if inside}


def ordered(rows):
    """The rows in the order in which `grouped` shows them."""
    return list(chain.from_iterable(grouped(rows).values()))
