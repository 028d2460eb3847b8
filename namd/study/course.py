"""The student's copy of a notebook: the exercises without their solutions."""

import re

from nbconvert.preprocessors import Preprocessor


class WithoutSolutions(Preprocessor):
    """nbconvert preprocessor: drops cells tagged `solution` and every folded answer.

    Source: ours, because a class should meet the question before the answer.
    """

    def preprocess(self, nb, resources):
        """(notebook, resources) with what a student may see."""
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                cell.source = re.sub(r"<details>.*?</details>\n*", "", cell.source, flags=re.S).strip()
        nb.cells = [cell for cell in nb.cells if cell.source and "solution" not in cell.metadata.get("tags", [])]
        return nb, resources
