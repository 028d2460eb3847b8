import json
import re

import pandas as pd
import pytest
from browser import WIDTHS, folds, needs_browser, opened, too_wide, violations
from bs4 import BeautifulSoup
from PIL import Image, PngImagePlugin

from namd.ground import contents, paths
from namd.ground.errors import DamagedError, UserError
from namd.ground.order import Job
from namd.ground.paper import PAPER
from namd.study.results.page import write_page
from namd.study.runner.done import DoneFiles
from namd.study.runner.plan import Plan

SMOKE = paths.REPO / "params" / "smoke.yaml"
ROWS = [dict(row="namd", paper_row="NAMD", auroc_mean=0.7481, auroc_sd=0.0049, auroc_low=0.71, auroc_high=0.78,
             lpips_mean=0.1, lpips_sd=0.0, k=4, n=1200, malignant=190, comparable="not comparable: phantom <data>"),
        dict(row="oracle", paper_row=None, auroc_mean=0.79, k=4, n=1200, malignant=190, comparable=None)]


CLAIM = dict(place="Sec. 4.2.1", statistic="AUROC, NAMD - real baseline", effect=0.0363, low=0.0166, high=0.0546,
             unit="AUROC", over="patients", n=1200, k=4, training_seeds=1, data="phantom", verdict="holds",
             why="the interval lies above 0; one training seed")
CLAIMS = [CLAIM | dict(claim="Better than <baselines>"),
          CLAIM | dict(claim="In all regimes", low=None, high=None, verdict="fails", why="counted"),
          CLAIM | dict(claim="Better than all", verdict="not run here", why="python -m namd run 08") | dict.fromkeys(
              ("effect", "low", "high", "over", "n", "k", "training_seeds")),
          CLAIM | dict(claim="Better than direct", place="ours", training_seeds=3, verdict="undecided")]


@pytest.fixture
def root(home, monkeypatch):
    folder = home / "outputs" / "smoke"
    for name in ("metrics", "runs", "figures"):
        (folder / name).mkdir(parents=True)
    pd.DataFrame(ROWS).assign(digest="1a2b3c4d").to_csv(folder / "metrics" / "table1.csv", index=False)
    stamp = dict(notebook="05_judge", run_name="smoke", key="k5", digest="1a2b3c4d", synthetic=True, source="phantom",
                 commit="abcdef0", dtype="float32", uncommitted_changes=False, versions={"torch": "2.14.0"},
                 device="cpu", threads=1, seconds=12.3, memory_gib=1.5)
    (folder / "runs" / "05.json").write_text(json.dumps(stamp))
    Image.new("L", (4, 4)).save(folder / "figures" / "fig2_latent_space.png")
    def settle(folder, main, arms, notebooks):
        return pd.DataFrame(CLAIMS if arms and "07" in notebooks else CLAIMS[:1])
    monkeypatch.setattr("namd.study.results.page.ledger", settle)
    return folder


@pytest.mark.parametrize("damage", [lambda png: png.write_bytes(b""), lambda png: png.write_bytes(b"no picture" * 40),
                                    lambda png: png.write_bytes(png.read_bytes()[:40]),
                                    lambda png: (png.unlink(), png.mkdir())])
def test_a_damaged_picture_is_named(damage, root):
    damage(root / "figures" / "fig2_latent_space.png")
    with pytest.raises(DamagedError, match="fig2_latent_space.png is no whole picture"):
        write_page(Plan([SMOKE]))


def test_the_page_puts_this_run_beside_the_paper_and_says_it_is_a_phantom(root):
    write_page(Plan([SMOKE]))
    html = (root / "index.html").read_text()
    namd = re.search(r'<tr class="own">.*?</tr>', html).group()
    assert "0.748 ± 0.005" in namd and "[0.71, 0.78]" in namd and "0.805 ± 0.018" in namd
    assert "not comparable: phantom &lt;data&gt;" in namd and "K = 4" in namd
    assert "Phantom data." in html and "For research and teaching only" in html and "1200 test subjects, 190" in html
    assert all(name in html for name in PAPER["table1"]) and html.count("not run here") == len(PAPER["table1"]) - 1
    assert "oracle" in html.split("does not have")[1]
    assert "notebooks/05_judge.html" in html and "1a2b3c4d" in html


def test_the_papers_fid_stands_beside_inceptions_where_it_was_computed(root):
    write_page(Plan([SMOKE]))
    assert "not on one scale" in (root / "index.html").read_text()
    rows = [row | dict(fid_mean=1.25, fid_inception_mean=84.5) for row in ROWS]
    pd.DataFrame(rows).assign(digest="1a2b3c4d").to_csv(root / "metrics" / "table1.csv", index=False)
    write_page(Plan([SMOKE]))
    html = (root / "index.html").read_text()
    assert "84.50" in html and "1.25" not in html and "not on one scale" not in html


def test_the_ledger_has_a_number_a_verdict_in_words_and_a_reason(root):
    record = dict(notebook="07_ablations", digest="5e6f7a8b", seconds=1, memory_gib=1, numbers={"arms": ["no_align"]},
                  upstream={"05_judge": "k5"})
    (root / "runs" / "07.json").write_text(json.dumps(record))
    write_page(Plan([SMOKE]))
    html = (root / "index.html").read_text()
    before, after = html.index("Phantom data."), html.index('<h2 id="table1">')
    ledger = html[before:after]
    assert "settled on phantom data" in ledger and "1 holds · 1 fails · 1 undecided · 1 not run here" in ledger
    first, second, third, fourth = re.findall(r"<tr><td>.*?</tr>", ledger)
    assert "Better than &lt;baselines&gt;" in first and '0.0363<br><span class="quiet">[0.0166, 0.0546]' in first
    assert '<span class="verdict holds">holds</span>' in first and "n = 1200, K = 4, 1 training seed<" in first
    assert "nan" not in ledger and "[" not in second and "counted" in second
    assert '<span class="verdict not">not run here</span>' in third and "–" in third and "run 08" in third
    assert "3 training seeds" in fourth and ledger.index("Ours beside them") > ledger.index("Better than all")


def test_the_second_systems_claims_have_a_group_and_name_their_data(root, monkeypatch):
    claims = [CLAIM | dict(claim="NAMD"), CLAIM | dict(claim="Guided", place="AutoRad-Lung, Abstract", data="LIDC"),
              CLAIM | dict(claim="Own", place="ours")]
    monkeypatch.setattr("namd.study.results.page.ledger", lambda *_: pd.DataFrame(claims))
    write_page(Plan([SMOKE]))
    html = (root / "index.html").read_text()
    order = [html.index(words) for words in ("Claims of the paper", "Claims of AutoRad-Lung", "Ours beside them")]
    assert order == sorted(order) and html.count("1 training seed, LIDC data<") == 1
    assert "settled on phantom data" in html


def test_claims_of_a_notebook_that_followed_another_05_are_left_out(root, capsys):
    record = dict(notebook="07_ablations", digest="5e6f7a8b", seconds=1, memory_gib=1, numbers={"arms": ["no_align"]},
                  upstream={"05_judge": "before"})
    (root / "runs" / "07.json").write_text(json.dumps(record))
    write_page(Plan([SMOKE]))
    assert "07_ablations was run before this 05" in capsys.readouterr().out
    assert len(pd.read_csv(root / "metrics" / "claims.csv")) == 1


def test_claims_of_a_notebook_stay_when_a_new_05_came_out_the_same(root, capsys):
    read = root / "metrics" / "table1.csv"
    record = dict(notebook="07_ablations", digest="5e6f7a8b", seconds=1, memory_gib=1, numbers={"arms": []},
                  upstream={"05_judge": "before"}, made=[],
                  reads={"metrics/table1.csv": contents.Contents().digest(read)})
    (root / "runs" / "07.json").write_text(json.dumps(record))
    DoneFiles(Plan([SMOKE]), root).write(Job("07", None), 1)
    write_page(Plan([SMOKE]))
    assert "was run before this 05" not in capsys.readouterr().out
    read.write_text(read.read_text().replace("0.7", "0.6"))
    write_page(Plan([SMOKE]))
    assert "07_ablations was run before this 05" in capsys.readouterr().out


def test_the_page_writes_the_ledger_it_shows(root):
    write_page(Plan([SMOKE]))
    claims = pd.read_csv(root / "metrics" / "claims.csv")
    assert claims["claim"].tolist() == ["Better than <baselines>"]
    assert claims[["run_name", "digest"]].iloc[0].tolist() == ["smoke", "1a2b3c4d"]


def test_the_page_is_one_file_with_its_figures(root):
    write_page(Plan([SMOKE]))
    html = (root / "index.html").read_text()
    assert html.count("data:image/png;base64,") == 1 and "Figure 2" in html and "Figure 5" not in html
    assert not re.search(r'(src|href)="(https?:|/)', html)


def test_whatever_may_be_wide_scrolls_in_a_box_that_keys_reach(root):
    write_page(Plan([SMOKE]))
    soup = BeautifulSoup((root / "index.html").read_text(), "html.parser")
    boxes = [element.find_parent(class_="scroll") for element in soup("table")]
    assert len(boxes) == 2 and all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    assert soup.find("meta", attrs={"name": "viewport"}) and len(soup("main")) == 1


@needs_browser
def test_the_page_is_read_on_a_phone_and_a_screen_by_day_and_by_night(root):
    Image.new("L", (2400, 4)).save(root / "figures" / "fig2_latent_space.png")
    Image.new("L", (2400, 4)).save(root / "figures" / "reliability.png")
    write_page(Plan([SMOKE]))
    with opened() as go:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                page = go(root / "index.html", width, scheme)
                assert folds(page) and all(not is_open and words for is_open, words in folds(page))
                assert violations(page) == [] and page.heard == [] and not too_wide(page)
                verdicts = page.evaluate("[...document.querySelectorAll('.verdict')].map(e => "
                                         "e.getBoundingClientRect().right)")
                assert verdicts and max(verdicts) <= width


def test_what_was_found_and_a_picture_stand_before_ledger_and_tables_and_every_figure_is_reached(root):
    for name in ("test_grid", "reliability"):
        Image.new("L", (4, 4)).save(root / "figures" / f"{name}.png")
    write_page(Plan([SMOKE]))
    html = (root / "index.html").read_text()
    order = [html.index(words) for words in ("Generated follow-ups", "What the phantom cannot say", "Figure 2",
                                             "All other figures of the run (1)", 'id="claims"', 'id="table1"')]
    assert order == sorted(order)
    soup = BeautifulSoup(html, "html.parser")
    assert [image["alt"] for image in soup("img")] == ["test grid", "fig2 latent space", "reliability"]
    assert all(soup.find(id=link["href"][1:]) for link in soup.nav("a"))


def test_a_figure_is_described_by_what_was_written_into_it_or_by_its_name(root):
    about = PngImagePlugin.PngInfo()
    about.add_text("Description", 'latent "space", n < 9')
    Image.new("L", (4, 4)).save(root / "figures" / "fig2_latent_space.png", pnginfo=about)
    Image.new("L", (4, 4)).save(root / "figures" / "fig3_cases.png")
    write_page(Plan([SMOKE]))
    soup = BeautifulSoup((root / "index.html").read_text(), "html.parser")
    assert [image["alt"] for image in soup("img")] == ['latent "space", n < 9', "fig3 cases"]


@pytest.mark.parametrize(("cut", "lacks"), [
    (lambda lines: [line.rsplit(",", 3)[0] for line in lines], "lacks malignant, digest"),  # columns are gone
    (lambda lines: [*lines[:-1], lines[-1][:20]], "lacks n, malignant, digest"),            # the last line is cut
    (lambda lines: [], "No columns to parse")])
def test_a_cut_table_1_is_one_sentence_that_names_its_notebook(root, cut, lacks):
    file = root / "metrics" / "table1.csv"
    file.write_text("\n".join(cut(file.read_text().splitlines())))
    with pytest.raises(DamagedError, match=rf"table1.csv is damaged.*{lacks}.*run 05"):
        write_page(Plan([SMOKE]))


def test_without_table_1_the_page_names_the_notebook_that_writes_it(home):
    with pytest.raises(UserError, match="notebook 05 writes it"):
        write_page(Plan([SMOKE]))


def test_the_gap_the_paper_closes_follows_from_its_table():
    auroc = {name: row["auroc"][0] for name, row in PAPER["table1"].items()}
    low, high = auroc["Real baseline LDCT"], auroc["Real follow-up LDCT"]
    assert round((auroc["NAMD"] - low) / (high - low), 2) == PAPER["gap_closed_auroc"]


def test_the_counts_of_the_paper_add_up():
    c = PAPER["cohort"]
    assert c["train_val_malignant"] + c["train_val_benign"] == c["train_val_subjects"]
    assert c["test_malignant"] + c["test_benign"] == c["test_pairs"]
    assert c["train_val_subjects"] + c["test_subjects"] == c["subjects"]


def test_the_compared_systems_stand_on_the_page_once_notebook_08_has_finished(root):
    plan = Plan([SMOKE])
    other = dict(row="mcwgan", paper_row="McWGAN", auroc_mean=0.7, k=1, n=1200, malignant=190, comparable="")
    pd.DataFrame([other]).assign(digest="1").to_csv(root / "metrics" / "comparators.csv", index=False)
    write_page(plan)
    assert "· K = 1" not in (root / "index.html").read_text()
    DoneFiles(plan, root).write(Job("08", None), 1.0)
    write_page(plan)
    assert re.search(r'McWGAN<br><span class="quiet">mcwgan · K = 1', (root / "index.html").read_text())
