"""Nothing twice: what a notebook says more than once because it was executed from outside."""

import ast

from nbconvert.preprocessors import Preprocessor


class Once(Preprocessor):
    """nbconvert preprocessor: papermill's parameters only where they differ; source code shown in one form.

    It tags the cell of imports `imports`, so that a page can fold it.

    Source: ours, because two lists of parameters and one of imports stood before the first idea of each notebook.
    """

    def preprocess(self, nb, resources):
        """(notebook, resources) of an executed notebook."""
        declared = {}
        kept = []
        for cell in nb.cells:
            tags = cell.metadata.get("tags", [])
            if "parameters" in tags:
                declared = _values(cell.source)
            elif "injected-parameters" in tags:
                cell.source = _others(declared, _values(cell.source))
            elif cell.cell_type == "code":
                _shown_once(cell)
                if declared and "start(" in cell.source and cell.source.startswith(("import ", "from ")):
                    cell.metadata["tags"] = [*(tag for tag in tags if tag != "imports"), "imports"]
            if cell.source:
                kept.append(cell)
        nb.cells = kept
        return nb, resources


def _values(source):
    """{name: value} of a cell of parameters, in its order."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, (ast.AnnAssign, ast.Assign))]
    return {(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]).id: ast.literal_eval(node.value)
            for node in nodes}


def _others(declared, injected):
    """The lines of what was set otherwise than in the notebook; empty when nothing was."""
    missing = object()
    return "\n".join(f"{name} = {value!r}" for name, value in injected.items() if declared.get(name, missing) != value)


def _shown_once(cell):
    """Source code that `show` displays, as Markdown instead of a page with a style of its own."""
    for output in cell.outputs:
        data = output.get("data", {})
        if "text/latex" in data and 'class="highlight"' in data.get("text/html", ""):
            output["data"] = {"text/markdown": f"```python\n{data['text/plain']}\n```"}
