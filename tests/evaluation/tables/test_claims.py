"""The declared claims: complete, each once, each with a place and a rule."""

from namd.evaluation.tables import claims

NEEDED = {"gain", "nearness", "lpips_best", "fid_best", "rise", "fall", "benign_confident", "boundary_inside",
          "error_maps", "plateau", "pixel_diagnosis", "no_align_no_pred_auroc", "no_align_no_pred_order_pooled",
          "no_align_no_pred_order_flat", "no_align_auroc", "direct", "brock", "oracle",
          "autorad_unsure_recall", "autorad_unsure_f1", "autorad_accuracy", "autorad_autoregressive", "autorad_aimv2",
          "autorad_tokens", "autorad_logistic", "autorad_diameter"}


def test_every_claim_is_declared_once_and_the_paper_comes_first():
    found = claims.declared("namd", ["no_align_no_pred", "no_text"])
    ids = [claim.id for claim in found]
    assert len(ids) == len(set(ids)) and NEEDED | {"no_text_auroc"} <= set(ids)
    assert "no_align_auprc" not in ids and "no_text_auprc" not in ids
    settled = dict(frozen_prompts=["prompts"], scratch=["pretraining", "pretraining_fid"], no_llm=["text"])
    for arm, own in settled.items():
        assert [claim.id for claim in claims.declared("namd", [arm]) if claim.where.get("row") == arm] == own
    whose = [claim.place.startswith("ours") for claim in found]
    assert whose == sorted(whose)
    assert all(claim.rule in ("above", "below") and claim.made_by in ("05", "06", "07", "08", "09") for claim in found)


def test_no_row_of_a_table_decides_two_claims():
    found = claims.declared("namd", ["no_text", "frozen_prompts", "scratch", "no_llm"])
    rows = [(claim.table, *sorted(claim.where.items())) for claim in found]
    assert len(rows) == len(set(rows))


def test_the_main_arm_goes_by_the_name_that_the_run_gives_it():
    steps = [claim for claim in claims.declared("mine") if claim.where.get("row") == "mine"]
    assert [claim.id for claim in steps] == ["sd15_report", "imageflownet_record"]
    assert all(claim.statistic.startswith("AUROC, NAMD - ") for claim in steps)
    assert not [claim for claim in claims.declared("mine") if claim.where.get("row") == "namd"]
