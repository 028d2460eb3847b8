"""`python -m namd.predict.example`: the arrays of the map, written to outputs/reference/example.safetensors.

They are those of the subject that notebook 00 follows, from the pipeline that the repository ships.
"""

import torch

from namd.data.phantom.sitter import Sitter
from namd.data.report import report_text
from namd.evaluation.figures import example
from namd.forecasters.drawing import run_seeds
from namd.ground import process, seeding
from namd.models.diffusion import ddim_sample
from namd.predict.what_if import seen, what_if
from namd.ship.finished import open_arm

MODEL = "outputs/reference/models/namd-small"
SITTER = Sitter(seed=100, subject=112)      # a woman of 63 whose nodule of 10 mm grows to 19; no model has seen her
K_RUNS = 8


@torch.no_grad()
def arrays_of(arm, sitter: Sitter, seeds) -> dict:
    """What passes between the parts for one subject: {name: array}; of the latents those of the first seed.

    `walk`, (steps + 1, S, S), is no part of the map: what the latent shows before each step of DDIM, and at the end.
    """
    crop = sitter.crop(sitter.nodule())
    ehr = sitter.record()
    x1 = torch.from_numpy(seen(arm, crop))[None, None]
    z1 = arm.pipe.nodule_vae.encode(x1.to(arm.pipe.device))
    context = arm.pipe.context(ehr)
    noise = seeding.noise(z1.shape[1:], seeds[0], "sample", ehr.index[0])[None].to(z1.device)
    walk = []

    def predict(z2_t, t):
        walk.append(z2_t)
        return arm.pipe.unet(torch.cat([z2_t, z1], dim=1), t, encoder_hidden_states=context).sample

    z2 = ddim_sample(predict, noise, arm.pipe.scheduler, arm.pipe.config.ddim_steps)
    drawn = what_if(arm, sitter, seeds)
    seen_on_the_way = arm.pipe.nodule_vae.decode_scaled(torch.cat([*walk, z2])).clamp(-1, 1)[:, 0]
    found = dict(x1=x1[0, 0], z1=z1[0], context=context[0], noise=noise[0], z2=z2[0], walk=seen_on_the_way)
    return {"crop": crop, "x2": drawn.x2_hat, "prob": drawn.prob,
            **{name: values.cpu().numpy() for name, values in found.items()}}


def told(ehr) -> list[str]:
    """Lines of a record for the map: five of its 13 fields."""
    row = ehr.iloc[0]
    family = any(row[name] for name in ehr if name.startswith("fam"))
    return [f"age  {row['age']:.0f}", f"sex  {'female' if row['gender'] == 2 else 'male'}",
            f"emphysema  {'yes' if row['diagemph'] else 'no'}", f"family  {'yes' if family else 'no'}",
            f"diameter  {row['sct_long_dia']:.0f} mm", "… 13 fields"]


def main() -> None:
    """Write the arrays of SITTER."""
    process.settle(0, 1, "example")
    arrays = arrays_of(open_arm(MODEL), SITTER, run_seeds(K_RUNS))
    ehr = SITTER.record()
    del arrays["walk"]
    example.write(arrays, told(ehr), report_text(ehr.iloc[0]))
    print(f"{example.FILE.name}: {', '.join(f'{name} {values.shape}' for name, values in arrays.items())}")


if __name__ == "__main__":
    main()
