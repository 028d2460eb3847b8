"""McWGAN-style: a predictor against a Wasserstein critic, beside pixel, structure and nodule losses."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import nn
from torch.func import functional_call
from torchmetrics.functional.image import structural_similarity_index_measure
from torchvision.models import resnet18

from namd.forecasters.trained import ComparedSystem, Description, TrainingStage
from namd.ground.precision import adopt

WEIGHTS = dict(l1=100.0, ssim=10.0, perceptual=10.0)    # ours
ADVERSARIAL = 0.1               # ours, by validation: at 1 the three distances grow as training goes on
PENALTY = 10.0                  # Gulrajani et al. 2017
BETAS = (0.0, 0.9)              # Gulrajani et al. 2017
N_CRITIC = 2                    # ours; 5 in Gulrajani et al. 2017, too few predictor steps for our budget
FOLD = 2                        # pixels; ours, because the nets are several times cheaper on folded images
CRITIC_FOLD = 4                 # the same of the critic
SEEN = 0.25                     # of a batch, by SSIM and the ResNet-18 in training; ours, they cost most
NODULE_SHARE = 0.2              # of the budget, for the ResNet-18; ours


def predictor(channels, precision):
    """U-Net from the folded x1 to the folded change x2 - x1; zero at first, so that it starts from x2_hat = x1."""
    widths = (channels[0] // 2, *channels)
    net = UNet2DModel(
        in_channels=FOLD ** 2, out_channels=FOLD ** 2, block_out_channels=widths, layers_per_block=1,
        down_block_types=["DownBlock2D"] * len(widths), up_block_types=["UpBlock2D"] * len(widths),
        norm_num_groups=math.gcd(8, *widths), add_attention=False)
    nn.init.zeros_(net.conv_out.weight)
    nn.init.zeros_(net.conv_out.bias)
    return adopt(net, precision)


def critic(channels, image_size):
    """[x1, x2] (B, 2, S, S) -> score (B, 1), high for real pairs; no normalisation, which would tie the batch."""
    widths = [2 * CRITIC_FOLD ** 2, *channels]
    blocks = []
    for n, m in zip(widths, widths[1:], strict=False):
        blocks += [nn.Conv2d(n, m, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    side = image_size // CRITIC_FOLD // 2 ** (len(widths) - 1)
    return nn.Sequential(nn.PixelUnshuffle(CRITIC_FOLD), *blocks, nn.Flatten(), nn.Linear(widths[-1] * side ** 2, 1))


def nodule_net():
    """ResNet-18 up to its last hidden layer: x (B, 1, S, S) at half size -> (B, 512)."""
    net = resnet18(norm_layer=partial(nn.GroupNorm, 8))
    net.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    net.fc = nn.Identity()
    return nn.Sequential(nn.AvgPool2d(2), net)


def through(net, x):
    """net(x) that passes the gradient on to x and leaves none in net."""
    return functional_call(net, {name: weight.detach() for name, weight in net.named_parameters()}, (x,))


def slopes(net, x1, x2):
    """Norm of the critic's gradient in x2: (B,), per unit of image norm."""
    x2 = x2.detach().requires_grad_()
    score = net(torch.cat([x1, x2], 1)).sum()
    return torch.autograd.grad(score, x2, create_graph=True)[0].flatten(1).norm(dim=1)


def critic_loss(net, x1, x2, x2_hat, mix):
    """Wasserstein loss with gradient penalty: (); mix: (B, 1, 1, 1) in [0, 1].

    Source: Gulrajani et al. 2017; the slope in x2 alone is ours, because x1 is a condition.
    """
    x2_hat = x2_hat.detach()
    between = mix * x2 + (1 - mix) * x2_hat
    gain = net(torch.cat([x1, x2], 1)).mean() - net(torch.cat([x1, x2_hat], 1)).mean()
    return PENALTY * (slopes(net, x1, between) - 1).square().mean() - gain


class System(ComparedSystem):
    """A deterministic predictor trained as the generator of a Wasserstein GAN; no code was published.

    Source: Wang et al. 2024 (Cancers 16:2229) for the four losses and the ResNet-18's last hidden layer; the nets, the
    weights and the steps are ours. The gradient is not clipped: the norm would be that of both nets together, and the
    predictor's would shorten the critic's steps.
    """

    rows = {"mcwgan": ("McWGAN", {})}
    stochastic = False
    description = Description(
        source="Wang et al. 2024, Cancers 16:2229; no public code",
        conditions="x1, the input of the predictor",
        noise="none: one follow-up for each baseline",
        optimises="L1, SSIM, distance in a ResNet-18 of nodules, and a Wasserstein critic with gradient penalty",
        left_open="nets, weights, steps: a U-Net of the change, a critic of pairs, 100 : 10 : 10 : 0.1, 2 critic "
                  "steps to one; the ResNet-18 sees half size")

    def build(self):
        p = self.p
        return {"predictor": predictor(p.system_channels, p.precision),
                "critic": critic(p.system_channels, p.image_size),
                "nodule": nodule_net(), "malignant": nn.Linear(512, 1)}

    @property
    def used(self):
        return [self.nets["predictor"]]

    def predict(self, x1):
        """x2_hat (B, 1, S, S), not clamped."""
        change = self.nets["predictor"](F.pixel_unshuffle(x1, FOLD), 0).sample
        return x1 + F.pixel_shuffle(change, FOLD)

    def perceptual(self, x2_hat, x2):
        """Mean squared difference of the ResNet-18's last hidden layers: ()."""
        with torch.no_grad():
            wanted = self.nets["nodule"](x2)
        return F.mse_loss(through(self.nets["nodule"], x2_hat), wanted)

    def distance(self, x2_hat, x2, share=1.0):
        """Weighted sum of L1, 1 - SSIM and the perceptual term: (); the last two see `share` of the images."""
        l1 = F.l1_loss(x2_hat, x2)
        n = max(1, round(share * len(x2)))
        x2_hat = x2_hat[:n]
        x2 = x2[:n]
        planes = (x.transpose(0, 1).cpu() for x in (x2_hat, x2))    # as channels: 20 x faster; CUDA: not deterministic
        ssim = structural_similarity_index_measure(*planes, data_range=2.0)
        terms = dict(l1=l1, ssim=1 - ssim.to(x2), perceptual=self.perceptual(x2_hat, x2))
        return sum(WEIGHTS[name] * term for name, term in terms.items())

    def stages(self, train, val):
        yield self._nodule_stage(train, val)
        yield self._gan_stage(train, val)

    def _nodule_stage(self, train, val):
        """The ResNet-18 learns malignancy from either visit."""
        x = torch.stack(self.images(train))                 # (2, A, N, 1, S, S)
        x_val = torch.stack(self.images(val))
        label = torch.tensor(train.label).float().to(self.device)
        label_val = torch.tensor(val.label).float().to(self.device)
        nets = {name: self.nets[name] for name in ("nodule", "malignant")}

        def loss(x, label):
            logit = nets["malignant"](nets["nodule"](x)).squeeze(1)
            return F.binary_cross_entropy_with_logits(logit, label)

        def step(idx, g, step_no):
            visit, k = (torch.randint(n, idx.shape, generator=g) for n in x.shape[:2])
            return {"loss": loss(x[visit, k, idx], label[idx])}

        def validate():
            return loss(x_val[:, 0].flatten(0, 1), label_val.repeat(2)).item()

        return self._stage("nodule", NODULE_SHARE, nets, step, validate)

    def _gan_stage(self, train, val):
        """The critic learns in every step, the predictor in every N_CRITIC-th; in the others it has no gradient."""
        x1, x2 = self.images(train)
        x1_val, x2_val = (x[0] for x in self.images(val))
        nets = {name: self.nets[name] for name in ("predictor", "critic")}

        def step(idx, g, step_no):
            k = torch.randint(len(x1), idx.shape, generator=g)
            mix = torch.rand((len(idx), 1, 1, 1), generator=g)
            seen = x1[k, idx]
            wanted = x2[k, idx]
            predictor_learns = step_no % N_CRITIC == N_CRITIC - 1
            with torch.set_grad_enabled(predictor_learns):
                x2_hat = self.predict(seen)
            of_critic = critic_loss(nets["critic"], seen, wanted, x2_hat, mix.to(seen))
            loss = of_critic
            if predictor_learns:
                loss = loss + self.predictor_loss(seen, wanted, x2_hat)
            return {"loss": loss, "critic": of_critic}

        def validate():
            return self.distance(self.predict(x1_val), x2_val).item()

        stage = self._stage("gan", 1 - NODULE_SHARE, nets, step, validate,
                            betas=BETAS, weight_decay=0.0, grad_clip=math.inf)
        return stage._replace(seen=1 / N_CRITIC)

    def _stage(self, name, share, nets, step, validate, **settings):
        """Stage that validates five times in its last training and once while a rate is tuned, as val is dear."""
        every = max(1, round(share * self.p.system_steps / 5))
        return TrainingStage(name, nets, step, validate, share, dict(val_every=every) | settings)

    def predictor_loss(self, x1, x2, x2_hat):
        """What the predictor minimises: (); no gradient reaches the critic or the ResNet-18."""
        score = through(self.nets["critic"], torch.cat([x1, x2_hat], 1)).mean()
        return self.distance(x2_hat, x2, SEEN) - ADVERSARIAL * score

    def draw(self, x1, ehr, noise):
        return self.predict(x1)
