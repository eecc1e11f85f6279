"""Our Adam is torch's, bit for bit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from core.adam import Adam

SETTINGS = {"betas": (0.0, 0.98), "eps": 1e-8}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Conv1d(7, 3, 1), nn.Linear(1, 2))


def groups(net: nn.Sequential) -> list[dict[str, object]]:
    return [{"params": list(net[0].parameters()), "lr": 0.01}, {"params": list(net[1].parameters())}, {"params": []}]


def trained(net: nn.Sequential, optimizer: torch.optim.Optimizer, steps: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        x = torch.randn(4, 5, generator=random)
        optimizer.zero_grad(set_to_none=True)
        net[1](net[0](x).unsqueeze(2)).square().sum().backward()
        optimizer.step()


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_numbers_are_those_of_torchs_fused_adam() -> None:
    net, reference = network(), network()
    trained(net, Adam(groups(net), lr=0.1, **SETTINGS), 20, 1)
    trained(reference, torch.optim.Adam(groups(reference), lr=0.1, fused=True, **SETTINGS), 20, 1)
    assert equal(net, reference) and not equal(net, network())


def test_it_goes_on_from_its_state() -> None:
    net, whole = network(), network()
    optimizer = Adam(groups(net), lr=0.1, **SETTINGS)
    undisturbed = Adam(groups(whole), lr=0.1, **SETTINGS)
    trained(net, optimizer, 5, 1)
    trained(whole, undisturbed, 5, 1)
    resumed = Adam(groups(net), lr=0.1, **SETTINGS)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    trained(net, resumed, 5, 2)
    trained(whole, undisturbed, 5, 2)
    assert equal(net, whole)


def test_what_has_no_gradient_stays() -> None:
    net = network()
    optimizer = Adam([*net.parameters()], lr=0.1, **SETTINGS)
    trained(net, optimizer, 3, 1)
    assert torch.equal(net[2].weight, network()[2].weight)
    with pytest.raises(ValueError, match="parameter group that doesn't match"):
        optimizer.load_state_dict(Adam([*net[0].parameters()], lr=0.1, **SETTINGS).state_dict())
