"""Why a claim may not hold in a run: what its own tables say about it, in a sentence, or nothing."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Evidence:
    """What a run left behind for its ledger.

    `tables` are {name of metrics/<name>.csv: DataFrame}, as far as they are there; `main` is the name of the arm that
    is NAMD; `data` is phantom, NLST or what of it; `parameters` are those of notebooks 01, 02 and 05.
    """

    run: str
    main: str
    data: str
    parameters: dict
    prompts_moved: float
    probabilities: pd.DataFrame
    tables: dict[str, pd.DataFrame]


def nothing(evidence):
    """No reason is known."""
    return ""


def record_rules(evidence):
    """Why a generated image may lose to the record: where this cohort keeps its information."""
    auroc = evidence.tables["table1"].set_index("row")["auroc_mean"]
    record = auroc.get("record only", np.nan)
    image = auroc["real baseline"]
    if not record > image:
        return ""
    return (f"the record alone reaches {record:.3f}, the baseline image {image:.3f}; the label is written in the"
            " record, and an image made from both holds no more than both")


def brock_shares(evidence):
    """Why Brock may win on a phantom: what the phantom's law (data.phantom.law) has in common with it."""
    if evidence.data != "phantom":
        return ""
    if evidence.parameters["phantom_null"] == "no_record_effect":
        return ("under phantom_null: no_record_effect the phantom's law weighs size, attenuation and spiculation as"
                " Brock does, and nothing else")
    return ("the phantom's law weighs the nodule as Brock does, and age, sex, emphysema and family more heavily")


def never_sure(evidence):
    """Why variance may not fall at high error: no reading is sure of malignancy."""
    prob = evidence.probabilities
    top = prob.loc[prob["row"] == evidence.main, "prob"].max()
    if not top < 2 / 3:
        return ""
    return (f"no reading of NAMD's images exceeds {top:.2f}, so no nodule is confidently called malignant, and the"
            " highest third of error holds missed malignant nodules only")


def other_nodules(evidence):
    """Why error maps may differ between regimes: they hold other nodules."""
    if "regimes" not in evidence.tables:
        return ""
    cells = evidence.tables["regimes"].set_index("regime")[["benign", "malignant"]]
    malignant = cells["malignant"] / cells.sum(axis=1)
    return (f"the regimes differ in more than correctness: {malignant['confidently correct']:.0%} of the confidently"
            f" correct nodules are malignant, and {malignant['confidently incorrect']:.0%} of the confidently"
            " incorrect")


def narrow_ring(evidence):
    """Why the ring may hold less than half: it is narrow."""
    value = evidence.tables["claims_variance"].set_index("id")["value"]
    held = value["ring_most"] + 0.5
    area = held - value.get("ring_lead", np.nan)
    return f"the ring holds {held:.0%} of the variance on {area:.0%} of the area; the rest of the image adds up"


def other_view(evidence):
    """Why one view of the latent may not gain order: the loss acts on the other."""
    return f"in this run the loss acts on the {evidence.parameters['align_latent']} latent"


def still_prompts(evidence):
    """Why learning prompts may be worth nothing: how little they moved."""
    moved = evidence.prompts_moved
    return f"NAMD's own prompts moved by {moved:.2%} of their length" if moved < 0.1 else ""


def clearer_than_nature(evidence):
    """Why random first weights may be read better: their drawings say more than real follow-ups, and look less real."""
    table = evidence.tables["table1"].set_index("row")
    if "scratch" not in table.index:
        return ""
    drawn = table.loc["scratch"]
    real = table.loc["real follow-up", "auroc_mean"]
    own = table.loc[evidence.main, "fid_mean"]
    if not (drawn["auroc_mean"] > real and drawn["fid_mean"] > own):
        return ""
    return (f"drawings that began with random weights reach {drawn['auroc_mean']:.3f}, more than the real follow-ups"
            f" ({real:.3f}), and are further from them (FID {drawn['fid_mean']:.2f} against {own:.2f}): they show what"
            " the record tells more plainly than a follow-up does")


def unread_pretraining(evidence):
    """Why the encoders' pretraining may decide nothing: random weights are read as well as pretrained ones."""
    table = evidence.tables["autorad_effects"].set_index(["quantity", "row", "beside"])
    where = ("accuracy", "autoregressive", "random encoder")
    if where not in table.index or table.loc[where, "low"] > 0:
        return ""
    return ("with random weights the encoder is read as well as with autoregressive ones, so the prompt, not the"
            " pretraining, is compared")


def no_published_weights(evidence):
    """Why AIMv2 and CLIP may not be compared: an arm reads other weights than the published ones."""
    line = evidence.tables["autorad_effects"].set_index(["row", "beside"]).loc[("AIMv2", "CLIP")]
    if pd.notna(line["value"]):
        return ""
    lacks = line.get("lacks")
    return "it needs the published weights of both encoders" + (f": {lacks}" if isinstance(lacks, str) else "")
