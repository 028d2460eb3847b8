"""What decides a notebook before it has run, part by part, and what differs between then and now."""

import difflib
from dataclasses import asdict, dataclass

from namd.ground import keys, order, provenance, sources

WRITERS = ("namd.study.notebook", "namd.study.panel")      # they write a notebook's tables and figures
# name weights too; they shall stand in provenance.WEIGHTS when the shipped runs are next trained anew, for its code is
# part of the key of every training
OF_OTHERS = ("pipeline_path", "judge_path")
SHOWN = 4       # changed modules or cells that one line names


@dataclass(frozen=True)
class Components:
    """Everything that decides a notebook and is known before it starts.

    Attributes:
        parameters: {name: value} of those that it declares and that change a byte.
        weights: {parameter: digest} of local files or folders that they name.
        modules: {module: digest} of what it imports, directly or through others.
        cells: digests of its code cells up to the exercises, in their order.
        versions: {package: version} of the libraries that decide numbers.
    """

    parameters: dict
    weights: dict
    modules: dict
    cells: list
    versions: dict

    @classmethod
    def of(cls, number, values):
        """The components of notebook `number` with these parameters."""
        counted = {name: value for name, value in values.items() if name not in keys.HOW}
        code = order.code_cells(number)
        modules = keys.code(*sources.imported("\n".join(source for _, source in code)))
        modules |= {module: sources.digest_of(module) for module in WRITERS}
        cells = ["" if "parameters" in tags else sources.digest(source) for tags, source in code]
        return cls(counted, weights(values), modules, cells, provenance.versions())

    @classmethod
    def recorded(cls, mark):
        """The components that the mark of a finished notebook holds."""
        return cls(**{name: mark[name] for name in cls.__dataclass_fields__})

    @property
    def key(self):
        """One word for all of them."""
        return keys.sha(asdict(self))

    def differences(self, before, number):
        """One line for each part that is not as in `before`, the components when the notebook last ran."""
        lines = [f"parameter {line}" for line in _changed(before.parameters, self.parameters, _values)]
        lines += [f"weights of {name} changed" for name in _differing(before.weights, self.weights)]
        lines += _many("module", _differing(before.modules, self.modules))
        lines += _many("cell", _changed_cells(before.cells, self.cells, number))
        lines += [f"library {line}" for line in _changed(before.versions, self.versions, _values)]
        return lines


def weights(values):
    """{parameter: digest} of those that name weights in a file or folder of this machine, by all its bytes."""
    found = provenance.weights(values)
    for name in OF_OTHERS:
        digest = provenance.weights({"vae_path": values.get(name)}).get("vae_path")
        if digest:
            found[name] = digest
    return found


def _differing(before, now):
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _changed(before, now, words):
    return [f"{name}: {words(before, name)} -> {words(now, name)}" for name in _differing(before, now)]


def _values(values, name):
    return repr(values[name]) if name in values else "none"


def _many(kind, names):
    """A line for each of a few names, one line for many."""
    if len(names) <= SHOWN:
        return [f"{kind} {name} changed" for name in names]
    return [f"{len(names)} {kind}s changed: {', '.join(names[:SHOWN])}, ..."]


def _changed_cells(before, now, number):
    """What is not as it was: "5 (`x = 1`)", by number and first line; one that is gone has neither."""
    code = order.code_cells(number)
    found = []
    for kind, low, high, start, end in difflib.SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if kind == "delete":
            found += [f"{at + 1} of then, now gone," for at in range(low, high)]
        elif kind != "equal":
            found += [f"{at + 1} (`{order.first_line(code[at][1])}`)" for at in range(start, end)]
    return found
