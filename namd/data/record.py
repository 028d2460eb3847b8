"""The record of one nodule as a user writes it: a JSON file with the 13 names of Table 2."""

import json
from pathlib import Path

from namd.data.codes import CODES, MAX_AGE, MAX_DIAMETER_MM, MISSING
from namd.data.report import DIAMETERS, EHR
from namd.ground.errors import UserError
from namd.ground.text import read_json, read_text

UNABLE = "Unable to determine"
MEND = 'Write e.g. {"age": 63, "gender": 1, "sct_long_dia": 12}, or leave --ehr out when nothing is known.'


def read_record(path) -> tuple[dict, list[str]]:
    """A checked record, and what is unknown in it.

    Args:
        path: JSON object of names and numbers (codes as in the NLST tables, mm, years), null where unknown; None for
            no record at all.

    Returns:
        {name: number or None}, all 13 names in the order of Table 2, and the names without a usable value.

    Raises:
        UserError: no such file, no JSON object, a name that is no feature, or a value outside its codes or range.

    Source: ours; a wrong code would become a wrong word in the report without any sign of it.
    """
    given = {} if path is None else _json_object(Path(path))
    unknown = [name for name in given if name not in EHR]
    if unknown:
        raise UserError(f"{path}: {', '.join(unknown)} is no feature of a record; the names are {', '.join(EHR)}.")
    row = {name: _checked(path, name, given.get(name)) for name in EHR}
    longest, perpendicular = (row[name] for name in DIAMETERS)
    if longest is not None and perpendicular is not None and perpendicular > longest:
        raise UserError(f"{path}: sct_perp_dia {perpendicular:g} is larger than sct_long_dia {longest:g}; exchange "
                        "them.")
    return row, [name for name in EHR if row[name] is None or CODES.get(name, {}).get(row[name]) == UNABLE]


def _json_object(path: Path) -> dict:
    """What the file holds, when it is one JSON object."""
    try:
        given = read_json(read_text(path, f"The record {path}"), str(path))
    except UserError as error:
        raise UserError(f"{error} {MEND}") from None
    if not isinstance(given, dict):
        raise UserError(f"{path} holds no JSON object. {MEND}")
    return given


def _checked(path, name: str, value):
    """The number of one feature; None where it is missing."""
    if value is None or (isinstance(value, str) and value.strip().upper() in MISSING):
        return None
    is_number = type(value) in (int, float)                       # true and false are no codes
    if name in DIAMETERS:
        holds = is_number and 0 < value <= MAX_DIAMETER_MM
        allowed = f"a number of mm above 0, up to {MAX_DIAMETER_MM}"
    elif name in CODES:
        holds = is_number and value in CODES[name]
        allowed = ", ".join(f"{code} ({word})" for code, word in CODES[name].items())
    else:
        holds = is_number and value % 1 == 0 and 0 < value <= MAX_AGE
        allowed = f"whole years, 1 to {MAX_AGE}"
    if not holds:
        raise UserError(f"{path}: {name} is {json.dumps(value)[:60]}; allowed: {allowed}, or null when unknown.")
    return float(value) if name in DIAMETERS else int(value)
