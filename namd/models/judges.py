"""The judges of a run: trained in it, or one that others have trained."""

from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.models.judge import Judge, load_judge, train_judges


def judges_of(run, train, val, workers=1):
    """The judge of `judge_path`, kept in the run like one that is trained there, or `judge.train_judges`.

    Args:
        run: of `namd.study.notebook.start`, notebook 05, whose p has judge_path too; train, val, workers: as there.

    Returns:
        ([Judge, ...], history of the first; None of a pretrained one).

    Raises:
        UserError: no judge at judge_path, or one of images of another side.

    Source: Sec. 4.1.2 ("a pre-trained ViT"), whose training neither the paper nor the authors' code describes. Of the
        rows to come nothing names the training, so it stays when they change.
    """
    folder = run.root / "judge"
    if not run.p.judge_path:
        key = run.part_key(["namd.models.judge"], ["cohort"])
        return train_judges(train, val, run.p, folder, run.device, key, workers)
    judge = pretrained(run.p.judge_path, run.p.image_size)
    judge.save(folder)
    return [judge.to(run.device)], None


def pretrained(path, image_size: int) -> Judge:
    """The judge of a directory with config.json and model.safetensors, in evaluation mode.

    Args:
        path: from the checkout where it is relative; image_size: pixels of the images that it shall read.

    Raises:
        UserError: as `judges_of`.
    """
    place = REPO / path
    if not (place / "model.safetensors").is_file():
        raise UserError(f"judge_path: {path} holds no judge: make it with `python -m namd import --authors DIR`, or"
                        " leave judge_path empty and one is trained.")
    judge = load_judge(place)
    side = judge.config["image_size"]
    if side != image_size:
        raise UserError(f"judge_path: the judge of {path} reads images of {side} px, and image_size is {image_size}:"
                        " use one of that size.")
    return judge
