"""AutoRad-Lung's claims, and ours beside them; their numbers are metrics/autorad_effects.csv (three_class.effects)."""

from namd.evaluation.tables import causes
from namd.evaluation.tables.claim import Claim
from namd.evaluation.tables.three_class import GUIDED, OTHERS, PAPERS_OWN, STATIC
from namd.ground.paper import AUTORAD

BY = {name: f"the paper: by {gain:.0%}, over CLIP-based models" for name, (gain, _) in AUTORAD["gains"].items()}


def _claim(id, claim, place, quantity, row, beside, statistic="{row} - {beside}", unit=None, **other):
    """One line; `row` against `beside` in `quantity`."""
    told = f"{quantity}, {statistic.format(row=row, beside=beside)}"
    return Claim(id, claim, place, told, unit or quantity, "autorad_effects",
                 dict(quantity=quantity, row=row, beside=beside), "09", absent="make autorad PROFILE={run}", **other)


def _gain(id, claim, quantity):
    """The gain of guided over static prompts, in which the paper states its own over CLIP-based models."""
    return _claim(id, claim, "AutoRad-Lung, Abstract", quantity, GUIDED, STATIC, "{row} / {beside} - 1",
                  "relative gain")


THEIRS = (
    _gain("autorad_unsure_recall", "Radiomics in the prompt find more of the unsure nodules than a static prompt"
          f" ({BY['recall_unsure']})", "unsure recall, relative"),
    _gain("autorad_unsure_f1", f"Radiomics in the prompt raise F1 of the unsure class ({BY['f1_unsure']})",
          "unsure F1, relative"),
    _gain("autorad_accuracy", f"Radiomics in the prompt raise accuracy ({BY['accuracy']})", "accuracy, relative"),
    _claim("autorad_autoregressive", "An encoder pretrained autoregressively reads nodules better than a contrastive"
           " one", "AutoRad-Lung, Abstract, Sec. 2.5", "accuracy", "autoregressive", "contrastive",
           unless=causes.unread_pretraining),
    _claim("autorad_aimv2", "AIMv2 reads nodules better than CLIP's image encoder, both under guided prompts",
           "AutoRad-Lung, Abstract, Sec. 2.5", "accuracy", *PAPERS_OWN, unless=causes.no_published_weights),
    _claim("autorad_tokens", f"{AUTORAD['best_tokens']} context tokens are best", "AutoRad-Lung, Table 2", "accuracy",
           f"{AUTORAD['best_tokens']} tokens", OTHERS),
)
OURS = (
    _claim("autorad_logistic", "The prompt adds to its radiomics: guided beats a logistic regression on the same"
           " features", "ours", "macro F1", GUIDED, "logistic"),
    _claim("autorad_diameter", "Guided reads more than size: it beats the diameter alone", "ours", "macro F1", GUIDED,
           "diameter"),
)
