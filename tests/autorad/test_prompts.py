"""Learnt prompts against CLIP's own class, three sequences, static prompts and the equations by hand."""

import pytest
import torch
import torch.nn.functional as F
from small_text import VOCABULARY, tokenizer, tower

from namd.autorad import texts
from namd.autorad.prompts import CLASSES, WORDS, Prompts, tree
from namd.ground.errors import UserError
from namd.ground.seeding import fresh_weights, noise

B, N_FEAT, P = 5, 40, 32


@pytest.fixture(scope="module")
def text():
    return tower(projection=P)


def prompts(text, context=7, **settings):
    with fresh_weights("prompts"):
        return Prompts(text, tokenizer(), context, settings.pop("image_width", P), **settings)


@torch.no_grad()
def with_zeros(net):
    for p in net.meta.parameters():
        p.zero_()
    return net


def test_a_context_of_words_is_the_sentence_in_clip_s_own_class(text):
    found = prompts(text, WORDS).class_features(text)[0]
    for name, feature in zip(CLASSES, found, strict=True):
        ids = [VOCABULARY["<|startoftext|>"], *texts.word_ids(tokenizer(), f"{WORDS} {name}."),
               VOCABULARY["<|endoftext|>"]]
        expected = F.normalize(text(input_ids=torch.tensor([ids])).text_embeds[0], dim=0)
        assert (feature - expected).abs().max() < 1e-6
    assert (found[0] - found[1]).abs().max() > 1e-2


def test_one_sequence_for_all_classes_is_three_sequences(text):
    """Class names of one, two and three words: a branch may be longer than another."""
    net = prompts(text, guide_width=N_FEAT)
    embed = text.get_input_embeddings()
    delta = net.meta(noise((B, N_FEAT), "guide"))
    rows = [[1, 2], [5], [7, 3, 4]]
    mask, positions, end = tree(1 + 7, [len(row) for row in rows])
    stem = net.embeds(delta)[:, :1 + 7]
    branches = [embed(torch.tensor(row)).expand(B, -1, -1) for row in rows]
    together = texts.features(text, torch.cat([stem, *branches], 1), end, mask, positions)
    for i, branch in enumerate(branches):
        whole = torch.cat([stem, branch], 1)
        alone = texts.features(text, whole, torch.tensor([whole.shape[1] - 1]))[:, 0]
        assert (together[:, i] - alone).abs().max() < 1e-5
        assert (together[:, i - 1] - alone).abs().max() > 1e-2


def test_the_tree_by_hand():
    mask, positions, end = tree(2, [2, 1])
    assert (mask == 0).int().tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0],
                                          [1, 1, 0, 0, 1]]
    assert positions.tolist() == [0, 1, 2, 3, 2] and end.tolist() == [3, 4]


def test_a_metanet_of_zeros_is_static(text):
    z, guide = noise((B, P), "z"), noise((B, N_FEAT), "guide")
    static, guided = prompts(text), prompts(text, guide_width=N_FEAT)
    assert torch.equal(static.ctx, guided.ctx)
    assert (guided(text, z, guide) - static(text, z)).abs().max() > 1e-4
    assert (with_zeros(guided)(text, z, guide) - static(text, z)).abs().max() < 1e-5


def test_delta_is_the_same_for_all_tokens_and_reaches_no_other(text):
    net = prompts(text, guide_width=N_FEAT)
    guide = noise((B, N_FEAT), "guide")
    first, second = net.meta[0], net.meta[2]
    delta = F.relu(guide @ first.weight.T + first.bias) @ second.weight.T + second.bias
    moved = net.embeds(net.meta(guide)) - net.embeds()
    assert moved.shape == (B, 1 + 7 + 9, 64)
    assert (moved[:, 1:8] - delta[:, None]).abs().max() < 1e-6
    assert moved[:, :1].abs().max() == 0 == moved[:, 8:].abs().max()


def test_delta_moves_every_class_as_its_own_prompt_would(text):
    """[begin][context + delta][class . end] of each class, written out, gives the logits by hand."""
    net = prompts(text, guide_width=N_FEAT, scale=7.0)
    z, guide = noise((B, P), "z"), noise((B, N_FEAT), "guide")
    embed = text.get_input_embeddings()
    begin = embed(torch.tensor([VOCABULARY["<|startoftext|>"]]))
    for i, name in enumerate(CLASSES):
        tail = embed(torch.tensor([VOCABULARY[name], VOCABULARY["."], VOCABULARY["<|endoftext|>"]]))
        for b in range(B):
            whole = torch.cat([begin, net.ctx + net.meta(guide[b]), tail]).unsqueeze(0)
            said = texts.features(text, whole, torch.tensor([whole.shape[1] - 1]))[0, 0]
            expected = 7.0 * F.cosine_similarity(said, z[b], dim=0)
            assert (net(text, z, guide)[b, i] - expected).abs() < 1e-4


def test_a_drawn_context_is_as_small_as_coop_s(text):
    assert prompts(text, 60).ctx.std().item() == pytest.approx(0.02, rel=0.1)


def test_only_context_and_metanet_learn(text):
    net = prompts(text, guide_width=N_FEAT)
    logits = net(text, noise((B, P), "z"), noise((B, N_FEAT), "guide"))
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 1, 0])).backward()
    assert {name for name, p in net.named_parameters() if p.grad.abs().max() > 0} == {
        "ctx", "meta.0.weight", "meta.0.bias", "meta.2.weight", "meta.2.bias"}
    assert all(p.grad is None for p in text.parameters())


def test_the_metanet_has_cocoop_s_size_and_never_fewer_than_six_hidden_units(text):
    sizes = {width: prompts(text, guide_width=width).meta[0].out_features for width in (1, 9, 102, 1497)}
    assert sizes == {1: 6, 9: 6, 102: 6, 1497: 93}
    wide = Prompts(tower(width=512, layers=1), tokenizer(), 1, P, guide_width=1500)     # the paper's size
    assert sum(p.numel() for p in wide.meta.parameters()) == 187_721


def test_the_scale_is_the_tower_s_own_unless_one_is_given(text):
    z = noise((B, P), "z")
    own, given = prompts(text), prompts(text, scale=20.0)
    assert own.scale == pytest.approx(1 / 0.07, rel=1e-3)
    assert (own(text, z) / own.scale - given(text, z) / 20).abs().max() < 1e-6


def test_logits_are_cosines_of_image_and_class_features(text):
    net = prompts(text, guide_width=N_FEAT)
    z, guide = noise((B, P), "z"), noise((B, N_FEAT), "guide")
    cosines = torch.cosine_similarity(net.class_features(text, guide), z.unsqueeze(1), dim=2)
    assert (net(text, z, guide) / net.scale - cosines).abs().max() < 1e-6


def test_the_length_of_embeddings_does_not_count(text):
    net = prompts(text)
    z = noise((B, P), "z")
    assert (net(text, 3 * z) - net(text, z)).abs().max() < 1e-5
    assert net.class_features(text).norm(dim=-1).sub(1).abs().max() < 1e-6


def test_widths_that_differ_need_a_projection(text):
    with pytest.raises(UserError, match="autorad_projection is none, but the image encoder answers in 48 numbers"):
        prompts(text, image_width=48)
    net = prompts(text, image_width=48, projection="linear")
    assert net(text, noise((B, 48), "z")).shape == (B, 3) and net.project.weight.requires_grad
    assert not list(prompts(text, projection="linear").project.parameters())


def test_more_tokens_than_the_tower_reads_are_refused():
    short = tower(projection=P, length=20)
    assert prompts(short, context=16)(short, noise((B, P), "z")).shape == (B, 3)
    with pytest.raises(UserError, match="autorad_ctx is too large: .* 21 tokens .* reads 20; take off 1"):
        prompts(short, context=17)


def test_everything_is_where_the_tower_is():
    """A device without numbers refuses what lies elsewhere, as a GPU would."""
    far = tower(projection=P).to("meta")
    z, guide = noise((B, 48), "z").to("meta"), noise((B, N_FEAT), "guide").to("meta")
    net = prompts(far, image_width=48, guide_width=N_FEAT, scale=5.0, projection="linear")
    logits = net(far, z, guide)
    assert logits.device.type == "meta" and logits.shape == (B, 3)
    assert {x.device.type for x in [*net.parameters(), *net.buffers()]} == {"meta"}
