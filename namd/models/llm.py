"""The frozen language model: a small multimodal Gemma 3 built here, or MedGemma, through one loader (Section 3.3.1)."""

import math
from pathlib import Path

import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModel,
    AutoTokenizer,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from namd.data.report import EMPTY_REPORT, family_history, report_texts
from namd.ground import keys, seeding
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.models import hub
from namd.models.prefix import states_at
from namd.models.sound import check_finite, check_gemma
from namd.training import loop

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]  # Gemma's ids 0, 1, 2, 3
EOS_ID = 1
RESTATED = ["age", "gender", "diagemph", "sct_pre_att", "sct_margins", "sct_epi_loc", "sct_long_dia"]


def restatement(record) -> str:
    """The record once more as names and codes, e.g. "age 68 gender 1 ... size 19"; the small LLM learns to write it.

    `record` is one row of `ehr`; missing values are said as unknown; `size` is 4 log2 of the diameter in mm.

    Source: ours, because a small LLM must first learn that digits are quantities; it holds no label and no image.
    """
    known = {name: record[name] for name in RESTATED if record[name] == record[name] and record[name] is not None}
    words = [f"{name} {known[name]:.0f}" if name in known else f"{name} unknown" for name in RESTATED]
    family = family_history(record)
    words.append("family unknown" if family is None else f"family {family}")
    if "sct_long_dia" in known:
        words.append(f"size {4 * math.log2(known['sct_long_dia']):.0f}")
    return " ".join(words)


def pretraining_texts(ehr) -> list[str]:
    """One training text a record: report, <eos>, restatement, so that <eos> must carry the record; `ehr` has N rows."""
    records = ehr.astype(object).where(ehr.notna(), None).to_dict("records")
    return [f"{report}<eos>{restatement(record)}" for report, record in zip(report_texts(ehr), records, strict=True)]


def build_tokenizer(texts) -> PreTrainedTokenizerFast:
    """Word-level tokenizer over `texts` with Gemma's special ids; each digit is a token of its own, as in Gemma."""
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    plain = [text.replace("<eos>", " ") for text in texts] + [" ".join("0123456789"), "unknown"]
    words.train_from_iterator(plain, trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False))
    words.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )


def small_config(hidden: int, n_layers: int, vocab_size: int) -> Gemma3Config:
    """Gemma 3 in MedGemma's layout (language model beside an image encoder), with toy widths."""
    if hidden % 8:
        raise UserError(f"llm_hidden is {hidden}: a small language model has four heads of even width; use 8, 16 ...")
    text = dict(
        vocab_size=vocab_size, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=n_layers,
        num_attention_heads=4, num_key_value_heads=2, head_dim=hidden // 4, query_pre_attn_scalar=hidden // 4,
        sliding_window=1024, max_position_embeddings=1024,
        layer_types=["sliding_attention"] * (n_layers - 1) + ["full_attention"],
    )
    image = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                 image_size=28, patch_size=14)
    return Gemma3Config(text_config=text, vision_config=image, mm_tokens_per_image=4)


def build_llm(path, texts, p, device="cpu") -> None:
    """Build the small stand-in for MedGemma: a Hugging Face folder with tokenizer, pretrained for p.llm_steps.

    Args:
        path: folder to write; its parent keeps the checkpoints of the pretraining.
        texts: N training texts, usually `pretraining_texts(ehr)` of the training split.
        p: llm_hidden, llm_layers, llm_steps, seed.
        device: where it is pretrained.

    The same texts and parameters give the same bytes.

    Source: ours, because the series must run without MedGemma's licence and its 8 GB.
    """
    path = Path(path)
    tokenizer = build_tokenizer(texts)
    with seeding.fresh_weights(p.seed, "llm"):
        model = Gemma3ForConditionalGeneration(small_config(p.llm_hidden, p.llm_layers, len(tokenizer)))
    if p.llm_steps:
        settings = dict(llm_hidden=p.llm_hidden, llm_layers=p.llm_layers, llm_steps=p.llm_steps, seed=p.seed)
        key = keys.key(settings, keys.code("namd.models.llm"), {}, list(texts))
        lm = model.model.language_model.to(device)
        pretrain(lm, tokenizer, texts, p, path.parent / "checkpoints" / "llm", key)
    logging.disable_progress_bar()
    with replacing(path) as aside:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)


def pretrain(lm, tokenizer, texts, p, folder, key):
    """Next-token training of `lm` on `texts`; what follows <eos> is told from the state at <eos> alone.

    A step has two passes: over the report, up to <eos>, and over the restatement, in which the last layer's state at
    <eos> stands where <bos> would. Their losses add.

    Returns:
        the history of `loop.fit`.

    Source: ours, after AutoCompressors (Chevalier et al. 2023, summary vectors as soft prompts). The U-Net will see
    nothing but the state at <eos>; a model that may look back at the report leaves that state empty.
    """
    halves = [text.split("<eos>") for text in texts]
    reports = [torch.tensor([*tokenizer(report).input_ids, EOS_ID]) for report, _ in halves]
    restated = [torch.tensor([*tokenizer(told, add_special_tokens=False).input_ids, EOS_ID]) for _, told in halves]
    last = torch.tensor([len(row) - 1 for row in reports])                      # place of <eos>
    first, second = (torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) for rows in (reports, restated))

    def surprise(states, ids):
        logits = states @ lm.embed_tokens.weight.T
        return cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=0)           # <pad> is 0

    def step(idx, g, step_no):
        report, told = first[idx].to(lm.device), second[idx].to(lm.device)
        states = lm(report).last_hidden_state                                   # (B, L, D)
        at_eos = states[torch.arange(len(idx)), last[idx]].unsqueeze(1)         # (B, 1, D)
        memory = torch.cat([at_eos, lm.embed_tokens(told[:, :-1])], dim=1)
        again = lm(inputs_embeds=memory).last_hidden_state
        return {"loss": surprise(states[:, :-1], report[:, 1:]) + surprise(again, told)}

    return loop.fit(
        step, lm, n_steps=p.llm_steps, n_items=len(texts), batch_size=32, lr=loop.one_cycle(4e-3, p.llm_steps),
        stage="llm", seed=p.seed, folder=folder, key=key, save_every=p.llm_steps,
    )


def load_llm(path, dtype="float32"):
    """The language model of a Gemma 3 repository and its tokenizer: `(lm, tokenizer)`, frozen, in eval mode.

    Args:
        path: folder, "org/name" or "org/name@revision", e.g. google/medgemma-1.5-4b-it (gated: Health AI Developer
            Foundations terms of use; its weights are read and never written again).
        dtype: float32 (App. B) or bfloat16; float16 overflows in Gemma 3.

    Raises:
        UserError: the files are out of reach, of another kind of model, some weights are missing or no numbers, or
            <eos> does not have id 1.

    Source: Sec. 3.3.1. A text-only class silently draws random weights from this layout, so missing keys are refused.
    """
    if dtype not in ("float32", "bfloat16"):
        raise UserError(f"llm_dtype is {dtype}, which overflows or is unknown to Gemma 3: use float32 or bfloat16.")
    logging.disable_progress_bar()
    name, revision = hub.split(path)
    try:
        hub.refuse_absent_folder(path)
        with hub.without_report():
            model, info = AutoModel.from_pretrained(name, revision=revision or "main", dtype=getattr(torch, dtype),
                                                    use_safetensors=True, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision or "main")
    except hub.UNREADABLE as error:
        raise UserError(f"llm_path: {path} cannot be opened ({hub.first_line(error)}); {hub.advice(path)}, "
                        "or leave llm_path empty and run notebook 01 for the small one.") from None
    check_gemma(model.config.model_type, path)
    if info["missing_keys"]:
        raise UserError(
            f"The language model {path} lacks {len(info['missing_keys'])} weights, e.g. "
            f"{sorted(info['missing_keys'])[0]}: fetch it again, or point llm_path at a complete Gemma 3 repository."
        )
    if tokenizer.convert_ids_to_tokens(EOS_ID) != "<eos>":
        raise UserError(f"Token 1 of {path} is not <eos>: llm_path must name a Gemma 3 model.")
    lm = getattr(model, "language_model", model)  # a text-only Gemma 3 is its own language model
    check_finite(lm.state_dict(), path, "llm_path")
    return lm.eval().requires_grad_(False), tokenizer


def eos_states(lm, tokenizer, texts, soft_prompt=None):
    """Hidden state at <eos> of [soft prompt, <bos>, report, <eos>] in the last layer (Eq. 7).

    Args:
        texts: B reports.
        soft_prompt: (m, n, D) prompt vectors at the scale of `embed_tokens`, or None for no prompt.

    Returns:
        (B, m, D) float32 on the device of `lm`; m = 1 without prompts.

    Source: Sec. 3.3.1. We put <bos> after the prompts, as peft does; the authors put the prompts after <bos> and read
    the last word, without <eos>. Padding stands to the right, where a causal model
    cannot see it from <eos>.
    """
    words = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    rows = [torch.tensor([tokenizer.bos_token_id, *row, EOS_ID]) for row in words]
    last = torch.tensor([len(row) - 1 for row in rows])             # place of <eos>
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)   # (B, L), <pad> is 0
    return states_at(lm, ids.to(lm.device), last.to(lm.device), soft_prompt)


def null_context(lm, tokenizer, prompts=None):
    """The null prompt of Eq. 9: the empty report through the same LLM; (1, m, D), m = 1 without prompts.

    Source: ours, because a context of zeros gives the keys and values of the cross-attention no gradient.
    """
    if prompts is None:
        return eos_states(lm, tokenizer, [EMPTY_REPORT])
    return prompts.standardise(eos_states(lm, tokenizer, [EMPTY_REPORT], prompts.vectors()))


def probe_score(states, ehr) -> dict[str, float]:
    """How well a line through the frozen states reads the record: cross-validated R2, 1 is perfect, <= 0 is nothing.

    Args:
        states: (N, ...) tensor, flattened per row.
        ehr: N rows with `age` (years) and `sct_long_dia` (mm); rows without the value are left out.

    Returns:
        {"age": R2, "log_diameter": R2}, ridge regression, five folds.

    Source: ours, because a context that does not hold the record cannot condition anything.
    """
    states = states.detach().flatten(1).cpu().numpy()
    scores = {}
    for name, column in (("age", "age"), ("log_diameter", "sct_long_dia")):
        known = ehr[column].notna().to_numpy()
        target = ehr[column][known].astype(float).to_numpy()
        if name == "log_diameter":
            target = [math.log(d) for d in target]
        ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=[10.0**k for k in range(-3, 4)]))
        guess = cross_val_predict(ridge, states[known], target, cv=KFold(5, shuffle=True, random_state=0))
        scores[name] = float(r2_score(target, guess))
    return scores
