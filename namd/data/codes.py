"""Closed code tables and table shapes of an NLST delivery, from the NCI data dictionaries."""

from dataclasses import dataclass

from namd.data.report import FAMILY

FIRST_STUDY_YEAR = 1999             # NLST's shifted dates: 1999 is T0, 2000 T1, 2001 T2
STUDY_DATES = 19990101, 20011231    # first and last day of them
MAX_AGE = 120                       # years
SCREEN_DAYS = -3650, 3650           # days of a screen from the date that a table counts from, NLST's randomization
INTERVAL_DAYS = 60, 1095            # from a screen to the next year's
MAX_DIAMETER_MM = 200
NODULE_CODE = 51                    # non-calcified nodule or mass of at least 4 mm
MISSING = {".M": "missing", ".N": "not applicable", ".S": "unable to determine", ".E": "after diagnosis",
           ".W": "wrong screen", ".R": "refused", ".F": "form missing", ".": "missing", "": "empty field"}
EMPTY = ("NA", "N/A", "N.A.", "NAN", "-NAN", "NULL", "(NULL)", "[NULL]", "<NULL>", "NONE", "NIL", "NAT", "<NA>", "#NA",
         "#N/A", "#N/A N/A", "#NV", "#NULL!", "1.#QNAN", "-1.#IND", "\\N", "-", "--", "\u2013", "\u2014", "?")
MISSING |= dict.fromkeys(EMPTY, "empty field")     # how R, pandas, SQL and Excel write an empty cell
MISSING |= dict.fromkeys(("MISSING", "UNKNOWN"), "missing")
YEARS = {0: "T0", 1: "T1", 2: "T2"}
NO_YES = {0: "No", 1: "Yes"}                       # participant table
NO_YES_UNABLE = {1: "No", 2: "Yes", 9: "Unable to determine"}     # comparison table: 1 is No
ABNORMALITIES = {
    51: "Non-calcified nodule or mass (opacity >= 4 mm diameter)",
    52: "Non-calcified micronodule(s) (opacity < 4 mm diameter)",
    53: "Benign lung nodule(s) (benign calcification)", 54: "Atelectasis, segmental or greater",
    55: "Pleural thickening or effusion",
    56: "Non-calcified hilar/mediastinal adenopathy or mass (>= 10 mm on short axis)",
    57: "Chest wall abnormality (bone destruction, metastasis, etc.)", 58: "Consolidation", 59: "Emphysema",
    60: "Significant cardiovascular abnormality",
    61: "Reticular/reticulonodular opacities, honeycombing, fibrosis, scar",
    62: "6 or more nodules, not suspicious for cancer (opacity >= 4 mm)",
    63: "Other potentially significant abnormality above the diaphragm",
    64: "Other potentially significant abnormality below the diaphragm", 65: "Other minor abnormality noted",
}
LOBES = {1: "Right Upper Lobe", 2: "Right Middle Lobe", 3: "Right Lower Lobe", 4: "Left Upper Lobe", 5: "Lingula",
         6: "Left Lower Lobe", 8: "Other (Specify in comments)"}
CANCER_SITE = {1: "locrup", 2: "locrmid", 3: "locrlow", 4: "loclup", 5: "loclin", 6: "locllow"}
CODES = {
    "study_yr": YEARS, "study_year": YEARS,
    "sct_ab_desc": ABNORMALITIES, "sct_ab_code": ABNORMALITIES, "sct_epi_loc": LOBES,
    "sct_pre_att": {1: "Soft Tissue", 2: "Ground glass", 3: "Mixed", 4: "Fluid/water", 6: "Fat", 7: "Other",
                    9: "Unable to determine"},
    "sct_margins": {1: "Spiculated (Stellate)", 2: "Smooth", 3: "Poorly defined", 9: "Unable to determine"},
    "sct_found_after_comp": {0: "Identified on first look", 1: "Found after comparison"},
    "sct_ab_preexist": NO_YES_UNABLE, "sct_ab_gwth": NO_YES_UNABLE, "sct_ab_attn": NO_YES_UNABLE,
    "sct_ab_invg": NO_YES_UNABLE,
    "gender": {1: "Male", 2: "Female"}, "rndgroup": {1: "Spiral CT", 2: "X-ray"},
    "can_scr": {0: "No Cancer", 1: "Positive Screen", 2: "Negative Screen", 3: "Missed Screen", 4: "Post Screening"},
    **dict.fromkeys(CANCER_SITE.values(), NO_YES), **dict.fromkeys(("diagemph", *FAMILY), NO_YES),
    "first_lc": NO_YES,
    "ctdxqual": {1: "Diagnostic CT", 2: "Limited CT, but interpretable", 3: "Non-diagnostic CT exam"},
}
MALIGNANCY = {"M": True, "B": False}                # of NLSTx; empty is unknown
CANCER_YEARS = {n: f"T{n}" for n in range(8)}


@dataclass(frozen=True)
class TableShape:
    """What makes a table recognisable and usable: column names in lower case."""

    marks: tuple[str, ...]              # columns no other table has together
    key: tuple[str, ...]
    numbers: tuple[str, ...] = ()       # required, numeric
    texts: tuple[str, ...] = ()         # required, text
    optional: tuple[str, ...] = ()      # read where present, numeric

    @property
    def required(self) -> set[str]:
        """Columns without which the table cannot be used."""
        return {*self.marks, *self.key, *self.numbers, *self.texts}


BOX = tuple(f"bounding box {what} (pixels)" for what in ("x", "y", "width", "height"))
SHAPES = {
    "participant": TableShape(
        marks=("age", "gender"), key=("pid",), numbers=("age", "gender", "scr_days0", "scr_days1"),
        optional=("scr_days2", "rndgroup", "candx_days", "can_scr", "diagemph", *FAMILY, *CANCER_SITE.values())),
    "abnormalities": TableShape(
        marks=("sct_ab_desc", "sct_epi_loc"), key=("pid", "study_yr", "sct_ab_num"),
        numbers=("sct_ab_desc", "sct_epi_loc", "sct_pre_att", "sct_margins", "sct_long_dia", "sct_perp_dia",
                 "sct_slice_num"),
        optional=("sct_found_after_comp",)),
    "comparison": TableShape(
        marks=("sct_ab_preexist",), key=("pid", "study_yr", "sct_ab_num"), numbers=("sct_ab_preexist",),
        optional=("sct_ab_code", "sct_ab_gwth", "sct_ab_attn", "sct_ab_invg", "visible_days")),
    "screening": TableShape(marks=("ctdxqual",), key=("pid", "study_yr"), numbers=("ctdxqual",)),
    "cancer": TableShape(
        marks=("first_lc", "lc_order"), key=("pid", "lc_order"), numbers=("first_lc", "candx_days")),
    "images": TableShape(
        marks=("seriesinstanceuids", "numberimages"), key=("pid", "study_yr", "seriesinstanceuids"),
        texts=("seriesinstanceuids",)),
    "nlstx": TableShape(
        marks=BOX[:1], key=("pid", "study_yr"), numbers=("abnormality uid", "slice number", *BOX),
        texts=("seriesinstanceuids", "malignancy")),
    "luna25": TableShape(
        marks=("coordx", "lesionid"), key=("patientid", "studydate", "lesionid"),
        numbers=("coordx", "coordy", "coordz", "label"), texts=("seriesinstanceuid",)),
    "gmae": TableShape(
        marks=("nodid", "cx_world"), key=("pid", "study_year", "nodid"),
        numbers=("cx_world", "cy_world", "cz_world"), texts=("nodid", "seriesid")),
}
NEEDED = ("participant", "abnormalities", "comparison", "cancer")
CENTRE_LISTS = ("nlstx", "luna25", "gmae")
