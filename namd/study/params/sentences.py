"""What is wrong with one value, and the mend, in a sentence."""

import reprlib

from pydantic import ValidationError

from namd.ground.text import suggest

NUMBERS = ("integer", "number")
NAMES = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
MENDS = {"integer": "write it without dot and quotes.", "number": "write it like 0.5 or 5.0e-5.",
         "boolean": "write true or false.", "string": "put it in quotes."}
EXAMPLES = {"integer": "[8, 16]", "number": "[1.0e-4, 1.0e-3]", "string": "[namd]"}


def refusal(place: str, rule: dict, error: ValidationError) -> str:
    """One sentence about the first thing that `error` found.

    Args:
        place: file or cell, and key; rule: what the key's JSON schema says.
    """
    wrong = error.errors(include_url=False, include_context=False)[0]
    value = wrong["input"]
    if wrong["loc"]:
        place = f"{place}, in the list"
        rule = rule["items"]
    elif rule["type"] == "array":
        said = "is empty" if value == [] else "is not a list"
        return f"{place}: {reprlib.repr(value)} {said}: write {EXAMPLES[rule['items']['type']]}."
    return f"{place}: {reprlib.repr(value)} {_fault(rule, value)}"


def _fault(rule, value) -> str:
    """What is wrong with a value that is no list."""
    kind = rule["type"]
    if kind in NUMBERS and isinstance(value, str):
        return f"is text, not a number{_dotted(value)}."
    if not _has_type(kind, value):
        return f"is not {NAMES[kind]}: {MENDS[kind]}"
    if kind in NUMBERS:
        return f"is outside {rule['minimum']:g} .. {rule['maximum']:g} ({rule['description']})."
    if "enum" in rule:
        return f"is not one of {', '.join(rule['enum'])}." + suggest(value, rule["enum"], "Did you mean {}?")
    if rule.get("format") == "path":
        return "names a file or folder: write it in printable characters."
    return "names a folder: write up to 100 lower-case letters, digits and . _ - only."


def _has_type(kind, value) -> bool:
    """Whether `value` is of a type that JSON calls `kind`; true and false are no numbers."""
    types = {"integer": (int,), "number": (int, float), "boolean": (bool,), "string": (str,)}
    return type(value) in types[kind]


def _dotted(value) -> str:
    """The mend for `5e-5`, which YAML 1.1 reads as text."""
    try:
        float(value)
    except ValueError:
        return ""
    head, mark, tail = value.lower().partition("e")
    if not mark:
        return ": leave the quotes out"
    dotted = head if "." in head else f"{head}.0"
    return f". YAML 1.1 needs a dot: write {dotted}{mark}{tail}"
