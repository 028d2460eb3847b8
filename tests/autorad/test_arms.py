"""The arms of the table: each says what moves its context, by which numbers, and whose eyes it has."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import small_text
import torch
from small_arms import parameters, problem

from namd.autorad import arms, encoders, folds, radiomics

FEATURES = np.arange(2 * 102.0).reshape(2, 102)
Z = torch.arange(8.0).reshape(1, 2, 4)
OTHER = torch.ones(2, 3)
P = SimpleNamespace(autorad_rates=[0.1, 0.3], autorad_images="original")


def made():
    others = {"autoregressive": (OTHER, "its tower")}
    return arms.jobs(Z, FEATURES, others, "label3", "fold", "tower", P, "folder", "key")


def test_each_arm_has_its_guide_its_radiomics_and_its_tower():
    found = {arm.name: (arm.guide, z, features, text) for arm, z, features, _, _, text, _, _ in made()}
    assert list(found) == ["static", "guided", "CoCoOp", "guided without image", "shape-guided",
                           "texture-guided", "size-guided", "autoregressive"]
    assert found["static"][0] == "nothing" and found["CoCoOp"][0] == "image" and found["static"][2] is None
    assert found["guided"][2] is FEATURES and found["guided"][3] == "tower"
    blind = found["guided without image"]
    assert torch.equal(blind[1], torch.tensor([[[2.0, 3, 4, 5]] * 2])) and blind[2] is FEATURES
    for part in arms.PARTS:
        assert np.array_equal(found[f"{part}-guided"][2], FEATURES[:, radiomics.groups()[part]])
    assert found["autoregressive"][1] is OTHER and found["autoregressive"][3] == "its tower"


def test_other_encoders_have_their_own_towers_and_the_random_one_has_learnt_nothing(tmp_path):
    for scale, name in enumerate(("auto", "contrastive"), start=1):
        whole = small_text.whole_clip()
        for weights in whole.parameters():
            weights.mul_(scale)
        whole.save_pretrained(tmp_path / name)
        small_text.tokenizer().save_pretrained(tmp_path / name)
    p = SimpleNamespace(autorad_autoregressive=str(tmp_path / "auto"), seed=3,
                        autorad_contrastive=str(tmp_path / "contrastive"))
    seen = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = arms.others(seen, p, "the main tower", "cpu")
    own = {name: encoders.load_encoder(tmp_path / name) for name in ("auto", "contrastive")}
    expected = {"autoregressive": own["auto"], "contrastive": own["contrastive"],
                "random encoder": encoders.random_encoder(tmp_path / "auto", 3)}
    words = {name: text[0].get_input_embeddings().weight for name, (_, text) in found.items()}
    assert list(found) == list(expected)
    for name, encoder in expected.items():
        torch.testing.assert_close(found[name][0], encoder.embed(seen))
    assert (found["random encoder"][0] - found["autoregressive"][0]).abs().max() > 1e-3
    assert torch.equal(words["random encoder"], words["autoregressive"])
    assert not torch.equal(words["contrastive"], words["autoregressive"])


def test_the_sweep_is_guided_with_every_other_number_of_vectors():
    guided = made()[1]
    found = arms.sweep(guided, [4, 16, 48], own=16)
    assert [(arm.name, arm.context, arm.guide) for arm, *_ in found] == [("4 tokens", 4, "features"),
                                                                        ("48 tokens", 48, "features")]
    assert all(rest == list(guided[1:]) for _, *rest in found)


def test_another_seed_has_folds_weights_and_a_folder_of_its_own_and_is_trained_once(tmp_path, monkeypatch):
    label3, patient, z, features, fold, text = problem()
    p = parameters(autorad_folds=3, autorad_epochs=2)
    some = [(folds.Arm("static", "nothing", (0.1,)), z, None, label3, fold, text, tmp_path, "key"),
            (folds.Arm("guided", "features", (0.1,)), z, features, label3, fold, text, tmp_path, "key")]
    assert arms.again(some, patient, [3], p) == {}                              # the run's own
    found = arms.again(some, patient, [3, 9], p)[9]
    other = folds.folds(label3, patient, 3, 9)
    assert pd.Series(other).groupby(patient).nunique().max() == 1 and (other != fold).any()
    arm, *given = some[1]
    wanted = folds.cross_validate(arm, z, features, label3, other, text, parameters(seed=9, autorad_epochs=2),
                                  tmp_path / "by hand", "any")
    assert list(found) == ["static", "guided"] and np.array_equal(found["guided"], wanted.prob)
    assert p.seed == 3 and sorted(path.name for path in tmp_path.iterdir()) == ["by hand", "seed 9"]
    fitted = []
    fit = folds.loop.fit

    def counted(*args, key, **kwargs):
        fitted.append(key)
        return fit(*args, key=key, **kwargs)
    monkeypatch.setattr(folds.loop, "fit", counted)
    for key, seed in (("key", 9), ("another", 9), ("key", 10), ("key", 9)):
        arms.again([(*job[:-1], key) for job in some], patient, [seed], p)
    assert len(set(fitted)) == 3 and fitted[0] == fitted[-1] and "key" not in fitted
