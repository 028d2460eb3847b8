"""The tables of a synthetic delivery: NLST columns and codes, and a nodule-centre list in the NLSTx format."""

import numpy as np
import pandas as pd
from scipy.special import ndtri

from namd.data.phantom.law import FAMILY, uniforms

VERSION = "phantom 1, synthetic"
CDAS_ONLY = ("diagemph", *FAMILY)
SHARE_UNKNOWN_RECORD = .08              # participants without the CDAS-only values
FLAWS = {"xray_arm": "E08", "slice_999": "E06", "ambiguous_link": "E11", "new_at_t1": "E10", "uneven_gap": "E19",
         "missing_series": "E15", "cancer_in_other_lobe": "E14", "wrong_patient": "E17"}
SITES = ("locrup", "locrmid", "locrlow", "loclup", "loclin", "locllow", "locrhil", "loclhil", "locrmsb", "loclmsb",
         "loccar", "locmed", "locoth", "locunk")
TOPOGRAPHY = {1: "C34.1", 2: "C34.2", 3: "C34.3", 4: "C34.1", 5: "C34.1", 6: "C34.3"}
OTHER_FINDINGS = (52, 53, 55, 60, 61, 65)
QUALITY_FLAGS = ("artifact", "breath", "graininess", "inadeqimg", "motion", "other", "resp", "techpara")
DRAWS = ("centre", "unknown", "first", "second", "third", "diagnosis", "smokes", "other0", "other1", "kind0", "kind1",
         "long0", "perp0", "long1", "perp1", "quality0", "quality1")


def patient_id(subject: int, u: float) -> str:
    """Six digits, unique below 100,000 subjects; 1xxxxx at LSS sites, 2xxxxx at ACRIN sites."""
    return f"{(1 if u < .65 else 2) * 100_000 + (7919 * subject + 101) % 100_000:06d}"


def _recorded(longest, perpendicular, u_long, u_perp):
    """Diameters as a reader records them: whole mm, error of .3 mm, at least 4 and at most the longest; two (N,)."""
    long = np.maximum(np.rint(longest + .3 * ndtri(u_long)), 4)
    return long.astype(int), np.clip(np.rint(perpendicular + .3 * ndtri(u_perp)), 2, long).astype(int)


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
    cancer = np.where(subjects["flaw"] == "cancer_in_other_lobe", 1, subjects["label"])
    elsewhere = subjects["sct_epi_loc"].map({1: 3, 2: 6, 3: 1, 4: 6, 5: 3, 6: 4})
    long0, perp0 = _recorded(subjects["longest_mm"], subjects["perpendicular_mm"], u["long0"], u["perp0"])
    long1, perp1 = _recorded(subjects["t1_longest_mm"], subjects["t1_perpendicular_mm"], u["long1"], u["perp1"])
    findings = {f"t{t}_finding": np.where(u[f"other{t}"] < .25, np.array(OTHER_FINDINGS)[
        (len(OTHER_FINDINGS) * u[f"kind{t}"]).astype(int)], 0) for t in (0, 1)}
    return subjects.assign(
        patient_id=[patient_id(i, v) for i, v in zip(subjects.index, u["centre"], strict=True)],
        record_known=u["unknown"] >= SHARE_UNKNOWN_RECORD, cigsmok=(u["smokes"] < .48).astype(int),
        scr_days0=day0, scr_days1=day1, scr_days2=(day1 + 365 + 18 * ndtri(u["third"])).astype(int),
        cancer=cancer, candx_days=found, cancer_lobe=np.where(subjects["flaw"] == "cancer_in_other_lobe", elsewhere,
                                                              subjects["sct_epi_loc"]),
        cancyr=np.select([found < day1 + 200, found < 900], [1, 2], np.clip(found // 365, 3, 7)),
        t0_long=long0, t0_perp=perp0, t1_long=long1, t1_perp=perp1, **findings,
        t0_quality=np.where(u["quality0"] < .04, 2, 1), t1_quality=np.where(u["quality1"] < .04, 2, 1))


def _blank(values, where) -> pd.Series:
    """Whole numbers, empty where `where` is false."""
    return pd.Series(values).astype("Int64").where(where)


def participant_table(rows) -> pd.DataFrame:
    """One row a participant, the columns of the NLST participant file that the study needs and some more."""
    sick = (rows["cancer"] == 1).to_numpy()
    table = pd.DataFrame({
        "pid": rows["patient_id"], "dataset_version": VERSION, "rndgroup": np.where(rows["flaw"] == "xray_arm", 2, 1),
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


def _findings(row, year: int, emphysema: bool) -> list[int]:
    """Codes of a screen in the order of the form; 51 is the nodule."""
    return ([59] if emphysema else []) + ([row[f"t{year}_finding"]] if row[f"t{year}_finding"] else []) + [51] + (
        [51] if year == 1 and row["flaw"] == "ambiguous_link" else [])


def abnormality_tables(rows, scans) -> tuple[pd.DataFrame, pd.DataFrame]:
    """sct_abnormalities of both years and sct_comparison_abnorm of T1; `scans[subject][year]` gives the slice."""
    found, compared = [], []
    for row in rows.to_dict("records"):
        for year in (0, 1):
            scan, prefix = scans[row["subject"]][year], "" if year == 0 else "t1_"
            for number, code in enumerate(_findings(row, year, scan["emphysema"]), start=1):
                key = {"pid": row["patient_id"], "study_yr": year, "sct_ab_num": number}
                nodule = {"sct_epi_loc": row["sct_epi_loc"], "sct_long_dia": row[f"t{year}_long"],
                          "sct_perp_dia": row[f"t{year}_perp"], "sct_margins": row[prefix + "sct_margins"],
                          "sct_pre_att": row[prefix + "sct_pre_att"],
                          "sct_slice_num": 999 if row["flaw"] == "slice_999" else scan["number"]}
                found.append(key | {"sct_ab_desc": code, "sct_found_after_comp": 0} | (nodule if code == 51 else {}))
                if year == 1:
                    compared.append(key | _comparison(row, code))
    tables = [pd.DataFrame(t).assign(dataset_version=VERSION) for t in (found, compared)]
    return tuple(t.astype({c: "Int64" for c in t.columns if t[c].dtype == float}) for t in tables)


def _comparison(row, code: int) -> dict:
    """The comparison read of one abnormality at T1; 1 is no, 2 is yes."""
    new = code == 51 and row["flaw"] == "new_at_t1"
    seen = {"sct_ab_code": code, "sct_ab_preexist": 1 if new else 2, "visible_days": None if new else row["scr_days0"]}
    if code != 51 or new:
        return seen
    return seen | {"sct_ab_gwth": 2 if row["t1_long"] - row["t0_long"] >= 2 else 1,
                   "sct_ab_attn": 2 if row["t1_sct_pre_att"] != row["sct_pre_att"] else 1}


def screening_table(rows, scans) -> pd.DataFrame:
    """One row a screen: quality and technical parameters as on the form."""
    table = []
    for row in rows.to_dict("records"):
        for year in (0, 1):
            p, limited = scans[row["subject"]][year]["protocol"], row[f"t{year}_quality"] == 2
            flags = {f"ctdxqual_{f}": int(f == "graininess") if limited else None for f in QUALITY_FLAGS}
            table.append({"pid": row["patient_id"], "study_yr": year, "ctdxqual": row[f"t{year}_quality"], **flags,
                          "ct_recon_filter1": p.filter_code, "techpara_kvp": 120, "techpara_ma": 2 * p.mas,
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
        for year in (0, 1):
            scan = scans[row["subject"]][year]
            if year == 1 and row["flaw"] == "ambiguous_link":
                continue
            number = _findings(row, year, scan["emphysema"]).index(51) + 1
            x, y, width, height = scan["box"]
            table.append({"fold": 0, "PID": row["patient_id"], "study_yr": year, "malignancy": "BM"[row["label"]],
                          "seriesinstanceuids": scan["uid"], "Abnormality UID": number,
                          "Slice number": 999 if row["flaw"] == "slice_999" else scan["number"],
                          "Bounding box x (pixels)": x, "Bounding box y (pixels)": y,
                          "Bounding box width (pixels)": width, "Bounding box height (pixels)": height})
    return pd.DataFrame(table)
