"""What the seams of `core` are for: systems of `tests.systems` are trained by the loop itself, and change no other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core import build
from core import config as cfg
from core.critics import Critic
from core.evaluation import Evaluation, Inline
from core.events import Built, Checkpointed, Event, Finished, Losses, Sampled
from core.grids import Grid, Pixels
from core.loop import train
from core.signals import Signal
from core.views import View
from tests.core.conftest import EMISSION, MeanPixel, small_config
from tests.core.test_train import events_of, payload
from tests.systems import second, waves, zoom

DOMAIN, DISCRIMINATOR, CRITICS = build.build_domain, build.build_discriminator, build.build_critics


def build_domain(data: Any, coordinates: cfg.Coordinates) -> tuple[Grid, Signal]:
    match data:
        case waves.Waves(resolution=points):
            return waves.Line(points, coordinates), waves.Tone()
    return DOMAIN(data, coordinates)


def build_discriminator(config: Any) -> torch.nn.Module:
    match config.discriminator:
        case waves.Conv(width=width):
            return waves.Discriminator(width, config.data.resolution)
    return DISCRIMINATOR(config)


def build_view(looks: cfg.Looks | cfg.Critic, config: cfg.Config, seed: int, name: str = "") -> View:
    return zoom.Zoom(Pixels(config.data.resolution, config.inr.coordinates), seed)


def build_critics(config: cfg.Config, discriminator: torch.nn.Module, *rest: Any) -> list[Critic]:
    device = next(discriminator.parameters()).device
    return [*CRITICS(config, discriminator, *rest), second.second(config, rest[-1], device)]


ARMS: dict[str, tuple[Any, ...]] = {
    "waves": (build_domain, build_discriminator),
    "zoom": (build_view,),
    "second": (build_critics,),
}
"""Of each system, in place of the functions of `core.build` by these names."""


def config_of(system: str) -> cfg.Config:
    if system != "waves":
        return small_config()
    return waves.Config(
        inr=cfg.Inr(width=8, depth=3, coordinates=cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")),
        flip=False,
        hypernetwork=cfg.Hypernetwork(latent_dim=8, width=16, depth=3, emission=EMISSION),
        batch_size=6,
        iterations=12,
        d_per_g=2,
        evaluation=cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5),
    )


@pytest.fixture(params=ARMS)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for arm in ARMS[request.param]:
        monkeypatch.setattr(build, arm.__name__, arm)
    return str(request.param)


def until_checkpoint(iteration: int, system: str, images: Tensor) -> tuple[list[Event], Any]:
    """The events up to a checkpoint, and its state."""
    config, before = config_of(system), list[Event]()
    shown = waves.drawn(64) if system == "waves" else images
    evaluator = Inline(Evaluation(config, MeanPixel()))
    for event in train(cfg.Job(config=config, seed=0), shown, evaluator, checkpoint_due=lambda: True):
        if isinstance(event, Checkpointed) and event.iteration == iteration:
            return before, event.state
        before.append(event)
    raise AssertionError("no checkpoint")


def trained(system: str, images: Tensor, **options: Any) -> list[Event]:
    return events_of(config_of(system), waves.drawn(64) if system == "waves" else images, **options)


def test_it_trains_and_an_interrupted_job_ends_as_an_undisturbed_one(
    system: str, images: Tensor, tmp_path: Path
) -> None:
    whole = trained(system, images)
    assert isinstance(whole[-1], Finished)
    losses = [event for event in whole if isinstance(event, Losses)]
    assert len(losses) == 12 and all(math.isfinite(value) for event in losses for value in event.further.values())
    before, state = until_checkpoint(7, system, images)
    torch.save(state, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    rest = trained(system, images, resume=state)
    assert payload(before) + payload(rest) == payload(whole)


def test_a_signal_of_one_channel_on_a_line_is_shown_as_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    for arm in ARMS["waves"]:
        monkeypatch.setattr(build, arm.__name__, arm)
    events = trained("waves", waves.drawn(64))
    (shown, *_) = [event.pictures for event in events if isinstance(event, Sampled)]
    assert shown.shape == (64, 1, 16) and shown.dtype == torch.uint8
    built = events[0]
    assert isinstance(built, Built) and len(built.initial) == 4
    # f(t): 8 + 8 numbers of the coordinate layer, two hidden layers of 8, one value.
    assert built.emitted_parameters == (8 + 8) + 2 * (64 + 8) + (8 + 1)


def test_a_second_critic_is_met_at_every_third_iteration(monkeypatch: pytest.MonkeyPatch, images: Tensor) -> None:
    alone = [event for event in events_of(small_config(), images) if isinstance(event, Losses)]
    monkeypatch.setattr(build, "build_critics", build_critics)
    both = [event for event in events_of(small_config(), images) if isinstance(event, Losses)]
    met = [event.iteration for event in both if event.further["lightness/d_loss"] != 0]
    assert met == [3, 6, 9, 12]
    assert [event.iteration for event in both if event.further["lightness/penalty"] != 0] == [6, 12]
    # Until it has a say in G's loss nothing is otherwise, random streams included: every second iteration updates G.
    assert [e.d_loss for e in both[:6]] == [e.d_loss for e in alone[:6]] and both[5].g_loss != alone[5].g_loss
    assert both[7].d_loss != alone[7].d_loss
    assert not alone[0].further and '"further"' not in alone[0].model_dump_json()


def test_a_view_changes_what_is_seen_and_no_stream_but_its_own(monkeypatch: pytest.MonkeyPatch, images: Tensor) -> None:
    from core.step import Networks

    device = torch.device("cpu")
    plain = Networks(small_config(), 0, images, device)
    monkeypatch.setattr(build, "build_view", build_view)
    zoomed = Networks(small_config(), 0, images, device)
    grid = zoomed.critics[0].view.next(1).generated
    assert isinstance(grid, Pixels) and grid.size == 8
    assert zoomed.state_dict()["view"] and "view" not in plain.state_dict()
    assert torch.equal(zoomed.real.take().images, plain.real.take().images)
    assert torch.equal(torch.rand(5, generator=zoomed.latents), torch.rand(5, generator=plain.latents))
