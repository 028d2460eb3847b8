"""Every claim of the papers, and ours beside them, declared once; tables.ledger decides them for a run."""

from namd.evaluation.tables import autorad_claims, causes
from namd.evaluation.tables.beside_paper import why_no_lpips
from namd.evaluation.tables.claim import Claim

PAPER_ARMS = {"no_align_no_pred": "Sec. 4.2.2 and Table 1, as its text says: both losses omitted",
              "no_align": "Table 1, last row, as its label says: w/o L_align"}
ABLATIONS = "make ablations PROFILE={run}"


def _other_ruler(evidence):
    """Why an LPIPS may be no LPIPS."""
    why = why_no_lpips(evidence.parameters["eval_lpips_net"], evidence.parameters["lpips_weights"])
    return why and f"another ruler: {why}"


def _alone(evidence):
    """Why "near the best" may say nothing: no system is compared."""
    beside = evidence.tables["near_best"]["beside"].iloc[0]
    compared = set(beside.split(", ")) - {"", *PAPER_ARMS}
    return "" if compared else f"beside NAMD this run has only {beside or 'controls'}, no compared system"


def _against(id, claim, place, row, quantity="AUROC", **other):
    """NAMD minus `row`."""
    unit = "FID, judge's features" if quantity == "FID" else quantity
    return Claim(id, claim, place, f"{quantity}, NAMD - {row}", unit, "effects", dict(row=row, quantity=quantity),
                 "07", **other)


def _share(id, claim, place, ceiling, **other):
    """Share of the gap from the real baseline to `ceiling` that NAMD closes."""
    return Claim(id, claim, place, f"(NAMD - real baseline) / ({ceiling} - real baseline), AUROC", "share of the gap",
                 "effects", dict(row=ceiling, quantity="gap closed"), "07", limit=0.5, **other)


def _nearly(id, claim, quantity):
    """NAMD's distance to the best generator of the run."""
    return Claim(id, claim, "Sec. 4.2.1", f"{quantity}, NAMD / best other - 1", "share", "near_best",
                 dict(quantity=quantity.lower()), "05", "below", 0.1, "runs", unless=_alone)


def _step(id, claim, row, beside, named=None):
    """One of the two steps from a system without the record to NAMD; `named` where a row is called otherwise."""
    return Claim(id, claim, "ours", f"AUROC, {named or row} - {beside}", "AUROC", "record_controls",
                 dict(row=row, beside=beside), "08", absent="make table1 PROFILE={run}")


def _spread(id, claim, place, statistic, unit, **other):
    """A line of notebook 06, which counts so that above 0 the claim holds."""
    return Claim(id, claim, place, statistic, unit, "claims_variance", dict(id=id), "06", **other)


def _main_effect(id, claim, row, command):
    """What the alignment loss is worth, averaged over arms with and without the prediction loss."""
    return _contrast(id, claim, "ours", "main effect of the alignment loss", row, f"make {command} PROFILE={{run}}")


def _contrast(id, claim, place, statistic, row, absent):
    """A difference in AUROC between arms that need not be NAMD, under the name that notebook 07 gives it."""
    return Claim(id, claim, place, f"AUROC, {statistic}", "AUROC", "effects", dict(row=row, quantity="AUROC"), "07",
                 absent=absent)


def _of_arm(arm, present):
    """What the part that `arm` leaves out or changes is worth; one line where it is missing or the paper silent."""
    place = PAPER_ARMS.get(arm, "ours: the paper does not take this part away")
    common = dict(place=place, row=arm, absent=ABLATIONS)
    yield _against(f"{arm}_auroc", f"NAMD diagnoses better than {arm}", **common)
    if not present or arm not in PAPER_ARMS:
        return
    yield _against(f"{arm}_auprc", f"NAMD finds malignant nodules more precisely than {arm}", quantity="AUPRC",
                   **common)
    yield _against(f"{arm}_fid", f"NAMD's images are distributed more like real follow-ups than those of {arm}",
                   quantity="FID", rule="below", over="runs", **common)
    yield _against(f"{arm}_lpips", f"{arm} has slightly better LPIPS (which does not help diagnosis)",
                   quantity="LPIPS", over="runs", unless=_other_ruler, **common)
    for view in ("pooled", "flat"):
        yield Claim(f"{arm}_order_{view}", f"The {view} latent is ordered by diameter, that of {arm} is entangled",
                    "Sec. 4.2.2, Fig. 2", f"R2 of log diameter from 15 neighbours, NAMD - {arm}", "R2",
                    "ablation_order", dict(arm=arm, latent=view, reader="knn"), "07", cause=causes.other_view)


RESULTS = (
    _against("gain", "Generated follow-ups diagnose better than real baselines", "Abstract, Sec. 4.2.1",
             "real baseline"),
    _against("gain_auprc", "They find malignant nodules more precisely than real baselines", "Sec. 4.2.1",
             "real baseline", "AUPRC"),
    _share("nearness", "They approach real follow-ups: nearer to them than to baselines", "Abstract, Sec. 4.2.1",
           "real follow-up"),
    Claim("best", "NAMD diagnoses better than every compared system", "Abstract, Sec. 4.2.1",
          "AUROC, NAMD - best compared system", "AUROC", "best_system", dict(quantity="AUROC"), "08",
          absent="make table1 PROFILE={run}"),
    _nearly("lpips_best", "LPIPS is within 10 % of the best", "LPIPS"),
    _nearly("fid_best", "FID is within 10 % of the best", "FID"),
    _against("prompts", "Learnt soft prompts adapt the language model: NAMD diagnoses better than with frozen ones",
             "Sec. 3.3.1", "frozen_prompts", absent=ABLATIONS, cause=causes.still_prompts),
    _contrast("prompts_eq10", "Learnt in every step, soft prompts adapt the language model: better than frozen ones",
              "Sec. 3.3.1, Eq. 10", "prompts_every_step - frozen_prompts", "soft prompts", ABLATIONS),
    _against("pretraining", "Few images ask for pretrained weights: NAMD diagnoses better than from random numbers",
             "Sec. 4.1.1", "scratch", absent=ABLATIONS, cause=causes.clearer_than_nature),
    _against("pretraining_fid", "Its images are distributed more like real follow-ups than from random numbers",
             "Sec. 4.1.1", "scratch", "FID", rule="below", over="runs", absent=ABLATIONS),
)
SPREAD = (
    _spread("rise", "Three regimes: variance is low at low error and rises to the middle", "Sec. 4.3, Fig. 3",
            "mean Var(p), middle - lowest third of error", "squared probability"),
    _spread("fall", "Three regimes: variance falls again at high error (confidently incorrect)", "Sec. 4.3, Fig. 3",
            "mean Var(p), middle - highest third of error", "squared probability", cause=causes.never_sure),
    _spread("both_labels", "Benign and malignant nodules occur in all three regimes", "Sec. 4.3",
            "empty cells of regime x label", "cells", over="counted"),
    _spread("benign_confident", "Benign nodules are more often confident", "Sec. 4.3, Fig. 3",
            "share of confident nodules, benign - malignant", "share"),
    _spread("boundary_inside", "Pixel variance sits at the boundary and not in the interior", "Sec. 4.3, Fig. 3",
            "pixel variance, boundary - interior", "squared window units"),
    _spread("boundary_outside", "Pixel variance sits at the boundary and not in the background", "Sec. 4.3, Fig. 3",
            "pixel variance, boundary - outside", "squared window units"),
    _spread("ring_most", "Pixel variance is predominantly at the boundary", "Sec. 4.3",
            "the boundary ring's share of all variance - 1/2", "share", cause=causes.narrow_ring),
    _spread("error_maps", "Error maps are alike, whether a nodule is read correctly or not", "Sec. 4.3",
            "10 % of the mean error - |difference of the groups|", "window units", cause=causes.other_nodules),
    _spread("pixel_diagnosis", "Pixel fidelity does not decide the diagnosis", "Sec. 4.3",
            "1/2 - squared rank correlation of pixel error and prediction error", "share"),
    _spread("plateau", "For most nodules the variance is stable from K = 20 on", "App. D, Fig. 5",
            "share of nodules settled at K = 20 - 1/2", "share", over="nodules of Figure 5"),
)
OURS = (
    _main_effect("alignment", "Alignment raises AUROC, with or without the prediction loss", "alignment", "seeds"),
    _main_effect("alignment_epsilon", "Alignment raises AUROC, with or without the prediction loss, when the U-Net"
                 " predicts epsilon", "alignment, epsilon", "alignment"),
    _against("text", "The record is worth more as text than as numbers: NAMD beats a learned vector of its 13 features",
             "ours", "no_llm", absent=ABLATIONS),
    _against("direct", "A generated follow-up says more than baseline and record used directly", "ours", "direct",
             cause=causes.record_rules),
    _against("brock", "A generated follow-up says more than the Brock model, which reads the record alone", "ours",
             "Brock", cause=causes.brock_shares),
    _share("oracle", "NAMD closes more than half of the gap that a perfect generator closes", "ours", "oracle",
           absent="only a phantom knows its oracle"),
    _against("record", "The record matters: NAMD beats itself with another subject's record", "ours",
             "permuted records"),
    _against("patient", "The patient matters: NAMD beats itself with another patient's age, sex, emphysema and family",
             "ours", "permuted patients"),
)
COPY = _against("copy", "NAMD's images are nearer to the follow-up than a copied baseline", "ours", "copy-baseline",
                "LPIPS", rule="below", over="runs", unless=_other_ruler)
SPREAD_OURS = (
    _spread("ring_lead", "The boundary ring holds more variance than its share of the area", "ours",
            "the ring's share of the variance - its share of the area", "share"),
    _spread("mean_known", "At K = 20 a nodule's mean probability is known to 0.02", "ours",
            "0.02 - standard error of the mean at K = 20", "probability"),
    _spread("referral", "Holding back the most uncertain quarter raises AUROC", "ours",
            "AUROC of the kept - AUROC of all", "AUROC"),
)


def _record_steps(main):
    """Is it the record or is it NAMD? main: the row of the arm that is NAMD."""
    return (
        _step("sd15_report", "NAMD is worth more than its record: it beats SD1.5 that reads the same report", main,
              "sd15_report", "NAMD"),
        _step("sd15_record", "The record is worth something by itself: SD1.5 gains by its report", "sd15_report",
              "sd15"),
        _step("imageflownet_record", "NAMD is worth more than its record: it beats ImageFlowNet that reads it", main,
              "imageflownet_record", "NAMD"),
        _step("imageflownet_gain", "The record is worth something by itself: ImageFlowNet gains by it",
              "imageflownet_record", "imageflownet"),
    )


def declared(main, arms=()):
    """Every claim: NAMD's paper's in its order, AutoRad-Lung's, then ours.

    Args:
        main: the run's main arm, which is NAMD; arms: the ablations that the run has.
    """
    found = [*RESULTS]
    for arm in PAPER_ARMS:
        found += _of_arm(arm, arm in arms)
    found += [*SPREAD, *autorad_claims.THEIRS, *OURS, *_record_steps(main), COPY, *SPREAD_OURS, *autorad_claims.OURS]
    decided = {*PAPER_ARMS, *(claim.where.get("row") for claim in (*RESULTS, *OURS))}
    for arm in arms:
        if arm not in decided:
            found += _of_arm(arm, True)
    return found
