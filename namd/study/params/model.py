"""Every parameter of a run: its type, its bounds, its meaning. Values and their sources stand in params/paper.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from namd.study.params import rules

MILLION = 10**6
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)

Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Again = Annotated[int, Field(ge=0, le=2**31 - 1, description="seed")]
Steps = Annotated[int, Field(ge=1, le=10 * MILLION)]
Cores = Annotated[int, Field(ge=0, le=256)]
Size = Annotated[int, Field(ge=1, le=65536)]
Channels = Annotated[int, Field(ge=1, le=65536, description="channels")]
Tokens = Annotated[int, Field(ge=1, le=70, description="context vectors")]
Rate = Annotated[float, Field(ge=1e-8, le=1, description="learning rate")]
Weight = Annotated[float, Field(ge=0, le=1e3)]
Positive = Annotated[float, Field(ge=1e-6, le=1e6)]
Label = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_.-]{0,99}$")]     # names a folder
Perceptual = Literal["vgg", "alex", "squeeze", "efficientnet_lite0"]
Place = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", json_schema_extra={"format": "path"})]


class Parameters(BaseModel):
    """The parameters of a run; a notebook's `run.p` has those that its parameters cell declares.

    Source: ours, because papermill passes `vae_lr: 5e-5` on as text, and a contradiction that shows in the fifth
    notebook has cost the four before it.
    """

    model_config = STRICT

    # the run
    run_name: Label = Field(description="folder of the run below outputs/")
    arm: Label = Field(description="name of the trained variant: namd or an ablation")
    seed: Seed = Field(description="seed of every draw except the cohort's")
    device: Literal["auto", "cpu", "cuda"] = Field(description="where tensors live")
    threads: Cores = Field(description="threads of one process; 0 leaves the choice to torch")
    processes: int = Field(ge=1, le=64, description="processes that train one stage together")
    precision: Literal["float32", "tf32", "bfloat16"] = Field(description="arithmetic of VAE and U-Net")

    # the first hour (notebook 00)
    start_model: Place = Field(description="a trained pipeline with its judge: a shipped model or a finished run")
    start_results: Place = Field(description="folder of the tables whose results are told")
    start_runs: int = Field(ge=2, le=100, description="follow-ups drawn of a nodule")

    # data (notebook 01)
    data_source: Literal["delivery", "open", "phantom"] = Field(
        description="where the NLST tables and series come from")
    data_delivery: Place = Field(description="folder of the delivery; empty for the phantom's own")
    open_lists: list[Literal["nlstx", "gmae", "sybil"]] = Field(description="nodule lists that `namd fetch` gets")
    data_workers: Cores = Field(description="processes that read DICOM; 0 is one per core")
    data_label_days: int = Field(ge=1, le=10000, description="days after the T0 scan within which a cancer counts")
    data_second_year: bool = Field(description="pairs of T1 and T2 too, where a list names the nodule in both")
    data_refused_share: float = Field(ge=0, le=1, description="of the nodules, lost to their images, ends notebook 01")
    data_val_share: float = Field(ge=0.01, le=0.9, description="share of the subjects outside test that validate")
    data_test_share: float = Field(ge=0.01, le=0.9, description="share of all subjects held out for the test")
    data_split_seed: Seed = Field(description="seed of the split by patient")
    image_size: int = Field(ge=32, le=512, description="side of the image in pixels of 0.6 mm")
    window_low: int = Field(ge=-1024, le=3000, description="HU shown as -1")
    window_high: int = Field(ge=-1023, le=3071, description="HU shown as +1")
    augment: Literal["square", "rotations"] = Field(description="8 symmetries of the square, or turns of 45 degrees")
    phantom_subjects: int = Field(ge=8, le=MILLION, description="subjects of the phantom delivery")
    phantom_seed: Seed = Field(description="seed of the phantom delivery")
    phantom_eps: float = Field(ge=0, le=10, description="noise between risk and fate: the dial")
    phantom_gmax: float = Field(ge=0, le=3, description="largest growth of the log diameter in a year")
    phantom_null: Literal["none", "growth_given_label", "no_record_effect"] = Field(
        description="a law without the effect")
    pretrain_subjects: int = Field(ge=100, le=MILLION, description="subjects whose images train the small models")
    pretrain_seed: Seed = Field(description="phantom seed of these subjects")
    pretrain_reports: int = Field(ge=100, le=MILLION, description="reports that train the small language model")
    pretrain_encoder_steps: Steps = Field(description="optimiser steps of each small image encoder")
    pretrain_text_steps: Steps = Field(description="optimiser steps of the text tower of a locked encoder")

    # aligned VAE (notebook 02)
    vae_path: Place = Field(description="VAE in Hugging Face format; empty builds a small one")
    vae_channels: list[Channels] = Field(min_length=1, description="channels of each level of a small VAE")
    vae_layers: int = Field(ge=1, le=8, description="residual blocks per level of a small VAE")
    vae_steps: Steps = Field(description="optimiser steps")
    vae_batch: int = Field(ge=2, le=4096, description="images per step")
    vae_lr: Rate = Field(description="learning rate")
    vae_lr_schedule: Literal["constant", "one_cycle"] = Field(description="learning rate over the steps")
    lambda_kl: Weight = Field(description="weight of the Kullback-Leibler term, Eq. 6")
    lambda_lpips: Weight = Field(description="weight of the perceptual term, Eq. 6")
    lambda_align: Weight = Field(description="weight of the alignment loss, Eq. 4")
    lambda_pred: Weight = Field(description="weight of the prediction loss, Eq. 5")
    lpips_net: Perceptual = Field(description="network of the perceptual term")
    lpips_weights: Literal["imagenet", "random"] = Field(description="weights of that network")
    lpips_share: float = Field(ge=0, le=1, description="share of the batch the perceptual term sees")
    align_latent: Literal["pooled", "flat"] = Field(description="what of z is compared in Eq. 2")
    align_features: Literal["standardised", "raw"] = Field(description="how attributes become numbers")
    align_perplexity: float = Field(ge=0, le=1e4, description="neighbours that set sigma_f; 0 uses sigma_f itself")
    sigma_f: Positive = Field(description="width in attribute space, Eq. 2")
    sigma_z: Positive = Field(description="width in latent space, Eq. 2")
    align_temperature: Positive = Field(description="divides the logits of Eq. 3")
    align_floor: float = Field(
        ge=0, le=0.1, description="what entries of P and Q are raised by in Eq. 4; 0 is Eq. 4 to the letter")
    latent_scale: float = Field(ge=0, le=100, description="factor on z; 0 measures 1/std on the training set")

    # language model and soft prompts (notebooks 01, 03, 04)
    llm_path: Place = Field(description="language model in Hugging Face format; empty builds a small one")
    llm_steps: int = Field(ge=0, le=MILLION, description="pretraining steps of a small language model")
    llm_hidden: int = Field(ge=8, le=16384, description="width of a small language model")
    llm_layers: int = Field(ge=1, le=128, description="layers of a small language model")
    llm_dtype: Literal["float32", "bfloat16"] = Field(description="number format of the language model")
    text_report: Literal["record", "none", "numbers"] = Field(
        description="what makes C: the record's report, the empty one, or its numbers without a language model")
    text_n_sets: int = Field(ge=1, le=64, description="m of Eq. 7: sets of soft prompts")
    text_n_tokens: int = Field(ge=1, le=256, description="n of Eq. 7: tokens per set")
    text_standardise: bool = Field(description="whether C has zero mean and unit spread over the training reports")
    text_prompt_start: Literal["vocabulary", "normal"] = Field(
        description="the prompts before training: words, or .02 N(0, 1)")
    text_prompt_lr: Rate = Field(description="largest learning rate of the prompts")
    text_prompt_steps: int = Field(
        ge=-1, le=10 * MILLION, description="conditional steps that train the prompts; -1 all, 0 none")

    # diffusion (notebooks 03, 04)
    unet_path: Place = Field(description="U-Net in Hugging Face format; empty builds a small one")
    unet_channels: list[Channels] = Field(min_length=1, description="channels of each level of a small U-Net")
    unet_layers: int = Field(ge=1, le=8, description="residual blocks per level of a small U-Net")
    unet_heads: int = Field(ge=1, le=64, description="attention heads of a small U-Net")
    n_timesteps: int = Field(ge=2, le=10000, description="T, the diffusion timesteps")
    beta_start: float = Field(ge=1e-7, le=0.999, description="beta_1")
    beta_end: float = Field(ge=1e-7, le=0.999, description="beta_T")
    beta_schedule: Literal["scaled_linear", "linear"] = Field(description="how beta grows")
    prediction_type: Literal["epsilon", "v_prediction"] = Field(description="what the U-Net predicts")
    zero_terminal_snr: bool = Field(description="whether x_T is pure noise")
    timestep_spacing: Literal["leading", "trailing"] = Field(description="which timesteps DDIM visits")
    ddim_steps: int = Field(ge=1, le=1000, description="DDIM steps")
    uncond_steps: Steps = Field(description="optimiser steps of Eq. 9")
    uncond_batch: int = Field(ge=1, le=4096, description="latents per step")
    uncond_lr: Rate = Field(description="largest learning rate")
    uncond_lr_start: float = Field(ge=0, le=1, description="learning rate before warm-up")
    uncond_lr_end: float = Field(ge=0, le=1, description="learning rate after the cosine")
    uncond_warmup: int = Field(ge=0, le=10 * MILLION, description="warm-up steps")
    cond_steps: Steps = Field(description="optimiser steps of Eq. 10")
    cond_batch: int = Field(ge=1, le=4096, description="pairs per step")
    cond_lr: Rate = Field(description="learning rate")
    cond_lr_schedule: Literal["constant", "one_cycle"] = Field(description="learning rate over the steps")
    ema_decay: float = Field(ge=0, le=0.99999, description="decay of the weight average; 0 is none")
    grad_clip: Positive = Field(description="largest gradient norm")
    save_every: Steps = Field(description="steps between checkpoints")

    # judge and evaluation (notebooks 05, 06, 07)
    judge_dim: int = Field(ge=8, le=8192, description="width of the judge")
    judge_depth: int = Field(ge=1, le=48, description="layers of the judge")
    judge_heads: int = Field(ge=1, le=128, description="attention heads of the judge")
    judge_head_dim: int = Field(ge=1, le=1024, description="width of one head")
    judge_mlp: Size = Field(description="width of the hidden layer")
    judge_patch: int = Field(ge=1, le=64, description="side of a patch in pixels")
    judge_dropout: float = Field(ge=0, le=0.95, description="dropout of the judge")
    judge_steps: Steps = Field(description="optimiser steps")
    judge_batch: int = Field(ge=2, le=4096, description="images per step")
    judge_lr: Rate = Field(description="largest learning rate")
    judge_blur: float = Field(ge=0, le=1, description="share of a step's images that lose their noise; 0 is none")
    judge_attributes: Weight = Field(description="weight of the attribute head; 0 is none")
    judge_path: Place = Field(description="a pretrained judge; empty trains one")
    judge_seeds: int = Field(ge=1, le=100, description="judges trained; the first one fills Table 1")
    k_runs: int = Field(ge=2, le=1000, description="K, the follow-ups drawn per subject")
    oracle_runs: int = Field(ge=2, le=1000, description="draws of the oracle per subject")
    eval_batch: Size = Field(description="images per forward pass")
    eval_workers: Cores = Field(description="processes that sample and score rows; 0 is one per core")
    eval_lpips_net: Perceptual = Field(description="network of the LPIPS column")
    eval_inception: Place = Field(
        description="torch-fidelity's Inception weights for FID and KID; empty uses the judge's features only")
    n_boot: int = Field(ge=10, le=MILLION, description="bootstrap resamples")
    var_nodules: int = Field(ge=1, le=10000, description="nodules whose running variance is drawn")
    var_runs: int = Field(ge=2, le=1000, description="follow-ups drawn for each of them")
    compare_arms: list[Label] = Field(min_length=1, description="arms that become rows of Table 1")
    pipeline_path: Place = Field(description="trained models that 05 draws with; empty: those of 02 to 04")
    vae_tanh: bool = Field(description="whether their decoder ends in a tanh")
    text_order: Literal["prompts_first", "bos_first"] = Field(
        description="[s, <bos>, report, <eos>] of Eq. 7, or [<bos>, s, report]")
    text_wording: Literal["paper", "authors"] = Field(description="words of the report")
    z1_sampled: bool = Field(description="whether each run draws z1 from its posterior")
    ddim_skip: int = Field(ge=0, le=999, description="steps left out at the noisy end of DDIM's grid")

    # compared systems (notebook 08)
    systems: list[Label] = Field(min_length=1, description="compared systems, files of namd/forecasters/systems/")
    system_arm: Label = Field(description="arm whose VAE the systems on latents share")
    system_steps: Steps = Field(description="optimiser steps of each system, all its stages together")
    system_tune_steps: Steps = Field(description="steps that each learning rate is tried for")
    system_rates: list[Rate] = Field(min_length=1, description="learning rates that are tried")
    system_batch: int = Field(ge=2, le=4096, description="pairs per step")
    system_channels: list[Channels] = Field(
        min_length=1, description="channels of each level of the networks a system brings along")
    system_flow_steps: int = Field(ge=1, le=1000, description="Euler steps of a flow")
    imageflownet_part: int = Field(
        ge=1, le=64, description="ImageFlowNet's flows learn from one pair of a batch in so many")
    ddl_cxr_channels: list[Channels] = Field(min_length=1, description="channels of each level of DDL-CXR's U-Net")
    ddl_cxr_ddim_steps: int = Field(ge=1, le=1000, description="DDIM steps of DDL-CXR")
    ddl_cxr_eta: float = Field(ge=0, le=1, description="share of DDPM's noise in each DDIM step of DDL-CXR")
    flux_path: Place = Field(description="FLUX.1 in Hugging Face format; empty builds a small transformer")
    flux_dtype: Literal["float32", "bfloat16"] = Field(description="of the frozen weights of a pretrained FLUX.1")
    flux_rank: int = Field(ge=1, le=1024, description="rank of the LoRA on a pretrained FLUX.1")

    # AutoRad-Lung (notebook 09)
    lidc_source: Literal["delivery", "phantom"] = Field(description="where the LIDC scans and readings come from")
    lidc_delivery: Place = Field(description="folder of the delivery; empty for the phantom's own")
    lidc_subjects: int = Field(ge=30, le=9999, description="subjects of the phantom's delivery in LIDC's layout")
    lidc_seed: Seed = Field(description="phantom seed of these subjects")
    lidc_readers: int = Field(ge=1, le=4, description="readers who must have marked a nodule")
    autorad_encoder: Place = Field(description="AIMv2 or CLIP in Hugging Face format, or efficientnet_lite0")
    autorad_text: Place = Field(description="CLIP's text tower in the format of transformers or open_clip")
    autorad_autoregressive: Place = Field(
        description="AIMv2 that learnt by predicting patches, of the second judge too; empty: none")
    autorad_contrastive: Place = Field(description="CLIP, or the same network learnt by contrast; empty: none")
    autorad_projection: Literal["none", "linear"] = Field(
        description="whether a map from image to text embeddings is learnt where their widths differ")
    autorad_images: Literal["original", "all"] = Field(description="radiomics of the image, or of its filters too")
    autorad_symmetries: int = Field(ge=1, le=8, description="symmetries of a crop that train prompts")
    autorad_ctx: int = Field(ge=1, le=70, description="context vectors of a prompt")
    autorad_sweep: list[Tokens] = Field(
        min_length=1, description="numbers of context vectors that are compared")
    autorad_hidden_share: int = Field(ge=1, le=1024, description="a MetaNet's input by its hidden units")
    autorad_scale: float = Field(ge=0, le=1000, description="scale of the cosines; 0 is the text tower's own")
    autorad_rates: list[Rate] = Field(min_length=1, description="learning rates that are tried")
    autorad_epochs: int = Field(ge=2, le=10000, description="passes over the training folds, the first one slow")
    autorad_batch: int = Field(ge=2, le=4096, description="nodules per step")
    autorad_momentum: float = Field(ge=0, le=0.999, description="momentum of SGD")
    autorad_weight_decay: float = Field(ge=0, le=1, description="weight decay of SGD")
    autorad_folds: int = Field(ge=3, le=20, description="folds of the cross-validation, by patient")
    autorad_seeds: list[Again] = Field(description="more seeds of folds and training, of static and guided prompts")

    @model_validator(mode="after")
    def agree(self) -> "Parameters":
        """Check every rule whose keys are there; UserError is the sentence of the first that does not hold."""
        rules.check(vars(self))
        return self

    @classmethod
    def part(cls, values: dict) -> "Parameters":
        """Those of `values` alone, each of them checked before; a name that is not among them is an AttributeError.

        Raises:
            UserError: they contradict each other.
        """
        return cls.model_construct(**values).agree()
