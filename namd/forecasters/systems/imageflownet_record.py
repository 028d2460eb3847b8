"""ImageFlowNet with the record: every flow is scaled and shifted by it, the rest is as its authors have it."""

from torch import nn

from namd.forecasters.systems import imageflownet
from namd.models.record_numbers import RecordEmbedding

WIDTH = 64              # ours: of the record's embedding


class RecordFlow(imageflownet.Flow):
    """A flow whose drift is scaled and shifted by the record between its two convolutions.

    Until it learns, scale is 1 and shift 0: the record changes nothing.

    Source: Perez et al. 2018 (FiLM), in place of an affine layer after the instance norm.
    """

    def __init__(self, width):
        super().__init__(width)
        self.film = nn.Linear(WIDTH, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def velocity(self, h, known):
        """f(h, e), (B, C, H, W), for the embedding `known` (B, 64) of the record e."""
        scale, shift = self.film(known)[..., None, None].chunk(2, 1)
        norm = self.drift[:4](h)
        return self.drift[4:](norm * (1 + scale) + shift)


class System(imageflownet.System):
    """ImageFlowNet that knows what NAMD knows: a control that parts "has the record" from "is NAMD".

    Source: ours, because the paper's best comparator reads no record and NAMD does.
    """

    rows = {"imageflownet_record": ("", {})}
    description = imageflownet.System.description._replace(
        source="ours: ImageFlowNet with the record, a control beyond Table 1",
        conditions="x1, as ImageFlowNet; the record, by scale and shift (FiLM) in every flow",
        left_open="all of it: an embedding of two layers, FiLM between the convolutions of a drift")

    def build(self):
        return super().build() | {"record": RecordEmbedding(WIDTH)}

    def flow(self, width):
        return RecordFlow(width)

    def known(self, ehr):
        return self.nets["record"].numbers(ehr)

    def forecast(self, x1, known, noise):
        return super().forecast(x1, self.nets["record"](known), noise)

    def stages(self, train, val):
        self.nets["record"].measure(train.ehr)
        yield from super().stages(train, val)
