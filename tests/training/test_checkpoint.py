"""A checkpoint survives torn files, other runs in its folder and a full disk."""

import subprocess
import sys
import textwrap

import pytest
import torch
from small_disk import largest_file
from torch import nn

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.training import checkpoint, loop

STEPS = 12


def save(folder, step, key="k", **more):
    return checkpoint.save(folder, step, {"weights": {"a": torch.full((3,), float(step))}}, {"key": key}, **more)


def steps(folder):
    return [int(path.name[5:]) for path in checkpoint.complete(folder)]


def damage(folder, *numbers):
    for number in numbers:
        (folder / f"step-{number:08d}" / "weights.safetensors").write_bytes(b"torn")


def test_the_newest_two_are_kept(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert steps(tmp_path) == [2, 3] and checkpoint.latest(tmp_path, "k")[0] == 3


def test_checkpoints_of_other_parameters_neither_count_nor_push_out_ours(tmp_path):
    for step in (90, 100):
        save(tmp_path, step, "before")
    assert checkpoint.latest(tmp_path, "now") is None
    save(tmp_path, 5, "now")
    assert steps(tmp_path) == [5] and checkpoint.latest(tmp_path, "now")[0] == 5


def test_torn_checkpoints_do_not_push_out_the_ones_made_after_them(tmp_path):
    for step in (20, 30):
        save(tmp_path, step)
    damage(tmp_path, 20, 30)
    assert checkpoint.latest(tmp_path, "k") is None
    save(tmp_path, 10)
    assert steps(tmp_path) == [10] and checkpoint.latest(tmp_path, "k")[0] == 10


def test_a_torn_checkpoint_is_replaced_by_a_sound_one_of_its_step(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    damage(tmp_path, 2)
    assert checkpoint.latest(tmp_path, "k")[0] == 1
    save(tmp_path, 2)
    assert checkpoint.latest(tmp_path, "k")[1]["weights"]["a"][0] == 2


def test_a_group_that_is_larger_than_a_file_is_written_in_parts_and_read_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "PART", 32)
    group = {f"w{i}": torch.full((3, 2), float(i)).t() for i in range(5)}
    place = checkpoint.save(tmp_path, 1, {"best": group, "weights": {"a": torch.ones(1)}}, {"key": "k"})
    assert [file.name for file in sorted(place.glob("best*"))] == ["best-1.safetensors", "best-2.safetensors",
                                                                   "best.safetensors"]
    _, found, _ = checkpoint.latest(tmp_path, "k")
    assert found["best"].keys() == group.keys() and all(torch.equal(found["best"][name], group[name]) for name in group)
    (place / "best-1.safetensors").write_bytes(b"torn")
    assert checkpoint.latest(tmp_path, "k") is None


def trained(folder, at=lambda i: None):
    """Weights after STEPS steps, as bytes; `at(i)` is called in step i."""
    with seeding.fresh_weights("toy"):
        model = nn.Sequential(nn.Linear(48, 48), nn.Dropout(0.2), nn.Linear(48, 1))
    x = seeding.noise((20, 48), "x")

    def step(idx, g, i):
        at(i)
        return {"loss": (model(x[idx]) - x[idx].mean(1, keepdim=True)).square().mean()}

    loop.fit(step, model, n_steps=STEPS, n_items=20, batch_size=6, lr=loop.constant(1e-3), stage="toy", seed=1,
             folder=folder, key="k", save_every=2, log=lambda line: None)
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


def test_a_full_quota_ends_in_one_sentence_and_the_run_goes_on_byte_identical(tmp_path):
    with largest_file(8000), pytest.raises(UserError, match="full or over its quota, so step-00000002 was not written"):
        trained(tmp_path / "run")
    assert not list((tmp_path / "run" / "k").iterdir())
    assert trained(tmp_path / "run") == trained(tmp_path / "whole")


SMALL_DISK = textwrap.dedent("""
    import os, subprocess, sys
    from pathlib import Path
    disk, tests = Path(sys.argv[1]), sys.argv[2:]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", disk], check=True)
    sys.path[:0] = tests
    from namd.ground.errors import UserError
    from namd.training import checkpoint
    from test_checkpoint import trained
    def fill(i):
        if i == 7:
            try:
                (disk / "ballast").write_bytes(bytes(2**20))
            except OSError:
                pass
    try:
        trained(disk / "run", fill)
    except UserError as error:
        print(error)
    kept = checkpoint.complete(disk / "run" / "k")
    print(*[path.name for path in kept], all(map(checkpoint.verifies, kept)), len(os.listdir(disk / "run" / "k")))
    os.remove(disk / "ballast")
    print(trained(disk / "run").hex())
""")


def test_a_full_disk_ends_in_one_sentence_and_the_run_goes_on_byte_identical(tmp_path, request):
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("this machine does not let a test mount a file system of its own (unshare -rm)")
    folders = [request.path.parent, request.config.rootpath / "tests", request.config.rootpath]
    words = ["unshare", "-rm", sys.executable, "-c", SMALL_DISK, tmp_path, *folders]
    done = subprocess.run(words, capture_output=True, text=True)
    said, kept, weights = done.stdout.splitlines() or [done.stderr, "", ""]
    place = tmp_path / "run" / "k"
    assert said.startswith(f"The disk holding {place} is full or over its quota, so step-00000008 was not")
    assert kept == "step-00000004 step-00000006 True 2"
    assert weights == trained(tmp_path / "whole").hex()


def test_a_file_that_the_list_does_not_name_makes_no_sound_checkpoint(tmp_path):
    save(tmp_path, 1)
    place = save(tmp_path, 2)
    listed = (place / ".namd").read_text().splitlines(keepends=True)
    (place / ".namd").write_text("".join(line for line in listed if "weights" not in line))
    assert checkpoint.latest(tmp_path, "k")[0] == 1
    save(tmp_path, 2)
    assert checkpoint.latest(tmp_path, "k")[0] == 2
    assert (tmp_path / "step-00000002.damaged" / "weights.safetensors").is_file()


def test_two_damaged_checkpoints_of_a_step_both_stay(tmp_path):
    for _ in range(2):
        (save(tmp_path, 1) / ".namd").write_text("")
    save(tmp_path, 1)
    assert steps(tmp_path) == [1] and checkpoint.latest(tmp_path, "k")[0] == 1
    assert {path.name for path in tmp_path.glob("*damaged*")} == {"step-00000001.damaged", "step-00000001.damaged1"}
