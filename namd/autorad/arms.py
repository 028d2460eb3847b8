"""The arms of the three-class table: what moves the context, which radiomics, which image encoder."""

from pathlib import Path
from types import SimpleNamespace

from namd.autorad import radiomics, texts
from namd.autorad.encoders import load_encoder, random_encoder
from namd.autorad.folds import Arm, folds, longest_first
from namd.ground import keys

PARTS = ("shape", "texture", "size")        # of the radiomics, each an arm of its own


def jobs(z, features, others, label3, fold, text, p, folder, key) -> list[tuple]:
    """One tuple an arm, as `folds.cross_validate_all` takes them.

    Args:
        z: (T, N, P) image embeddings of the main encoder; features: (N, F) radiomics.
        others: of `others`.
        label3, fold, text, folder, key: as of `folds.cross_validate`; p: autorad_rates, autorad_images.

    Source: static (CoOp), CoCoOp and guided are the steps of Sec. 2.6. The others are ours, because "radiomics help"
    may mean that size helps, "autoregressive helps" that any encoder would do, and "the prompt reads the image" that
    the moved classes answer by themselves: one image, the mean of all, for every nodule.
    """
    rates = tuple(p.autorad_rates)
    found = [(Arm("static", "nothing", rates), z, None, text), (Arm("guided", "features", rates), z, features, text),
             (Arm("CoCoOp", "image", rates), z, None, text),
             (Arm("guided without image", "features", rates), z.mean(1, keepdim=True).expand_as(z), features, text)]
    for part in PARTS:
        columns = radiomics.groups(p.autorad_images)[part]
        found.append((Arm(f"{part}-guided", "features", rates), z, features[:, columns], text))
    for name, (own_z, own_text) in others.items():
        found.append((Arm(name, "features", rates), own_z, features, own_text))
    return [(arm, x, seen, label3, fold, words, folder, key) for arm, x, seen, words in found]


def others(seen, p, text, device) -> dict[str, tuple]:
    """Embeddings by encoders of one shape that learnt in two ways, or not, and the text tower matched to each.

    Args:
        seen: (N, 1, S, S) crops; p: autorad_autoregressive, autorad_contrastive, seed; text: where one has no tower.
        device: where they work.
    """
    paths = {"autoregressive": p.autorad_autoregressive, "contrastive": p.autorad_contrastive}
    encoders = {name: load_encoder(path) for name, path in paths.items() if path}
    if p.autorad_autoregressive:
        paths["random encoder"] = p.autorad_autoregressive
        encoders["random encoder"] = random_encoder(p.autorad_autoregressive, p.seed)
    return {name: (encoder.to(device).embed(seen).cpu(), texts.beside(paths[name], text, device))
            for name, encoder in encoders.items()}


def sweep(guided, numbers, own: int) -> list[tuple]:
    """The guided arm with each of these numbers of context vectors, jobs called "4 tokens" and so on.

    Args:
        guided: the job of the guided arm; numbers: of vectors; own: the number it has, which is not trained again.

    Source: AutoRad-Lung Table 2.
    """
    arm, *given = guided
    return [(arm._replace(name=f"{n} tokens", context=n), *given) for n in numbers if n != own]


def again(some, patient, seeds, p, workers: int = 1) -> dict[int, dict]:
    """Some arms, cross-validated under other seeds of folds and of training: {seed: {name: (N, 3) probabilities}}.

    Args:
        some: of `jobs`, e.g. the static and the guided one; patient: (N,) whose nodule each is.
        seeds: p.seed is left out, for `jobs` are trained under it.
        p: as of `folds.cross_validate`, and autorad_folds; workers: as of `folds.cross_validate_all`.

    Source: ours, because one seed is one draw of folds, first weights and batches, and the paper names none.
    """
    other = {}
    left = [seed for seed in seeds if seed != p.seed]
    for seed in left:
        own = SimpleNamespace(**vars(p) | dict(seed=seed))
        for arm, z, features, label3, _, text, folder, key in some:
            fold = folds(label3, patient, p.autorad_folds, seed)
            other[seed, arm.name] = (own, arm, z, features, label3, fold, text, Path(folder) / f"seed {seed}",
                                     keys.sha(key, seed, fold.tolist()))
    found = {seed: {} for seed in left}
    for (seed, name), one in zip(other, longest_first(list(other.values()), workers), strict=True):
        found[seed][name] = one.prob
    return found
