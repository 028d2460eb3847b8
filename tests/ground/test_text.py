"""YAML, `-p` and JSON text: what may be meant in two ways is refused, nothing ends in a traceback."""

import json
import os
import re
from pathlib import Path

import pytest
from fuzzing import fuzz
from hypothesis import example, given
from hypothesis import strategies as st

from namd.data.record import read_record
from namd.data.report import EHR
from namd.ground.errors import UserError
from namd.study import params
from namd.study.params import layers

DEEP = 200_000


def in_one_sentence(call, *words):
    with pytest.raises(UserError) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said and len(said) < 2000, said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(("text", "words"), [
    ("seed: 1\nk_runs: 3\nseed: 2\n", ["line 3", "seed stands there twice"]),
    ("seed: 010\n", ["line 1", "reads 010 as 8"]),
    ("k_runs: 1:30\n", ["reads 1:30 as 90"]),
    ("vae_lr: 0:0.5\n", ["reads 0:0.5 as"]),
    ("zero_terminal_snr: yes\n", ["write true or false"]),
    ("arm: no\n", ["'no' in quotes"]),
    ("device: on\n", ["'on' in quotes"]),
    ("on: 1\n", ["no plain word"]),
    ("1: 2\n", ["no plain word"]),
    ("? [a, b]\n: 1\n", ["no plain word"]),
    ("<<: {seed: 1}\n", ["no plain word"]),
    ("a: &x [1]\nb: *x\n", ["line 2", "aliases"]),
    ("seed: !!python/name:os.system\n", ["line 1"]),
    ("seed: !!int x\n", ["cannot read"]),
    ("arm: 2024-13-45\n", ["in quotes"]),
    ("arm: 2024-01-02\n", ["not text: put it in quotes"]),
    ("seed: " + "9" * 5000 + "\n", ["cannot read"]),
    ("vae_lr: " + "9" * 400 + "\n", ["outside"]),
    ("grad_clip: .inf\n", ["outside"]),
    ("seed: 1\n---\nseed: 2\n", ["x.yaml"]),
    ("seed: 1\n\tk_runs: 2\n", ["line 2"]),
    ("seed: \x07\n", ["not YAML"]),
    ("seed: " + "[" * DEEP, ["nested too deeply"]),
    ("compare_arms: [namd\n", ["line"]),
    ("vae_path:\n", ["put it in quotes"]),
    ("seed = 3\n", ["no `key: value` lines"]),
])
def test_a_parameter_file_that_may_mean_two_things_is_refused(tmp_path, text, words):
    (tmp_path / "x.yaml").write_text(text)
    in_one_sentence(lambda: params.load([tmp_path / "x.yaml"]), *words)


@pytest.mark.parametrize(("raw", "words"), [
    ("seed: 1  # für".encode("latin-1"), ["not UTF-8", "line 1"]),
    ("seed: 1\n".encode("utf-16"), ["UTF-16"]),
    (b"\x00\x01\x02", ["x.yaml"]),
    (b"#" * (1 << 21), ["larger than 1 MiB"]),
])
def test_a_parameter_file_in_another_encoding_is_named(tmp_path, raw, words):
    (tmp_path / "x.yaml").write_bytes(raw)
    in_one_sentence(lambda: params.load([tmp_path / "x.yaml"]), *words)


def test_a_byte_order_mark_an_empty_file_and_quoted_words_are_taken(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfseed: 7\n")
    (tmp_path / "b.yaml").write_text("# nothing changes\n")
    (tmp_path / "c.yaml").write_text("data_delivery: '010'\nsystem_rates: [1.0e-4, 1.0e-3]\nk_runs: 1_0\n")
    found = params.load([tmp_path / f"{name}.yaml" for name in "abc"])
    assert (found["seed"], found["data_delivery"], found["k_runs"]) == (7, "010", 10)


def test_a_folder_or_a_pipe_is_no_parameter_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        in_one_sentence(lambda path=path: params.load([path]), "folder or a device")


@pytest.mark.parametrize(("pair", "words"), [
    ("compare_arms=[namd", ["-p compare_arms=[namd"]),
    ("compare_arms=namd", ["write [namd]"]),
    ("seed=010", ["reads 010 as 8"]),
    ("seed=1: 2", ["line 1"]),
    ("seed='3", ["-p seed='3"]),
    ("=3", ["no parameter ''"]),
    ("zero_terminal_snr=on", ["write true or false"]),
    ("device=@home", ["-p device=@home"]),
    ("arm={a: 1, a: 2}", ["twice"]),
    ("seed=%1", ["-p seed=%1"]),
    ("vae_channels=[8, 8, 8", ["vae_channels"]),
    ("run_name=\ud800", ["run_name"]),
    ("seed=*x", ["aliases"]),
])
def test_a_pair_that_is_no_value_is_refused(pair, words):
    in_one_sentence(lambda: params.load([], [pair]), *words)


@pytest.mark.parametrize(("raw", "words"), [
    (b'{"age": 63, "gender": 1, "age": 64}', ['"age" stands there twice']),
    (b'{"age": NaN}', ["NaN is no number"]),
    (b'{"sct_long_dia": Infinity}', ["Infinity is no number"]),
    (b'{"sct_long_dia": 1e999}', ["up to 200"]),
    (b'{"age": 63,}', ["not JSON"]),
    (b"{'age': 63}", ["not JSON"]),
    ('{"age": 63} // für'.encode("latin-1"), ["not UTF-8"]),
    ('{"age": 63}'.encode("utf-16"), ["UTF-16"]),
    (b'{"age": 63}{"age": 64}', ["not JSON"]),
    (b"[" * DEEP, ["nested too deeply"]),
    (b'{"age": ' + b"9" * 5000 + b"}", ["not JSON"]),
    (b'{"age": [63]}', ["allowed: whole years"]),
    (b'{"age": true}', ["allowed: whole years"]),
    (b'{"\\ud800": 1}', ["no feature"]),
    (b"", ["not JSON"]),
    (b"63", ["no JSON object"]),
])
def test_a_record_that_may_mean_two_things_is_refused(tmp_path, raw, words):
    (tmp_path / "ehr.json").write_bytes(raw)
    in_one_sentence(lambda: read_record(tmp_path / "ehr.json"), *words)


@pytest.mark.parametrize("word", ["NA", "n/a", "nan", ".m", "Unknown", " "])
def test_a_word_for_missing_is_missing(tmp_path, word):
    (tmp_path / "ehr.json").write_text(json.dumps({"age": word, "gender": 1}))
    record, missing = read_record(tmp_path / "ehr.json")
    assert record["age"] is None and "age" in missing and record["gender"] == 1


def test_a_record_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "ehr.json").write_bytes(b'\xef\xbb\xbf{"age": 63}')
    assert read_record(tmp_path / "ehr.json")[0]["age"] == 63


@pytest.fixture
def base_at_hand(monkeypatch):
    """params/paper.yaml read once, not for each example."""
    base = layers.read_layer(layers.BASE)
    monkeypatch.setattr(layers, "read_layer", lambda path, whole=layers.read_layer: base if path == layers.BASE else
                        whole(path))


scalars = st.one_of(st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.sampled_from(
    ["010", "1:2:3", "yes", "~", "[", "{a", "*x", "&x", "!!int", "!!float .", "0x", "2024-02-30", "- 1", "'", '"', "|",
     ">", "%", "@", "`", "? a", "1e5", "-.inf", "0b2", "[1, [2, [3]]]", "{}", "[]", "\x85", "\u2028", "\ufeff"]))
lines = st.tuples(st.sampled_from([*params.KEYS, "seed ", "? seed", "<<", "- seed", "\tseed"]), scalars).map(": ".join)


@fuzz()
@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
                     st.lists(lines, max_size=5).map(lambda found: "\n".join(found).encode("utf-8", "surrogatepass"))))
@example(raw=b"a: !!set {b, c}\n")
@example(raw=b"seed: !!timestamp x\n")
@example(raw=b"!!map [1]\n")
@example(raw=b"seed: !!float a\n")
@example(raw=b"!<tag:yaml.org,2002:bool> x: 1")
def test_no_parameter_file_ends_in_a_traceback(tmp_path, base_at_hand, raw):
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)
    refused_or(lambda: params.load([path]))


@fuzz()
@given(pair=st.one_of(st.text(max_size=40), st.tuples(st.sampled_from(list(params.KEYS)), scalars).map("=".join)))
def test_no_pair_ends_in_a_traceback(base_at_hand, pair):
    refused_or(lambda: params.load([], [pair]))


values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5), lambda inner:
                      st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3))


@fuzz()
@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")),
                     st.dictionaries(st.sampled_from([*EHR, "age ", ""]), values, max_size=5).map(
                         lambda found: json.dumps(found).encode())))
def test_no_record_ends_in_a_traceback(tmp_path, raw):
    path = Path(tmp_path / "ehr.json")
    path.write_bytes(raw)
    refused_or(lambda: read_record(path))


def refused_or(call):
    """`call` returns, or is refused in a sentence."""
    try:
        call()
    except UserError as error:
        assert re.search(r"\w", str(error))
