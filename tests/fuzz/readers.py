"""Fuzz the readers of DICOM files and CSV tables, guided by coverage: no crash, no hang, nothing but a named refusal.

    python tests/fuzz/readers.py 1800         for so many seconds; needs `pip install atheris` (Linux, Python <= 3.13)

Inputs that reach new code are kept in a folder below the system's temporary one; an input that crashes is written to
crash-* in the working folder. `corpus/` holds small seeds, which tests/data/test_fuzz_corpus.py reads each time.
"""

import logging
import sys
import tempfile
import warnings
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
MODULES = ["namd.data.dicom.codestream", "namd.data.dicom.header", "namd.data.dicom.opening", "namd.data.dicom.pixels",
           "namd.data.dicom.scan", "namd.data.dicom.series", "namd.data.nlst.csv_file", "namd.data.nlst.rows",
           "namd.data.nlst.tables", "pydicom.filereader", "pydicom.values"]
MAX_MB = 1024
MAX_S = 10                              # of one input


def read(data: bytes, folder: Path) -> None:
    """Give bytes to every reader; what they may raise is a RefusedError or a UserError, and both are dropped."""
    from namd.data.dicom import codestream
    from namd.data.dicom.opening import named_series
    from namd.data.dicom.pixels import read_hu
    from namd.data.dicom.series import read_series, series_uids
    from namd.data.nlst.tables import read_files
    from namd.ground.errors import UserError
    file = folder / "a.csv"
    file.write_bytes(data)
    codestream.size(data)
    named_series(file)
    series_uids(folder)
    read_files(folder)
    for reader, place in ((read_series, folder), (read_hu, file)):
        try:
            reader(place)
        except UserError as error:
            assert "\n" not in str(error)


def main(seconds: int) -> None:
    """Fuzz for so many seconds."""
    import atheris
    with atheris.instrument_imports(include=MODULES):
        import namd.data.dicom.series
        import namd.data.nlst.tables  # noqa: F401
    logging.disable()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as room:
        folder = Path(room, "input")
        folder.mkdir()
        found = Path(tempfile.gettempdir(), "namd-fuzz")
        found.mkdir(exist_ok=True)
        limits = [f"-max_total_time={seconds}", f"-rss_limit_mb={MAX_MB}", f"-timeout={MAX_S}", "-max_len=8192"]
        atheris.Setup([sys.argv[0], *limits, str(found), str(CORPUS)], lambda data: read(data, folder))
        atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
