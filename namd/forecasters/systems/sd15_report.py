"""SD1.5 with the report: the control that has NAMD's record and nothing else of NAMD."""

from namd.data.cohort import Cohort
from namd.data.report import report_texts
from namd.forecasters.systems import sd15
from namd.forecasters.trained import Description
from namd.models import clip, unet


class System(sd15.System):
    """SD1.5's U-Net, z1 and losses; its prompt is the report of Figure 4, through Stable Diffusion's own text path.

    With a published U-Net that is CLIP, frozen. A small one has a small text encoder of the same form beside it, which
    learns with the U-Net.

    Source: ours, because a row without the record cannot tell what the record is worth from what NAMD is worth. The
    language model of NAMD would be a part of NAMD; a small CLIP without training would be a reader that cannot read.
    """

    rows = {"sd15_report": ("", {})}
    description = Description(
        source="ours: the row sd15 with the report as its prompt, a control",
        conditions="z1, by eight input channels; the report, by CLIP's 77 states (small: learnt with the U-Net)",
        noise="z_T, the start of DDIM",
        optimises="the denoising loss of Eq. 10 with CLIP's states for C",
        left_open="how it is fine-tuned: as sd15; a small text encoder starts from scratch, for there is no small CLIP")

    def build_text(self, net):
        if clip.beside(self.p.unet_path):
            self.text = clip.load_encoder(self.p.unet_path).to(self.device)
            self.tokenizer = clip.load_tokenizer(self.p.unet_path)
            return {}
        width = self.p.system_channels[-1]
        known = Cohort.open(self.root / "cohort").split("train").ehr
        self.text, self.tokenizer = clip.build(report_texts(known), width)
        unet.widen_context(net, width, self.p.seed)
        return {"text": self.text}

    @property
    def used(self):
        return list(dict.fromkeys([*super().used, self.text]))

    def tokens(self, ehr):
        """The reports of B records as CLIP's tokens on self.device: (B, 77)."""
        return clip.tokens(self.tokenizer, report_texts(ehr)).to(self.device)

    def context(self, tokens):
        """States of every token, (B, 77, D)."""
        return self.text(tokens).last_hidden_state
