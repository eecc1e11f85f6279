"""The order of real images: fixed by the seed, the same wherever they are kept, and resumed exactly."""

import gc
import time
from collections import deque

import pytest
import torch
from torch import Tensor

from core.data.feed import feed
from core.streams import stream

IMAGES = torch.randint(0, 256, (10, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
CPU = torch.device("cpu")


def taken(count: int, **options: object) -> list[Tensor]:
    source = feed(IMAGES, 3, 4, device=CPU, **options)  # type: ignore[arg-type]
    return [source.take().images for _ in range(count)]


def which(batch: Tensor) -> list[int]:
    """The index of each image, mirrored or not."""
    found = []
    for image in batch:
        (match,) = [i for i, one in enumerate(IMAGES) if torch.equal(one, image) or torch.equal(one.flip(-1), image)]
        found.append(match)
    return found


def test_every_epoch_is_every_image_once_in_the_order_of_the_seed() -> None:
    order = [i for batch in taken(5) for i in which(batch)]
    generator = stream(3, "order")
    expected = [int(i) for _ in range(2) for i in torch.randperm(10, generator=generator)]
    assert order == expected


@pytest.mark.parametrize("flip", [False, True])
def test_streamed_images_are_the_resident_ones(flip: bool) -> None:
    pairs = zip(taken(9, flip=flip, resident=True), taken(9, flip=flip, resident=False), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_half_of_the_images_are_mirrored_in_an_order_that_stays() -> None:
    plain, mirrored = torch.cat(taken(100)), torch.cat(taken(100, flip=True))
    same = (plain == mirrored).flatten(1).all(1)
    assert 0.4 < same.float().mean() < 0.6
    assert torch.equal(mirrored[~same], plain[~same].flip(-1))


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("before", [0, 1, 3, 5])
def test_a_resumed_feed_goes_on_exactly(resident: bool, flip: bool, before: int) -> None:
    whole = taken(before + 6, flip=flip)
    first = feed(IMAGES, 3, 4, flip=flip, device=CPU, resident=resident)
    for _ in range(before):
        first.take()
    second = feed(IMAGES, 3, 4, flip=flip, device=CPU, resident=not resident)
    second.take()
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(second.take().images, batch) for batch in whole[before:])


def test_a_state_is_small_however_many_images_there_are() -> None:
    many = torch.zeros(100_000, 3, 1, 1, dtype=torch.uint8)
    state = feed(many, 3, 4, device=CPU).state_dict()
    assert sum(value.nbytes for value in state.values() if isinstance(value, Tensor)) < 10_000


def test_a_batch_larger_than_the_set_spans_epochs() -> None:
    source = feed(IMAGES[:3], 0, 7, device=CPU)
    assert source.take().images.shape == (7, 3, 4, 4)


def test_the_thread_ends_with_its_feed() -> None:
    source = feed(IMAGES, 3, 4, device=CPU, resident=False)
    source.take()
    thread = source.thread  # type: ignore[attr-defined]
    assert thread.is_alive()
    del source
    gc.collect()
    deadline = time.monotonic() + 5
    while thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not thread.is_alive()


def test_what_goes_wrong_while_reading_is_raised_where_it_is_missed() -> None:
    broken = feed(IMAGES, 3, 4, device=CPU, resident=False)
    broken.take()

    def unreadable() -> None:
        raise OSError("the disk is gone")

    broken.order.next = unreadable  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="the disk is gone"):
        deque((broken.take() for _ in range(20)), maxlen=0)
