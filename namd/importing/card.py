"""What an imported folder says of itself: whose weights they are, what nobody knows of them, and how to open them."""

from namd.ground.keys import sha
from namd.ground.marks import sha256
from namd.ground.provenance import git_state
from namd.importing.checkpoints import Checkpoint
from namd.ship.card import OF_PATIENTS, language_model

# Source: the pointer of checkpoints/vit/42.pth in the authors' repository (b942db8), 302,776,351 bytes
PUBLISHED_JUDGE = "96af3721121e81f363906cd83b337d2e02892e8fa1752318a00d1d6b761d82e9"
ABOUT = ("The models of the paper as the authors' own code trained them, under the names of diffusers: VAE, U-Net,"
         " soft prompts, scheduler, and their vision transformer as the judge in `judge/`. They draw as that code does"
         " (`model_index.json` says how): `namd.models.authors.open_pipeline` opens this folder,"
         " `python -m namd predict --run` draws with it, notebook 05 as `pipeline_path` (`params/authors.yaml`). Opened"
         " as a plain `NAMDPipeline` they would draw otherwise. Language model: not in it, `{llm}`.")
JUDGE_ABOUT = ("The authors' vision transformer as the judge that notebook 05 reads every row with: `judge_path` "
               "(`params/authors.yaml`).")
TRAINED_ON = ("NLST, and LUNA25, DLCS and LUNA16 before the last stage, as far as the authors' files tell; whom a"
              " checkpoint has seen is not recorded, so patients of another split may be among those who trained it,"
              " and its numbers there would be too good.")
JUDGE_TRAINED_ON = ("images that nobody has recorded: neither the paper nor the authors' code says how their judge was"
                    " trained, so patients of another split may be among them.")
TERMS = ("none was given with the authors' code and weights, so all rights are theirs; the language model and Stable "
         "Diffusion 1.5, from which they began, have terms of their own")


def facts(found: dict[str, Checkpoint], p, scale: float | None) -> dict:
    """What the manifest says; the scale is None where the judge stands alone."""
    said = dict(trained_on=JUDGE_TRAINED_ON, measured={}, checkpoints=sums(found), language_model=None)
    if scale is not None:
        said |= dict(trained_on=TRAINED_ON, latent_scale=scale,
                     language_model=language_model(p.llm_path, referenced=True))
    return said


def sums(found: dict[str, Checkpoint]) -> dict[str, str]:
    """{file: sha256} of the checkpoints."""
    return {one.file.name: sha256(one.file) for one in found.values()}


def told(found, p) -> dict:
    """What the card alone says."""
    about = JUDGE_ABOUT
    if "U-Net" in found:
        about = ABOUT.format(llm=p.llm_path)
    published = sha256(found["judge"].file) == PUBLISHED_JUDGE
    return dict(about=f"{about} The judge is {'the file' if published else 'not the file 42.pth'} that their repository"
                      " publishes.",
                command="python -m namd import --authors DIR", license="other", licence=TERMS, **OF_PATIENTS)


def about(found, p) -> dict:
    """What a prediction says of the models, as of those of a finished run; None where nobody knows."""
    known = sums(found)
    commit, _ = git_state()
    return dict(run=p.run_name, arm=p.arm, digest=sha(known)[:8], key=sha(known), commit=commit, judge_key=sha(known),
                synthetic_training=False, training_pairs=None, training_malignant_share=None)
