"""A shipped model: a Hugging Face folder in half precision, with a manifest for tests and a card for people."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from namd.ground import files
from namd.ground.marks import sha256
from namd.ground.provenance import git_state

MANIFEST = "MANIFEST.json"
CARD = "README.md"
FORM = """---
license: apache-2.0
tags: [synthetic, phantom, lung-nodule]
---
# {name}

{about}

**Trained on** {trained_on}

**Made by** `{command}` at commit {commit}, in {minutes:.0f} minutes. Stored as float16. Licence: Apache 2.0, as the
whole repository. Research and teaching only: what was trained on phantoms knows nothing of patients.

| measured | |
|---|---|
{measured}

| weights | sha256 |
|---|---|
{weights}
"""


def ship(folder, name: str, write, facts: dict, told: dict) -> Path:
    """Write the model `name` to folder/name, with manifest and card; whole or not at all.

    Args:
        write: (folder) -> nothing; writes the model's own files.
        facts: trained_on (one sentence), measured ({what: number}), parameters; equal runs have equal ones.
        told: what only the card says: about, command, seconds.

    Source: ours; two runs that end in the same weights have the same manifest, however long they took.
    """
    with files.replacing(Path(folder) / name) as aside:
        aside.mkdir()
        write(aside)
        halve(aside)
        made = sorted(file for file in aside.rglob("*") if file.is_file())
        sums = {file.relative_to(aside).as_posix(): sha256(file) for file in made}
        manifest = {"name": name, **facts, "sha256": sums}
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        (aside / CARD).write_text(_card(manifest, told), encoding="utf-8")
    return Path(folder) / name


def halve(folder) -> None:
    """Every weight below `folder` as float16, in place; half the bytes, 11 bits a number."""
    for file in Path(folder).rglob("*.safetensors"):
        weights = {key: weight.to(torch.float16).contiguous() for key, weight in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})


def _card(manifest, told) -> str:
    commit, dirty = git_state()
    weights = {file: digest for file, digest in manifest["sha256"].items() if file.endswith(".safetensors")}
    return FORM.format(
        name=manifest["name"], about=told["about"], trained_on=manifest["trained_on"], command=told["command"],
        commit=commit + (" (with changes)" if dirty else ""), minutes=told["seconds"] / 60,
        measured="\n".join(f"| {what} | {value:.4g} |" for what, value in manifest["measured"].items()),
        weights="\n".join(f"| `{file}` | `{digest}` |" for file, digest in weights.items()))
