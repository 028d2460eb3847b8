"""Mutants: one important line changed at a time; the tests named beside it must notice. Not run by default.

    python tests/mutants.py [--only WORD]      prints killed or survived for each; exit status 1 if one survived
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

REPO = Path(__file__).resolve().parents[1]


class Mutant(NamedTuple):
    """`before`, which stands once in `file`, becomes `after`; `tests` must fail."""

    what: str
    file: str
    before: str
    after: str
    tests: str


LOSSES, LOOP = "namd/models/losses.py", "namd/training/loop.py"
STATE = "namd/training/state.py"
LABELS, TURNS = "namd/data/nlst/labels.py", "test_turns.py"
COND, JUDGE = "notebooks/04_conditional_training.ipynb", "namd/models/judge.py"
LIDC = "namd/data/lidc/"
OWN = "forecasters/systems/test_own_record.py"
MUTANTS = [
    Mutant("temperature on the attribute side of Eq. 2 only", LOSSES,
           "_log_rows(z, sigma_z, temperature)", "_log_rows(z, sigma_z, 1.0)", "models/test_losses.py"),
    Mutant("stratum of a patient with one malignant nodule", LABELS,
           ".groupby(level=0).max()", ".groupby(level=0).min()", "data/nlst/test_labels.py"),
    Mutant("45 and 135 degrees turned the other way", "namd/data/images.py",
           "rotate(hu, ROTATIONS[k]", "rotate(hu, -ROTATIONS[k]", f"data/{TURNS}"),
    Mutant("x2 not augmented with x1, in the cohort", "namd/data/cohort.py",
           "turned = augment(hu, kind, k)", "turned = augment(hu, kind, k * (hu is self.x1_hu))", f"data/{TURNS}"),
    Mutant("x2 not augmented with x1, in the images of the compared systems", "namd/forecasters/trained.py",
           "torch.stack([second for _, second in turned])", "torch.stack([turned[0][1] for _ in turned])",
           "forecasters/systems/test_turns_of_systems.py"),
    Mutant("z2 not augmented with z1, in the latents of the compared systems", "namd/forecasters/latent.py",
           'latents["z2_mean"][idx, k] +', 'latents["z2_mean"][idx, 0 * k] +',
           "forecasters/systems/test_turns_of_systems.py"),
    Mutant("rules between parameters not checked by load", "namd/study/params/layers.py",
           "return dict(Parameters(**merged))", "return merged", "study/params/test_rules.py"),
    Mutant("rules between parameters not checked in a notebook's cell", "namd/study/params/model.py",
           "return cls.model_construct(**values).agree()", "return cls.model_construct(**values)",
           "study/params/test_model.py"),
    Mutant("trainings that choose a rate are not counted", "namd/study/preflight/autorad.py",
           "return outer + inner if", "return outer if", "study/preflight/test_autorad.py"),
    Mutant("a text tower without its tokenizer passes check", "namd/study/preflight/autorad_inputs.py",
           "return words and (", "return (", "study/preflight/test_autorad_inputs.py"),
    Mutant("a phantom without a malignant patient in test passes check", "namd/study/preflight/inputs.py",
           'for name in ("train", "test"):', 'for name in ("train",):', "study/preflight/test_inputs.py"),
    Mutant("an empty split is handed out", "namd/data/cohort.py", "if rows.empty:", "if False:",
           "data/test_cohort.py"),
    Mutant("an outline of LIDC counts as part of the nodule", LIDC + "consensus.py",
           "mask |= inside & ~line", "mask |= inside | line", "data/lidc/test_consensus.py"),
    Mutant("half of the readers are not enough", LIDC + "consensus.py",
           "mask = 2 * masks.sum(axis=0) >= len(readers)", "mask = 2 * masks.sum(axis=0) > len(readers)",
           "data/lidc/test_consensus.py"),
    Mutant("a median of 3.5 is malignant", LIDC + "labels.py",
           "MALIGNANT if median > 3.5", "MALIGNANT if median >= 3.5", "data/lidc/test_sessions.py"),
    Mutant("the mask does not turn with the image", LIDC + "scans.py",
           "turned = (np.sign(item.axes[0, 0]), np.sign(item.axes[1, 1]))", "turned = (1, 1)",
           "data/lidc/test_build_lidc.py"),
    Mutant("a crowd of outlines is not divided", LIDC + "clusters.py", "len(found) > READERS and", "False and",
           "data/lidc/test_clusters.py"),
    Mutant("masks and readers of a cohort are not verified", "namd/data/cohort.py",
           "        _verify_optional(path, pairs, crops, masks, readers)\n", "", "data/lidc/test_contract.py"),
    Mutant("a point that begins with a minus is an option", "namd/__main__.py",
           'elif words[-1:] == ["--center"]:', "elif False:", "test_main.py"),
    Mutant("files not flushed", "namd/ground/files.py", "    for part in reversed(parts):\n        _fsync(part)",
           "    for part in reversed(parts):\n        part.exists()", "ground/test_synced.py"),
    Mutant("the folder of a new name not flushed", "namd/ground/files.py",
           "        _fsync(path.parent)", "        path.exists()", "ground/test_synced.py"),
    Mutant("gradients not clipped", STATE,
           "clip_grad_norm_(self.params.values(), grad_clip)", "clip_grad_norm_(self.params.values(), 1e9)",
           "training/test_loop_by_hand.py"),
    Mutant("a learning rate that never moves", STATE,
           'group["lr"] = group["rate"](i)', 'group["lr"] = group["rate"](0)', "training/test_loop_by_hand.py"),
    Mutant("validation on the live weights", STATE,
           "if self.ema:\n            self._load(self.ema)\n        loss",
           "if False:\n            self._load(self.ema)\n        loss", "training/test_loop_by_hand.py"),
    Mutant("SGD's momentum not taken up from a checkpoint", STATE,
           '"exp_avg_sq", "momentum_buffer")', '"exp_avg_sq")', "training/test_checkpoint_loop.py"),
    Mutant("query and key of open_clip exchanged", "namd/autorad/open_clip.py", 'zip("qkv", weight',
           'zip("kqv", weight', "autorad/test_texts.py"),
    Mutant("timm's config.json hides open_clip's text tower", "namd/autorad/texts.py",
           'kind(open_clip.fetched(path, "config.json")) in CLIP or', 'open_clip.fetched(path, "config.json") or',
           "autorad/test_texts.py"),
    Mutant("a scale that no file holds is made up", "namd/autorad/texts.py",
           "init.constant_(self.logit_scale, open_clip.UNLEARNT)", "init.constant_(self.logit_scale, LOG_SCALE)",
           "autorad/test_texts.py"),
    Mutant("holes of LIDC's database filled", LIDC + "database.py", "points, bool(inclusion))", "points, True)",
           "data/lidc/test_database.py"),
    Mutant("AIMv2 against CLIP read from anybody's weights", "namd/evaluation/tables/three_class.py",
           "for name in PRETRAINED) if not unpublished", "for name in PRETRAINED) if True",
           "evaluation/tables/test_autorad_claims.py"),
    Mutant("CLIP's image embedding before its projection", "namd/autorad/encoders.py",
           "self.tower(self.pixels(x)).image_embeds", "self.tower.vision_model(self.pixels(x)).pooler_output",
           "autorad/test_encoders.py"),
    Mutant("open_clip's projection not transposed", "namd/autorad/open_clip.py", 'pop("text_projection").T.float()',
           'pop("text_projection").float()', "autorad/test_texts.py"),
    Mutant("the mask of the last layer of the text tower is another row's", "namd/autorad/texts.py",
           "attn_mask=mask[end]", "attn_mask=mask[end - 1]", "autorad/test_texts.py"),
    Mutant("a branch of the prompts sees the one before it", "namd/autorad/prompts.py",
           "mask[first:first + length, stem:first] = -torch.inf", "mask[first:first + length, stem:stem] = 0",
           "autorad/test_prompts.py"),
    Mutant("positions of the prompts' branches not repeated", "namd/autorad/prompts.py",
           "positions += range(stem, stem + length)", "positions += range(first, first + length)",
           "autorad/test_prompts.py"),
    Mutant("the rate is chosen on the test fold", "namd/autorad/tuning.py", "at = fold == other", "at = fold == k",
           "autorad/test_tuning.py"),
    Mutant("features scaled on all nodules", "namd/autorad/folds.py", "scaled(features, train)",
           "scaled(features, train | True)", "autorad/test_folds.py"),
    Mutant("image embeddings of one symmetry, guides of another", "namd/autorad/folds.py",
           "guide[turn % len(guide), at]", "guide[0 * turn, at]", "autorad/test_folds.py"),
    Mutant("EMA without warm-up", STATE,
           "min(self.ema_decay, (1 + i) / (10 + i))", "self.ema_decay", "training/test_loop_by_hand.py"),
    Mutant("best system not chosen anew in each resample", "namd/evaluation/tables/comparators.py",
           "draws[main] - best_draws", "draws[main] - draws[best]",
           "evaluation/tables/test_comparators.py"),
    Mutant("the oracle's fate not redrawn by seed", "namd/data/phantom/oracle.py",
           "draw_attributes(truth.loc[list(patient_ids)], law, seed)",
           "draw_attributes(truth.loc[list(patient_ids)], law, 0)", "data/phantom/test_oracle.py"),
    Mutant("a contour through the outermost pixels of the nodule", "namd/data/phantom/outlines.py",
           "ndimage.binary_dilation(np.pad(within, 2))", "np.pad(within, 2)", "data/phantom/test_outlines.py"),
    Mutant("readers of a nodule who share little", "namd/data/phantom/readers.py",
           "SHARE_SHARED = .5 ", "SHARE_SHARED = .4 ", "data/phantom/test_readers.py"),
    Mutant("readers who look at the shape more than at the size", "namd/data/phantom/readers.py",
           "SHARE_SIZE = .65 ", "SHARE_SIZE = .45 ", "data/phantom/test_readers.py"),
    Mutant("a reader who does not mark the nodule outlines it", "namd/data/phantom/lidc_delivery.py",
           "masks[r] if marked[r] else None", "masks[r]", "data/phantom/test_lidc_delivery.py"),
    Mutant("marks that name the neighbouring slice", "namd/data/phantom/lidc_delivery.py",
           "uid(*keys, k), points)", "uid(*keys, max(k - 1, 0)), points)", "data/phantom/test_lidc_delivery.py"),
    Mutant("KL without its half", LOSSES, "0.5 * (mean.square()", "1.0 * (mean.square()", "models/test_losses.py"),
    Mutant("reconstruction by squares", LOSSES, "(x - x_hat).abs().mean()", "(x - x_hat).square().mean()",
           "models/test_losses.py"),
    Mutant("sigma not squared in Eq. 2", LOSSES, "(2 * sigma**2 * temperature)", "(2 * sigma * temperature)",
           "models/test_losses.py"),
    Mutant("labels of Eq. 5 exchanged", LOSSES, "label.to(logit.dtype))", "1 - label.to(logit.dtype))",
           "models/test_losses.py"),
    Mutant("validation's share taken of all patients", LABELS, "val_share * (len(names) - n_test)",
           "val_share * len(names)", "data/nlst/test_labels.py"),
    Mutant("a cancer on the day of the T0 scan counts", LABELS, "if day <= screened", "if day < screened",
           "data/nlst/test_links.py"),
    Mutant("crop in native pixels", "namd/data/dicom/pixels.py", "centre_px[1], mm / spacing_mm, pixels)",
           "centre_px[1], 1.0, pixels)", "data/dicom/test_dicom.py"),
    Mutant("the nodule half a pixel off", "namd/data/dicom/pixels.py", "(np.arange(pixels) - (pixels - 1) / 2) * step",
           "(np.arange(pixels) - pixels / 2) * step", "data/dicom/test_dicom.py"),
    Mutant("window twice as wide", "namd/data/images.py", "* (2 / (high - low)) - 1", "* (1 / (high - low)) - 1",
           "data/test_cohort.py"),
    Mutant("age at the scan in months", "namd/data/nlst/build.py",
           'person["scr_days0"] // 365', 'person["scr_days0"] // 30',
           "data/nlst/test_build.py"),
    Mutant("signal and noise exchanged in Eq. 1", "namd/models/diffusion.py", "return signal * z + noise * eps",
           "return noise * z + signal * eps", "models/test_diffusion.py"),
    Mutant("DDIM goes to its own step", "namd/models/diffusion.py",
           "z_t = bar[t_next].sqrt() * z_0", "z_t = bar[t].sqrt() * z_0", "models/test_diffusion.py"),
    Mutant("the baseline's channels first in conv_in", "namd/models/unet.py", "conv.weight[:, :LATENT_CHANNELS].copy_",
           "conv.weight[:, LATENT_CHANNELS:].copy_", "models/test_unet.py"),
    Mutant("latents scaled by their mean alone", "namd/models/vae.py",
           "mean.double().var(correction=0) + std.double().square().mean()", "mean.double().var(correction=0)",
           "models/test_vae.py"),
    Mutant("latents kept unscaled", "namd/models/vae.py", '_std"].append(std * vae.scale)', '_std"].append(std)',
           "models/test_vae.py"),
    Mutant("a patient's nodules apart in DeLong", "namd/evaluation/stats/intervals.py",
           "np.bincount(number[of_class], v - v.mean(), n_patients)",
           "np.bincount(number[of_class], np.abs(v - v.mean()), n_patients)", "evaluation/stats/test_patients.py"),
    Mutant("ties count as wins", "namd/evaluation/stats/bootstrap.py", "((np.sign(diff) + 1) / 2).mean(0)",
           "(diff >= 0).mean(0)", "evaluation/stats/test_bootstrap.py"),
    Mutant("a patient keeps its own record", "namd/forecasters/controls.py", "np.roll(circle, 1)", "circle",
           "forecasters/test_controls.py"),
    Mutant("half of the change in delta-RMAE", "namd/evaluation/stats/metrics.py", "0.5 * (np.abs(d) + np.abs(d_hat))",
           "(np.abs(d) + np.abs(d_hat))", "evaluation/stats/test_metrics.py"),
    Mutant("diameter in pixels", "namd/evaluation/stats/metrics.py", "/ np.pi) * mm_per_px", "/ np.pi)",
           "evaluation/stats/test_metrics.py"),
    Mutant("every epoch in one order", LOOP, '"epoch", epoch))', '"epoch", 0))', "training/test_loop.py "
           "training/test_checkpoint_loop.py"),
    Mutant("a checkpoint of other parameters is resumed", "namd/training/checkpoint.py",
           "if key in (None, _key(path)) and verifies(path)", "if verifies(path)", "training/test_checkpoint.py"),
    Mutant("a torn checkpoint is taken", "namd/training/checkpoint.py",
           "all(sha256(path / name) == digest for name, digest in manifest.items())", "True",
           "training/test_checkpoint.py"),
    Mutant("keys of a draw run together", "namd/ground/seeding.py", '"\\x1f".join(map(str, keys))',
           '"".join(map(str, keys))', "training/test_loop.py training/test_checkpoint_loop.py"),
    Mutant("global generator moved by fresh weights", "namd/ground/seeding.py",
           "with torch.random.fork_rng(devices=[]):", "if True:",
           "training/test_loop.py training/test_checkpoint_loop.py"),
    Mutant("keys without what is read", "namd/ground/keys.py",
           "code, reads, given, provenance", "code, given, provenance", "ground/test_keys.py"),
    Mutant("keys without the code", "namd/ground/keys.py",
           "code, reads, given, provenance", "reads, given, provenance", "ground/test_keys.py"),
    Mutant("keys without what is given", "namd/ground/keys.py",
           "code, reads, given, provenance", "code, reads, provenance", "ground/test_keys.py"),
    Mutant("a mark that looks at no artefact it read", "namd/study/runner/done.py",
           "if now.digest(self.root / path) != digest:", "if False:", "study/runner/test_done.py"),
    Mutant("a mark that looks at no artefact it made", "namd/study/runner/done.py",
           "if not now.same(self.root / path, state):", "if False:", "study/runner/test_done.py"),
    Mutant("a mark that looks at no module", "namd/ground/components.py",
           '_many("module", _differing(before.modules, self.modules))', "[]", "study/runner/test_currency.py"),
    Mutant("a mark that looks at no cell", "namd/ground/components.py",
           '_many("cell", _changed_cells(before.cells, self.cells, number))', "[]", "study/runner/test_currency.py"),
    Mutant("a finished artefact is lost before its successor is there", "namd/ground/keys.py",
           "            _move(self.path, kept)", "            files.discard(self.path)", "ground/test_keys.py"),
    Mutant("docstrings count as code", "namd/ground/sources.py",
           "        _drop_docstring(node)", "        pass", "ground/test_sources.py"),
    Mutant("imports are not followed", "namd/ground/sources.py",
           "queue |= _parsed(found[name]).imports", "pass", "ground/test_sources.py"),
    Mutant("a function that is given a needed name is out of the slice", "namd/ground/slices.py",
           "return any(_handed(argument) & mutable for argument in given) or", "return", "ground/test_slices.py"),
    Mutant("what a needed function reads is out of the slice", "namd/ground/slices.py",
           "queue |= self.functions.get(name, set())", "pass", "ground/test_slices.py"),
    Mutant("the prediction loss weighted as the alignment, in Eq. 6", "notebooks/02_aligned_vae.ipynb",
           "lambda_pred * term[", "lambda_align * term[", "test_objectives.py"),
    Mutant("noise asked for where v is meant, in Eq. 9", "notebooks/03_diffusion_pretraining.ipynb",
           "aim = diffusion.target(z, eps, t, scheduler)", "aim = eps", "test_objectives.py"),
    Mutant("the baseline before the noisy latent, in Eq. 10", COND, "eps_hat = net(torch.cat([z2_t, z1]",
           "eps_hat = net(torch.cat([z1, z2_t]", "test_objectives.py"),
    Mutant("z2 not augmented with z1, in Eq. 10", COND, "z1, z2 = (mu[idx, k] + sd",
           "z1, z2 = (mu[idx, k * (mu is mean[0])] + sd", "test_objectives.py"),
    Mutant("the reports of other pairs", "namd/forecasters/systems/sd15.py", "self.context(tokens[idx])",
           "self.context(tokens[:len(idx)])", OWN),
    Mutant("the labels of other pairs", "namd/forecasters/systems/ddl_cxr.py", "squeeze(1), label[idx])",
           "squeeze(1), label[:len(idx)])", OWN),
    Mutant("the records of other pairs", "namd/forecasters/systems/imageflownet.py",
           "known[few]", "known[:len(few)]", OWN),
    Mutant("the records of other pairs in validation", "namd/forecasters/systems/imageflownet.py",
           "self.known(val.ehr)[::VALIDATES]", "self.known(val.ehr)[:len(held_out[0])]",
           "forecasters/systems/test_imageflownet_record.py"),
    Mutant("the next rate starts where the last one ended", "namd/forecasters/trained.py",
           "weight.copy_(first[name])", "weight.copy_(weight)", "forecasters/test_fit.py"),
    Mutant("a stage's own settings lose", "namd/forecasters/trained.py", "**defaults | stage.settings)",
           "**stage.settings | defaults)", "forecasters/test_fit.py"),
    Mutant("tuned on the training pairs", "namd/forecasters/trained.py",
           'val = pairs.with_table(pairs.table[pairs.table.split == "val"])',
           'val = pairs.with_table(pairs.table[pairs.table.split == "train"])',
           "forecasters/test_fit.py"),
    Mutant("a restatement that is told from nothing", "namd/models/llm.py",
           "torch.cat([at_eos, ", "torch.cat([0 * at_eos, ", "models/test_llm.py"),
    Mutant("the judge's labels out of order", JUDGE, "label[idx], f[idx], p.judge_attributes",
           "label[:len(idx)], f[idx], p.judge_attributes",
           "models/test_judge.py"),
    Mutant("the judge never sees an image without noise", JUDGE, "< share", "< 0", "models/test_judge.py"),
    Mutant("the judge learns the baseline's attributes", JUDGE, "train.attributes(2)", "train.attributes(1)",
           "models/test_judge.py"),
    Mutant("the judge without its second norm", JUDGE, "nn.Linear(patch**2, dim), nn.LayerNorm(dim))",
           "nn.Linear(patch**2, dim), nn.Identity())", "models/test_judge.py"),
    Mutant("the split without its seed", LABELS, 'numpy_rng(seed, "split", int(value))',
           'numpy_rng("split", int(value))', "data/nlst/test_labels.py"),
    Mutant("CorrFlowNet's disc in pixels", "namd/forecasters/systems/corrflownet.py", "(RADIUS_MM / MM_PER_PX) ** 2",
           "RADIUS_MM ** 2", "forecasters/systems/test_corrflownet.py"),
    Mutant("another noise than DDPM's at eta", "namd/models/diffusion.py", "(1 - bar[t] / bar[t_next])",
           "(1 - bar[t])", "models/test_diffusion.py"),
    Mutant("reports not read again behind moved prompts", "namd/models/context.py",
           "if self.behind is None or not torch.equal(vectors, self.behind):", "if self.behind is None:",
           "models/test_context.py"),
    Mutant("padding seen by <eos> in the last layer", "namd/models/prefix.py",
           "seen = places <= place[:, None]", "seen = places <= place[:, None] + 1", "models/test_prefix.py"),
    Mutant("prompts with weight decay", STATE, "0.0 if m in own_lr else weight_decay", "weight_decay",
           "training/test_loop.py"),
    Mutant("KID of half the images", "namd/evaluation/stats/metrics.py", "size = min(len(features_a), len(features_b))",
           "size = min(len(features_a), len(features_b)) // 2", "evaluation/stats/test_metrics.py"),
    Mutant("the record's worth turned round", "namd/evaluation/tables/comparators.py", "draws[0] - draws[1])",
           "draws[1] - draws[0])", "evaluation/tables/test_comparators.py"),
    Mutant("needless work-ups at their probability", "namd/evaluation/stats/calibration.py", "-t / (1 - t)", "-t",
           "evaluation/stats/test_calibration.py"),
    Mutant("a third beside the best is near", "namd/evaluation/tables/claims.py", '"05", "below", 0.1, "runs"',
           '"05", "below", 0.3, "runs"', "evaluation/tables/test_ledger.py"),
    Mutant("F1 of three classes by the nodules that were called alone", "namd/evaluation/stats/three_class.py",
           "truly + cells.sum(1)", "2 * cells.sum(1)", "evaluation/stats/test_three_class.py"),
    Mutant("best length not chosen anew in each resample", "namd/evaluation/tables/three_class.py",
           "np.max(others, axis=0)", "max(others, key=lambda drawn: drawn[0])",
           "evaluation/tables/test_three_class.py"),
    Mutant("AutoRad-Lung's image encoder is named by its path alone", "namd/ground/provenance.py",
           '"autorad_encoder", "autorad_text",', '"autorad_text",', "study/test_provenance.py"),
    Mutant("a parameter that the notebook hands on does not count", "namd/study/notebook.py",
           "names = {*keys.deciding(modules, self.declared), *parameters}",
           "names = keys.deciding(modules, self.declared)", "study/test_keys_of_09.py"),
    Mutant("the code that crops does not name the arms of 09", "notebooks/09_autorad_lung.ipynb",
           '\\"namd.autorad.crops\\", ', "", "study/test_keys_of_09.py"),
    Mutant("the rule that outlines does not name the second judge", "notebooks/09_autorad_lung.ipynb",
           ', \\"namd.evaluation.stats.metrics\\"], [\\"cohort\\"]', '], [\\"cohort\\"]', "study/test_keys_of_09.py"),
    Mutant("LIDC's masks do not name its cohort", "namd/ground/provenance.py",
           '("crops.npy", "crops_mask.npy",', '("crops.npy",', "study/test_provenance.py"),
    Mutant("a new file in LIDC's delivery is not seen", "namd/study/runner/done.py",
           '    "09": ("lidc", "lidc", "lidc_delivery"),\n', "", "study/runner/test_done.py"),
    Mutant("a delivery without a name is the whole checkout", "namd/study/params/rules.py",
           'return source == "phantom" or folder.strip()', "return True", "study/params/test_rules.py"),
    Mutant("the second judge reads patients that its encoder has seen", "namd/study/params/rules.py",
           'Rule("phantom_seed autorad_encoder autorad_text ', 'Rule("phantom_seed autorad_encoder ',
           "study/params/test_rules.py"),
    Mutant("systems of another Table 1 are read by the second judge", "namd/evaluation/tables/comparators.py",
           "if table.is_file() and stands_beside(", "if table.is_file() or stands_beside(",
           "evaluation/tables/test_comparators.py"),
    Mutant("LIDC's broken cohort is mended by notebook 01", "namd/data/cohort.py",
           'COHORTS.get(path.name, COHORTS["cohort"])', 'COHORTS["cohort"]', "data/test_cohort.py"),
    Mutant("a verdict that turned round survives", "namd/evaluation/tables/two_judges.py",
           "if undecided not in (first, second):", "if False:", "evaluation/tables/test_two_judges.py"),
    Mutant("a pretraining settled where random weights do as well", "namd/evaluation/tables/causes.py",
           'table.loc[where, "low"] > 0', 'table.loc[where, "low"] > -1', "evaluation/tables/test_ledger.py"),
    Mutant("jumps at the border in a spectrum", "namd/evaluation/stats/image_quality.py",
           " * fade[:, None] * fade[None, :]", "", "evaluation/stats/test_image_quality.py"),
    Mutant("EfficientNet-Lite0 padded at the start", "namd/models/efficientnet.py",
           "(kernel - stride) // 2, (kernel - stride + 1)", "(kernel - stride + 1) // 2, (kernel - stride)",
           "models/test_efficientnet.py"),
    Mutant("AutoRad's square of one diameter", "namd/autorad/crops.py", "DIAMETERS = 2 ", "DIAMETERS = 1 ",
           "autorad/test_crops.py"),
    Mutant("AutoRad's square half a pixel off", "namd/autorad/crops.py", "centre[0] + .5 - side", "centre[0] - side",
           "autorad/test_crops.py"),
    Mutant("AIMv2 asked without CLIP's normalisation", "namd/autorad/encoders.py",
           "self.tower(self.pixels(x)", "self.tower(x.expand(-1, 3, -1, -1)", "autorad/test_encoders.py"),
    Mutant("a pooling head that a file leaves open is drawn at random", "namd/autorad/encoders.py",
           'told.get("use_head", True)', 'told.get("use_head")', "autorad/test_encoders.py"),
    Mutant("AIMv2's prefix looks back only", "namd/autorad/pretrain.py", "(torch.arange(n) < prefix.view(-1, 1, 1))",
           "(torch.arange(n) < 0 * prefix.view(-1, 1, 1))", "autorad/test_pretrain.py"),
    Mutant("AIMv2 asked for the patches of its prefix", "namd/autorad/pretrain.py", "torch.arange(1, n) >= prefix",
           "torch.arange(1, n) >= 0 * prefix", "autorad/test_pretrain.py"),
    Mutant("the probed nodules are learnt too", "namd/pretrain/nodules.py", "return self.first(n),",
           "return self.first(len(self.label3)),", "pretrain/test_nodules.py"),
    Mutant("a Laplacian that fades with its sigma", "namd/autorad/extraction.py", "return sigma ** 2 * ", "return ",
           "autorad/test_radiomics.py"),
    Mutant("a filtered image with the first order of the original", "namd/autorad/extraction.py",
           "yield answer, name", "yield image, name", "autorad/test_radiomics.py"),
    Mutant("a file at every call of the radiomics", "namd/autorad/extraction.py",
           "extractor.extract_from_preprocessed(extractor.preprocess_case(image, region))",
           "extractor.execute(image, region)", "autorad/test_radiomics.py"),
    Mutant("a table of radiomics that overlooks the mask", "namd/autorad/radiomics.py",
           "digest.update(np.asarray(mask, dtype=bool).tobytes())", "digest.update(b'')", "autorad/test_radiomics.py"),
    Mutant("a damaged file of the right size is kept", "namd/data/open/series.py",
           'if not md5 or md5 not in (', 'if not md5 or False and md5 not in (', "data/open/test_fetch.py"),
    Mutant("a file of another series is taken", "namd/data/open/series.py",
           "if uid is not None and uid != job.row.uid:", "if False:", "data/open/test_fetch.py"),
    Mutant("a series with a missing object passes", "namd/data/open/series.py",
           "if (len(stored), size) != (row.files, row.size):", "if False:", "data/open/test_fetch.py"),
    Mutant("one slice too few around a nodule", "namd/data/open/slices.py",
           "axial[max(0, i - reach):i + reach + 1]", "axial[max(0, i - reach):i + reach]", "data/open/test_slices.py"),
    Mutant("a header is believed where it is cut", "namd/data/open/slices.py",
           "return head if reached else None", "return head", "data/open/test_slices.py"),
    Mutant("a passing fault is not tried again", "namd/data/open/bucket.py",
           "if code in PASSING:", "if False:", "data/open/test_bucket.py"),
    Mutant("a document type in a listing", "namd/data/open/bucket.py",
           'if b"<!" in text:', "if False:", "data/open/test_bucket.py"),
    Mutant("wide gaps of a part excuse a point beyond its end", "namd/data/dicom/geometry.py",
           "_gap_towards(series, i, point @ series.slices[0].normal)", "_slab(series)", "data/open/test_slices.py"),
    Mutant("a sample that is all of one kind", "namd/data/open/plan.py",
           "((i + 0.5) / len(members), *member)", "(len(members), *member)", "data/open/test_plan.py"),
]


def passes(tests, folder) -> bool:
    """Whether the test files `tests` pass in `folder`, a copy of the repository."""
    return subprocess.run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider",
                           *(f"tests/{name}" for name in tests.split())], cwd=folder, capture_output=True,
                          env=os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}).returncode == 0


def survives(mutant, folder) -> bool:
    """Whether the tests of `mutant` pass although its line is changed."""
    file = folder / mutant.file
    sound = file.read_text(encoding="utf-8")
    file.write_text(sound.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        return passes(mutant.tests, folder)
    finally:
        file.write_text(sound, encoding="utf-8")


def main() -> int:
    """1 when a mutant survived, or when tests fail without one."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--only", default="", metavar="WORD", help="mutants whose description or file holds it")
    word = asked.parse_args().only
    chosen = [mutant for mutant in MUTANTS if word in mutant.what or word in mutant.file]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "repo"
        shutil.copytree(REPO, folder, ignore=shutil.ignore_patterns(".venv", ".git", "outputs", "__pycache__"))
        shutil.copytree(REPO / "outputs" / "reference", folder / "outputs" / "reference")
        unsound = [tests for tests in dict.fromkeys(mutant.tests for mutant in chosen) if not passes(tests, folder)]
        if unsound:
            print(f"These fail without any mutant: {', '.join(unsound)}")
            return 1
        survived = 0
        for mutant in chosen:
            alive = survives(mutant, folder)
            survived += alive
            print(f"{'SURVIVED' if alive else 'killed  '}  {mutant.what}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} killed")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
