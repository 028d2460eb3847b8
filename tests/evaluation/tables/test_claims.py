"""The declared claims: complete, each once, each with a place and a rule."""

import pandas as pd
import pytest

from namd.evaluation.tables import claims

NEEDED = {"gain", "nearness", "lpips_best", "fid_best", "rise", "fall", "benign_confident", "boundary_inside",
          "error_maps", "plateau", "pixel_diagnosis", "no_align_no_pred_auroc", "no_align_no_pred_order_pooled",
          "no_align_no_pred_order_flat", "no_align_auroc", "direct", "brock", "oracle"}


def test_every_claim_is_declared_once_and_the_paper_comes_first():
    found = claims.declared(["no_align_no_pred", "no_text"])
    ids = [claim.id for claim in found]
    assert len(ids) == len(set(ids)) and NEEDED | {"no_text_auroc"} <= set(ids)
    assert "no_align_auprc" not in ids and "no_text_auprc" not in ids
    assert [c.id for c in claims.declared(["frozen_prompts"]) if c.where.get("row") == "frozen_prompts"] == ["prompts"]
    whose = [claim.place.startswith("ours") for claim in found]
    assert whose == sorted(whose)
    assert all(claim.rule in ("above", "below") and claim.made_by in ("05", "06", "07", "08") for claim in found)


def test_no_row_of_a_table_decides_two_claims():
    rows = [(claim.table, *sorted(claim.where.items())) for claim in claims.declared(["no_text", "frozen_prompts"])]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(("moved", "said"), [(0.00088, "moved by 0.09%"), (0.5, "")])
def test_prompts_that_hardly_moved_are_named_as_the_cause(moved, said):
    found = claims._still_prompts({"prompts_moved": moved})
    assert said in found and bool(said) == bool(found)


@pytest.mark.parametrize(("prob", "said"), [([0.1, 0.6], "exceeds 0.60"), ([0.1, 0.9], "")])
def test_variance_cannot_fall_where_nobody_is_sure_of_malignancy(prob, said):
    readings = pd.DataFrame(dict(row=["namd", "namd", "oracle"], prob=[*prob, 0.99]))
    assert said in (sentence := claims._never_sure({"probabilities": readings})) and bool(sentence) == bool(said)


@pytest.mark.parametrize(("record", "said"), [(0.8, True), (0.6, False), (None, False)])
def test_the_record_is_blamed_only_where_it_says_more_than_the_image(record, said):
    rows = {"real baseline": 0.7} | ({"record only": record} if record else {})
    table = pd.DataFrame(dict(row=list(rows), auroc_mean=list(rows.values())))
    assert bool(claims._record_rules({"table1": table})) == said


def test_the_ring_is_weighed_against_its_area():
    table = pd.DataFrame(dict(id=["ring_most", "ring_lead"], value=[-0.17, 0.26]))
    assert "33% of the variance on 7% of the area" in claims._wide_background({"claims_variance": table})
