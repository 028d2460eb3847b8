"""Executed notebooks as pages that need no network: images embedded, equations as MathML, solutions folded."""

import re
from html import unescape

from jinja2 import pass_context
from nbconvert import HTMLExporter

from namd.study.runner.mathml import mathml

MATH = re.compile(r"<code>.*?</code>|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$<]+?)\$", re.DOTALL)
EMPTY_HEADER = re.compile("<th([^>]*)>(?:&nbsp;|\u00a0)?</th>")      # pandas leaves them over the names of rows
TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block notebook_css -%}{{ super() }}
<style>
:root {--jp-mirror-editor-comment-color: #2d6a6a; --jp-mirror-editor-number-color: #067006;
  --jp-mirror-editor-operator-color: #8a14d6; --jp-cell-prompt-not-active-opacity: 1}
math {font-family: "Cambria Math", "STIX Two Math", "Latin Modern Math", "DejaVu Math TeX Gyre", math}
.jp-OutputArea-output .highlight pre {font: 13px/1.35 var(--jp-code-font-family, monospace)}
.jp-MarkdownCell .jp-Cell-inputWrapper {overflow-x: auto}
.jp-MarkdownCell .jp-InputArea, .jp-MarkdownOutput.jp-RenderedMarkdown {overflow: visible}
summary {cursor: pointer; color: #0b5cad}
.solution > summary {font: var(--jp-content-font-size1)/1.6 var(--jp-content-font-family);
  padding: 5px 5px 5px calc(var(--jp-cell-prompt-width) + 21px)}
</style>
{%- endblock -%}
{%- block any_cell scoped -%}
{%- if 'solution' not in cell.metadata.get('tags', []) -%}{{ super() }}
{%- elif cell.cell_type == 'code' -%}
<details class="solution"><summary>Solution in code</summary>{{ super() }}</details>
{%- endif -%}
{%- endblock -%}
{%- block data_png scoped -%}
{%- set alt = output | get_metadata('alt', 'image/png') or 'figure drawn by the cell above' -%}
{{ super() | replace('<img', '<img alt="' ~ alt | escape_html ~ '"') }}
{%- endblock -%}
"""


class PageExporter(HTMLExporter):
    """nbconvert's lab page without its remote scripts, with every solution folded.

    Source: ours, because a page of equations that needs a server shows LaTeX on a laptop without one, and a question
        whose answer stands open below it is no question.
    """

    def __init__(self, **kwargs):
        super().__init__(raw_template=TEMPLATE, **kwargs)       # embed_images would close <details> at once

    def from_notebook_node(self, nb, resources=None, **kw):
        """(page, resources) of a notebook; the empty corner of a table heads nothing."""
        html, resources = super().from_notebook_node(nb, resources, **kw)
        return EMPTY_HEADER.sub(r"<td\1></td>", html), resources

    @pass_context
    def markdown2html(self, context, source):
        """HTML of a markdown cell."""
        return MATH.sub(_formula, super().markdown2html(context, source))


def _formula(match) -> str:
    """One equation as a MathML element; code keeps its dollars."""
    if match["block"]:
        return mathml(unescape(match["block"]), "block")
    return mathml(unescape(match["inline"])) if match["inline"] else match[0]
