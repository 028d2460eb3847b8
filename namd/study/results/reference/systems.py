"""What came out beside other systems: every row of Table 1, and how good the drawn images are."""

import pandas as pd

from namd.evaluation.stats.columns import LPIPS_LIKE
from namd.evaluation.tables.comparators import stands_beside
from namd.study.results.reference.words import (
    capital,
    count,
    listed,
    markdown,
    measured,
    number,
    of_row,
    place,
    place_of,
    with_sd,
)

NAMES = {"mcwgan": "McWGAN-style", "corrflownet_ode": "CorrFlowNet-style (ODE)", "flux": "Flux-style, small",
         "corrflownet_sde": "CorrFlowNet-style (SDE)", "brlp": "BrLP in 2D", "delta_lfm": "Δ-LFM-style",
         "sd15_report": "SD1.5 with the report", "imageflownet_record": "ImageFlowNet with the record"}
BEYOND = " (not in the paper)"
READS = {"namd": "as text", "ddl_cxr": "as tokens", "brlp": "as covariates", "delta_lfm": "as modulation",
         "sd15_report": "as text", "imageflownet_record": "as modulation",
         **dict.fromkeys(("mcwgan", "corrflownet_ode", "corrflownet_sde", "sd15", "flux", "imageflownet"), "no")}


def part(kept):
    """Every row of Table 1 with its difference to NAMD, and what follows; None without comparators.csv."""
    if "comparators" not in kept:
        return None
    rows = []
    for _, line in kept["comparators"].iterrows():
        found = kept.difference(line["row"], "comparator_differences")
        rows.append((line["auroc_mean"], [_name(line), READS.get(line["row"], ""), _auroc(line),
                                          measured(*found) if found else "–", place(*found[1:]) if found else "",
                                          _change(kept, line["row"])]))
    own = kept.row("table1", row=kept.main)
    same = own is not None and stands_beside(kept["comparators"], kept["table1"])
    if same:
        rows.append((own["auroc_mean"], ["**NAMD**", READS["namd"], _auroc(own), "", "", _change(kept, kept.main)]))
    rows.sort(key=lambda row: -row[0])
    head = ["row", "reads the record", "AUROC (± sd over K)", "row - NAMD", "", "Δ-RMAE on validation"]
    told = [counted(kept), best(kept), *_record(kept)]
    return dict(table=markdown(head, [row for _, row in rows]), same=same,
                mean_image=_change(kept, "mean follow-up"), sentences=[sentence for sentence in told if sentence],
                pictures=[kept.picture("comparator_grid", "Six patients as every row draws them"),
                          kept.picture("comparator_forests", "Every row minus NAMD"),
                          kept.picture("cost_against_auroc", "What a row costs against its AUROC")])


def _name(line):
    """What we call a row, or the paper does, and whether the paper has it."""
    paper = line.get("paper_row")
    in_paper = isinstance(paper, str)
    return NAMES.get(line["row"], paper if in_paper else line["row"]) + ("" if in_paper else BEYOND)


def _auroc(line):
    return with_sd(line["auroc_mean"], line["auroc_sd"])


def _change(kept, row):
    line = kept.row("comparator_validation", row=row)
    return "–" if line is None else number(line["delta_rmae"], 2)


def counted(kept):
    """How many compared rows lie below NAMD, above it, or are undecided, in one sentence; empty without them."""
    found = {"below": [], "above": [], "undecided": []}
    for _, line in kept.rows("comparators").iterrows():
        difference = kept.difference(line["row"], "comparator_differences")
        if difference and place(*difference[1:]) in found:
            found[place(*difference[1:])].append(_name(line).removesuffix(BEYOND))
    total = sum(map(len, found.values()))
    if not total:
        return ""
    ends = {"below": "below NAMD", "above": "above NAMD", "undecided": "undecided"}
    said = [f"{count(len(names), 'row')} {'is' if len(names) == 1 else 'are'} {ends[word]}"
            f"{f' ({listed(names)})' if names else ''}" for word, names in found.items()]
    return capital(f"{listed(said)}.")


def best(kept):
    """NAMD against the best compared system of the paper, in one sentence; empty where it was not asked."""
    line = kept.row("best_system")
    if line is None:
        return ""
    name = kept.row("comparators", row=line["row"])
    name = line["row"] if name is None else _name(name)
    return (f"\"NAMD diagnoses better than every compared system\": NAMD minus the best of the paper's systems"
            f" ({name}), chosen anew in each resample, is {of_row(line)} in AUROC: {place_of(line)}.")


def _record(kept):
    """What the record is worth and what NAMD is worth, a sentence a line of record_controls.csv."""
    for _, line in kept.rows("record_controls").iterrows():
        names = [f"`{line[side]}`" if line[side] != kept.main else "NAMD" for side in ("row", "beside")]
        yield f"{' - '.join(names)} is {of_row(line)}: {place_of(line)}."


def images(kept):
    """The table of image_quality.csv and its sentences; None without it."""
    if "image_quality" not in kept:
        return None
    rows = [[line["quantity"], of_row(line)] for _, line in kept["image_quality"].iterrows()]
    told = [likeness(kept), _frechet(kept), holes(kept)]
    return dict(table=markdown(["quantity", "value"], rows), sentences=[sentence for sentence in told if sentence])


def likeness(kept):
    """How near drawn images are to the real follow-up beside a copied baseline and the oracle, in one sentence."""
    lines = {row: kept.row("table1", row=row) for row in (kept.main, "copy-baseline", "oracle")}
    if any(line is None or pd.isna(line["lpips_mean"]) for line in lines.values()):
        return ""
    net = lines[kept.main].get("lpips_net")
    name = LPIPS_LIKE.get(net, "LPIPS").removesuffix(" ↓").replace(" ↓,", " by")
    said = []
    for row, beside in (("copy-baseline", "a copied baseline"), ("oracle", "the oracle")):
        line = kept.row("image_quality", quantity=f"perceptual distance, generated - {row}")
        ends = f" (NAMD's minus it {of_row(line)}: {place_of(line)})" if line is not None else ""
        said.append(f"{number(lines[row]['lpips_mean'])} for {beside}{ends}")
    return (f"Distance to the real follow-up ({name}; smaller is nearer): {number(lines[kept.main]['lpips_mean'])} for"
            f" NAMD, {said[0]}, {said[1]}.")


def _frechet(kept):
    """The Fréchet distance of drawn images beside what two halves of real ones and baselines give."""
    own = kept.row("table1", row=kept.main)
    floors = kept.rows("floors")
    if own is None or floors.empty or "FID" not in floors:
        return ""
    floor = dict(zip(floors.iloc[:, 0], floors["FID"], strict=True))
    said = ", ".join(f"{number(value, 2)} for {name.removeprefix('floor: ')}" for name, value in floor.items())
    return (f"Fréchet distance to real follow-ups in the judge's features: {with_sd(own['fid_mean'], own['fid_sd'], 2)}"
            f" for NAMD, {said}.")


def holes(kept):
    """How many drawn nodules have a hole, beside real ones, in one sentence; empty where it was not counted."""
    real, drawn = (kept.row("image_quality", quantity=f"share of {kind} follow-ups whose nodule has a hole")
                   for kind in ("real", "generated"))
    line = kept.row("image_quality", quantity="holes, generated - real")
    if any(each is None for each in (real, drawn, line)):
        return ""
    return (f"A nodule with a hole: {real['value']:.1%} of real follow-ups, {drawn['value']:.1%} of generated ones"
            f" (difference {of_row(line)}: {place_of(line)}).")
