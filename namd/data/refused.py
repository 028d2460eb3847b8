"""The twenty-five reasons for which an input is refused, and the exception that carries one of them."""

from namd.errors import UserError

REASONS = {
    "E01": "table not recognised", "E02": "required column missing", "E03": "duplicate key",
    "E04": "code outside its table", "E05": "decoded text in a code column",
    "E06": "no slice or no centre for the crop", "E07": "impossible diameter",
    "E08": "not a CT participant", "E09": "malformed participant id",
    "E10": "follow-up nodule is new", "E11": "no single link between the years",
    "E12": "follow-up not after baseline", "E13": "cancer before the baseline screen",
    "E14": "no defensible label", "E15": "no CT series", "E16": "several series in one folder",
    "E17": "series of another participant or year", "E18": "duplicate slice", "E19": "uneven slice gap",
    "E20": "tilted or not axial", "E21": "rescale to HU impossible", "E22": "pixel spacing unusable",
    "E23": "pixels cannot be decoded", "E24": "centre outside the volume", "E25": "prepared cohort broken",
}


class RefusedError(UserError):
    """One input that does not enter the cohort: a code of `REASONS` and one sentence.

    Source: ours, because the paper does not say which nodules were left out.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code} {REASONS[code]}: {message}")
        self.code, self.message = code, message

    def __reduce__(self):
        """Pickle by its two parts, so that it survives the way back from a worker process."""
        return RefusedError, (self.code, self.message)
