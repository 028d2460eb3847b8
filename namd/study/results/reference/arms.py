"""What came out on arms: NAMD with one part taken away or trained again, the doses, the order of the latent."""

from namd.study.results.reference.words import count, markdown, number, of_row, place_of

CONTRASTS = {           # rows of effects.csv that are no arm
    "alignment": "main effect of the alignment loss (v-prediction)",
    "alignment, epsilon": "main effect of the alignment loss (epsilon)",
    "soft prompts": "prompts that learn in every step - frozen ones",
}


def part(kept):
    """The table of effects.csv and its sentences; None without it."""
    if "effects" not in kept:
        return None
    rows = []
    for _, line in kept.rows("effects", quantity="AUROC").iterrows():
        name = CONTRASTS.get(line["row"], f"NAMD - `{line['row']}`")
        auprc = kept.row("effects", row=line["row"], quantity="AUPRC")
        rows.append([name, of_row(line), place_of(line), "–" if auprc is None else of_row(auprc),
                     _order(kept, line["row"]), line["over"], int(line["training_seeds"])])
    head = ["difference", "AUROC", "", "AUPRC", "R2 of log diameter, flat latent", "the interval covers",
            "training seeds"]
    told = [over_seeds(kept), aligned(kept), _luck(kept)]
    return dict(table=markdown(head, rows), sentences=[sentence for sentence in told if sentence],
                picture=kept.picture("effects_auroc", "NAMD minus every arm and control, AUROC"))


def _order(kept, arm):
    """How much better the latent is ordered by diameter than the arm's, from 15 neighbours."""
    line = kept.row("ablation_order", arm=arm, latent="flat", reader="knn")
    return "–" if line is None else of_row(line, 2)


def over_seeds(kept):
    """NAMD above the real baseline over patients and training seeds; empty where one seed was trained."""
    line = kept.row("effects", row="real baseline", quantity="AUROC")
    if line is None or line["training_seeds"] < 2:
        return ""
    return (f"Over patients and {count(int(line['training_seeds']), 'training seed')} NAMD - real baseline is"
            f" {of_row(line)}: {place_of(line)}.")


def aligned(kept):
    """The main effect of the alignment loss; empty where its four arms were not trained."""
    line = kept.row("effects", row="alignment", quantity="AUROC")
    if line is None:
        return ""
    return f"The main effect of the alignment loss over four arms is {of_row(line)} in AUROC: {place_of(line)}."


def _luck(kept):
    """How far trainings of NAMD itself lie apart."""
    if "table1" not in kept:
        return ""
    rows = kept["table1"]["row"]
    own = kept["table1"][(rows == kept.main) | rows.str.startswith(f"{kept.main}-seed")]["auroc_mean"]
    if len(own) < 2:
        return ""
    return (f"{count(len(own), 'training').capitalize()} of NAMD itself, from seeds of their own, lie up to"
            f" {number(own.max() - own.min())} AUROC apart, so a difference of that size between single trainings may"
            " be luck.")


def doses(kept):
    """The table of doses.csv, None without it: each dose minus NAMD, in AUROC and in the order of the latent."""
    if "doses" not in kept:
        return None
    rows = []
    for _, line in kept.rows("doses", quantity="AUROC").iterrows():
        ours = line["arm"] == kept.main
        other = kept.rows("doses", parameter=line["parameter"], dose=line["dose"])
        order = other[other["quantity"].str.startswith("R2")]
        rows.append([f"`{line['parameter']}`", f"{line['dose']:g}", "NAMD" if ours else of_row(line),
                     "" if ours else place_of(line), "" if ours or order.empty else of_row(order.iloc[0])])
    return dict(table=markdown(["parameter", "dose", "arm - NAMD, AUROC", "", "arm - NAMD, R2 of log diameter"], rows),
                picture=kept.picture("doses", "AUROC and order of the latent along two parameters"))
