"""Executed notebooks as pages that need no network: images embedded, equations as MathML, answers folded."""

import re
from html import unescape
from pathlib import Path

from jinja2 import pass_context
from nbconvert import HTMLExporter

from namd.study.site.mathml import mathml
from namd.study.site.once import Once

MATH = re.compile(r"<code>.*?</code>|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$<]+?)\$", re.DOTALL)
EMPTY_HEADER = re.compile("<th([^>]*)>(?:&nbsp;|\u00a0)?</th>")      # pandas leaves them over the names of rows
FORMULA_HEADER = re.compile("<th([^>]*)>(<math((?!</th>).)*</math>)</th>", re.DOTALL)
TAG = re.compile("<[^>]+>")
HEADING = re.compile('<h2 id="([^"]+)">(.*?)<a class="anchor-link"', re.DOTALL)
SECTIONS = "<!-- sections -->"      # where the template wants them
CHAPTER = re.compile(r'href="(\d\d_\w+)\.ipynb')
BOX = '<{0} class="scroll" tabindex="0" role="group" aria-label="{1}">'
HERE = Path(__file__).parent
LOOK = (HERE / "look.css").read_text(encoding="utf-8")


class PageExporter(HTMLExporter):
    """nbconvert with a template of our own: an article with contents, set-up and answers folded, no script.

    Source: ours, because a page of equations that needs a server shows LaTeX on a laptop without one, and a question
        whose answer stands open below it is no question.
    """

    def __init__(self, **kwargs):
        template = (HERE / "notebook.html.j2").read_text(encoding="utf-8")
        super().__init__(raw_template=template, preprocessors=[Once], **kwargs)

    def from_notebook_node(self, nb, resources=None, **kw):
        """(page, resources) of a notebook.

        Args:
            resources: "metadata" with "name", the title of the window; "home", a link to what the page belongs to;
                "before", "after" and "series", the neighbours and all pages of a site, as dicts of link and title.
        """
        told = dict(look=LOOK, home="", before=None, after=None, series=[]) | (resources or {})
        html, resources = super().from_notebook_node(nb, told, **kw)
        html = html.replace(SECTIONS, _sections(html))
        html = EMPTY_HEADER.sub(r"<td\1></td>", html)       # the empty corner of a table heads nothing
        html = FORMULA_HEADER.sub(_spoken, html)
        html = html.replace("<table", f"{BOX.format('div', 'table')}<table").replace("</table>", "</table></div>")
        return CHAPTER.sub(r'href="\1.html', html), resources

    @pass_context
    def markdown2html(self, context, source):
        """HTML of a markdown cell."""
        return MATH.sub(_formula, super().markdown2html(context, source))


def _sections(html) -> str:
    """The second-level headings of a page as links, in the words and under the names that they have there."""
    found = [(link, TAG.sub("", title)) for link, title in HEADING.findall(html)]
    return "".join(f'<li><a href="#{link}">{title}</a></li>' for link, title in found)


def _spoken(match) -> str:
    """The header of a column that is a formula alone, with its letters as text: not every reader speaks MathML."""
    return (f'<th{match[1]}><span aria-hidden="true">{match[2]}</span>'
            f'<span class="unseen">{TAG.sub(" ", match[2]).strip()}</span></th>')


def _formula(match) -> str:
    """One equation as a MathML element; code keeps its dollars."""
    if match["block"]:
        return f"{BOX.format('span', 'formula')}{mathml(unescape(match['block']), 'block')}</span>"
    return mathml(unescape(match["inline"])) if match["inline"] else match[0]
