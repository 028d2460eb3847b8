"""A shipped model: a Hugging Face folder in half precision, with a manifest for tests and a card for people."""

import json
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from namd.ground import files, marks
from namd.ground.errors import UserError
from namd.ground.marks import sha256
from namd.ground.paths import REPO
from namd.ground.provenance import git_state

SHIPPED = REPO / "outputs" / "reference" / "models"
MANIFEST = "MANIFEST.json"
CARD = "README.md"
OURS = dict(license="apache-2.0", licence="Apache 2.0, as the whole repository", tags="synthetic, phantom, lung-nodule",
            use="what was trained on phantoms knows nothing of patients")
FORM = """---
license: {license}
tags: [{tags}]
---
# {name}

{about}

**Trained on** {trained_on}

**Made by** `{command}` at commit {commit}{took}. Stored as {stored}. Licence: {licence}.
Research and teaching only: {use}.

| measured | |
|---|---|
{measured}

| weights | sha256 |
|---|---|
{weights}
"""


def writable(folder, name: str) -> None:
    """Refuse folder/name where `write_model` could not write in the end, before hours are spent.

    Raises:
        UserError: the folder cannot be written, or something in folder/name is not this program's.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"Nothing can be written to {folder} ({error.strerror}): choose another --out.") from None
    marks.only_ours(Path(folder) / name)


def write_model(folder, name: str, write, facts: dict, told: dict, half: bool = True) -> Path:
    """Write the model `name` to folder/name, with manifest and card; whole or not at all.

    Args:
        write: (folder) -> nothing; writes the model's own files.
        facts: trained_on (one sentence), measured ({what: number}) and more; equal runs have equal ones.
        told: what only the card says: about, command, began (time.time()) where the duration means something, and what
            differs from OURS.
        half: whether the weights are stored as float16; else as `write` left them.

    Source: ours; two runs that end in the same weights have the same manifest, however long they took.
    """
    with files.replacing(Path(folder) / name) as aside:
        aside.mkdir()
        write(aside)
        for inner in list(aside.rglob(marks.LIST)):
            inner.unlink()                              # the whole folder gets one
        if half:
            halve(aside)
        manifest = {"name": name, **facts, "sha256": sums_of(aside)}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        (aside / CARD).write_text(_card(manifest, OURS | told, "float16" if half else "float32"), encoding="utf-8")
    return Path(folder) / name


def halve(folder) -> None:
    """Every weight below `folder` as float16, in place; half the bytes, 11 bits a number."""
    for file in Path(folder).rglob("*.safetensors"):
        weights = {key: weight.to(torch.float16).contiguous() for key, weight in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})


def first_changed(folder) -> str | None:
    """The first file of a shipped model that is absent or not as its manifest says; None where all are."""
    folder = Path(folder)
    try:
        sums = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        return MANIFEST
    return first_unlike(folder, sums) if sums else MANIFEST


def first_unlike(folder, sums) -> str | None:
    """The first file below `folder` that has not the sum of `sums`, {file: sha256}; None where all have."""
    return next((name for name, digest in sums.items() if not digest or sha256(Path(folder) / name) != digest), None)


def sums_of(folder) -> dict[str, str]:
    """{file: sha256} of a model's own files: all below `folder` but card, manifest and our lists."""
    folder = Path(folder)
    names = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {name: sha256(file) for name, file in names.items() if file.name not in (MANIFEST, CARD, marks.LIST)}


def _card(manifest, told, stored) -> str:
    commit, dirty = git_state()
    weights = {file: digest for file, digest in manifest["sha256"].items() if file.endswith(".safetensors")}
    return FORM.format(
        name=manifest["name"], trained_on=manifest["trained_on"], **{part: told[part] for part in OURS},
        about=told["about"], command=told["command"], stored=stored,
        commit=commit + (" (with changes)" if dirty else ""),
        took=f", in {(time.time() - told['began']) / 60:.0f} minutes" if "began" in told else "",
        measured="\n".join(f"| {what} | {value:.4g} |" for what, value in manifest["measured"].items()),
        weights="\n".join(f"| `{file}` | `{digest}` |" for file, digest in weights.items()))
