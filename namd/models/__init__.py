"""The networks and their equations. `losses` Eq. 2-6, `vae`, `diffusion` Eq. 1, 9, 10 and DDIM, `unet`, `judge`; the
record's way in: `llm`, `prefix` (its states once a prompt), `prompts` Eq. 7, 8, and `clip` for SD1.5's own prompts.
`pipeline` is the trained whole, `hub` where foreign weights come from."""
