"""A row of Table 1 that others' models draw, in the place of what 02 to 04 train (`pipeline_path`)."""

from functools import partial

from namd.forecasters.namd import NAMD
from namd.ground import components, keys
from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.models.authors import SWITCHES, AuthorsPipeline
from namd.models.vae import NoduleVAE, load_vae


class Imported(NAMD):
    """Models of a folder that `namd import` or `namd ship` wrote; language model and switches are the parameters'.

    Args:
        p: pipeline_path, device, precision, llm_path (empty: the folder's own), llm_dtype, ddim_steps, eval_batch, and
            vae_tanh, text_order, text_wording, z1_sampled, ddim_skip.

    Raises:
        UserError: no such folder, or a damaged one.

    Source: ours, because the authors' models are read by the same judge, on the same patients, as every other row.
    """

    def __init__(self, p):
        other = {"llm_path": p.llm_path} if p.llm_path else {}
        switches = dict(vae_tanh=p.vae_tanh, text_order=p.text_order, text_wording=p.text_wording,
                        z1_sampled=p.z1_sampled, ddim_skip=p.ddim_skip)
        pipe = AuthorsPipeline.from_pretrained(folder(p), precision=p.precision, llm_dtype=p.llm_dtype, **switches,
                                               **other)
        self.draw_with(pipe, p)


def folder(p):
    """The folder of the imported models.

    Raises:
        UserError: nothing that draws is there.
    """
    place = REPO / p.pipeline_path
    if not (place / "model_index.json").is_file():
        raise UserError(f"pipeline_path: {p.pipeline_path} holds no models: make it with `python -m namd import"
                        " --authors DIR`, or leave pipeline_path empty and train 02 to 04.")
    return place


def maker(run, arm):
    """() -> the forecaster of a row: an arm that 02 to 04 trained, or the models of `pipeline_path`.

    Args:
        run: of `namd.study.notebook.start`, notebook 05; arm: the row.
    """
    if run.p.pipeline_path:
        return partial(Imported, run.p)
    return partial(NAMD, run.need(f"arms/{arm}/namd", made_by="04").parent, run.p)


def vae_of(run, arm) -> NoduleVAE:
    """The VAE that a row's drawings come from; arguments as of `maker`."""
    if run.p.pipeline_path:
        pipe = AuthorsPipeline.from_pretrained(folder(run.p), precision=run.p.precision, vae_tanh=run.p.vae_tanh)
        return pipe.nodule_vae
    return load_vae(run.need(f"arms/{arm}/vae", made_by="02"), precision=run.p.precision)


def unknown(run) -> str:
    """What nobody knows of models that were trained elsewhere; "" where 02 to 04 trained them."""
    if not run.p.pipeline_path:
        return ""
    return (f"The models of {run.p.pipeline_path} were trained elsewhere: where their folder does not tell whom they"
            " saw, patients of this test split may be among them, and the row that they draw is then read too well.")


def decides(run) -> tuple:
    """What else names a drawn row where others' models draw: nothing where 02 to 04 trained it."""
    p = run.p
    if not p.pipeline_path:
        return ()
    return (components.weights({"pipeline_path": p.pipeline_path}), keys.code(__name__),
            {name: getattr(p, name) for name in SWITCHES})
