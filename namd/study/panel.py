"""The panel at the end of a notebook: what the paper reports, what this run measured, whether they compare."""

import pandas as pd

KEYS = ("quantity", "paper", "here", "n", "k", "comparable", "why")
NEEDED = {"quantity", "paper", "here"}


def panel_table(rows, synthetic):
    """The panel as a table.

    Args:
        rows: dicts with quantity, paper, here, n, k, comparable (bool) and why (text).
        synthetic: whether the run's data are a phantom's, so that nothing compares.

    Returns:
        DataFrame quantity, paper, this run, n, K, comparable?.

    Raises:
        ValueError: a row has other keys.
    """
    for row in rows:
        if set(row) - set(KEYS) or NEEDED - set(row):
            raise ValueError(f"a panel row has the keys {', '.join(KEYS)}, not {sorted(row)}")
    return pd.DataFrame([_line(row, synthetic) for row in rows])


def _line(row, synthetic):
    comparable = bool(row.get("comparable"))
    why = row.get("why", "")
    if synthetic:
        comparable = False
        why = why or "phantom data"
    verdict = "yes" if comparable else "not comparable"
    return {"quantity": row["quantity"], "paper": row["paper"], "this run": row["here"],
            "n": row.get("n", ""), "K": row.get("k", ""),
            "comparable?": f"{verdict}: {why}" if why else verdict}
