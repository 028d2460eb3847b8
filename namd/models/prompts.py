"""Learnable prompts in front of the report, and the context they give to the U-Net (Eq. 7-8)."""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from peft import PromptEmbedding, PromptTuningConfig

from namd.ground import seeding
from namd.ground.errors import UserError
from namd.models.llm import SPECIAL, eos_states


class SoftPrompts(ModelMixin, ConfigMixin):
    """m sets of n learnable vectors of width D, and the fixed standardisation of the states they lead to.

    Args:
        n_sets, n_tokens, dim: m, n, D.

    `mean` and `std` (D,) are 0 and 1 unless `fit_standardisation` is called. `save_pretrained` writes config.json
    and diffusion_pytorch_model.safetensors.

    Source: Sec. 3.3.1; peft's PromptEmbedding carries the vectors, as in any prompt-tuned model.
    """

    @register_to_config
    def __init__(self, n_sets: int, n_tokens: int, dim: int):
        super().__init__()
        config = PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=n_sets * n_tokens,
                                    token_dim=dim, num_transformer_submodules=1)
        with seeding.fresh_weights("soft prompts"):
            self.carrier = PromptEmbedding(config, None)
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    @classmethod
    def begin(cls, lm, n_sets: int, n_tokens: int, seed: int, start: str = "vocabulary") -> "SoftPrompts":
        """Prompts as they are before training.

        Args:
            lm: frozen language model; n_sets, n_tokens: m, n; seed: names the draw.
            start: `vocabulary`, each vector is the embedding of a random word of `lm`, times sqrt(D) as the LLM sees
                it; or `normal`, .02 N(0, 1).

        Source: `normal` is the authors' code. `vocabulary` is ours, because prompts are not scaled on their way in, and
            vectors of .02 beside embeddings of about 1 an entry say next to nothing until they have grown.
        """
        prompts = cls(n_sets, n_tokens, lm.config.hidden_size).to(lm.device)
        n = n_sets * n_tokens
        words = len(SPECIAL) + seeding.integers(lm.config.vocab_size - len(SPECIAL), (n,), seed, "soft prompts")
        with torch.no_grad():
            if start == "vocabulary":
                vectors = lm.embed_tokens(words.to(lm.device))
            else:
                vectors = 0.02 * seeding.noise((n, lm.config.hidden_size), seed, "soft prompts")
            prompts.carrier.embedding.weight.copy_(vectors)
        return prompts

    def vectors(self) -> torch.Tensor:
        """The prompts s_{j,k} of Eq. 7: (m, n, D)."""
        return self.carrier.embedding.weight.unflatten(0, (self.config.n_sets, self.config.n_tokens))

    def standardise(self, h_eos):
        """(..., D) states to zero mean and unit spread over the training reports; the identity before the fit."""
        return (h_eos - self.mean) / self.std

    @torch.no_grad()
    def fit_standardisation(self, ctx) -> None:
        """Fix `mean` and `std` (D,) from the contexts of the N training reports under the prompts as they are.

        Args:
            ctx: (N, m, D) from `encode_all`, before any fit.

        Source: ours, because in a small LLM the record moves the state by a tenth of its length only.
        """
        states = ctx.flatten(0, 1)
        self.mean.copy_(states.mean(0))
        self.std.copy_(states.std(0))

    def beside(self, lm) -> "SoftPrompts":
        """These prompts on the device of `lm`.

        Raises:
            UserError: they were trained with an LLM of another width.
        """
        if self.config.dim != lm.config.hidden_size:
            raise UserError(
                f"The soft prompts have width {self.config.dim}, the language model {lm.config.hidden_size}: set "
                "llm_path to the model of their training, or run notebook 04 again."
            )
        return self.to(lm.device)


def encode(lm, tokenizer, prompts, texts):
    """Context C of B reports (Eq. 7-8): one call of the LLM on B*m sequences; gradients reach the prompts.

    Args:
        lm, tokenizer: from `load_llm`; frozen.
        prompts: SoftPrompts with m sets.
        texts: B reports.

    Returns:
        (B, m, D) float32.

    Source: Sec. 3.3.1.
    """
    return prompts.standardise(eos_states(lm, tokenizer, texts, prompts.vectors()))


def encode_all(lm, tokenizer, prompts, texts, batch_size: int = 64):
    """`encode` without gradients for any number of reports; equal reports are encoded once; (N, m, D)."""
    return prompts.standardise(states_of_all(lm, tokenizer, prompts, texts, batch_size))


@torch.no_grad()
def states_of_all(lm, tokenizer, prompts, texts, batch_size: int = 64):
    """What `encode_all` standardises: (N, m, D) states at <eos> behind the prompts."""
    unique = sorted(set(texts), key=lambda text: (len(text), text))
    vectors = prompts.vectors()
    starts = range(0, len(unique), batch_size)
    chunks = [eos_states(lm, tokenizer, unique[i:i + batch_size], vectors) for i in starts]
    row = {text: i for i, text in enumerate(unique)}
    return torch.cat(chunks)[[row[text] for text in texts]]
