"""The ten documented changes of the slide "Changes overview", in the slide's order and words.

Source: Ivan Skorokhodov, "Meta Generation", August 31, 2020 (`meta_generation_2020-08-31.txt` beside this file).
All numbers of the edits are the deck's own; profiles scale them, so titles have the factors that all profiles keep.
"""

from __future__ import annotations

from ablations.claims import Source
from ablations.schema import Change, Edit
from core.config import (
    R1,
    BatchNorm,
    Ema,
    FactorizedSE,
    Fourier,
    GradientPenalty,
    LearningRates,
    Linear,
    NonSaturating,
    Siren,
    Wasserstein,
)

SLIDE = "Changes overview"


def said(quote: str) -> Source:
    """These words on the slide "Changes overview"."""
    return Source(slide=SLIDE, quote=quote)


CHANGES: tuple[Change, ...] = (
    Change(
        name="fourier_inr",
        title="Fourier features, not SIREN",
        short="Fourier",
        source=said(r"SIREN \rightarrow FourierINR"),
        edits=(Edit(path="inr.basis", before=Siren(), after=Fourier()),),
        reading="First-layer scales as on the slide 'FourierINR vs SIREN': sqrt(2 / n_in) = 1, and about 100.",
    ),
    Change(
        name="generator_ema",
        title="averaged G, no BatchNorm",
        short="averaged G",
        source=said("Generator EMA (had to remove BatchNorm)"),
        edits=(
            Edit(path="ema", before=None, after=Ema(warmup=False)),
            Edit(path="hypernetwork.norm", before=BatchNorm(), after=None),
        ),
        reading="One change with two edits: an average of parameters alone leaves BatchNorm's running statistics "
        "behind, so the slide's 'had to remove' is a requirement. Decay 0.999 per step of G, without warm-up, is the "
        "public code's. Without BatchNorm G's emitted numbers also start smaller there (0.195 against 0.34 over "
        "latents), which is a part of the change wherever a profile does not set the emission.",
    ),
    Change(
        name="r1",
        title="R1, not WGAN-GP",
        short="R1",
        source=said(r"WGAN-GP \rightarrow R1"),
        edits=(Edit(path="penalty", before=GradientPenalty(), after=R1()),),
        reading="The penalty alone changes here; the loss 'WGAN' has a line of its own. Weight 10 for both, R1 without "
        "the factor 1/2 and at every step of D, as in the public code.",
    ),
    Change(
        name="d1_g1",
        title="G updated at every D step, not every 5th",
        short="D1:G1",
        source=said(r"D5:G1 \rightarrow D1:G1 ticks"),
        edits=(Edit(path="d_per_g", before=5, after=1),),
        reading="An iteration is one update of D, as the author's later code counts; counted in updates of G the "
        "unchanged model would see five times the images.",
    ),
    Change(
        name="batch_size",
        title="batch size ×2",
        short="batch ×2",
        source=said(r"batch size 32 \rightarrow batch size 64"),
        edits=(Edit(path="batch_size", before=32, after=64),),
    ),
    Change(
        name="learning_rates",
        title="G's learning rate ÷20",
        short="G's rate ÷20",
        source=said(r"LRs 0.002/0.0002 \rightarrow 0.0001/0.0002 for G/D (like in StyleGAN)"),
        edits=(Edit(path="optimizers.learning_rates", before=LearningRates(), after=LearningRates(generator=0.0001)),),
        reading="D's rate stays at 0.0002 on the slide. Optimiser and betas are not given: Adam with (0, 0.98), as in "
        "the public code.",
    ),
    Change(
        name="inr_size",
        title="INR 4× wider",
        short="wider INR",
        source=said(r"INR size 64×5 \rightarrow 256×5"),
        edits=(Edit(path="inr.width", before=64, after=256),),
        reading="Five layers of that width, the coordinate layer among them; it may also mean five above it.",
    ),
    Change(
        name="factorized_se",
        title="FactorizedSE layers, not Linear",
        short="FactorizedSE",
        source=said(r"INRLinear \rightarrow INRFactorizedSELinear"),
        edits=(Edit(path="inr.layer", before=Linear(), after=FactorizedSE()),),
        reading="Hidden layers only, rank 10 as on the slide 'Size/quality tradeoff'; the coordinate and RGB layers "
        "stay linear, as in the public code.",
    ),
    Change(
        name="ns_loss",
        title="NS loss, not Wasserstein",
        short="NS loss",
        source=said(r"WGAN loss \rightarrow NS loss (results are in progress)"),
        edits=(Edit(path="loss", before=Wasserstein(), after=NonSaturating()),),
    ),
    Change(
        name="residual_weight",
        title="residual weight 0.1, not 0",
        short="residual weight",
        source=said(r"Residual weight 0.0 \rightarrow 0.1"),
        edits=(Edit(path="hypernetwork.residual_weight", before=0.0, after=0.1),),
        reading="The learnable factor on the nonlinear branch of G's trunk, called main_branch_weight in the public "
        "code; the same scalar exists in that code's D, and the INR has a residual option of its own.",
    ),
)
