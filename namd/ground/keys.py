"""Keys: what names a result."""

import ast
import hashlib
import json
from functools import cache

from namd.ground import paths, provenance
from namd.ground.order import code_of

HOW = {"data_workers", "eval_workers", "save_every"}    # they change no byte of a result


def reached(source):
    """Sources of the namd modules that `source` imports, directly or through others: {module: bytes}.

    namd.study is left out: it stamps and validates, it computes no result.
    """
    found, queue = {}, set(_imports(source))
    while queue:
        name = queue.pop()
        base = paths.REPO.joinpath(*name.split("."))
        file = next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)
        if name in found or file is None or name.startswith("namd.study"):
            continue
        found[name] = file.read_bytes()
        queue |= _imports(found[name])
    return found


@cache
def _imports(source):
    """Dotted names below namd that `source` may import; some are functions, not modules."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "namd")


def sha(*parts):
    """sha256 of anything JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def work_key(number, values, upstream):
    """Names a result: parameters, local weights, code, module sources, versions and the keys of what came before.

    Args:
        values: {parameter: value}, only those the notebook declares; those of HOW do not count.
        upstream: {job label: work key}.

    Source: ours, because a checkpoint or a finished notebook may only be reused when all of it is the same.
    """
    code = code_of(number)
    plain = "\n".join(line for cell in code for line in cell.splitlines() if not line.startswith(("%", "!")))
    return sha(_counted(values), code, _modules(plain), upstream, provenance.versions())


def with_data(key, data):
    """The key of notebook 01 together with the digest of the cohort that it built: upstream of all others."""
    return sha(key, data) if data else key


def part_key(modules, values, upstream, given):
    """Names a part of a notebook's result by the modules that make it and what they import; the rest as `work_key`.

    Source: ours, because a new arm is no reason to train the judge or to draw the other arms again.
    """
    return sha(_counted(values), _modules(f"import {', '.join(modules)}"), upstream, given, provenance.versions())


def _counted(values):
    return {name: value for name, value in values.items() if name not in HOW}, provenance.weights(values)


def _modules(source):
    return {name: hashlib.sha256(text).hexdigest() for name, text in reached(source).items()}
