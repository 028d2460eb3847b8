"""Sentences of notebook 04 hold the numbers of their arrays, and turn when these do."""

import numpy as np
import pandas as pd
import pytest

from namd.evaluation.tables import told_record


@pytest.mark.parametrize(("every", "said"), [
    ((0.99, 0.96), "More sets say more."), ((0.99, 0.90), "Here more sets do not")])
def test_a_probe_tells_both_features_and_whether_more_sets_say_more(every, said):
    table = pd.DataFrame({"one set": [0.97, 0.91], "all 4 sets": every}, index=["age", "log_diameter"])
    told = told_record.probes(table)
    assert told.startswith("A line through all 4 sets reads the age")
    assert f"R² of {every[0]:.2f} (0.97)" in told and said in told


@pytest.mark.parametrize(("loudness", "said"), [(0.1, "10% of the length of its mean: it is nearly the same"),
                                                (1.02, "102% of the length of its mean: patients differ")])
def test_a_context_that_is_the_same_for_everybody_is_called_so(loudness, said):
    assert said in told_record.spread(loudness)


@pytest.mark.parametrize(("moved", "prompt_steps", "said"), [
    (0.0874, 40, "moved by 8.7% of their length in the first 40 of 640 steps. Notebook 07"),
    (0.0874, -1, "in all 640 steps"),
    (0.0009, 40, "too little to have learnt anything"),
    (0.0, 0, "frozen in this arm")])
def test_prompts_that_did_not_move_have_not_learnt(moved, prompt_steps, said):
    assert said in told_record.prompts(moved, 640, prompt_steps)


def test_the_record_of_another_patient_raises_the_loss_or_does_not():
    said = told_record.losses(0.6, 0.4, 0.41)
    assert said == ("The validation loss falls from 0.600 to 0.400. The record of another patient raises it by 0.0100,"
                    " 2.5%.")
    assert "does not raise it: it is then 0.3900" in told_record.losses(0.6, 0.4, 0.39)


def test_drawings_differ_near_the_nodule_or_do_not():
    x2_hat = np.zeros((3, 2, 1, 64, 64))
    x2_hat[0, :, :, 28:36, 28:36] = 1
    assert "differ most around the nodule" in told_record.disagreement(x2_hat, 0.6)
    away = np.zeros_like(x2_hat)
    away[0, :, :, :4] = 1
    assert "do not differ more" in told_record.disagreement(away, 0.6)


@pytest.mark.parametrize(("shift", "said"), [(0.02, "is worse: +0.0"), (-0.02, "is better: -0.0"),
                                             (0.0, "cannot be told from")])
def test_whose_record_is_worded_by_the_interval_of_the_differences(shift, said):
    rng = np.random.default_rng(0)
    own = 0.1 + 0.05 * rng.random(80)
    errors = {"own record": own, "another's": own + shift + 0.01 * rng.normal(size=80), "copy of x1": own}
    told = told_record.whose_record(errors, "own record", "another's", np.arange(80), 23)
    assert said in told and "copy of x1" in told and "(n = 80)" in told
