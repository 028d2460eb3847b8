"""What a fetch says: how much is listed, of which licence, how much of it is fetched, where everything is from."""

import shutil
from pathlib import Path

from namd.data.nlst.lists import LICENCES
from namd.data.nlst.tables import read_files
from namd.data.open import index, plan, public
from namd.data.open.series import REACH, Job

NLST = "doi:10.7937/TCIA.HMQ8-J677"
ANNOTATED = "doi:10.7937/y2dx-e334"


def summary(root: Path, found, rows, jobs: list[Job], whole: bool) -> list[str]:
    """What is listed, of which licence, how much of it is fetched, and the space there is."""
    sources = list(dict.fromkeys(pair.source for pair in found))
    first = [pair for pair in found if pair.year == 0]
    ill = _in_cancer_table(root)
    counts = {}
    for source in sources:
        counts[source] = plan.count([pair for pair in first if pair.source == source], rows, ill)
    if len(sources) > 1:
        counts["together"] = plan.count(first, rows, ill)
    if len(first) < len(found):
        counts["and T1-T2"] = plan.count(found, rows, ill)
    head = (f"{'list':9} {'licence':12} {'subjects':>8} {'malignant':>9} {'in cancer table':>15} {'T0-T1 pairs':>11} "
            f"{'series':>6} {'files':>9} {'GB':>6}")
    lines = [f"CT: IDC {index.version()}, {_licences(rows)} ({NLST})", head]
    for name, count in counts.items():
        licence = (LICENCES[name] or "not found") if name in LICENCES else ""
        malignant = "not told" if count.malignant is None else f"{count.malignant:,}"
        lines.append(f"{name:9} {licence:12} {count.subjects:8,} {malignant:>9} {count.cancers if ill else '?':>15} "
                     f"{count.pairs:11,} {count.series:6,} {count.files:9,} {count.size / 1e9:6.1f}")
    if "luna25" not in sources:
        lines.append(f"luna25    its licence was not found, so it is not fetched: if you have it from {public.LUNA25}, "
                     f"put the table into {root}")
    left = free(root / plan.FOLDER)
    what = "all slices" if whole else f"{2 * REACH + 1} slices around each nodule, and the header of every slice"
    lines.append(f"To fetch: {what}: about {sum(job.read for job in jobs) / 1e9:.1f} GB of {len(jobs):,} series, "
                 f"{sum(job.kept for job in jobs) / 1e9:.1f} GB on the disk; {left / 1e9:.1f} GB are free.")
    return lines


def not_fetched() -> list[str]:
    """What IDC holds for notebook 09 beside the lists: its name, licence, size and use, a line; none in other versions.

    Source: ours, because LIDC-annot-NLST501 has one year of each participant and so no pair for a list.
    """
    rows = index.of_result(public.ANNOTATED, "SEG")
    if not rows:
        return []
    who = {row.patient for row in rows.values()}
    size = sum(row.size for row in rows.values())
    return [f"Listed, not fetched: LIDC-annot-NLST501 ({_licences(rows)}, {ANNOTATED}), outlines of nodules in the"
            f" manner of LIDC: {len(rows):,} segmentations of {len(who):,} participants, {size / 1e9:.1f} GB, one year"
            " each. It is for AutoRad-Lung's task on NLST (notebook 09), whose reader takes LIDC's XML alone as yet."]


def _in_cancer_table(root: Path) -> set[int]:
    """Participants of the cancer table, where it is there."""
    found = set()
    for file in read_files(root):
        if file.kind == "cancer" and file.text is not None:
            found |= set(map(int, filter(str.isdecimal, file.text["pid"])))
    return found


def free(folder: Path) -> int:
    """Free bytes where a folder is or will be, also behind a link to another disk."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.is_dir())).free


def origins(found, rows) -> str:
    """Where everything in a delivery is from, and of which licence, a line each."""
    lines = [f"CT images and clinical tables: NLST at IDC, {index.version()}, {_licences(rows)}, {NLST}"]
    for name in dict.fromkeys(pair.source for pair in found):
        where = f"published at {public.LISTS[name].address}" if name in public.LISTS else "put here by you"
        where = "IDC's analysis result nlst_sybil" if name == "sybil" else where
        lines.append(f"list {name}: {LICENCES[name] or 'licence not found'}; {where}")
    return "\n".join(lines) + "\n"


def _licences(rows) -> str:
    return ", ".join(sorted({row.licence for row in rows.values()}))
