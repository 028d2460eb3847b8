"""The objectives of the small encoders: who sees whom, what is told, and that a batch's own pairs are the answer."""

import pytest
import torch

from namd.autorad import encoders, pretrain
from namd.ground.seeding import fresh_weights
from namd.models.llm import build_tokenizer


@pytest.fixture(scope="module")
def model():
    with fresh_weights(2, "test"):
        tower = pretrain.small_tower(32, 8, width=16, mlp=24, layers=2, heads=2)
        return pretrain.Autoregressive(encoders.Aimv2(tower), n_words=9, layers=2)


@pytest.fixture
def x():
    return torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_prefix_sees_itself_and_the_rest_looks_back():
    one, = pretrain.prefix_mask(torch.tensor([2]), 4)[0]
    assert one.int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert pretrain.prefix_mask(torch.tensor([4]), 4).all()


def test_patches_are_read_row_by_row_and_normalised():
    x = torch.arange(64.).view(1, 1, 8, 8)
    found = pretrain.patches(x, 4)
    assert found.shape == (1, 4, 16)
    torch.testing.assert_close(found.mean(-1), torch.zeros(1, 4), atol=1e-5, rtol=0)
    second = x[0, 0, :4, 4:].flatten()
    torch.testing.assert_close(found[0, 1], (second - second.mean()) / second.std())


def test_what_comes_later_is_hidden_from_the_encoder_outside_the_prefix(model, x):
    changed = x.clone()
    changed[:, :, 16:] *= -1                                     # patches 8 to 15
    with torch.no_grad():
        for prefix, told in ((1, 8), (8, 8), (9, 0)):
            mask = pretrain.prefix_mask(torch.tensor([prefix, prefix]), 16)
            same = (model.encoder.tokens(x, mask) - model.encoder.tokens(changed, mask)).abs().amax((0, 2)) < 1e-6
            assert same.int().tolist() == [1] * told + [0] * (16 - told), prefix


def test_the_loss_is_that_of_the_patches_outside_the_prefix_and_of_the_words(model, x):
    ids = torch.tensor([[4, 5, 1, 0], [6, 7, 8, 1]])
    prefix = torch.tensor([3, 15])
    with torch.no_grad():
        found = model(x, ids, prefix)
        seen = model.encoder.tokens(x, pretrain.prefix_mask(prefix, 16))
        told = torch.cat([seen, model.words(ids[:, :-1]) + model.places[:3]], dim=1)
        mask = torch.ones(19, 19, dtype=torch.bool).tril()[None, None]
        states = model.norm(model.decoder(told, mask).last_hidden_state)
        target = pretrain.patches(x, 8)
        errors = [(model.to_pixels(states[b, i - 1]) - target[b, i]).square().mean()
                  for b, first in enumerate(prefix.tolist()) for i in range(first, 16)]
        surprise = [-(states[b, 15 + j] @ model.words.weight.T).log_softmax(-1)[ids[b, j]]
                    for b, length in enumerate((3, 4)) for j in range(length)]
    torch.testing.assert_close(found["patches"], torch.stack(errors).mean())
    torch.testing.assert_close(found["words"], torch.stack(surprise).mean())
    torch.testing.assert_close(found["loss"], found["patches"] + .4 * found["words"])
    assert len(errors) == 13 + 1


def test_nothing_is_told_what_it_must_tell(model, x):
    """The last patch and the last word are asked for, and nobody who is asked sees them."""
    changed = x[:1].clone()
    changed[..., 24:, 24:] = .1 * torch.rand(8, 8)
    ids = torch.tensor([[4, 5, 1]])
    states = []
    hook = model.norm.register_forward_hook(lambda module, given, told: states.append(told))
    with torch.no_grad():
        for image, words in ((x[:1], ids), (changed, ids), (x[:1], torch.tensor([[4, 5, 6]]))):
            model(image, words, torch.tensor([1]))
    hook.remove()
    torch.testing.assert_close(states[0][:, :15], states[1][:, :15])
    assert not torch.allclose(states[0][:, 15:], states[1][:, 15:])
    torch.testing.assert_close(states[0], states[2])


def test_the_pairs_of_a_batch_belong_together():
    tokenizer = build_tokenizer(["a nodule image of benign .", "unsure malignant"])
    with fresh_weights(4, "test"):
        text = pretrain.small_text(tokenizer, 16, 1, 8)
    ids = torch.tensor([tokenizer(f"a nodule image of {word} .").input_ids + [1]
                        for word in ("benign", "unsure", "malignant")])

    def expected(scale):
        logits = scale * torch.nn.functional.cosine_similarity(words[:, None], words[None], dim=-1)
        return -(logits.log_softmax(1).diagonal().mean() + logits.log_softmax(0).diagonal().mean()) / 2

    with torch.no_grad():
        words = text(ids).text_embeds
        assert words.shape == (3, 8)
        loss = pretrain.contrastive_loss(3 * words, text, ids)
        torch.testing.assert_close(loss, expected(text.logit_scale.exp()))
        assert pretrain.contrastive_loss(words.roll(1, 0), text, ids) > loss
        text.logit_scale.fill_(9.)
        torch.testing.assert_close(pretrain.contrastive_loss(words, text, ids), expected(100))


def test_padding_after_the_end_changes_nothing():
    tokenizer = build_tokenizer(["a nodule image of benign ."])
    with fresh_weights(5, "test"):
        text = pretrain.small_text(tokenizer, 16, 2, 8).eval()
    ids = torch.tensor([tokenizer("a nodule .").input_ids + [1]])
    with torch.no_grad():
        torch.testing.assert_close(text(ids).text_embeds, text(torch.nn.functional.pad(ids, (0, 3))).text_embeds)
