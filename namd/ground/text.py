"""Text that people write, YAML and JSON, read strictly: what may be meant in two ways is refused in one sentence."""

import difflib
import json
import os
import re
import stat
from pathlib import Path

import yaml

from namd.ground.errors import UserError

LARGEST = 1 << 20       # bytes of a parameter file or a record
AMBIGUOUS = re.compile(r"[-+]?0[0-7_]+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


def read_text(path, what, largest=LARGEST):
    """Text of a UTF-8 file, with or without a byte order mark.

    Args:
        path: of the file; what: its name in a sentence, e.g. "the record ehr.json"; largest: bytes that it may have.

    Raises:
        UserError: no readable regular file, larger than that, or not UTF-8.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{what} is a folder or a device, not a file: name a text file.")
        if os.path.getsize(path) > largest:
            raise UserError(f"{what} is larger than {largest >> 20} MiB: name the small text file that was meant.")
        raw = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{what} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        wide = " (UTF-16, it seems)" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise UserError(f"{what} is not UTF-8{wide}: see line {line}, and save it again as UTF-8.") from None


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without what it reads in another way than people do."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise _wrong("aliases (*name) are not read; write the value itself", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        names = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise _wrong(f"the key {getattr(key, 'value', '')!r} is no plain word", key.start_mark)
            if key.value in names:
                raise _wrong(f"{key.value} stands there twice; keep one of the lines", key.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node):
        text = self.construct_scalar(node)
        is_float = node.tag.endswith("float")
        value = self.construct_yaml_float(node) if is_float else self.construct_yaml_int(node)
        if AMBIGUOUS.fullmatch(text):
            raise _wrong(f"YAML 1.1 reads {text} as {value}; write {value}, or '{text}' in quotes for text",
                         node.start_mark)
        return value

    def construct_truth(self, node):
        text = self.construct_scalar(node)
        if text.lower() not in ("true", "false"):
            raise _wrong(f"YAML 1.1 reads {text} as true or false; write true or false, or '{text}' in quotes for text",
                         node.start_mark)
        return self.construct_yaml_bool(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:bool", _Loader.construct_truth)


def _wrong(problem, mark):
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=mark)


def read_yaml(text, where):
    """The value of a YAML text: a number, a word, a list or a mapping; None of an empty one.

    Args:
        text: as written; where: its place in a sentence, e.g. "quick.yaml".

    Raises:
        UserError: no YAML, a key twice, an octal or sexagesimal number, yes or no, an alias; the line is named.

    Source: ours, because PyYAML keeps the last of two equal keys and reads 010 as 8 and 1:30 as 90 without a word.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise UserError(f"{where}:{line} {error.problem}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{where} is not YAML ({str(error).splitlines()[0]}).") from None
    except RecursionError:
        raise UserError(f"{where} is nested too deeply: write one `key: value` per line.") from None
    except (ValueError, TypeError, LookupError, AttributeError) as error:     # !!int x, a month 13, 5,000 digits
        raise UserError(f"{where} holds a value that YAML cannot read ({error}): put text in quotes.") from None


def read_json(text, where):
    """The value of a JSON text.

    Raises:
        UserError: no JSON, a name twice in one object, NaN or Infinity, or nested too deeply.

    Source: ours, because Python's reader keeps the last of two equal names and takes NaN, which JSON does not have.
    """
    def once(pairs):
        names = [name for name, _ in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f'"{twice}" stands there twice; keep one of them')
        return dict(pairs)

    def refuse(word):
        raise ValueError(f"{word} is no number; write null where it is unknown")

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except RecursionError:
        raise UserError(f"{where} is nested too deeply.") from None
    except ValueError as error:
        raise UserError(f"{where} is not JSON ({error}).") from None


def suggest(name, known, wording="did you mean {}?") -> str:
    """' did you mean vae_steps?' for a near miss among `known`, else ''."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.7)
    return f" {wording.format(near[0])}" if near else ""
