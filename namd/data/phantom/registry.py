"""The tables of a synthetic delivery: NLST columns and codes, and a nodule-centre list in the NLSTx format."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from namd.data.codes import NODULE_CODE
from namd.data.phantom.law import uniforms
from namd.data.phantom.scanner import KVP, Protocol
from namd.data.report import CDAS_ONLY

VERSION = "phantom 1, synthetic"
SHARE_UNKNOWN_RECORD = .08              # participants without the CDAS-only values
FLAWS = {"xray_arm": "E08", "slice_999": "E06", "ambiguous_link": "E11", "new_at_t1": "E10", "uneven_gap": "E19",
         "missing_series": "E15", "cancer_in_other_lobe": "E14", "wrong_patient": "E17"}
SITES = ("locrup", "locrmid", "locrlow", "loclup", "loclin", "locllow", "locrhil", "loclhil", "locrmsb", "loclmsb",
         "loccar", "locmed", "locoth", "locunk")
TOPOGRAPHY = {1: "C34.1", 2: "C34.2", 3: "C34.3", 4: "C34.1", 5: "C34.1", 6: "C34.3"}
OTHER_FINDINGS = (52, 53, 55, 60, 61, 65)
EMPHYSEMA = 59                          # code of a finding
LIMITED = 2                             # of ctdxqual: limited, but interpretable
QUALITY_FLAGS = ("artifact", "breath", "graininess", "inadeqimg", "motion", "other", "resp", "techpara")
DRAWS = ("centre", "unknown", "first", "second", "third", "diagnosis", "smokes", "other0", "other1", "kind0", "kind1",
         "long0", "perp0", "long1", "perp1", "quality0", "quality1")


@dataclass(frozen=True)
class Scanned:
    """What the tables say of one scan."""

    uid: str                                # SeriesInstanceUID
    number: int                             # of the nodule's slice
    box: tuple[int, int, int, int]          # x, y, width, height, whole pixels
    protocol: Protocol
    shows_emphysema: bool


def patient_id(subject: int, u: float) -> str:
    """Six digits, unique below 100,000 subjects; 1xxxxx at LSS sites, 2xxxxx at ACRIN sites."""
    return f"{(1 if u < .65 else 2) * 100_000 + (7919 * subject + 101) % 100_000:06d}"


def subject_of(patient_id: str) -> int:
    """The subject of `patient_id`, or of a patient LIDC-IDRI-0001 of the phantom in LIDC's layout."""
    number = patient_id.removeprefix("LIDC-IDRI-")
    if number != patient_id:
        return int(number) - 1
    return (int(number) - 101) * pow(7919, -1, 100_000) % 100_000


def _recorded(longest, perpendicular, u_long, u_perp):
    """Diameters as a reader records them: whole mm, error of .3 mm, at least 4 and at most the longest; two (N,)."""
    long = np.maximum(np.rint(longest + .3 * ndtri(u_long)), 4)
    perp = np.clip(np.rint(perpendicular + .3 * ndtri(u_perp)), 2, long)
    return long.astype(int), perp.astype(int)


def enrol(subjects: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What the trial adds to the subjects: identity, screening days, diagnosis, recorded diameters; same index.

    Args:
        subjects: T0 and T1 attributes of the law, and `flaw`, the reason why a participant cannot be used ("" if none).

    Source: ours; T1 is a year after T0, a cancer is found after T1 and within 2,500 days of T0.
    """
    u = uniforms(DRAWS, seed, "registry", ids=subjects.index)
    day0 = (4 + 55 * u["first"]).astype(int)
    day1 = (day0 + 365 + 18 * ndtri(u["second"])).astype(int)
    found = np.minimum(day1 + 15 - 500 * np.log(1 - u["diagnosis"]), day0 + 2500).astype(int)
    is_elsewhere = subjects["flaw"] == "cancer_in_other_lobe"
    elsewhere = subjects["sct_epi_loc"].map({1: 3, 2: 6, 3: 1, 4: 6, 5: 3, 6: 4})
    day2 = (day1 + 365 + 18 * ndtri(u["third"])).astype(int)
    long0, perp0 = _recorded(subjects["longest_mm"], subjects["perpendicular_mm"], u["long0"], u["perp0"])
    long1, perp1 = _recorded(subjects["t1_longest_mm"], subjects["t1_perpendicular_mm"], u["long1"], u["perp1"])
    return subjects.assign(
        patient_id=[patient_id(i, v) for i, v in zip(subjects.index, u["centre"], strict=True)],
        record_known=u["unknown"] >= SHARE_UNKNOWN_RECORD, cigsmok=(u["smokes"] < .48).astype(int),
        scr_days0=day0, scr_days1=day1, scr_days2=day2,
        cancer=np.where(is_elsewhere, 1, subjects["label"]), candx_days=found,
        cancer_lobe=np.where(is_elsewhere, elsewhere, subjects["sct_epi_loc"]),
        cancyr=np.select([found < day1 + 200, found < 900], [1, 2], np.clip(found // 365, 3, 7)),
        t0_long=long0, t0_perp=perp0, t1_long=long1, t1_perp=perp1,
        t0_finding=_other_finding(u["other0"], u["kind0"]), t1_finding=_other_finding(u["other1"], u["kind1"]),
        t0_quality=np.where(u["quality0"] < .04, 2, 1), t1_quality=np.where(u["quality1"] < .04, 2, 1))


def _other_finding(u_any, u_kind) -> np.ndarray:
    """Code of what the reader saw beside the nodule, 0 where nothing; (N,)."""
    kind = (len(OTHER_FINDINGS) * u_kind).astype(int)
    return np.where(u_any < .25, np.array(OTHER_FINDINGS)[kind], 0)


def _blank(values, where) -> pd.Series:
    """Whole numbers, empty where `where` is false."""
    return pd.Series(values).astype("Int64").where(where)


def participant_table(rows, seed: int) -> pd.DataFrame:
    """One row a participant, the columns of the NLST participant file that the study needs and some more.

    Args:
        seed: of the phantom; the table names it, for two phantoms share numbers and no participant.
    """
    sick = (rows["cancer"] == 1).to_numpy()
    table = pd.DataFrame({
        "pid": rows["patient_id"], "dataset_version": f"{VERSION}, seed {seed}",
        "rndgroup": np.where(rows["flaw"] == "xray_arm", 2, 1),
        "age": rows["age"], "gender": rows["gender"], "cigsmok": rows["cigsmok"], "scr_days0": rows["scr_days0"],
        "scr_days1": rows["scr_days1"],
        "scr_days2": _blank(rows["scr_days2"], ~sick | (rows["candx_days"] > rows["scr_days2"])),
        "can_scr": np.where(sick, np.where(rows["cancyr"] <= 2, 1, 4), 0), "cancyr": _blank(rows["cancyr"], sick),
        "candx_days": _blank(rows["candx_days"], sick)})
    for code, site in enumerate(SITES, start=1):
        table[site] = _blank((rows["cancer_lobe"] == code).astype(int), sick)
    for name in CDAS_ONLY:
        table[name] = _blank(rows[name], rows["record_known"].to_numpy())
    return table


def _findings(row, year: int, shows_emphysema: bool) -> list[int]:
    """Codes of a screen in the order of the form."""
    codes = []
    if shows_emphysema:
        codes.append(EMPHYSEMA)
    if row[f"t{year}_finding"]:
        codes.append(row[f"t{year}_finding"])
    codes.append(NODULE_CODE)
    if year == 1 and row["flaw"] == "ambiguous_link":
        codes.append(NODULE_CODE)
    return codes


def abnormality_tables(rows, scans) -> tuple[pd.DataFrame, pd.DataFrame]:
    """sct_abnormalities of both years and sct_comparison_abnorm of T1; `scans[subject][year]` gives the slice."""
    found = []
    compared = []
    for row in rows.to_dict("records"):
        for year, scan in scans[row["subject"]].items():
            for number, code in enumerate(_findings(row, year, scan.shows_emphysema), start=1):
                key = {"pid": row["patient_id"], "study_yr": year, "sct_ab_num": number}
                nodule = _nodule(row, year, scan) if code == NODULE_CODE else {}
                found.append(key | {"sct_ab_desc": code, "sct_found_after_comp": 0} | nodule)
                if year == 1:
                    compared.append(key | _comparison(row, code))
    return _whole_numbers(found), _whole_numbers(compared)


def _nodule(row, year: int, scan: Scanned) -> dict:
    """What a reader records of the nodule."""
    prefix = "" if year == 0 else "t1_"
    return {"sct_epi_loc": row["sct_epi_loc"], "sct_long_dia": row[f"t{year}_long"],
            "sct_perp_dia": row[f"t{year}_perp"], "sct_margins": row[prefix + "sct_margins"],
            "sct_pre_att": row[prefix + "sct_pre_att"], "sct_slice_num": _slice_number(row, scan)}


def _slice_number(row, scan: Scanned) -> int:
    """InstanceNumber of the nodule's slice as the tables say it."""
    return 999 if row["flaw"] == "slice_999" else scan.number


def _whole_numbers(rows: list[dict]) -> pd.DataFrame:
    """Rows as a table whose numbers are written without a decimal point, and empty where there is none."""
    table = pd.DataFrame(rows).assign(dataset_version=VERSION)
    return table.astype({name: "Int64" for name in table.columns if table[name].dtype == float})


def _comparison(row, code: int) -> dict:
    """The comparison read of one abnormality at T1; 1 is no, 2 is yes."""
    is_new = code == NODULE_CODE and row["flaw"] == "new_at_t1"
    seen = {"sct_ab_code": code, "sct_ab_preexist": 1 if is_new else 2,
            "visible_days": None if is_new else row["scr_days0"]}
    if code != NODULE_CODE or is_new:
        return seen
    return seen | {"sct_ab_gwth": 2 if row["t1_long"] - row["t0_long"] >= 2 else 1,
                   "sct_ab_attn": 2 if row["t1_sct_pre_att"] != row["sct_pre_att"] else 1}


def screening_table(rows, scans) -> pd.DataFrame:
    """One row a screen: quality and technical parameters as on the form."""
    table = []
    for row in rows.to_dict("records"):
        for year, scan in scans[row["subject"]].items():
            quality = row[f"t{year}_quality"]
            flags = {f"ctdxqual_{f}": int(f == "graininess") if quality == LIMITED else None for f in QUALITY_FLAGS}
            p = scan.protocol
            table.append({"pid": row["patient_id"], "study_yr": year, "ctdxqual": quality, **flags,
                          "ct_recon_filter1": p.filter_code, "techpara_kvp": KVP, "techpara_ma": 2 * p.mas,
                          "techpara_effmas": p.mas, "techpara_fov": round(p.diameter / 10)})
    table = pd.DataFrame(table).assign(dataset_version=VERSION)
    return table.astype({c: "Int64" for c in table.columns if c.startswith("ctdxqual_")})


def cancer_table(rows) -> pd.DataFrame:
    """One row a cancer, the first of its participant."""
    sick = rows[rows["cancer"] == 1]
    return pd.DataFrame({"pid": sick["patient_id"], "lc_order": 1, "first_lc": 1, "candx_days": sick["candx_days"],
                         "study_yr": sick["cancyr"], "lc_topog": sick["cancer_lobe"].map(TOPOGRAPHY), "lc_morph": 8140,
                         "de_stag": 110, "lesionsize": sick["t1_long"], "dataset_version": VERSION})


def centre_table(rows, scans) -> pd.DataFrame:
    """The nodule-centre list: one row a screen, in the columns of the public NLSTx list."""
    table = []
    for row in rows.to_dict("records"):
        for year, scan in scans[row["subject"]].items():
            if year == 1 and row["flaw"] == "ambiguous_link":
                continue
            number = _findings(row, year, scan.shows_emphysema).index(NODULE_CODE) + 1
            x, y, width, height = scan.box
            table.append({"fold": 0, "PID": row["patient_id"], "study_yr": year, "malignancy": "BM"[row["label"]],
                          "seriesinstanceuids": scan.uid, "Abnormality UID": number,
                          "Slice number": _slice_number(row, scan),
                          "Bounding box x (pixels)": x, "Bounding box y (pixels)": y,
                          "Bounding box width (pixels)": width, "Bounding box height (pixels)": height})
    return pd.DataFrame(table)
