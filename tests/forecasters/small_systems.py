"""A run in which compared systems can train: a cohort, an arm's VAE, its latents, an untrained U-Net; toy budgets."""

from types import SimpleNamespace

from small_run import write_cohort

from namd.forecasters import system_names
from namd.forecasters.registry import system
from namd.models import unet, vae

ALL = system_names()         # a new system is tested without being named here
P = SimpleNamespace(
    seed=23, device="cpu", threads=1, precision="float32", image_size=64, window_low=-1000, window_high=400,
    augment="square", vae_path="", vae_channels=[8, 8, 8], vae_layers=1, unet_path="", unet_channels=[16, 32],
    unet_layers=1, unet_heads=2, n_timesteps=1000, beta_start=8.5e-4, beta_end=1.2e-2, beta_schedule="scaled_linear",
    prediction_type="v_prediction", zero_terminal_snr=True, timestep_spacing="trailing", ddim_steps=2, eval_batch=7,
    ema_decay=0.5, grad_clip=1.0, save_every=2, lpips_net="squeeze", lpips_weights="random",
    system_arm="no_align_no_pred", system_steps=6, system_tune_steps=2, system_rates=[1.0e-3, 3.0e-3],
    system_batch=4, system_channels=[8, 16], system_flow_steps=3, ddl_cxr_channels=[16, 32], ddl_cxr_ddim_steps=2,
    ddl_cxr_eta=1.0, imageflownet_part=4, flux_path="", flux_dtype="float32", flux_rank=4,
)


def write_system_run(root, p=P):
    """root/cohort of 16 pairs of noise and root/arms/no_align_no_pred; returns the Pairs of train and val."""
    cohort, arm = write_cohort(root / "cohort", 16), root / "arms" / p.system_arm
    vae.build_vae(arm / "vae", p)
    for split in ("train", "val"):
        vae.cache_latents(vae.load_vae(arm / "vae"), cohort.split(split), p, arm / "latents" / f"{split}.safetensors")
    unet.build_unet(arm / "unet_start", p)
    return cohort.split("train", "val")


def fitted(name, root, pairs, p=P, **options):
    """The system `name`, trained below `root` on `pairs`."""
    made = system(name)(root, p, key="k", **options)
    made.fit(pairs)
    return made
