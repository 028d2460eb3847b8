"""The claims ledger in short, and which commit made which table."""

import pandas as pd

from namd.study.results.reference.words import listed, markdown

VERDICTS = {            # verdict: as said of one claim, of several
    "holds": ("holds", "hold"), "fails": ("fails", "fail"), "undecided": ("is undecided", "are undecided"),
    "not comparable": ("is not comparable", "are not comparable"),
    "not run here": ("was not run here", "were not run here"),
}


def claims(kept):
    """The settled claims as a table, the others counted; None without claims.csv."""
    if "claims" not in kept:
        return None
    table = kept["claims"]
    run = table[table["verdict"] != "not run here"]
    rows = [[line["claim"], _effect(line), line["verdict"]] for _, line in run.iterrows()]
    return dict(table=markdown(["claim", "effect", "verdict"], rows), sentences=[counted(kept)],
                absent=_absent(table))


def _effect(line):
    """The effect with its interval, three significant digits each, and its unit."""
    if pd.isna(line["effect"]):
        return "–"
    bounds = "" if pd.isna(line["low"]) else f" [{line['low']:.3g}, {line['high']:.3g}]"
    return f"{line['effect']:.3g}{bounds} ({line['unit']})"


def counted(kept):
    """How many claims hold, fail and are undecided, in one sentence; empty without claims.csv."""
    if "claims" not in kept:
        return ""
    counts = kept["claims"]["verdict"].value_counts()
    said = [f"{counts[word]} {words[int(counts[word] > 1)]}" for word, words in VERDICTS.items() if word in counts]
    data = kept["claims"]["data"].iloc[0]
    return f"The claims ledger, {len(kept['claims'])} claims on {data} data: {listed(said)}."


def _absent(table):
    """What would settle the claims that were not run, a command each."""
    absent = table[table["verdict"] == "not run here"]
    counts = absent["why"].value_counts(sort=False)
    said = [f"{n} {'asks' if n == 1 else 'ask'} for `{why}`" for why, n in counts.items()]
    return f"Not run here: {listed(said)}." if said else ""


def sources(kept):
    """Which commits the tables are of, and what was kept from before; a sentence each."""
    if "sources" not in kept:
        return ["Which commit made each table was not written down."]
    table = kept["sources"].fillna("")
    made = table[(table["kept"] == "") & (table["commit"] != "")]
    told = [f"Made by this run: {len(made)} files, of commit {listed(dict.fromkeys(made['commit']))}"
            f" (`{kept.run}/sources.csv` says which)."]
    old = table[table["kept"] != ""]
    if len(old):
        files = ("`" + old["file"] + "`").groupby(old["commit"], sort=False).agg(", ".join)
        by_commit = [f"commit {commit} ({names})" for commit, names in files.items()]
        told.append(f"**Kept from before**, because this run has no newer ones: {'; '.join(by_commit)}. What they say"
                    " is of that earlier state.")
    return told


def data_of(kept):
    """phantom, NLST, ...; empty where nothing says it."""
    return kept["claims"]["data"].iloc[0] if "claims" in kept else ""
