"""`python -m namd doctor`: what notebook 01 would keep of a delivery and what it would refuse; nothing is written."""

import textwrap
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from namd.data.cohort import SCHEMA
from namd.data.dicom.series import SeriesIndex, index_series
from namd.data.lidc.delivery import xml_files
from namd.data.lidc.sessions import ROOT
from namd.data.nlst.crops import n_workers
from namd.data.nlst.links import Link, link_nodules
from namd.data.nlst.outcome import DOUBTS, NoCohortError, counts_of, decide, lost
from namd.data.nlst.reading import pairs_seen
from namd.data.nlst.tables import File, Tables, read_delivery, read_files
from namd.data.refused import Refused, counted
from namd.ground.errors import UserError
from namd.study.preflight import unread

START = 4096                    # bytes in which an XML file says what it is


def doctor(folder, p, decode: bool) -> int:
    """Print what 01 would make of a delivery: its own reader reads, up to the pixels.

    Args:
        folder: of the delivery; p: the parameters of 01; decode: read the slice of each nodule too.

    Returns:
        0, the exit status: pairs remain, and no more nodules are lost to their images than data_refused_share allows.

    Raises:
        UserError: otherwise, after everything is printed; or there is no delivery that 01 can read.

    Source: ours, because a wrong table shows in a minute here, and in 01 after an hour of copying and reading.
    """
    folder = Path(folder)
    _check_folder(folder)
    files = read_files(folder)
    _refuse_lidc(folder, files)
    print(f"namd doctor · {folder} · nothing is written\n\nTables")
    _say(_tables(files))
    tables = read_delivery(folder)
    linked, refused = link_nodules(tables, p.data_label_days, p.data_second_year)
    index = index_series(folder, n_workers(p.data_workers, len(linked)))
    pairs, end = _pairs(folder, tables, linked, refused, index, decode, p)
    counts = counts_of(tables, pairs, refused)
    print(f"\nNodules: {len(linked)} linked, {len(index)} series found")
    _say(_kept(pairs))
    print("\nRefused")
    _say(_refused(tables.refused + refused))
    print("\nNot read")
    _say(unread.lines(folder, index, linked))
    print("\nKept, but doubtful")
    _say([f"{n} pairs: {DOUBTS[name]}" for name, n in counts["doubtful"].items() if n])
    print()
    print(_verdict(counts, pairs, len(tables.refused), decode))
    end = end or lost(counts, p.data_refused_share)
    if end:
        raise UserError(f"{end}; mend what is named above, and ask again.")
    return 0


def _check_folder(folder: Path) -> None:
    """Refuse what is no folder with something in it."""
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "is not there"
        raise UserError(f"{folder} {what}: name the folder of a delivery, with its tables (CSV) and, anywhere below,"
                        " its CT series (DICOM).")
    if not any(folder.iterdir()):
        raise UserError(f"{folder} is empty: put the tables (CSV), a list of nodules and the CT series (DICOM) there;"
                        " notebook 01 shows the smallest delivery.")


def _refuse_lidc(folder: Path, files: list[File]) -> None:
    """Name the notebook of a delivery of LIDC, whose nodules are read from XML."""
    if any(file.kind for file in files):
        return
    for path in xml_files(folder):
        with open(path, "rb") as file:
            is_lidc = ROOT.encode() in file.read(START)
        if is_lidc:
            raise UserError(f"{folder} is a delivery of LIDC-IDRI ({path.name} is a {ROOT}), whose nodules were scanned"
                            f" once: notebook 09 reads it, -p lidc_source=delivery -p lidc_delivery={folder}")


def _pairs(folder, tables: Tables, linked: list[Link], refused: list[Refused], index: SeriesIndex, decode: bool,
           p) -> tuple[pd.DataFrame, str]:
    """The pairs of 01 and "", or none and why; adds to `refused`."""
    seen = pairs_seen(folder, index, linked, p.data_workers, decode)
    try:
        return decide(folder.name, tables, seen, refused, lambda crops: 0, p), ""
    except NoCohortError as error:
        return pd.DataFrame(columns=list(SCHEMA)).astype(SCHEMA), str(error)


def _tables(files: list[File]) -> list[str]:
    """What each CSV file is."""
    return [f"{file.name}: {file.refusal or f'{file.kind}, {len(file.text):,} rows'}" for file in files]


def _kept(pairs: pd.DataFrame) -> list[str]:
    """Pairs by list, tier and years."""
    by = pairs.groupby(["center_source", "link_tier", "t0_year", "t1_year"], observed=True).label.agg(["size", "sum"])
    return [f"{source}, tier {tier}, T{first}-T{second}: {row['size']} pairs, {row['sum']} malignant"
            for (source, tier, first, second), row in by.iterrows()]


def _refused(refused: list[Refused]) -> list[str]:
    """By list or table and code, each with its sentence and first example."""
    if not refused:
        return []
    table = counted(pd.DataFrame([asdict(row) for row in refused]))
    return [f"{row.rows} x {code} {row.reason}, {source}: e.g. {row.example}: {row.sentence}"
            for (source, code), row in table.iterrows()]


def _verdict(counts: dict, pairs: pd.DataFrame, n_rows: int, decode: bool) -> str:
    """What 01 would make of it all, and what this reading cannot know."""
    splits = ", ".join(f"{counts['splits'].get(name, {'pairs': 0})['pairs']} {name}"
                       for name in ("train", "val", "test"))
    known = "" if decode else (" Not known yet, for headers alone were read: whether the pixels decode and give HU"
                               " (E21, E23); --full reads them too.")
    return (f"01 would keep {len(pairs)} pairs ({splits}; {(pairs.label == 1).sum()} malignant) of {counts['patients']}"
            f" patients, and refuse {counts['nodules_refused']} nodules and {n_rows} rows or files.{known} Whether two"
            " splits, or a model and what it is tested on, share an image or a patient is looked for by 01 alone.")


def _say(lines: list[str]) -> None:
    """Print each line as a paragraph of its own; "nothing" for none."""
    for line in lines or ["nothing"]:
        print(textwrap.fill(line, 110, initial_indent="  ", subsequent_indent="      "))
