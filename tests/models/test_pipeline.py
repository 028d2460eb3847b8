import json

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file
from small_llm import records
from tiny_run import P, write_arm

from namd.data.report import report_texts
from namd.forecasters.controls import PermutedRecords
from namd.forecasters.namd import NAMD
from namd.ground import seeding
from namd.ground.errors import UserError
from namd.models.llm import load_llm
from namd.models.pipeline import NAMDPipeline
from namd.models.prompts import SoftPrompts
from namd.models.record_numbers import RecordContext


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    return write_arm(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def pipe(arm):
    return NAMDPipeline.from_pretrained(arm / "namd")


@pytest.fixture(scope="module")
def baseline():
    return seeding.noise((3, 1, 64, 64), "x1").clamp(-1, 1), records(3, seed=1)


def kept(folder):
    """Every file of a pipeline; without the name of the folder a config was read from."""
    lines = {str(f.relative_to(folder)): f.read_bytes().split(b"\n") for f in folder.rglob("*") if f.is_file()}
    return {name: [line for line in part if b"_name_or_path" not in line] for name, part in lines.items()}


def test_a_round_trip_changes_no_byte_and_no_image(arm, pipe, baseline):
    pipe.save_pretrained(arm / "again")
    assert kept(arm / "again") == kept(arm / "namd")
    again = NAMDPipeline.from_pretrained(arm / "again", llm=pipe.llm)
    assert torch.equal(again(*baseline, [1, 2]), pipe(*baseline, [1, 2]))
    assert not any(w.requires_grad for w in again.unet.parameters()) and not again.vae.training


def test_the_folder_holds_every_part_but_the_language_model(arm, pipe):
    index = json.loads((arm / "namd" / "model_index.json").read_text())
    assert index["soft_prompts"] == ["namd.models.prompts", "SoftPrompts"] and index["ddim_steps"] == 2
    assert index["llm_path"] == "../../../llm"
    weights = [f for f in (arm / "namd").rglob("*") if f.suffix in (".safetensors", ".bin", ".pt", ".model")]
    assert sorted(f.parent.name for f in weights) == ["soft_prompts", "unet", "vae"]
    kept = {name.split(".")[-1] for f in weights for name in load_file(f)}
    assert not {"embed_tokens", "tokenizer"} & kept
    assert not list((arm / "namd").rglob("tokenizer*"))
    assert all(str(arm.parents[1]) not in f.read_text() for f in (arm / "namd").rglob("*.json"))


def test_the_reference_follows_the_pipeline_and_a_hub_id_stays(arm, pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "elsewhere" / "p")
    moved = NAMDPipeline.from_pretrained(tmp_path / "elsewhere" / "p")
    assert torch.equal(moved.llm[0].embed_tokens.weight, pipe.llm[0].embed_tokens.weight)
    moved.register_to_config(llm_path="google/medgemma-1.5-4b-it@abc")
    moved.save_pretrained(tmp_path / "hub")
    assert NAMDPipeline.from_pretrained(tmp_path / "hub").config.llm_path == "google/medgemma-1.5-4b-it@abc"


def test_the_language_model_is_opened_when_a_record_is_read_and_not_before(arm, baseline):
    pipe = NAMDPipeline.from_pretrained(arm / "namd", llm_path="nobody/nothing")
    ctx = NAMDPipeline.from_pretrained(arm / "namd").encode_prompt(report_texts(baseline[1]))
    assert pipe(*baseline, [1], prompt_embeds=ctx).shape == (1, 3, 1, 64, 64)
    with pytest.raises(UserError, match="nobody/nothing"):
        pipe(*baseline, [1])
    lent = NAMDPipeline.from_pretrained(arm / "namd", llm=load_llm(arm.parents[1] / "llm"), llm_path="nobody/nothing")
    assert torch.equal(lent.encode_prompt(report_texts(baseline[1])), ctx)


def test_a_call_is_the_forecasters_sample(arm, pipe, baseline):
    assert torch.equal(pipe(*baseline, [1, 2], batch_size=P.eval_batch), NAMD(arm, P).sample(*baseline, [1, 2]))
    assert (pipe(*baseline, [1], num_inference_steps=4) - pipe(*baseline, [1])).abs().max() > 1e-4


def test_a_pipeline_trained_without_reports_reads_none(arm, pipe, baseline, tmp_path):
    pipe.register_to_config(text_report="none")
    pipe.save_pretrained(tmp_path / "llm_less" / "namd")
    pipe.register_to_config(text_report="record")
    deaf, (x1, ehr) = NAMD(tmp_path / "llm_less", P), baseline
    other = records(3, seed=2).set_index(ehr.index)
    assert torch.equal(deaf.sample(x1, ehr, [1]), deaf.sample(x1, other, [1]))
    assert torch.equal(deaf.pipe(x1, other, [1], batch_size=P.eval_batch), deaf.sample(x1, ehr, [1]))
    assert not torch.equal(pipe(x1, ehr, [1]), pipe(x1, other, [1]))


@pytest.fixture(scope="module")
def vector_arm(pipe, tmp_path_factory):
    """The same VAE and U-Net with a learned vector in the place of the language model."""
    folder = tmp_path_factory.mktemp("vector")
    vector = RecordContext.begin(records(40), 2, 32, seed=23)
    NAMDPipeline(pipe.vae, pipe.unet, pipe.scheduler, record_context=vector, ddim_steps=P.ddim_steps,
                 text_report="numbers").save_pretrained(folder / "namd")
    return folder


def test_a_pipeline_of_numbers_needs_no_language_model(vector_arm, baseline):
    assert sorted(f.name for f in (vector_arm / "namd").iterdir() if f.is_dir()) == [
        "record_context", "scheduler", "unet", "vae"]
    pipe = NAMDPipeline.from_pretrained(vector_arm / "namd")
    assert pipe.soft_prompts is None and pipe.config.llm_path == ""
    assert not any(w.requires_grad for w in pipe.record_context.parameters())
    namd = NAMD(vector_arm, P)
    assert torch.equal(pipe(*baseline, [1, 2], batch_size=P.eval_batch), namd.sample(*baseline, [1, 2]))
    assert [type(module).__name__ for module in namd.used] == ["AutoencoderKL", "UNet2DConditionModel", "RecordContext"]
    pipe.save_pretrained(vector_arm / "again")
    assert kept(vector_arm / "again") == kept(vector_arm / "namd")


def test_a_pipeline_of_numbers_hears_what_the_report_does_not_say(vector_arm, baseline):
    x1, ehr = baseline
    namd = NAMD(vector_arm, P)
    thinner = ehr.assign(sct_perp_dia=ehr["sct_long_dia"] - 2)      # Figure 4 does not say it
    assert report_texts(thinner) == report_texts(ehr)
    assert not torch.equal(namd.sample(x1, thinner, [1]), namd.sample(x1, ehr, [1]))
    permuted = PermutedRecords(namd, ehr, 23)
    assert not torch.equal(permuted.sample(x1, ehr, [1]), namd.sample(x1, ehr, [1]))
    assert torch.equal(permuted.sample(x1, ehr, [1]), namd.sample(x1, permuted.exchanged, [1]))


def test_a_vector_without_its_weights_ends_in_one_sentence(vector_arm, pipe):
    NAMDPipeline.from_pretrained(vector_arm / "namd").save_pretrained(vector_arm / "torn")
    (vector_arm / "torn" / "record_context" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="record context"):
        NAMDPipeline.from_pretrained(vector_arm / "torn")


def test_the_schedule_is_the_trained_one(pipe):
    kept = pipe.scheduler.config
    assert isinstance(pipe.scheduler, DDIMScheduler) and not kept.clip_sample and kept.steps_offset == 1
    assert (kept.prediction_type, kept.timestep_spacing, kept.rescale_betas_zero_snr) == (
        P.prediction_type, P.timestep_spacing, True)


def test_to_takes_the_language_model_along(arm, pipe):
    assert pipe.to("cpu").device == pipe.llm[0].device == torch.device("cpu")
    assert NAMDPipeline.from_pretrained(arm / "namd").to(torch.float64).unet.dtype == torch.float64


def test_prompts_of_another_width_are_refused_when_the_language_model_is_opened(arm, pipe):
    other = NAMDPipeline(pipe.vae, pipe.unet, pipe.scheduler, SoftPrompts(2, 2, 16), arm.parents[1] / "llm")
    with pytest.raises(UserError, match="width 16, the language model 32"):
        other.encode_prompt(["a report"])


def test_an_empty_folder_or_missing_weights_end_in_one_sentence(arm, pipe, tmp_path):
    with pytest.raises(UserError, match="holds no NAMD pipeline: run notebook 04"):
        NAMDPipeline.from_pretrained(tmp_path)
    pipe.save_pretrained(tmp_path / "torn")
    (tmp_path / "torn" / "soft_prompts" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(UserError, match="soft prompts.*notebook 04 again"):
        NAMDPipeline.from_pretrained(tmp_path / "torn")
    (tmp_path / "torn" / "MANIFEST.json").write_text("{}")          # as `namd ship` leaves one: no run has made it here
    with pytest.raises(UserError, match="soft prompts.*take the folder from where it came again"):
        NAMDPipeline.from_pretrained(tmp_path / "torn")


def test_another_pipeline_is_refused_and_not_called_damaged():
    with pytest.raises(UserError, match="small-sd holds a .*Pipeline, no NAMD pipeline: name a folder"):
        NAMDPipeline.from_pretrained("outputs/reference/models/small-sd")
