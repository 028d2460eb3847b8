"""C of the records of one split (Eq. 8), as the conditional stage asks for it: read anew only where it may differ."""

import torch

from namd.models.prompts import encode, states_of_all


class ContextBank:
    """C of reports: through the LLM while the prompts learn, remembered while they stand still.

    Args:
        lm, tokenizer, prompts: as of `encode`; texts: N reports, of which `context` speaks by position.
        prompt_steps: steps in which the prompts learn; -1 is all of them (Eq. 10).

    What is remembered are the states at <eos>, by the very numbers of the prompts: whoever moves them, a step, an
    average of weights or a checkpoint, makes the next question go to the LLM.

    Source: Eq. 10 trains the prompts throughout; the memory is ours, because the LLM is the dearest part of a step.
    """

    def __init__(self, lm, tokenizer, prompts, texts, prompt_steps: int):
        self.encoder = (lm, tokenizer, prompts)
        self.prompts = prompts
        self.texts = list(texts)
        self.prompt_steps = prompt_steps
        self.behind = None              # (m, n, D), the prompts that the states were read behind
        self.states = None              # (N, m, D)

    def context(self, idx, step_no: int):
        """(B, m, D) for the reports `idx` (B,) int64; with gradient while the prompts learn."""
        if self.prompt_steps < 0 or step_no < self.prompt_steps:
            return encode(*self.encoder, [self.texts[i] for i in idx.tolist()])
        states = self._states()
        return self.prompts.standardise(states[idx.to(states.device)])

    def all(self):
        """(N, m, D) of all reports behind the prompts as they are, without gradient."""
        return self.prompts.standardise(self._states())

    @torch.no_grad()
    def _states(self):
        vectors = self.prompts.vectors()
        if self.behind is None or not torch.equal(vectors, self.behind):
            self.states = states_of_all(*self.encoder, self.texts)
            self.behind = vectors.clone()
        return self.states


class RecordBank:
    """C of records as numbers, for the arm without a language model; always with gradient, for its reader learns.

    Args:
        reader: RecordContext; ehr: N records, of which `context` speaks by position.
    """

    def __init__(self, reader, ehr):
        self.reader = reader
        self.numbers = reader.numbers(ehr)      # (N, 39)

    def context(self, idx, step_no: int):
        """(B, m, D) for the records `idx` (B,) int64."""
        return self.reader(self.numbers[idx.to(self.numbers.device)])

    @torch.no_grad()
    def all(self):
        """(N, m, D) of all records, without gradient."""
        return self.reader(self.numbers)
