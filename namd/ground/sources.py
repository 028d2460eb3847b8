"""The code that decides a result: parsed sources, without docstrings, comments, layout and words of refusal."""

import ast
import hashlib
from dataclasses import dataclass
from functools import cache

from namd.ground import paths

HOW = {"data_workers", "eval_workers", "save_every"}            # parameters that change no byte of a result
SETTLE = ("namd.ground.process", "namd.ground.precision")      # they settle determinism for every notebook
LEFT_OUT = "namd.study"                                         # it stamps and validates, it computes no result
EVERYWHERE = {"device", "threads", "precision", "processes"}    # the parameters by which they do
ERRORS = {"UserError", "DamagedError"}                          # their words are no part of a result
NAMESPACES = {"p", "params"}                                    # what the parameters are called in the package


@dataclass(frozen=True)
class _Parsed:
    """What one source says: its digest, the namd modules it may import, the attributes it reads of parameters."""

    digest: str
    imports: frozenset[str]
    reads: frozenset[str]


def code(*modules):
    """Digests of `modules` and of every namd module that they import, directly or through others.

    Args:
        modules: dotted names, e.g. "namd.models.vae"; a name that is no module (a function) counts for nothing.

    Returns:
        {module: digest}, namd.study left out, the modules that settle determinism always among them.

    Source: ours, because a word in a docstring is no reason to train again, and a module far below is one.
    """
    return {name: _parsed(text).digest for name, text in sorted(reached(*modules, *SETTLE).items())}


def deciding(modules, declared):
    """Names of the parameters that `modules` and what they import read, as `p.<name>` or `params.<name>`.

    The parameters that settle a process's arithmetic are always among them, those of HOW never.

    Args:
        modules: dotted names; declared: names of parameters, no others count.

    Source: ours, because a list of them kept by hand forgets one.
    """
    read = set(EVERYWHERE)
    for text in reached(*modules).values():
        read |= _parsed(text).reads
    return sorted(read & set(declared) - HOW)


def reached(*modules):
    """Sources of `modules` and of all that they import below namd: {module: bytes}."""
    found = {}
    queue = set(modules)
    while queue:
        name = queue.pop()
        if name in found or name == LEFT_OUT or name.startswith(f"{LEFT_OUT}."):
            continue
        if name.endswith(".*"):
            queue |= _members(name.removesuffix(".*"))
            continue
        file = _file(name)
        if file is not None:
            found[name] = file.read_bytes()
            queue |= _parsed(found[name]).imports
            queue |= {name.rpartition(".")[0]} - {""}       # Python runs the package's own __init__ first
    return found


def imported(source):
    """Dotted names below namd that a notebook's `source` may import; some are functions, not modules."""
    return _parsed(source.encode()).imports


def digest(source):
    """Digest of the parsed `source`; comments, layout and docstrings fall away."""
    return _parsed(source.encode()).digest


def digest_of(module):
    """Digest of one module alone, whatever it imports."""
    return _parsed(_file(module).read_bytes()).digest


def _file(name):
    base = paths.REPO.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _members(package):
    """Every module in the folder of `package`."""
    folder = paths.REPO.joinpath(*package.split("."))
    return {f"{package}.{file.stem}" for file in folder.glob("*.py") if file.stem != "__init__"}


@cache
def _parsed(source):
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    imports = frozenset(name for name in _imports(nodes) if name.split(".")[0] == "namd")
    reads = frozenset(_reads(nodes))
    for node in nodes:
        _drop_docstring(node)
        _drop_words(node)
    return _Parsed(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports, reads)


def _imports(nodes):
    """Names in import statements, and `package.*` for `import_module(f"package.{name}")`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif _calls(node, "import_module") and isinstance(node.args[0], ast.JoinedStr):
            start = node.args[0].values[0]
            if isinstance(start, ast.Constant) and start.value.endswith("."):
                yield f"{start.value}*"


def _reads(nodes):
    """Attributes of the parameters; with `getattr(p, name)` every word of the source that may be the name."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and _is_parameters(node.value):
            yield node.attr
    if any(_calls(node, "getattr") and _is_parameters(node.args[0]) for node in nodes):
        yield from (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_parameters(node):
    """Whether `node` is p, params, self.p, run.p."""
    named = node.id if isinstance(node, ast.Name) else getattr(node, "attr", None)
    return named in NAMESPACES


def _calls(node, name):
    """Whether `node` is a call of `name`, or of something's attribute `name`."""
    if not isinstance(node, ast.Call):
        return False
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", None)
    return called == name


def _drop_words(node):
    """Take the words out of an error for the user, which stops a run and decides nothing of it."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _root_name(node.exc.func) in ERRORS:
        node.exc.args = []


def _root_name(node):
    return node.id if isinstance(node, ast.Name) else ""


def _drop_docstring(node):
    """Take a docstring out of a module, class or function; `pass` stays where nothing else is."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]
