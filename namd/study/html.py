"""Executed notebooks as pages that need no network: images embedded, equations as MathML, no remote script."""

import re
from html import unescape

from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter

MATH = re.compile(r"<code>.*?</code>|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block notebook_css -%}{{ super() }}
<style>.jp-OutputArea-output .highlight pre {font: 13px/1.35 var(--jp-code-font-family, monospace)}</style>
{%- endblock -%}
"""


class PageExporter(HTMLExporter):
    """nbconvert's lab page without its remote scripts.

    Source: ours, because a page of equations that needs a server shows LaTeX on a laptop without one.
    """

    def __init__(self, **kwargs):
        super().__init__(raw_template=TEMPLATE, embed_images=True, **kwargs)

    @pass_context
    def markdown2html(self, context, source):
        """HTML of a markdown cell."""
        return MATH.sub(_mathml, super().markdown2html(context, source))


def _mathml(match) -> str:
    """One equation as a MathML element; code keeps its dollars."""
    if match["block"]:
        return convert(unescape(match["block"]), display="block")
    return convert(unescape(match["inline"])) if match["inline"] else match[0]
