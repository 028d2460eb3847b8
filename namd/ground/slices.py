"""The part of a notebook that its training depends on: a backward slice over names."""

import ast
import builtins
import copy
import symtable

from namd.ground import order, sources

TRAINING = "training"                                           # tag of the cell with loop.fit
WITNESSES = {"check", "show", "print", "display"}               # they look and change nothing
OF_THE_RUN = {"figure", "table", "panel", "map"}                      # the same, as methods of `run`
PICTURES = ("namd.evaluation", "matplotlib", "seaborn", "pandas")     # what they are given stays as it is
PURE = {"torch", "np"}                                          # so does what their functions without "_" are given
FIXED = {"run", "p"}                                            # a notebook never changes them
ACTS = {"setattr", "delattr", "exec", "eval", "vars", "globals"}       # builtins that change more than they show
METHODS = {"train", "eval", "load_state_dict", "apply", "requires_grad_"}     # of a network: they change it
SETTINGS = ("set_", "use_", "manual_seed")                      # begins what sets a library for the whole process
FUNCTION = ast.FunctionDef | ast.ClassDef
IMPORT = ast.Import | ast.ImportFrom


def sliced(number):
    """Source of the statements that the cell tagged `training` of notebook `number` depends on.

    A statement is in when it binds a name that is needed further down, or may change what such a name holds: an
    assignment into it, a method called on it, a function that is given it. Pictures, tables and checks are out.

    Args:
        number: e.g. "02".

    Raises:
        ValueError: no cell has the tag.

    Source: ours, because an edited figure is no reason to train again; in doubt a statement is in.
    """
    before, last = _until_training(number)
    walk = _Walk(before, last)
    kept = [walk.keep(statement) for statement in reversed(before) if walk.touches(statement)]
    return "\n".join(ast.unparse(statement) for statement in [*reversed(kept), *last])


def used(source, declared):
    """The parameters that `source` reads by name, or as an attribute of the run's parameters."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    return sorted(names & set(declared) - sources.HOW)


def _until_training(number):
    """The statements before the training cell, parameters left out, and those of the cell itself."""
    before = []
    for tags, source in order.code_cells(number):
        if "parameters" in tags:
            continue
        body = ast.parse(source).body
        if TRAINING in tags:
            return before, body
        before += body
    raise ValueError(f"notebook {number} has no code cell tagged {TRAINING!r}")


class _Walk:
    """One walk from the training cell upwards; `needed` are the names whose values count from here on down."""

    def __init__(self, before, last):
        self.functions = {}
        self.imports = set()
        self.pictures = set()
        for statement in [*before, *last]:
            self._enter(statement)
        self.needed = set()
        for statement in last:
            self._need(_loaded(statement))
        self.others = [pair for statement in before for node in ast.walk(statement) for pair in _other_names(node)]

    def _enter(self, statement):
        """Note what a function reads when it is called, and which names are modules or only draw."""
        if isinstance(statement, FUNCTION):
            self.functions.setdefault(statement.name, set()).update(_loaded(statement))
        elif isinstance(statement, IMPORT):
            self.imports |= _bound(statement)
            module = getattr(statement, "module", None) or statement.names[0].name
            if module.startswith(PICTURES):
                self.pictures |= _bound(statement)

    def _need(self, names):
        """A needed function needs what it reads at the time it is called."""
        queue = set(names)
        while queue:
            name = queue.pop()
            if name not in self.needed:
                self.needed.add(name)
                queue |= self.functions.get(name, set())

    def keep(self, statement):
        """Move above `statement`, which is in; an import is cut down to the names that are needed."""
        if isinstance(statement, IMPORT):
            cut = copy.copy(statement)
            cut.names = [alias for alias in statement.names if _name_of(alias) in self.needed]
            return cut
        read = statement
        if isinstance(statement, FUNCTION):                     # decorators and defaults; the rest when it is called
            read = copy.copy(statement)
            read.body = [ast.Pass()]
        if isinstance(statement, ast.Assign):
            self.needed -= _bound(statement)                    # what it held before does not count
        self._need(_loaded(read))
        return statement

    def touches(self, statement):
        """Whether `statement` binds or may change what one of the needed names holds."""
        if _bound(statement) & self.needed:
            return True
        if isinstance(statement, FUNCTION | IMPORT):
            return False                                        # a function changes nothing until it is called
        body = _inner(statement)
        if body:
            return any(map(self.touches, body))
        return self._changes(statement)

    def _changes(self, statement):
        """Whether a simple statement assigns into a needed name or gives one away."""
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Call) and self._only_looks(value.func):
            inner = [node for node in ast.walk(value) if isinstance(node, ast.Call) and node is not value]
            return any(getattr(node.func, "attr", "") in METHODS and self._may_change(node) for node in inner)
        nodes = list(ast.walk(statement))
        if isinstance(statement, ast.Expr):
            nodes = _without_receivers(value)
        return any(self._may_change(node) for node in nodes)

    def _may_change(self, node):
        mutable = self._mutable()
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            return _root(node) in mutable | self.imports - self.pictures | FIXED
        if not isinstance(node, ast.Call):
            return False
        method = getattr(node.func, "attr", "")
        if _root(node.func) in self.imports - self.pictures and method.startswith(SETTINGS):
            return True
        if isinstance(node.func, ast.Name) and node.func.id in {"exec", "eval", "globals"}:
            return True
        in_place = method.endswith("_")
        if self._only_looks(node.func) or (_root(node.func) in PURE and not in_place):
            return False
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node.func, ast.Attribute):
            given.append(node.func.value)
        return any(_handed(argument) & mutable for argument in given) or in_place and _root(node.func) in mutable

    def _mutable(self):
        """Names whose value may be changed so that it counts: what is needed, and other names of the same."""
        found = self.needed - self.imports - FIXED
        while True:
            more = set().union(*(names for names, handed in self.others if handed & found)) - self.imports - FIXED
            if more <= found:
                return found
            found |= more

    def _only_looks(self, function):
        """Whether a called function draws, prints or checks, by its name or by where it comes from."""
        root = _root(function)
        if isinstance(function, ast.Name):
            return root in WITNESSES | self.pictures or hasattr(builtins, root) and root not in ACTS
        return root in self.pictures or root == "run" and function.attr in OF_THE_RUN


def _inner(statement):
    """The statements inside a loop, a condition or a `with`."""
    parts = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    parts += [handler.body for handler in getattr(statement, "handlers", [])]
    return sum(parts, [])


def _without_receivers(value):
    """Nodes of a bare expression; of `a.b(1).c(2)` the call of c alone, for its receiver is a new object."""
    nodes = []
    queue = [value]
    while queue:
        node = queue.pop()
        nodes.append(node)
        chained = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        queue += [*node.args, *node.keywords] if chained else ast.iter_child_nodes(node)
    return nodes


def _other_names(node):
    """(names, names) where the first become other names of what the second hold: an assignment, a loop."""
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.For | ast.comprehension):
        targets, value = [node.target], node.iter
    else:
        return []
    bound = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return [(bound, _handed(value))]


def _handed(argument):
    """Names whose own object `argument` is or holds, not a value computed from it."""
    if isinstance(argument, ast.Name):
        return {argument.id}
    if isinstance(argument, ast.Attribute | ast.Subscript | ast.Starred):
        return _handed(argument.value)
    if isinstance(argument, ast.List | ast.Tuple | ast.Set):
        return set().union(*map(_handed, argument.elts))
    if isinstance(argument, ast.Dict):
        return set().union(*map(_handed, argument.values))
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Attribute) and not argument.args:
        return _handed(argument.func.value)                     # net.parameters(), latents.items()
    return set()


def _root(node):
    """The name that a chain of attributes, items and calls begins with; "" without one."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _name_of(alias):
    return (alias.asname or alias.name).split(".")[0]


def _bound(statement):
    """Names that `statement` gives a value in the notebook; those inside a function or comprehension are its own."""
    symbols = _scope(statement).get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _loaded(statement):
    """Names of the notebook that `statement` reads, also inside a function that it defines."""
    names = {_root(node.target) for node in ast.walk(statement) if isinstance(node, ast.AugAssign)}
    top = _scope(statement)
    names |= {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    inner = list(top.get_children())
    while inner:
        scope = inner.pop()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        inner += scope.get_children()
    return names


def _scope(statement):
    return symtable.symtable(ast.unparse(statement), "notebook", "exec")
