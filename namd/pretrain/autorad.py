"""The small models of AutoRad-Lung: two image encoders with their text towers, a text tower of EfficientNet-Lite0."""

import numpy as np

from namd.autorad.encoders import LITE0, Encoder, load_encoder
from namd.autorad.prompts import CLASSES, WORDS
from namd.ground import keys
from namd.models.llm import build_tokenizer
from namd.pretrain import encoders, told
from namd.pretrain.nodules import draw_nodules

TEXT_PART = "text"                  # folder of a text tower inside that of its encoder
ACCURACY = "accuracy in three classes, nodules of other subjects: "


class Lessons:
    """What all of them learn from: nodules to learn, nodules to probe, and a tokenizer that knows the words.

    Args:
        root: folder of the run; p: pretrain_*, phantom_* and data_workers.
    """

    def __init__(self, root, p, log):
        self.p = p
        self.key = keys.key(told.settings(p, told.OF_PHANTOM), keys.code("namd.pretrain.nodules"), {})
        self.learnt, self.probed = draw_nodules(root / "nodules.npy", self.key, p, log).halves()
        self.tokenizer = build_tokenizer([*self.learnt.captions, " ".join([WORDS, *CLASSES, "."])])

    def key_of(self, prefixes, **reads) -> str:
        """Names what is learnt from them under the parameters of `prefixes`, and from `reads`."""
        return keys.key(told.settings(self.p, prefixes), keys.code("namd.pretrain.encoders"),
                        {"nodules": self.key, **reads})

    def facts(self, prefixes, z, text, locked) -> dict:
        """What a manifest says of the models that made `z`, (N, P) of the probed nodules, and `text`.

        Args:
            locked: whether the text tower learnt beside a locked encoder, from `encoders.LOCKED` nodules at most.
        """
        label3 = self.probed.label3
        n = len(label3)
        measured = {"the largest class": np.bincount(label3).max() / n,
                    "a line through the image's embedding": encoders.probe(z, label3),
                    "the words of the classes, untrained": encoders.zero_shot(z, label3, text, self.tokenizer)}
        learnt = len(self.learnt.label3)
        trained_on = told.NODULES_TOLD.format(n=learnt, probed=n, seed=self.p.pretrain_seed)
        if locked and learnt > encoders.LOCKED:
            trained_on += told.FIRST_TOLD.format(n=encoders.LOCKED)
        return dict(trained_on=trained_on,
                    parameters=told.settings(self.p, prefixes), phantom_seed=self.p.pretrain_seed,
                    measured={ACCURACY + what: float(value) for what, value in measured.items()})

    def save_text(self, text, folder) -> None:
        """A text tower and the tokenizer in one folder."""
        text.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def small_aimv2(root, p, write, log) -> None:
    """An encoder that learns AIMv2's objective, and a text tower that learns to speak to it.

    Args:
        root: checkpoints and images go below it; write: (function of a folder, facts) -> nothing.
    """
    lessons = Lessons(root, p, log)
    key = lessons.key_of(told.OF_ENCODER)
    checkpoints = root / "checkpoints"
    net = encoders.train_autoregressive(checkpoints / "aimv2", key, lessons.learnt, lessons.tokenizer, p, log)
    text_key = lessons.key_of(told.OF_ENCODER, encoder=key)
    text = encoders.train_text(checkpoints / "aimv2-text", text_key, Encoder.of(net), lessons.learnt,
                               lessons.tokenizer, p, log)
    _write_both(write, net, text, lessons, locked=True)


def small_contrastive(root, p, write, log) -> None:
    """An encoder of the same form and its text tower, which learn together; arguments as of `small_aimv2`."""
    lessons = Lessons(root, p, log)
    net, text = encoders.train_contrastive(root / "checkpoints" / "contrastive", lessons.key_of(told.OF_ENCODER),
                                           lessons.learnt, lessons.tokenizer, p, log)
    _write_both(write, net, text, lessons, locked=False)


def small_clip(root, p, write, log) -> None:
    """A text tower that learns to speak to EfficientNet-Lite0; arguments as of `small_aimv2`."""
    lessons = Lessons(root, p, log)
    encoder = load_encoder(LITE0)
    text = encoders.train_text(root / "checkpoints" / "lite0-text", lessons.key_of(told.OF_TEXT), encoder,
                               lessons.learnt, lessons.tokenizer, p, log)
    z = encoders.embed(encoder, lessons.probed)
    write(lambda folder: lessons.save_text(text, folder), lessons.facts(told.OF_TEXT, z, text, locked=True))


def _write_both(write, net, text, lessons, locked):
    """An encoder, with its text tower in a folder of its own."""
    def save(folder):
        net.tower.save_pretrained(folder)
        lessons.save_text(text, folder / TEXT_PART)

    z = encoders.embed(Encoder.of(net), lessons.probed)
    write(save, lessons.facts(told.OF_ENCODER, z, text, locked))
