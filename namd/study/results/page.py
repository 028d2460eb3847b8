"""index.html of a run: the claims ledger, Table 1 beside the paper's, the figures, the notebooks, the stamp."""

import base64
from html import escape

import pandas as pd

from namd.evaluation.figures import alt
from namd.evaluation.tables.ledger import ledger
from namd.ground.errors import UserError
from namd.ground.files import replacing
from namd.ground.order import AFTER
from namd.ground.paper import PAPER, ours
from namd.ground.paths import outputs_root, short
from namd.ground.reading import read_json, read_table
from namd.study.runner.done import DoneFiles
from namd.study.runner.plan import Job

METRICS = {"lpips": ("LPIPS ↓", 3), "fid": ("FID ↓", 2), "auroc": ("AUROC ↑", 3), "auprc": ("AUPRC ↑", 3)}
FIGURES = (
    ("Generated follow-ups", "*grid*", "Baseline, real follow-up and generated follow-ups of test nodules."),
    ("Figure 2 · Latent space", "fig2_*", "Each dot is a nodule; the colour is its longest diameter."),
    ("Figure 3 · Error and variance", "fig3_*", "Prediction error against predictive variance, and single cases."),
    ("Figure 5 · Runs needed", "fig5_*", "Running variance of the judge's probability over the runs."),
    ("What a row costs", "cost_against_auroc*", "AUROC against FLOPs of a follow-up, parameters and time of training."),
    ("The dial", "dial*", "AUROC along the phantom's predictability: when a virtual follow-up can help at all."),
    ("Other patients", "cohorts*", "NAMD's and the oracle's gain on cohorts that no setting was chosen on."),
)
STAMP = ("run_name", "digest", "key", "commit", "uncommitted_changes", "versions", "device", "threads", "dtype",
         "synthetic")
VERDICTS = ("holds", "fails", "undecided", "not comparable", "not run here")
CSS = """
body{font:16px/1.5 system-ui,sans-serif;color:#1c2430;max-width:1240px;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid #d5dae1}
.banner{background:#fff4d6;border-left:5px solid #d99a00;padding:.6rem 1rem;margin:1rem 0}
table{border-collapse:collapse;width:100%;font-size:.86rem}th{font-weight:600}td.n{white-space:nowrap}
th,td{padding:.3rem .45rem;text-align:right;border-bottom:1px solid #e4e8ee;vertical-align:top}
thead tr:first-child th:first-child,td:first-child{text-align:left;max-width:13rem}
thead th{border-bottom:2px solid #1c2430;vertical-align:bottom}
tr.group td{font-style:italic;background:#f4f6f9;text-align:left}tr.own td{font-weight:600}
.paper{color:#5b6675;border-right:1px solid #d5dae1}.ci,.quiet{color:#5b6675;font-size:.88em;font-weight:400}
.verdict{white-space:nowrap;font-weight:600;padding:.1rem .4rem;border-radius:.2rem;border:1px solid}
.holds{color:#0b5d3b;background:#e3f4ea}.fails{color:#8f1d1d;background:#fbe6e4}
.undecided{color:#5e4a00;background:#fff4d6}.not{color:#465061;background:#f4f6f9}
.claims td,.claims th{text-align:left}.claims td:first-child{max-width:none;width:33%}
.claims td.n,.claims th.n{text-align:right}.claims td:last-child{width:25%}.claims td:nth-child(3){width:17%}
img{max-width:100%;display:block;margin:.6rem 0}figure{margin:0 0 1.4rem}.scroll{overflow-x:auto}
pre{background:#f4f6f9;padding:.8rem;overflow:auto}
@media (max-width:640px){.claims thead{display:none}.claims tr,.claims td{display:block}
.claims tr{border-bottom:1px solid #e4e8ee;padding:.4rem 0}
.claims td,.claims td.n,.claims td:nth-child(n){border:0;padding:.1rem .45rem;width:auto;text-align:left}
.claims td.n br{display:none}}
a{color:#0b5cad}
"""
SCROLL = '<div class=scroll role=region tabindex=0 aria-label="{}">'


def write_page(plan):
    """Write outputs/<run>/metrics/claims.csv and outputs/<run>/index.html from what the run left behind.

    Raises:
        UserError: notebook 05 has not run, so there is no Table 1.

    Source: ours, because a result that needs eight notebooks to be found is not seen.
    """
    root = outputs_root() / plan.values["run_name"]
    table, record = root / "metrics" / "table1.csv", root / "runs" / "05.json"
    if not (table.is_file() and record.is_file()):
        raise UserError(f"Run {root.name} has no metrics/table1.csv yet; notebook 05 writes it.")
    stamp = read_json(record, "05", *STAMP)
    body = "\n".join([_head(root.name, stamp), _claims(_settle(root, stamp)), _table(_rows(root, plan, table)),
                      *_figures(root, plan), _notebooks(root, plan), _stamp(stamp)])
    page = ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>NAMD · {escape(root.name)}</title><style>{CSS}</style></head>\n"
            f"<body><main>\n{body}\n</main></body></html>\n")
    with replacing(root / "index.html") as aside:
        aside.write_text(page, encoding="utf-8")
    print(f"The results: {short(root / 'index.html')}")


def _head(name, stamp):
    kind = ("<p class=banner><b>Phantom data.</b> Every nodule, record and outcome on this page was drawn by a"
            " program. No number here says anything about patients.</p>" if stamp["synthetic"] else "")
    return (f"<h1>NAMD, step by step · run {escape(name)}</h1>"
            "<p>A reproduction of <i>Nodule-Aligned Latent Space Learning with LLM-Driven Multimodal Diffusion for Lung"
            " Nodule Progression Prediction</i> (arXiv 2603.15932). For research and teaching only; not a medical"
            f" device, never for a decision about a patient.</p>{kind}")


def _settle(root, stamp):
    """The claims ledger from the tables of every notebook that has run, written to metrics/claims.csv."""
    records = {file.stem: read_json(file, file.stem, "notebook", "upstream", "numbers")
               for file in root.glob("runs/0[67].json")}
    stale = [number for number, record in records.items() if stamp["key"] not in record["upstream"].values()]
    for number in stale:
        print(f"{records[number]['notebook']} was run before this 05: its claims are left out until it is run again.")
    arms = records["07"]["numbers"].get("arms", ()) if "07" in records else ()
    claims = ledger(root, arms, [number for number in AFTER if number not in stale])
    with replacing(root / "metrics" / "claims.csv") as aside:
        claims.assign(run_name=root.name, digest=stamp["digest"]).to_csv(aside, index=False)
    return claims


def _claims(frame):
    """The claims ledger: a count of the verdicts, then one line a claim."""
    rows, group = [], None
    for _, row in frame.iterrows():
        if (owner := "ours" if row["place"].startswith("ours") else "paper") != group:
            group = owner
            title = "Claims of the paper" if owner == "paper" else "Ours beside them"
            rows.append(f"<tr class=group><td colspan=5>{title}</td></tr>")
        rows.append(_claim(row))
    counts = frame["verdict"].value_counts()
    known = " · ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    return (f"<h2>Claims, settled on {escape(frame['data'].iloc[0])} data</h2><p>{known}</p>"
            f"{SCROLL.format('Claims')}<table class=claims><thead><tr><th>claim</th><th class=n>effect [95 %]</th>"
            "<th>measured over</th><th>verdict</th><th>why</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>"
            "<p class=quiet>A verdict concerns this run and its data; none says that the paper was reproduced. The"
            " intervals are not adjusted for their number.</p>")


def _claim(row):
    """One line of the ledger: the sentence and its statistic, the number, what it rests on, the verdict, the reason."""
    effect, over = "–", ""
    if not pd.isna(row["effect"]):
        bounds = "" if pd.isna(row["low"]) else f"<br><span class=ci>[{row['low']:.3g}, {row['high']:.3g}]</span>"
        effect = f"{row['effect']:.3g}{bounds}<br><span class=ci>{escape(row['unit'])}</span>"
        seeds = int(row["training_seeds"])
        over = (f"{escape(row['over'])}<br><span class=quiet>n = {int(row['n'])}, K = {int(row['k'])}, {seeds} training"
                f" seed{'s' * (seeds > 1)}</span>")
    badge = f'<span class="verdict {row["verdict"].split()[0]}">{escape(row["verdict"])}</span>'
    return (f"<tr><td>{escape(row['claim'])}<br><span class=quiet>{escape(row['place'])} · {escape(row['statistic'])}"
            f"</span></td><td class=n>{effect}</td><td>{over}</td><td>{badge}</td>"
            f"<td class=quiet>{escape(row['why'])}</td></tr>")


def _rows(root, plan, table):
    """Rows of notebook 05 and, where notebook 08 has finished on the same cohort and judge, the compared systems."""
    frame = read_table(table, "05")
    if DoneFiles(plan, root).holds(Job("08", None)):
        frame = pd.concat([frame, read_table(root / "metrics" / "comparators.csv", "08")], ignore_index=True)
    return frame


def _pair(mean, sd, digits):
    """0.748 ± 0.005, or a dash."""
    if mean is None or pd.isna(mean):
        return "–"
    spread = "" if sd is None or pd.isna(sd) or sd == 0 else f" ± {sd:.{digits}f}"
    return f"{mean:.{digits}f}{spread}"


def _cells(paper, row):
    """Two cells per metric: this run (with its patient interval) and the paper."""
    cells = []
    for name, (_, digits) in METRICS.items():
        here = "–"
        if row is not None:
            own = ours(name, row.index)
            here = _pair(row.get(f"{own}_mean"), row.get(f"{own}_sd"), digits)
            low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
            if low is not None and not pd.isna(low):
                here += f"<br><span class=ci>[{low:.2f}, {high:.2f}]</span>"
        cells.append(f'<td class=n>{here}</td><td class="n paper">{_pair(*paper.get(name, (None, None)), digits)}</td>')
    return "".join(cells)


def _table(frame):
    """Table 1 in the paper's order, then the rows the paper does not have."""
    rows, by_paper = [], {r["paper_row"]: r for _, r in frame.iterrows() if isinstance(r["paper_row"], str)}
    group = None
    for name, paper in PAPER["table1"].items():
        if paper["group"] != group:
            group = paper["group"]
            rows.append(f"<tr class=group><td colspan=9>{group}</td></tr>")
        row = by_paper.get(name)
        rows.append(_line(name, paper, row, "" if row is not None else "not run here"))
    rows.append("<tr class=group><td colspan=9>Systems, controls and ceilings that the paper does not have</td></tr>")
    rows += [_line(row["row"], {}, row, "") for _, row in frame.iterrows() if not isinstance(row["paper_row"], str)]
    whose = {"fid": ", judge&#39;s features" if ours("fid", frame) == "fid" else ", Inception"}
    heads = "".join(f"<th colspan=2>{title}{whose.get(name, '')}</th>" for name, (title, _) in METRICS.items())
    subs = "<th>here</th><th class=paper>paper</th>" * len(METRICS)
    n, malignant = int(frame["n"].max()), int(frame["malignant"].max())
    unlike = "" if ours("fid", frame) != "fid" else (" FID is on the judge's features here and on Inception's in the"
                                                     " paper: the two columns are not on one scale.")
    return (f"<h2>Table 1</h2>{SCROLL.format('Table 1')}<table><thead><tr><th rowspan=2>Method</th>{heads}</tr>"
            f"<tr>{subs}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
            f"<p class=quiet>Here: {n} test subjects, {malignant} malignant. mean ± sd over K runs (the paper's"
            " statistic), and below it the 95 % interval over patients of the K-mean probability (DeLong for AUROC,"
            f" jackknife for AUPRC).{unlike}</p>")


def _line(name, paper, row, verdict):
    notes = [verdict]
    if row is not None:
        known_as = "" if row["row"] == name else row["row"]
        stands = row["comparable"] if paper and isinstance(row["comparable"], str) else ""
        notes = [known_as, f"K = {int(row['k'])}", stands]
    label = " · ".join(escape(note) for note in notes if note)
    kind = " class=own" if name == "NAMD" else ""
    return f"<tr{kind}><td>{escape(name)}<br><span class=quiet>{label}</span></td>{_cells(paper, row)}</tr>"


def _figures(root, plan):
    for title, pattern, text in FIGURES:
        folders = (root / "figures", root / "arms" / plan.main / "figures")
        found = next((hits for f in folders if (hits := sorted(f.glob(f"{pattern}.png")))), [])
        images = "".join(f'<img alt="{escape(alt.of_file(p))}" src="data:image/png;base64,'
                         f'{base64.b64encode(p.read_bytes()).decode()}">' for p in found)
        yield f"<h2>{title}</h2><figure><figcaption class=quiet>{text}</figcaption>{images}</figure>" if found else ""


def _notebooks(root, plan):
    """Links to every executed notebook with its wall time and peak memory."""
    rows = []
    for job in plan.jobs():
        record = root / job.folder / "runs" / f"{job.number}.json"
        if record.is_file():
            found = read_json(record, job.number, "notebook", "seconds", "memory_gib", "digest")
            link = f"{(job.folder / 'notebooks' / found['notebook']).as_posix()}.html"
            rows.append(f'<tr><td><a href="{link}">{escape(job.label)}</a></td><td>{found["seconds"]:.0f} s</td>'
                        f'<td>{found["memory_gib"]:.1f} GiB</td><td>{found["digest"]}</td></tr>')
    return (f"<h2>The notebooks, executed</h2>{SCROLL.format('Notebooks')}<table><thead><tr><th>notebook</th>"
            "<th>wall time</th><th>peak memory</th><th>digest</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table></div>")


def _stamp(stamp):
    versions = ", ".join(f"{name} {version}" for name, version in stamp["versions"].items())
    state = " with uncommitted changes" if stamp["uncommitted_changes"] else ""
    lines = [f"run       {stamp['run_name']}, digest {stamp['digest']}", f"code      commit {stamp['commit']}{state}",
             f"versions  {versions}", f"device    {stamp['device']}, {stamp['threads']} thread(s), {stamp['dtype']}",
             f"data      {'synthetic: phantom data' if stamp['synthetic'] else 'NLST delivery'}"]
    return "<h2>Stamp</h2><pre tabindex=0>" + escape("\n".join(lines)) + "</pre>"
