"""The series: which notebook follows which, what each declares, and the key of a finished one."""

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from namd.errors import UserError
from namd.study import params, provenance

AFTER = {"01": (), "02": ("01",), "03": ("02",), "04": ("03",), "05": ("04",), "06": ("05",), "07": ("05",),
         "08": ("05",)}
LATER = ("08",)     # has a command of its own and is no part of `make study`
PER_ARM, MAIN = ("02", "03", "04"), "namd"
HOW = {"data_workers", "eval_workers", "save_every"}    # they change no byte of a result
ABLATIONS = params.REPO / "params" / "ablations"
NOTEBOOKS = params.REPO / "notebooks"


@dataclass(frozen=True)
class Job:
    """One notebook of one run; `arm` is None for the notebooks that all arms share."""

    number: str
    arm: str | None

    @property
    def label(self):
        return f"{notebook(self.number).stem}{f' · {self.arm}' if self.arm else ''}"

    @property
    def folder(self):
        """Where the job writes, below the run's root."""
        return Path("arms", self.arm) if self.arm else Path()


def before(number):
    """The notebooks that must have run before `number`, in their order."""
    return sorted({each for parent in AFTER.get(number, ()) for each in (parent, *before(parent))})


@cache
def notebook(number):
    """The .ipynb of `number`, e.g. "04"; UserError names the ones there are."""
    found = sorted(NOTEBOOKS.glob(f"{number}_*.ipynb"))
    if not found:
        there = sorted(f.stem for f in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
        raise UserError(f"There is no notebook {number}; choose one of {', '.join(there)}.")
    return found[0]


def cells(number):
    """Cells of a notebook as (type, tags, source)."""
    raw = json.loads(notebook(number).read_text(encoding="utf-8"))["cells"]
    return [(c["cell_type"], c["metadata"].get("tags", []), "".join(c["source"])) for c in raw]


@cache
def declared(number):
    """{name: default} of the parameters cell, read with ast; nothing is executed."""
    for _, tags, source in cells(number):
        if "parameters" in tags:
            nodes = ast.parse(source).body
            return {(n.target if isinstance(n, ast.AnnAssign) else n.targets[0]).id: ast.literal_eval(n.value)
                    for n in nodes if isinstance(n, (ast.AnnAssign, ast.Assign))}
    raise UserError(f"{notebook(number).name} has no cell tagged `parameters`.")


def reached(source):
    """Sources of the namd modules that `source` imports, directly or through others: {module: bytes}.

    namd.study is left out: it stamps and validates, it computes no result.
    """
    found, queue = {}, set(_imports(source))
    while queue:
        name = queue.pop()
        base = params.REPO.joinpath(*name.split("."))
        file = next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)
        if name in found or file is None or name.startswith("namd.study"):
            continue
        found[name] = file.read_bytes()
        queue |= _imports(found[name])
    return found


@cache
def _imports(source):
    """Dotted names below namd that `source` may import; some are functions, not modules."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == "namd")


def code_of(number):
    """Code cells up to the exercises: what decides the result."""
    kept = []
    for kind, _, source in cells(number):
        if kind == "markdown" and re.search("^## Exercises", source, re.M):
            break
        kept += [source] if kind == "code" else []
    return kept


def sha(*parts):
    """sha256 of anything JSON can write."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def work_key(number, values, upstream):
    """Names a result: parameters, local weights, code, module sources, versions and the keys of what came before.

    Args:
        values: {parameter: value}, only those the notebook declares; those of HOW do not count.
        upstream: {job label: work key}.

    Source: ours, because a checkpoint or a finished notebook may only be reused when all of it is the same.
    """
    code = code_of(number)
    plain = "\n".join(line for cell in code for line in cell.splitlines() if not line.startswith(("%", "!")))
    return sha(_counted(values), code, _modules(plain), upstream, provenance.versions())


def with_data(key, data):
    """The key of notebook 01 together with the digest of the cohort that it built: upstream of all others."""
    return sha(key, data) if data else key


def part_key(modules, values, upstream, given):
    """Names a part of a notebook's result by the modules that make it and what they import; the rest as `work_key`.

    Source: ours, because a new arm is no reason to train the judge or to draw the other arms again.
    """
    return sha(_counted(values), _modules(f"import {', '.join(modules)}"), upstream, given, provenance.versions())


def _counted(values):
    return {name: value for name, value in values.items() if name not in HOW}, provenance.weights(values)


def _modules(source):
    return {name: hashlib.sha256(text).hexdigest() for name, text in reached(source).items()}


def _is_ablation(file):
    """Whether a parameter file makes an arm of a run, not another run."""
    return Path(file).resolve().parent == ABLATIONS


def _is_seed(stem):
    """Whether an ablation changes nothing but the training seed."""
    return bool(re.fullmatch(r"seed\d+", stem))


class Plan:
    """Every job of a run with its parameters, parents and expected key; nothing is executed.

    An arm is the run's main one under the files of params/ablations/ that its name joins with "-": no_align,
    no_align-seed24. One whose files change nothing here is the main one, and is left out.
    """

    def __init__(self, files=(), pairs=()):
        self.given, self.pairs = tuple(files), tuple(pairs)
        self.files = tuple(f for f in files if not _is_ablation(f))
        main = params.load(self.files, pairs)
        self.main = main["arm"]
        asked = self._name([Path(f).stem for f in files if _is_ablation(f)])
        arms = {arm: self._load(arm) for arm in dict.fromkeys([self.main, *main["compare_arms"], asked])}
        self.by_arm = {arm: values for arm, values in arms.items()
                       if arm in (self.main, asked) or values | {"arm": self.main} != arms[self.main]}
        for values in self.by_arm.values():
            values["compare_arms"] = [arm for arm in main["compare_arms"] if arm in self.by_arm]
        self.values = self.by_arm[asked]

    def _name(self, stems):
        """The arm that ablation files make, seeds last: no_align-seed24; a seed alone follows the main arm's name."""
        stems = sorted(stems, key=_is_seed)
        return "-".join([self.main, *stems] if all(map(_is_seed, stems)) else stems)

    def layers(self, arm):
        """The parameter files that make `arm` from the main one."""
        stems = [] if arm in (None, self.main) else arm.removeprefix(f"{self.main}-").split("-")
        return [ABLATIONS / f"{stem}.yaml" for stem in stems]

    def _load(self, arm):
        return params.load(self.files, self.pairs, self.layers(arm)) | {"arm": arm}

    def comparing(self, arms):
        """This plan with other rows of Table 1."""
        return Plan(self.given, [*self.pairs, f"compare_arms={json.dumps(list(dict.fromkeys(arms)))}"])

    def files_of(self, job):
        """Parameter files that make `job` what it is."""
        return [*self.files, *self.layers(job.arm)]

    def jobs(self):
        """All jobs in an order that respects AFTER."""
        return [Job(n, arm) for n in AFTER for arm in (self.by_arm if n in PER_ARM else [None])]

    def parents(self, job):
        """The jobs whose files `job` reads."""
        return [j for j in self.jobs() if j.number in AFTER[job.number]
                and (job.arm is None or j.arm in (None, job.arm))]

    @cache  # noqa: B019  a plan lives as long as its process
    def twin(self, job):
        """The first job that does for another arm the very work of this one, or `job` itself."""
        def work(other):
            return {**self.parameters(other), "arm": ""}, [self.twin(parent) for parent in self.parents(other)]
        same = (Job(job.number, arm) for arm in self.by_arm if job.arm)
        return next((other for other in same if other == job or work(other) == work(job)), job)

    def waits_for(self, job):
        """The jobs to finish before `job` starts: its parents, and its twin where it has one."""
        return [*self.parents(job), *{self.twin(job)} - {job}]

    def urgency(self, job):
        """Snakemake's priority: arms with most to train first, stage by stage; a long one last would train alone."""
        return 10 * sum(self.twin(link) == link for link in (Job(n, job.arm) for n in PER_ARM)) - int(job.number)

    def parameters(self, job):
        """The declared parameters of `job` with their values in this run."""
        values = self.by_arm[job.arm or self.main]
        unknown = set(declared(job.number)) - set(values)
        if unknown:
            raise UserError(f"{notebook(job.number).name} declares {', '.join(sorted(unknown))},"
                            " which params/paper.yaml does not have; add the line there.")
        return {name: values[name] for name in declared(job.number)}

    @cache  # noqa: B019  a plan lives as long as its process
    def work_key(self, job, data=None):
        """The key of `job` on the cohort of this digest; None where that is not known yet."""
        upstream = {parent.label: self.work_key(parent, data) for parent in self.parents(job)}
        key = work_key(job.number, self.parameters(job), upstream)
        return with_data(key, data) if job.number == "01" else key

    def done_file(self, job):
        """done/NN-<key>.json below the run's root, named before any cohort is known (namd.study.done)."""
        return job.folder / "done" / f"{job.number}-{sha(self.work_key(job), cells(job.number))[:12]}.json"
