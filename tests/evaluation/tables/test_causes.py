"""Why a claim may not hold: said only where the run's own tables say it."""

import pandas as pd
import pytest

from namd.data.phantom.law import NULLS, Law
from namd.evaluation.tables import causes


def evidence(prompts_moved=0.5, probabilities=None, data="phantom", null="none", main="namd", **tables):
    return causes.Evidence("quick", main, data, dict(phantom_null=null, align_latent="flat"), prompts_moved,
                           probabilities, tables)


@pytest.mark.parametrize(("moved", "said"), [(0.00088, "moved by 0.09%"), (0.5, "")])
def test_prompts_that_hardly_moved_are_named_as_the_cause(moved, said):
    found = causes.still_prompts(evidence(prompts_moved=moved))
    assert said in found and bool(said) == bool(found)


@pytest.mark.parametrize(("prob", "said"), [([0.1, 0.6], "exceeds 0.60"), ([0.1, 0.9], "")])
def test_variance_cannot_fall_where_nobody_is_sure_of_malignancy(prob, said):
    readings = pd.DataFrame(dict(row=["namd", "namd", "oracle"], prob=[*prob, 0.99]))
    sentence = causes.never_sure(evidence(probabilities=readings))
    assert said in sentence and bool(sentence) == bool(said)
    assert causes.never_sure(evidence(probabilities=readings, main="oracle")) == ""         # 0.99


@pytest.mark.parametrize(("record", "said"), [(0.8, True), (0.6, False), (None, False)])
def test_the_record_is_blamed_only_where_it_says_more_than_the_image(record, said):
    rows = {"real baseline": 0.7} | ({"record only": record} if record else {})
    table = pd.DataFrame(dict(row=list(rows), auroc_mean=list(rows.values())))
    assert bool(causes.record_rules(evidence(table1=table))) == said


@pytest.mark.parametrize(("auroc", "fid", "said"), [(0.762, 1.38, True), (0.755, 1.38, False), (0.762, 0.5, False)])
def test_random_first_weights_are_explained_only_where_they_outdo_nature(auroc, fid, said):
    table = pd.DataFrame(dict(row=["namd", "real follow-up", "scratch"], auroc_mean=[0.748, 0.760, auroc],
                              fid_mean=[0.63, None, fid]))
    found = causes.clearer_than_nature(evidence(table1=table))
    assert bool(found) == said and (not said or "reach 0.762, more than the real follow-ups (0.760)" in found)
    assert causes.clearer_than_nature(evidence(table1=table[:2])) == ""


def test_the_ring_is_weighed_against_its_area():
    table = pd.DataFrame(dict(id=["ring_most", "ring_lead"], value=[-0.17, 0.26]))
    assert "33% of the variance on 7% of the area" in causes.narrow_ring(evidence(claims_variance=table))


def test_brocks_advantage_is_told_as_the_phantoms_law_has_it():
    said = {null: causes.brock_shares(evidence(null=null)) for null in NULLS}
    assert Law(null="no_record_effect") and "nothing else" in said["no_record_effect"]
    assert "sex" not in said["no_record_effect"] and "size" in said["no_record_effect"]
    for null in ("none", "growth_given_label"):
        assert all(word in said[null] for word in ("age", "sex", "emphysema", "family"))
    assert causes.brock_shares(evidence(data="NLST")) == ""


def effects(low, value=0.1):
    return pd.DataFrame([dict(quantity="accuracy", row="autoregressive", beside="random encoder", value=0.1, low=low),
                         dict(quantity="accuracy", row="AIMv2", beside="CLIP", value=value, low=low)])


@pytest.mark.parametrize(("low", "said"), [(0.01, False), (-0.01, True), (0.0, True)])
def test_a_pretraining_counts_only_where_it_beats_random_weights(low, said):
    assert bool(causes.unread_pretraining(evidence(autorad_effects=effects(low)))) == said
    assert causes.unread_pretraining(evidence(autorad_effects=effects(low)[1:])) == ""


def test_published_weights_that_are_there_are_not_asked_for():
    assert causes.no_published_weights(evidence(autorad_effects=effects(0.0))) == ""
    lacking = effects(0.0, float("nan"))
    told = "it needs the published weights of both encoders"
    assert causes.no_published_weights(evidence(autorad_effects=lacking)) == told
    assert causes.no_published_weights(evidence(autorad_effects=lacking.assign(lacks="why"))) == f"{told}: why"
