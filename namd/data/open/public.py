"""The nodule lists that anyone may have: where each is published, of which licence, and how it gets into a delivery."""

from dataclasses import dataclass
from pathlib import Path

from namd.data.nlst.lists import LICENCES
from namd.data.nlst.tables import read_files
from namd.data.open import index
from namd.data.open.bucket import Buckets
from namd.data.open.series import Job
from namd.ground import files
from namd.ground.errors import UserError

LARGEST = 32 << 20                      # bytes of a list
GITHUB = "https://raw.githubusercontent.com"
LUNA25 = "https://luna25.grand-challenge.org"
SYBIL = "nlst_sybil"                    # IDC's name of the boxes, one report a series
ANNOTATED = "lidc_annot_nlst501"        # IDC's name of LIDC-annot-NLST501, four segmentations a CT
BOXES = "sybil"                         # folder of the reports below the delivery


@dataclass(frozen=True)
class Published:
    """A list as its authors publish it: an address that names a commit, and the file's name in a delivery."""

    address: str
    file: str


LISTS = {
    "nlstx": Published(f"{GITHUB}/benVZ/NLSTx/6bcbce412cb4b0738bd4b822c73ac66605086ada/nlstx_dataset.csv",
                       "nlstx_dataset.csv"),
    "gmae": Published(f"{GITHUB}/liaw05/STMixer/70de782ead049ea15d66dc1a2065606c4813ddbc/data/original%20coordinates/"
                      "dataset_part_2301.csv", "gmae_original_coordinates.csv"),
}


def fetch_lists(names, root: Path, buckets: Buckets, progress=print) -> None:
    """Put those lists below `root` that are not there; which file is which is told by its columns, not its name.

    Raises:
        UserError: the address is out of reach, or gives no such list.
    """
    there = {file.kind for file in read_files(root)}
    for name in (name for name in names if name in LISTS and name not in there):
        published = LISTS[name]
        content = _get(name, published, buckets)
        with files.replacing(root / published.file) as aside:
            aside.write_bytes(content)
        if name not in {file.kind for file in read_files(root)}:
            files.discard(root / published.file)
            raise UserError(f"{published.address} is not the list {name} (its columns are others): put the list into"
                            f" {root} yourself.")
        progress(f"list {name} ({LICENCES[name]}): {published.file}, from {published.address}")


def _get(name: str, published: Published, buckets: Buckets) -> bytes:
    """The file at the address of a list."""
    try:
        content = buckets.get(published.address, LARGEST)
    except UserError as error:
        raise UserError(f"The list {name} is not in the delivery and cannot be fetched: {error} Or put the file of"
                        f" {published.address} there yourself.") from error
    if len(content) == LARGEST:
        raise UserError(f"{published.address} is larger than any list: put the list {name} there yourself.")
    return content


def boxes() -> list[Job]:
    """The reports with Sybil's boxes, a job each."""
    return [Job(row, Path(BOXES, uid), None) for uid, row in sorted(index.of_result(SYBIL, "SR").items())]
