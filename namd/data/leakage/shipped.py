"""What a shipped model says of its training; as light as the rules between parameters, which read it first."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from namd.data.refused import one_line
from namd.ground.errors import UserError
from namd.ground.paths import REPO, short
from namd.ground.text import read_json

FILE = "MANIFEST.json"
KEYS = ("phantom_seed", "patients", "images")
MOST_SUBJECTS = 100_000                 # of one phantom, whose patients' ids are unique below it
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?")
NAME = re.compile(r"\w[\w .:/^=+-]*", re.ASCII)
DIGEST = re.compile("[0-9a-f]{64}")
EXACT = 2 ** 53                         # below it a float64 holds every whole number


@dataclass(frozen=True)
class Training:
    """Whom and what a model has learnt from; None where its manifest does not say."""

    phantom_seed: int | None = None
    subjects: int | None = None                     # of that phantom: the first so many
    patients: frozenset[str] | None = None          # by `one_name`
    images: frozenset[str] | None = None            # sha256 of crops, lower case


def training(path) -> Training:
    """What MANIFEST.json of the model at `path` says, or that of the one that `path` is a part of.

    Keys that it does not know are passed over; a manifest is read with or without a byte order mark.

    Raises:
        UserError: there is a manifest that cannot be read, or what it says is no seed, patient or image.

    Source: ours; the text/ of an image encoder has learnt what its folder has, and a manifest that nobody can read
    must not pass for one that is not there.
    """
    for folder in (REPO / path, (REPO / path).parent):
        if os.path.lexists(folder / FILE):
            return _training(folder / FILE)
    return Training()


def one_name(patient: str) -> str:
    """A patient's id as every data set shall write it: a whole number without leading zeros, blanks and ".0".

    Source: ours, because pandas writes an id with a missing value beside it as 100001.0, and a sheet drops its zeros.
    """
    text = " ".join(patient.upper().split())
    digits = text.removesuffix(".0")
    return digits.lstrip("0") or "0" if digits.isascii() and digits.isdecimal() else text


def _training(file: Path) -> Training:
    """What one manifest says."""
    where = short(file)
    said = _read(file, where)
    for key in said:
        meant = key.strip().lower()
        if meant in KEYS and key != meant:
            raise UserError(f"{where}: {_shown(key)} is no key: write it \"{meant}\".")
    seed = subjects = None
    if said.get("phantom_seed") is not None:
        seed = _natural(said["phantom_seed"], f"{where}: phantom_seed")
        subjects = _subjects(said, where)
    return Training(seed, subjects, _entries(said, "patients", _patient, where),
                    _entries(said, "images", _image, where))


def _read(file: Path, where: str) -> dict:
    """The object in a manifest."""
    mend = "write one JSON object in UTF-8, or take the file away if it is no account of a training"
    try:
        if not file.is_file():
            raise UserError(f"{where} is no file: {mend}.")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{where} cannot be read ({error.strerror or error}): see that you may read it.") from None
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8: {mend}.") from None
    try:
        said = read_json(text, where)
    except UserError as error:
        raise UserError(f"{str(error).rstrip('.')}: {mend}.") from None
    if not isinstance(said, dict):
        raise UserError(f"{where} holds {_shown(said)}: {mend}.")
    return said


def _subjects(said: dict, where: str) -> int | None:
    """How many subjects of the phantom a model has learnt from."""
    parameters = said.get("parameters", {})
    if not isinstance(parameters, dict):
        raise UserError(f"{where}: parameters is {_shown(parameters)}: write {{\"pretrain_subjects\": 24000}}, how many"
                        " subjects of phantom_seed were learnt from.")
    if "pretrain_subjects" not in parameters:
        return None
    return _natural(parameters["pretrain_subjects"], f"{where}: pretrain_subjects", MOST_SUBJECTS)


def _natural(value, what: str, most: int = EXACT) -> int:
    """A whole number, also as text or as 23.0."""
    name = one_name(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not (name.isdecimal() and len(name) <= len(str(most)) and int(name) <= most):
        raise UserError(f"{what} is {_shown(value)}: write a whole number from 0 to {most}, as 23.")
    return int(name)


def _entries(said: dict, key: str, read, where: str) -> frozenset[str] | None:
    """The list under `key`, each entry by `read`, which gives None for what is none and says how to write one."""
    if key not in said:
        return None
    entries = said[key]
    if not isinstance(entries, list):
        raise UserError(f"{where}: {key} is no list but {_shown(entries)}: write [\"first\", \"second\"].")
    found = set()
    for number, entry in enumerate(entries, start=1):
        name, mend = read(entry)
        if name is None:
            raise UserError(f"{where}: entry {number} of {key} is {_shown(entry)}, {mend}.")
        found.add(name)
    return frozenset(found)


def _patient(entry) -> tuple[str | None, str]:
    """A patient's one name, or None and what to write."""
    name = one_name(str(entry)) if isinstance(entry, str | int | float) and not isinstance(entry, bool) else ""
    is_name = NAME.fullmatch(name) and (name.isdecimal() or not NUMBER.fullmatch(name.replace(" ", "")))
    return name if is_name else None, "which is no patient id: write one id an entry, as its data set does, \"100001\""


def _image(entry) -> tuple[str | None, str]:
    """A digest in lower case, or None and what to write."""
    text = entry.strip().lower() if isinstance(entry, str) else ""
    return text if DIGEST.fullmatch(text) else None, ("which is no sha256: write the 64 hex digits of a crop's bytes"
                                                      " (128 x 128 int16 HU)")


def _shown(value) -> str:
    """A value of JSON in a sentence: short, and what it is where it is not plain."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    said = one_line(value)
    return said if len(said) <= 60 else said[:57] + "..."
