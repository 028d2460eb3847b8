"""A shipped model: a Hugging Face folder in half precision, with a manifest for tests and a card for people."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from namd.ground import files, marks
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

**Made by** `{command}` at commit {commit}{took}. Stored as float16. Licence: {licence}.
Research and teaching only: {use}.

| measured | |
|---|---|
{measured}

| weights | sha256 |
|---|---|
{weights}
"""


def write_model(folder, name: str, write, facts: dict, told: dict) -> Path:
    """Write the model `name` to folder/name, with manifest and card; whole or not at all.

    Args:
        write: (folder) -> nothing; writes the model's own files.
        facts: trained_on (one sentence), measured ({what: number}) and more; equal runs have equal ones.
        told: what only the card says: about, command, seconds where they mean something, and what differs from OURS.

    Source: ours; two runs that end in the same weights have the same manifest, however long they took.
    """
    with files.replacing(Path(folder) / name) as aside:
        aside.mkdir()
        write(aside)
        for inner in list(aside.rglob(marks.LIST)):
            inner.unlink()                              # the whole folder gets one
        halve(aside)
        made = sorted(file for file in aside.rglob("*") if file.is_file())
        sums = {file.relative_to(aside).as_posix(): sha256(file) for file in made}
        manifest = {"name": name, **facts, "sha256": sums}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        (aside / CARD).write_text(_card(manifest, OURS | told), encoding="utf-8")
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
    return next((name for name, digest in sums.items() if sha256(folder / name) != digest), None)


def _card(manifest, told) -> str:
    commit, dirty = git_state()
    weights = {file: digest for file, digest in manifest["sha256"].items() if file.endswith(".safetensors")}
    return FORM.format(
        name=manifest["name"], trained_on=manifest["trained_on"], **{part: told[part] for part in OURS},
        about=told["about"], command=told["command"], commit=commit + (" (with changes)" if dirty else ""),
        took=f", in {told['seconds'] / 60:.0f} minutes" if "seconds" in told else "",
        measured="\n".join(f"| {what} | {value:.4g} |" for what, value in manifest["measured"].items()),
        weights="\n".join(f"| `{file}` | `{digest}` |" for file, digest in weights.items()))
