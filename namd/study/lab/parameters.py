"""The parameters cell of a notebook with other values, its comments kept."""

import ast
import json
import re

OPENED = re.compile(r"[\[(] +(# .*)$")       # the comment behind the bracket of a list that goes on below


def with_values(source, values) -> str:
    """The source of a parameters cell whose literals are those of `values`; a value it has already stays as written.

    Args:
        source: lines `name: type = literal   # comment`; values: {name: value}, of which the others do not count.

    Source: ours, because one list of parameters that says what holds is read, and two are not.
    """
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        name = (node.target if isinstance(node, ast.AnnAssign) else node.targets[0]).id
        if name not in values or ast.literal_eval(node.value) == values[name]:
            continue
        first = node.lineno - 1
        last = node.value.end_lineno - 1
        head = _bytes(lines[node.value.lineno - 1])[:node.value.col_offset].decode()
        tail = _bytes(lines[last])[node.value.end_col_offset:].decode()
        comment = tail.strip() or "".join(OPENED.findall(lines[first]))
        assigned = head + _literal(values[name])
        column = max(len(lines[last]) - len(tail.lstrip()), len(assigned) + 2)
        lines[first:last + 1] = [f"{assigned:<{column}}{comment}".rstrip()]
    return "\n".join(lines)


def _bytes(line):
    """ast counts columns in bytes of UTF-8."""
    return line.encode()


def _literal(value):
    """A value as the notebooks write it: text and lists in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | list) else repr(value)
