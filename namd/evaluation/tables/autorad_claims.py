"""AutoRad-Lung's claims, and ours beside them; their numbers are metrics/autorad_effects.csv (three_class.effects)."""

from namd.evaluation.tables import causes
from namd.evaluation.tables.claim import Claim
from namd.evaluation.tables.three_class import GUIDED, OTHERS, PAPERS_OWN, STATIC
from namd.ground.paper import AUTORAD

GAINS = {name: gain for name, (gain, _) in AUTORAD["gains"].items()}       # relative, over CLIP-based models
WHOLE = f"no size for this alone, {GAINS['accuracy']:+.2f} (relative) for the whole system over CLIP-based models"
BEST = AUTORAD["best_tokens"]


def _claim(id, claim, place, quantity, row, beside, statistic="{row} - {beside}", unit=None, **other):
    """One line; `row` against `beside` in `quantity`."""
    told = f"{quantity}, {statistic.format(row=row, beside=beside)}"
    return Claim(id, claim, place, told, unit or quantity, "autorad_effects",
                 dict(quantity=quantity, row=row, beside=beside), "09", absent="make autorad PROFILE={run}", **other)


def _gain(id, claim, quantity, name):
    """The gain of guided over static prompts, in which the paper states its own over CLIP-based models."""
    return _claim(id, f"{claim} (the paper: by {GAINS[name]:.0%}, over CLIP-based models)", "AutoRad-Lung, Abstract",
                  quantity, GUIDED, STATIC, "{row} / {beside} - 1", "relative gain",
                  reported=f"{GAINS[name]:+.2f} over CLIP-based models")


def _over_other_lengths():
    """The paper's accuracy at its best length against that at each other length of which we know it."""
    accuracy = {tokens: found for tokens, (found, _) in AUTORAD["tokens"].items()}
    return ", ".join(f"{accuracy[BEST] - found:+.3f} over {tokens} tokens" for tokens, found in accuracy.items()
                     if tokens != BEST)


THEIRS = (
    _gain("autorad_unsure_recall", "Radiomics in the prompt find more of the unsure nodules than a static prompt",
          "unsure recall, relative", "recall_unsure"),
    _gain("autorad_unsure_f1", "Radiomics in the prompt raise F1 of the unsure class", "unsure F1, relative",
          "f1_unsure"),
    _gain("autorad_accuracy", "Radiomics in the prompt raise accuracy", "accuracy, relative", "accuracy"),
    _claim("autorad_autoregressive", "An encoder pretrained autoregressively reads nodules better than a contrastive"
           " one", "AutoRad-Lung, Abstract, Sec. 2.5", "accuracy", "autoregressive", "contrastive",
           unless=causes.unread_pretraining, reported=WHOLE),
    _claim("autorad_aimv2", "AIMv2 reads nodules better than CLIP's image encoder, both under guided prompts",
           "AutoRad-Lung, Abstract, Sec. 2.5", "accuracy", *PAPERS_OWN, unless=causes.no_published_weights,
           reported=WHOLE),
    _claim("autorad_tokens", f"{BEST} context tokens are best (the paper: {_over_other_lengths()})",
           "AutoRad-Lung, Table 2", "accuracy", f"{BEST} tokens", OTHERS, reported=_over_other_lengths()),
)
OURS = (
    _claim("autorad_logistic", "The prompt adds to its radiomics: guided beats a logistic regression on the same"
           " features", "ours", "macro F1", GUIDED, "logistic", reported="no such row"),
    _claim("autorad_diameter", "Guided reads more than size: it beats the diameter alone", "ours", "macro F1", GUIDED,
           "diameter", reported="no such row"),
)
