"""The columns of Table 1, declared once: a new one is a line here, and the notebook and the page of a run show it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One statistic of a row: its name in metrics/table1.csv, its title, and which way it points.

    `better` is +1 where higher is better, -1 where lower is. `paper` is the paper's metric that it may stand beside
    (namd.ground.paper.ours says which FID does). `page_digits` are its decimals on the page of a run; None leaves it to
    notebooks 05 and 08, which print three. One that is not `in_table1` is told by differences alone.
    """

    name: str
    title: str
    better: int
    paper: str | None = None
    page_digits: int | None = None
    in_table1: bool = True


COLUMNS = (
    Column("lpips", "LPIPS ↓", -1, "lpips", 3),
    Column("fid_inception", "FID ↓, Inception", -1, "fid", 2),
    Column("kid_inception", "KID ↓, Inception", -1),
    Column("fid", "FID ↓, judge's features", -1, "fid", 2),
    Column("kid", "KID ↓, judge's features", -1),
    Column("fid_lite0", "FID ↓, EfficientNet-Lite0", -1, page_digits=2),
    Column("auroc", "AUROC ↑", 1, "auroc", 3),
    Column("auprc", "AUPRC ↑", 1, "auprc", 3),
    Column("delta_rmae", "Δ-RMAE ↓", -1, in_table1=False),
)
LPIPS_LIKE = {"efficientnet_lite0": "LPIPS-like ↓, EfficientNet-Lite0"}    # title of "lpips" by a net without heads
TITLES = {column.name: column.title for column in COLUMNS}
BETTER = {column.name: column.better for column in COLUMNS}
