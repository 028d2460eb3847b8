"""The command: the authors' checkpoints in, one folder out that `predict` and notebook 05 open."""

from pathlib import Path

from diffusers.utils import logging
from safetensors.torch import save_file

from namd.ground.errors import UserError
from namd.ground.files import write_json
from namd.ground.paths import REPO, short
from namd.ground.surroundings import python
from namd.importing import card, checkpoints, convert
from namd.importing.scale import latent_scale
from namd.models.authors import SWITCHES, AuthorsPipeline
from namd.models.diffusion import schedule
from namd.models.vae import PROBE_FILE
from namd.ship.finished import RUN
from namd.ship.folder import writable, write_model


def import_authors(folder, p, out=None) -> int:
    """Write the models of the authors' checkpoints, or their judge alone, in the Hugging Face format.

    Args:
        folder: U-Net and VAE (.ckpt), ViT (42.pth) and the YAML file of their conditional stage, under any names.
        p: every parameter, as params/authors.yaml leaves them: sizes, schedule, switches, language model.
        out: the folder to write; that of `pipeline_path` when None.

    Returns:
        0, the exit status.

    Raises:
        UserError: a file is absent, cannot be used or is not what the parameters describe; nothing is written then. Or
            the folder to write holds something else.

    Source: ours, because what the authors publish could not be opened here. Their code is not used.
    """
    if not (out or p.pipeline_path):
        raise UserError("pipeline_path is empty: say with --out DIR where the imported models shall stand.")
    target = Path(out) if out else REPO / p.pipeline_path
    found = checkpoints.find(folder)
    writable(target.parent, target.name)
    logging.disable_progress_bar()
    judge = convert.judge(found["judge"], p)
    if "U-Net" not in found:
        write_model(target.parent, target.name, lambda aside: judge.save(aside / "judge"), card.facts(found, p, None),
                    card.told(found, p), half=False)
        _say(found, target, None)
        return 0
    scale = latent_scale(folder, p)
    vae = convert.nodule_vae(found["VAE"], p, scale)
    pipe = _pipeline(vae, *convert.unet_and_prompts(found["U-Net"], p), p)
    write_model(target.parent, target.name, lambda aside: _write(aside, target.name, pipe, vae, judge, found, p),
                card.facts(found, p, scale), card.told(found, p), half=False)
    _say(found, target, scale)
    return 0


def _pipeline(vae, unet, prompts, p) -> AuthorsPipeline:
    """The models with the parameters' switches."""
    switches = {name: getattr(p, name) for name in SWITCHES}
    return AuthorsPipeline(vae.vae, unet, schedule(p), prompts, p.llm_path, p.llm_dtype, p.ddim_steps, **switches)


def _write(folder, name, pipe, vae, judge, found, p) -> None:
    """The models' own files; `name` of the folder that they will stand in."""
    pipe.save_pretrained(folder)
    if vae.probe is not None:
        save_file(vae.probe.state_dict(), folder / "vae" / PROBE_FILE)
    judge.save(folder / "judge")
    parameters = {key: value for key, value in vars(p).items() if not key.endswith("_path")}
    write_json(folder / RUN, {"name": name, "about": card.about(found, p), "parameters": parameters, "ranges": {},
                              "kernels": None})


def _say(found, target, scale) -> None:
    """The summary for people."""
    for kind, one in found.items():
        print(f"{kind:<6} {one.file.name}: {len(one.weights):,} weights")
    if scale is None:
        print("No U-Net and no VAE there, so the judge stands alone: use it as judge_path.")
    else:
        print(f"scale  {scale:g}")
    print(f"The imported model{'' if scale is None else 's'}: {short(target.absolute())}")
    if scale is not None:
        print(f"Next: {python()} -m namd check --params params/authors.yaml")
