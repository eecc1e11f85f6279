"""The events of a run as MLflow's metrics, each written once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlflow.entities import Metric

from core.events import Built, Checkpointed, Evaluated, Event, Fitted, Losses
from core.folder import RunFolder

KINDS = frozenset({"fd_rooms", "clean_fid"})
"""Metrics of GANs: what is measured on their features as well is called after them (`core.metrics.quality`)."""


def settled_events(folder: RunFolder, *, ended: bool) -> list[Event]:
    """The events that will never be rewritten, in an order that resuming does not change. Raises Damaged.

    They are those before a checkpoint, and all of a job that has its result: a failed one may be tried again.
    Checkpoints come by the clock and are left out, so that the count of these events is where a later sync goes on;
    offsets in the record move where a job went on from an earlier checkpoint.
    """
    settled: list[Event] = []
    since: list[Event] = []
    for event in folder.each_event():
        if isinstance(event, Checkpointed):
            settled += since
            since = []
        else:
            since.append(event)
    return settled + since if ended else settled


def counts_of(settled: Sequence[Event]) -> dict[str, str]:
    """The counts of the networks' parameters that are on record: earlier versions recorded fewer."""
    built = next((event for event in settled if isinstance(event, Built)), None)
    names = sorted(built.model_fields_set) if built else []
    return {name: str(getattr(built, name)) for name in names if name.endswith("_parameters")}


def metrics_of(event: Event, started: int) -> list[Metric]:
    """An event as MLflow's metrics; their time is that of training, so that writing them again is no second row."""
    match event:
        case Losses():
            values = {
                "loss/d": event.d_loss,
                "loss/g": event.g_loss,
                "loss/penalty": event.penalty,
                "score/real": event.real_score,
                "score/fake": event.fake_score,
            }
        case Fitted():
            values = {"loss/fit": event.loss}
        case Evaluated(metric=metric) if "/resample_" in metric:
            # The same metric on other latents: the report tells scatter from it, a page of charts would lead with it.
            return []
        case Evaluated(metric=metric) if "/" in metric:
            section, _, name = metric.partition("/")
            # Charts come in the alphabet of their sections, and these must not lead.
            values = {f"quality/{name}" if section in KINDS else metric: event.value}
        case Evaluated():
            values = {event.metric: event.value, "images": event.images, "seconds": event.seconds}
        case _:
            return []
    timestamp = started + int(event.seconds * 1000)
    # An infinite value would come back as 1.8e308 and flatten every chart.
    finite = {key: float(value) if math.isfinite(float(value)) else math.nan for key, value in values.items()}
    return [Metric(key, value, timestamp, event.iteration) for key, value in finite.items()]
