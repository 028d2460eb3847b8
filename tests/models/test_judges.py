"""A judge that others have trained stands in the run as one of its own, or is refused in a sentence."""

from types import SimpleNamespace

import pytest
import torch

from namd.ground import marks, seeding
from namd.ground.errors import UserError
from namd.models.judge import Judge, load_judge
from namd.models.judges import judges_of


@pytest.fixture
def kept(tmp_path):
    with seeding.fresh_weights("judge"):
        Judge(16, 8, 8, 1, 2, 4, 8, 0.5).save(tmp_path / "kept")
    return tmp_path / "kept"


def run(root, path, image_size=16):
    return SimpleNamespace(root=marks.begin(root / "run"), device=torch.device("cpu"),
                           p=SimpleNamespace(judge_path=str(path), image_size=image_size))


def test_it_is_taken_as_it_is_and_what_follows_finds_it_in_the_run(kept, tmp_path):
    (judge,), history = judges_of(run(tmp_path, kept), None, None)      # no pairs: nothing is trained
    x = seeding.noise((3, 1, 16, 16), "x")
    assert history is None and not judge.training
    assert torch.equal(load_judge(tmp_path / "run" / "judge").prob(x), load_judge(kept).prob(x))
    assert torch.equal(judge.prob(x), load_judge(kept).prob(x))


def test_none_there_or_one_of_other_images_is_one_sentence(kept, tmp_path):
    for path, side, said in ((tmp_path / "absent", 16, "holds no judge: make it with `python -m namd import"),
                             (kept, 64, "reads images of 16 px, and image_size is 64")):
        with pytest.raises(UserError, match=said):
            judges_of(run(tmp_path, path, side), None, None)
    assert not (tmp_path / "run" / "judge").exists()
