"""The events of `core.loop.train`. The loop says nothing itself: the caller records, shows or forwards these.

Every event but its time fields (`seconds`, `evaluation_seconds`) is the same for the same job on the same machine, also
when the job was killed and resumed. Payloads that are tensors or arrays are left out of the JSON.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.names import Fingerprint, SeriesName
from core.numbers import Count, Seconds, Size, Value, Whole


class _Event(BaseModel):
    """`images` real images were shown to D until `iteration`; `seconds` of training went by, evaluation not counted."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", arbitrary_types_allowed=True)

    iteration: Count
    images: Whole
    seconds: Seconds


class LayerAtStart(BaseModel):
    """One layer of an INR before the first iteration.

    `pre_activation` is the root mean square of its outputs. The gradients are root mean squares over entries of those
    of the mean over images of <rgb, noise> / sqrt(3 P): by the numbers emitted for the layer, and by the layer's own
    parameters, None where it has no such.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    pre_activation: Size
    emitted_gradient: Size | None
    own_gradient: Size | None


class Built(_Event):
    """The networks stand. Counts of parameters: emitted per image, shared by all images, and per network.

    `macs` multiplications and additions render one image from its emitted numbers (those of matrix products).
    `initial` is what the INR's layers do before the first iteration, from the coordinate layer to the RGB layer.
    """

    kind: Literal["built"] = "built"
    emitted_parameters: Whole
    shared_parameters: Whole
    generator_parameters: Whole
    discriminator_parameters: Whole = 0
    layer_parameters: Whole = 0
    macs: Whole = 0
    initial: tuple[LayerAtStart, ...] = ()


class Fitted(_Event):
    """The mean absolute error of the last iteration, before its step."""

    kind: Literal["fitted"] = "fitted"
    loss: Size


class Losses(_Event):
    """Means since the last such event: of the first critic and of G, and of `further` critics behind their names."""

    kind: Literal["losses"] = "losses"
    d_loss: Size
    g_loss: Size
    penalty: Size
    real_score: Size
    fake_score: Size
    further: dict[SeriesName, Size] = Field(default_factory=dict, exclude_if=lambda further: not further)


class Evaluated(_Event):
    """The metric at this iteration, or a further measure at the last; `inf` where features were not finite.

    `protocol` is the fingerprint of what it was measured with (`core.metrics.protocol`), empty in events of versions
    that recorded none.
    """

    kind: Literal["evaluated"] = "evaluated"
    metric: SeriesName
    value: Value
    evaluation_seconds: Seconds
    protocol: Fingerprint = ""


class Sampled(_Event):
    """Images of the fixed latents, uint8 [N, 3, R, R], the same latents for every job with the same latent size."""

    kind: Literal["sampled"] = "sampled"
    pictures: Any = Field(default=None, exclude=True, repr=False)


class Pictured(_Event):
    """Rows of images that belong together, uint8 [rows, columns, 3, R, R], of fixed latents, the same for every job
    with the same latent size.

    "interpolations": spherical paths between two latents. "upsampled": one image made larger by every method, in the
    order of `core.metrics.upsampling.SHOWN`, and by the config's opponents in theirs. "dense": a row of real images and
    a row of generated ones, at the `fine` pixels of `core.config.Scales`. "octaves": of each zoom of
    `core.config.Octaves` a row of real windows and one of generated ones.
    """

    kind: Literal["pictured"] = "pictured"
    name: Literal["interpolations", "upsampled", "dense", "octaves"]
    pictures: Any = Field(default=None, exclude=True, repr=False)


class Checkpointed(_Event):
    """`state` is all that `train(resume=...)` needs to go on from here: plain containers of tensors and numbers."""

    kind: Literal["checkpointed"] = "checkpointed"
    state: Any = Field(default=None, exclude=True, repr=False)


class Diverged(_Event):
    """A loss, a weight or the metric stopped being finite; nothing follows."""

    kind: Literal["diverged"] = "diverged"
    reason: str


class Finished(_Event):
    """The last iteration is done. `generator` is the evaluated generator's state dict."""

    kind: Literal["finished"] = "finished"
    generator: Any = Field(default=None, exclude=True, repr=False)


Event = Annotated[
    Built | Losses | Fitted | Evaluated | Sampled | Pictured | Checkpointed | Diverged | Finished,
    Field(discriminator="kind"),
]

event_adapter: TypeAdapter[Event] = TypeAdapter(Event)
