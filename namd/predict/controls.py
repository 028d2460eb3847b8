"""Sliders over `what_if`: move a field of the record, and the follow-ups are drawn again."""

import ipywidgets as widgets

from namd.data.phantom.sitter import Sitter
from namd.data.report import MARGIN
from namd.evaluation.figures.drawings import as_png, rows_of_drawings
from namd.predict.what_if import what_if
from namd.ship.finished import FinishedArm

AGES = (55, 76)                 # of the phantom and of NLST
SIZES_MM = (4, 28)
WIDE = {"description_width": "9em"}


def controls(arm: FinishedArm, sitter: Sitter, seeds) -> widgets.VBox:
    """Five controls, the drawings under them, and what the judge says as text.

    Source: ours; a change is drawn when a slider is let go, from the same noise as before.
    """
    own = sitter.record().iloc[0]
    fields = dict(
        age=widgets.IntSlider(int(own["age"]), *AGES, description="age, years"),
        emphysema=widgets.Checkbox(bool(own["diagemph"]), description="emphysema", indent=False),
        family=widgets.Checkbox(any(own.filter(like="fam")), description="family history", indent=False),
        longest=widgets.IntSlider(int(own["sct_long_dia"]), *SIZES_MM, description="size, mm"),
        margin=widgets.Dropdown(options=[(name, code) for code, name in MARGIN.items()],
                                value=int(own["sct_margins"]), description="margin"))
    picture = widgets.Image(format="png", layout={"max_width": "100%"})
    words = widgets.HTML()

    def draw(_=None):
        drawn = what_if(arm, sitter, seeds, **{name: field.value for name, field in fields.items()})
        picture.value = as_png(rows_of_drawings({"": drawn}))
        picture.alt = drawn.said
        words.value = f"<p><b>{drawn.said}</b></p><p>{drawn.report}</p>"

    for field in fields.values():
        if hasattr(field, "continuous_update"):
            field.continuous_update = False
        if not isinstance(field, widgets.Checkbox):
            field.style = WIDE
        field.observe(draw, "value")
    draw()
    return widgets.VBox([widgets.HBox([fields["age"], fields["emphysema"], fields["family"]]),
                         widgets.HBox([fields["longest"], fields["margin"]]), picture, words])
