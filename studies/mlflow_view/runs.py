"""What MLflow shows of a run: its name, tags and parameters, and its events as metrics, each written once."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ablations.patch import has, lookup
from ablations.schema import Study
from core.events import Built, Checkpointed, Evaluated, Event, Fitted, Losses
from core.folder import RunFolder, State
from core.metrics.protocol import from_json
from studies.mlflow_view import fitting
from studies.mlflow_view.views import LEFT_OUT, SAMPLED, SHOWN, TITLE, sampled
from studies.plan import Plan
from studies.runner.tasks import Task

PARAMETERS = {
    "resolution": "data.resolution",
    "inr": "inr.basis.kind",
    "inr_layer": "inr.layer.kind",
    "inr_layer_class": "inr.layer.target",
    "inr_init": "inr.init",
    "emitter": "emitter.kind",
    "first_layer_scale": "inr.basis.scale",
    "coordinate_layer": "inr.coordinates.layer",
    "inr_width": "inr.width",
    "inr_depth": "inr.depth",
    "g_width": "hypernetwork.width",
    "g_norm": "hypernetwork.norm.kind",
    "residual_weight": "hypernetwork.residual_weight",
    "loss": "loss.kind",
    "penalty": "penalty.kind",
    "penalty_weight": "penalty.weight",
    "lr_g": "optimizers.learning_rates.generator",
    "lr_d": "optimizers.learning_rates.discriminator",
    "ema": "ema.decay",
    "d_per_g": "d_per_g",
    "batch_size": "batch_size",
    "iterations": "iterations",
}
VERSIONS = {"python": "version.python", "torch": "version.torch", "numpy": "version.numpy", "device": "device"}
"""Tags by what a run's provenance calls them."""
KINDS = frozenset({"fd_rooms", "fd_imagenet", "clean_fid"})
"""Metrics of GANs: what is measured on their features as well is called after them (`core.metrics.quality`)."""


class Labels:
    """The labels of the runs of one plan."""

    def __init__(self, study: Study, plan: Plan, tasks: list[Task]) -> None:
        self.study, self.plan, self.tasks = study, plan, tasks

    def name(self, task: Task) -> str:
        """The run's name, which ends with its seed."""
        return fitting.fitted(task.sentence, fitting.RUN_NAME, end=task.seed_words)

    def tags(self, task: Task, folder: RunFolder, state: State) -> dict[str, str]:
        """The run's tags as its folder stands. Raises Damaged."""
        provenance, outcome = folder.read("provenance.json"), folder.outcome()
        tags: dict[str, Any] = {
            "job": task.digest,
            TITLE: task.title,
            "variant": task.variant,
            "seed": task.seed,
            "design": ", ".join(task.designs),
            "profile": self.plan.profile,
            "setting": self.plan.setting,
            "data": self.plan.data_name,
            "status": state,
            SAMPLED: self.sampled(task),
            "mlflow.runColor": self._color(task.variant),
        }
        if fingerprint := getattr(task.job.config.data, "fingerprint", None):
            tags["data.fingerprint"] = fingerprint
        if recorded := from_json(folder.read("protocol.json")):
            tags["protocol"] = next(iter(recorded.values())).fingerprint
        if provenance.get("commit"):
            tags["mlflow.source.git.commit"] = provenance["commit"]
        tags |= {tag: provenance[key] for key, tag in VERSIONS.items() if provenance.get(key)}
        if outcome is not None and outcome.reason:
            tags["reason"] = outcome.reason
        return fitting.tags({key: str(value) for key, value in tags.items()})

    def parameters(self, task: Task) -> dict[str, str]:
        """The changes, on or off, the seed, and the numbers in which variants of the study may differ."""
        config = task.job.config.model_dump(mode="json")
        parameters = {f"change.{c.name}": "on" if c.name in task.changes else "off" for c in self.study.changes}
        parameters["seed"] = str(task.seed)
        for name, path in self._paths.items():
            parameters[name] = str(lookup(config, path)) if has(config, path) else "off"
        return parameters

    def sampled(self, task: Task) -> str:
        """Whether the run is in the view of samples, as its tag says it."""
        return SHOWN if task.digest in self._in_samples_view else LEFT_OUT

    @cached_property
    def _in_samples_view(self) -> frozenset[str]:
        return frozenset(task.digest for task in sampled(self.study, self.plan, self.tasks))

    @cached_property
    def _paths(self) -> dict[str, str]:
        """Those of `PARAMETERS` that some variant of the study could have: others would only be noise."""
        subsets = [(), *((change.name,) for change in self.study.changes)]
        configs = [self.study.folded(subset).model_dump(mode="json") for subset in subsets]
        return {name: path for name, path in PARAMETERS.items() if any(has(config, path) for config in configs)}

    def _color(self, variant: str) -> str:
        """One colour for all seeds of a variant, hues a golden angle apart."""
        index = next(i for i, planned in enumerate(self.plan.variants) if planned.name == variant)
        red, green, blue = colorsys.hls_to_rgb(index * 0.381966 % 1, 0.45, 0.6)
        return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


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


def metrics_of(event: Event, started: int, values: Mapping[int, float]) -> list[tuple[str, float, int, int]]:
    """An event as MLflow's metrics: key, value, milliseconds, step.

    The metric has the run's value at that iteration, of `values` (`core.values.averaged`); where that is no single
    evaluation, the evaluation is beside it. The time is that of training, so that writing a metric again is no second
    row.
    """
    match event:
        case Losses():
            shown = {
                "loss/d": event.d_loss,
                "loss/g": event.g_loss,
                "loss/penalty": event.penalty,
                "score/real": event.real_score,
                "score/fake": event.fake_score,
            }
        case Fitted():
            shown = {"loss/fit": event.loss}
        case Evaluated(metric=metric) if "/resample_" in metric:
            # The same metric on other latents: the report tells scatter from it, a page of charts would lead with it.
            return []
        case Evaluated(metric=metric) if "/" in metric:
            section, _, name = metric.partition("/")
            # Charts come in the alphabet of their sections, and these must not lead.
            shown = {f"quality/{name}" if section in KINDS else metric: event.value}
        case Evaluated():
            value = values.get(event.iteration, event.value)
            shown = {event.metric: value, "images": event.images, "seconds": event.seconds}
            if value != event.value:
                shown["quality/one_evaluation"] = event.value
        case _:
            return []
    # An infinite value would come back as 1.8e308 and flatten every chart.
    finite = {key: float(value) if math.isfinite(float(value)) else math.nan for key, value in shown.items()}
    return [(key, value, started + int(event.seconds * 1000), event.iteration) for key, value in finite.items()]
