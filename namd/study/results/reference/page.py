"""outputs/reference/README.md, written from the tables beside it, and the sentences of it that README.md repeats."""

import re
from itertools import chain
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from namd.study.results.reference import arms, costs, ledger, patients, second, sizes, systems
from namd.study.results.reference.tables import read

PAGE = "README.md"


def render(folder, run, main) -> str:
    """The page of what `folder`, outputs/reference/, keeps of `run`; a part without its table is left out.

    Args:
        main: the row that is NAMD.

    Raises:
        UserError: a table cannot be read.

    Source: ours, because a number that is written by hand is wrong after the next run.
    """
    kept = read(folder, run, main)
    text = _template().render(
        run=run, earlier=kept.earlier, data=ledger.data_of(kept), sources=ledger.sources(kept), costs=costs.part(kept),
        against=costs.against(kept), speed=costs.speed(kept), cohorts=patients.cohorts(kept), dial=patients.dial(kept),
        arms=arms.part(kept), doses=arms.doses(kept), systems=systems.part(kept), images=systems.images(kept),
        second=second.part(kept), rehearsal=sizes.rehearsal(kept), growth=sizes.growth(kept),
        claims=ledger.claims(kept),
        grid=kept.picture("test_grid", "Six test patients: baseline, real follow-up, generated follow-ups"))
    return re.sub("\n{3,}", "\n\n", text).strip() + "\n"


def front(folder, run, main) -> dict[str, list[str]]:
    """The sentences with numbers that the repository's README.md repeats: of its costs, and of what came out.

    Args:
        as `render`; a sentence whose table is not kept, or is of an earlier run, is left out.
    """
    kept = read(folder, run, main)
    told = {
        "costs": {"costs": [costs.series(kept)], "benchmarks": [costs.speed(kept)]},
        "results": {
            "cohorts": [patients.gained(kept), patients.shared(kept)],
            "table1": patients.beside_controls(kept, patients.FIRST),
            "dial": [patients.grows_by_label(kept)], "effects": [arms.over_seeds(kept)],
            "best_system": [systems.best(kept)],
            "autorad": [second.guided(kept, second.FIRST)], "autorad_seeds": [second.seeds(kept)],
            "two_judges": [second.agreement(kept)], "claims": [ledger.counted(kept)],
        },
    }
    return {name: _of_this_run(kept, of) for name, of in told.items()}


def _of_this_run(kept, told) -> list[str]:
    """Sentences of the tables that this run made; told: {table: sentences, empty ones among them}."""
    new = [sentences for table, sentences in told.items() if not kept.earlier(f"{table}.csv")]
    return list(filter(None, chain.from_iterable(new)))


def absent(readme, sentences) -> list[str]:
    """Those of `sentences` that the file `readme` does not contain, however its lines are broken."""
    text = " ".join(Path(readme).read_text(encoding="utf-8").split())
    return [sentence for sentence in sentences if sentence not in text]


def _template():
    """page.md.j2; nothing is escaped, for Markdown is no HTML."""
    environment = Environment(loader=PackageLoader(__package__, "."), trim_blocks=True, lstrip_blocks=True,
                              undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template("page.md.j2")
