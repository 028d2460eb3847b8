"""What the manifests of the small models say: the parameters that count for each, and what it was trained on."""

COMMAND = "make pretrained"
COMMAND_ELSEWHERE = "python -m namd pretrain` with the parameters in `MANIFEST.json"
OF_PHANTOM = ("pretrain_subjects", "pretrain_seed", "phantom_eps", "phantom_gmax", "phantom_null")
OF_IMAGES = (*OF_PHANTOM, "image_size", "window_", "seed")
OF_VAE = (*OF_IMAGES, "threads", "precision", "vae_path", "vae_channels", "vae_layers", "vae_steps", "vae_batch",
          "vae_lr", "lambda_kl", "grad_clip")
OF_UNET = (*OF_VAE, "unet_", "uncond_", "n_timesteps", "beta_", "prediction_type", "zero_terminal_snr",
           "timestep_spacing", "ema_decay")
OF_FLUX = (*OF_VAE, "system_channels", "system_steps", "system_batch", "uncond_lr")
OF_SD = tuple(dict.fromkeys((*OF_UNET, *OF_FLUX)))
OF_LLM = ("pretrain_reports", "threads", "precision", "llm_", "seed")
OF_TEXT = (*OF_PHANTOM, "pretrain_text_steps", "threads", "precision", "seed")
OF_ENCODER = (*OF_TEXT, "pretrain_encoder_steps")
IMAGES_TOLD = ("{n:,} single phantom images, one a subject of phantom seed {seed}, which no cohort may have "
               "({held_out} more validate): scanners in equal shares, no label, no record, no pair.")
REPORTS_TOLD = ("{n:,} reports of records drawn over the ranges of the paper's Table 2, each feature by itself: "
                "no patient, no label, no image.")
NODULES_TOLD = ("{n:,} single phantom nodules in twice their diameter, one a subject of phantom seed {seed}, which no "
                "cohort may have ({probed} more are probed), each with a caption: kind and margin in half of"
                " them, and the class of four simulated readers' median rating; no record, no second visit.")
FIRST_TOLD = " The text tower has read the first {n:,} of them, beside the encoder, which was locked."
ABOUT_SD = ("Stands for Stable Diffusion v1.5 where nothing is downloaded: a VAE (folded 2 x 2; 4 x 8 x 8 numbers for "
            "a 64 px image) and a U-Net with a context of 768 numbers and 4 input channels, not conditioned on "
            "anything yet. Beside them, and on the same latents, a transformer of FLUX.1's form for the row Flux.")
ABOUT_GEMMA = ("Stands for MedGemma where nothing is downloaded: a multimodal Gemma 3 with toy widths. Its language "
               "model learnt to write reports and to say them again in codes; its image encoder is random.")
ABOUT_AIMV2 = ("Stands for AIMv2 where nothing is downloaded: its vision tower with toy widths (64 patches of 8 px, 96 "
               "numbers), trained by its autoregressive objective. In text/ a text tower of CLIP's form that learnt to "
               "speak to it while it was locked (LiT).")
ABOUT_CONTRASTIVE = ("The same encoder as small-aimv2, trained by CLIP's contrastive objective instead, on the same "
                     "images in as many steps; in text/ the text tower that was trained with it.")
ABOUT_CLIP = ("Stands for the text encoder of CLIP's ResNet where nothing is downloaded: a text tower of CLIP's form "
              "that learnt to speak to EfficientNet-Lite0 of ImageNet while that was locked (LiT).")


def settings(p, prefixes) -> dict:
    """{parameter: value} of those whose names begin with one of `prefixes`."""
    return {name: value for name, value in vars(p).items() if name.startswith(prefixes)}
