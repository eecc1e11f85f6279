"""Batches of real images for D, endless, in an order that the seed fixes, on the device that trains."""

from __future__ import annotations

import queue
import threading
import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor

from core.streams import stream

RESIDENT = 0.5
"""The share of an accelerator's free memory that a set may take; a larger one is streamed to it from the host."""

AHEAD = 4
"""Batches that are read before they are asked for."""


class _Order:
    """Which images are next, and which of them are mirrored: epoch after epoch; batches may span two epochs.

    Drawn on the CPU wherever the images are, so that the order is the same on every device.
    """

    def __init__(self, seed: int, count: int, batch: int, flip: bool) -> None:
        self.count, self.batch = count, batch
        self.generator = stream(seed, "order")
        self.flips = stream(seed, "flips") if flip else None
        self._begin()

    def _begin(self) -> None:
        self.epoch = self.generator.get_state()
        self.permutation = torch.randperm(self.count, generator=self.generator)
        self.position = 0

    def next(self) -> tuple[Tensor, Tensor | None]:
        """Indices of images, int64 [batch], and which places of the batch to mirror; None where nothing ever is."""
        parts: list[Tensor] = []
        missing = self.batch
        while missing:
            if self.position == self.count:
                self._begin()
            part = self.permutation[self.position : self.position + missing]
            parts.append(part)
            self.position += len(part)
            missing -= len(part)
        if self.flips is None:
            return torch.cat(parts), None
        return torch.cat(parts), (torch.rand(self.batch, generator=self.flips) < 0.5).nonzero()[:, 0]

    def state_dict(self) -> dict[str, Any]:
        # The permutation follows from the generator's state before it, and may be of millions.
        state = {"epoch": self.epoch, "position": self.position}
        return state if self.flips is None else state | {"flips": self.flips.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["epoch"])
        self._begin()
        self.position = state["position"]
        if self.flips is not None:
            self.flips.set_state(state["flips"])


class Batch(NamedTuple):
    """Images uint8 [batch, 3, R, R] where D is; which ones of the set they are, int64 [batch], and the places of the
    batch that are mirrored, both on the CPU."""

    images: Tensor
    indices: Tensor
    mirrored: Tensor | None

    def part(self, places: slice) -> Batch:
        """The images of these places."""
        mirrored = self.mirrored
        if mirrored is not None:
            flags = torch.zeros(len(self.indices), dtype=torch.bool).index_fill_(0, mirrored, True)
            mirrored = flags[places].nonzero()[:, 0]
        return Batch(self.images[places], self.indices[places], mirrored)


def chosen(images: Tensor, indices: Tensor, mirrored: Tensor | None) -> Tensor:
    """Images by index, those at the places `mirrored` of the result mirrored left to right."""
    # Copies whole images: several times faster than indexing, which goes pixel by pixel.
    batch = images.index_select(0, indices)
    return batch if mirrored is None else batch.index_copy_(0, mirrored, batch.index_select(0, mirrored).flip(-1))


class Resident:
    """All images where D is: on the CPU memory-mapped, on an accelerator copied there once."""

    def __init__(self, images: Tensor, order: _Order, device: torch.device) -> None:
        self.images, self.order, self.device = images.to(device), order, device

    def take(self) -> Batch:
        """The next images."""
        indices, mirrored = self.order.next()
        there, flipped = indices, mirrored
        if self.device.type == "cuda":
            # From pinned memory, or the copy of a few numbers would wait for the device.
            there = indices.pin_memory().to(self.device, non_blocking=True)
            flipped = None if mirrored is None else mirrored.pin_memory().to(self.device, non_blocking=True)
        return Batch(chosen(self.images, there, flipped), indices, mirrored)

    def state_dict(self) -> dict[str, Any]:
        return self.order.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order.load_state_dict(state)


class Streamed:
    """Images stay in the host's memory, or on its disk; a thread reads batches ahead, until this is no longer used.

    Its state is of what was taken, however much was read ahead.
    """

    def __init__(self, images: Tensor, order: _Order, device: torch.device) -> None:
        self.images, self.order, self.device = images, order, device
        self.state = order.state_dict()
        self._start()

    def _start(self) -> None:
        self.ready: _Ready = queue.Queue(AHEAD)
        over = threading.Event()
        pinned = self.device.type == "cuda"
        # The thread knows nothing of this object, which would otherwise never be let go.
        thread = threading.Thread(
            target=_read_ahead, args=(self.images, self.order, pinned, self.ready, over), daemon=True
        )
        thread.start()
        self.thread, self.end = thread, weakref.finalize(self, _end, over, thread)

    def take(self) -> Batch:
        """As that of `Resident`."""
        item = self.ready.get()
        if isinstance(item, BaseException):
            raise item
        batch, self.state = item
        return batch._replace(images=batch.images.to(self.device, non_blocking=True))

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.end()
        self.order.load_state_dict(state)
        self.state = state
        self._start()


def _end(over: threading.Event, thread: threading.Thread) -> None:
    over.set()
    # A thread that is inside torch when the interpreter ends takes the process down with it.
    if threading.current_thread() is not thread:
        thread.join()


_Ready = queue.Queue[tuple[Batch, dict[str, Any]] | BaseException]


def _read_ahead(images: Tensor, order: _Order, pinned: bool, ready: _Ready, over: threading.Event) -> None:
    while not over.is_set():
        item: tuple[Batch, dict[str, Any]] | BaseException
        try:
            indices, mirrored = order.next()
            taken = chosen(images, indices, mirrored)
            item = (Batch(taken.pin_memory() if pinned else taken, indices, mirrored), order.state_dict())
        except BaseException as error:  # it is raised where the batch is taken
            item = error
        while not over.is_set():
            try:
                ready.put(item, timeout=0.1)
                break
            except queue.Full:
                continue


def feed(
    images: Tensor, seed: int, batch: int, *, flip: bool = False, device: torch.device, resident: bool | None = None
) -> Resident | Streamed:
    """Batches of `images`, uint8 [N, 3, R, R] on the CPU; the same ones wherever the images are kept.

    `resident` says whether they are kept where D is; None where there is room for them.
    """
    order = _Order(seed, len(images), batch, flip)
    if _fits(images, device) if resident is None else resident:
        return Resident(images, order, device)
    return Streamed(images, order, device)


def _fits(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    # What torch keeps of an earlier job and does not use is free as well.
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return images.nbytes <= RESIDENT * (free + idle)
