"""Stacked networks are as many separate ones, and the arms of a seed differ in their dropout alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import dropout, spatial_dropout
from companion.data import digits
from companion.models import StackedConvNet, StackedResidualMLP
from companion.training import cosine_adam, evaluate, train


def cells(x, generator):
    return dropout(x, 0.4, generator=generator)


def channels(x, generator):
    return spatial_dropout(x, 0.4, generator=generator)


def alone(stacked, m, pool):
    """Model m as a plain network of torch."""
    first, second = (nn.Conv2d(i, o, 3, padding=1) for i, o in zip((1, 3), (3, 5), strict=True))
    head = nn.Linear(5 * 16, 10)
    with torch.no_grad():
        for layer, kernel, shift in zip((first, second), stacked.kernels, stacked.shifts, strict=True):
            layer.weight.copy_(kernel[m])
            layer.bias.copy_(shift[m])
        head.weight.copy_(stacked.weight[m].T)
        head.bias.copy_(stacked.bias[m, 0])
    pooling = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[pool](2)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), pooling, nn.Flatten(), head)


@pytest.mark.parametrize("pool", ["max", "average"])
def test_a_stack_is_as_many_networks_of_torch(pool):
    stacked = StackedConvNet(8, (3, 5), 10, [4, 7], (None, None), pool=pool)
    x = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(0))
    together = stacked(x)
    assert together.shape == (4, 6, 10)
    for m in range(4):
        torch.testing.assert_close(together[m], alone(stacked, m, pool)(x[m % 2].view(6, 1, 8, 8)))
    torch.testing.assert_close(stacked(x.repeat(2, 1, 1)), together)
    assert [tuple(maps.shape) for maps in stacked.maps(x)] == [(4, 6, 3, 8, 8), (4, 6, 5, 8, 8)]


def test_arms_of_a_seed_start_from_the_same_weights_within_the_bound():
    stacked = StackedConvNet(8, (3, 5), 10, [4, 7], (None, cells))
    inputs = {"kernels.0": 9, "kernels.1": 27, "shifts.0": 9, "shifts.1": 27, "weight": 80, "bias": 80}
    for name, parameter in stacked.named_parameters():
        arms = parameter.detach().unflatten(0, (2, 2))
        assert torch.equal(arms[0], arms[1]) and not torch.equal(arms[0, 0], arms[0, 1])
        assert 0.5 * inputs[name] ** -0.5 < parameter.abs().max() <= inputs[name] ** -0.5


def test_each_arm_has_its_own_dropout_in_training_only():
    stacked = StackedConvNet(8, (6,), 10, [0, 1, 2], (None, cells, channels))
    x = torch.rand(3, 50, 64, generator=torch.Generator().manual_seed(1))
    stacked.generator = torch.Generator().manual_seed(2)
    plain = stacked.eval().maps(x)[0]
    dropped = stacked.train().maps(x)[0]
    assert torch.equal(dropped[:3], plain[:3])
    # Only where the ReLU left something can be seen whether it was dropped.
    gone = (dropped == 0) & (plain > 0)
    share = gone[3:].sum((1, 2, 3, 4)) / (plain[3:] > 0).sum((1, 2, 3, 4))
    assert bool(((share - 0.4).abs() < 0.05).all())
    kept = (dropped > 0).flatten(3).any(-1)
    whole = (gone.flatten(3).any(-1) & kept)[6:]
    assert not bool(whole.any())  # channels are gone or there
    assert bool((gone.flatten(3).any(-1) & kept)[3:6].any())
    torch.testing.assert_close(dropped[3:][~gone[3:]], plain[3:][~gone[3:]] / 0.6)


def test_it_trains_and_an_arm_does_not_change_its_neighbour():
    task = digits([0, 1], n_train=150, n_test=150)
    nets = [StackedConvNet(8, (4, 6), 10, [0, 1], drops) for drops in ((None,), (None, cells))]
    for net in nets:
        train(net, task.train, steps=150, batch=25)
    test = task.test.open()
    assert float(evaluate(nets[0], test)["accuracy"].mean()) > 0.7
    torch.testing.assert_close(nets[1](test.x)[:2], nets[0](test.x), atol=2e-3, rtol=1e-2)
    with torch.no_grad():
        loss = F.cross_entropy(nets[1](test.x)[2], test.y[0])
    assert float(loss) < 1.5


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="side must be even and at least 2, got 7"):
        StackedConvNet(7, (4,), 10, [0])
    with pytest.raises(ValueError, match=r"pool must be \"max\" or \"average\", got 'min'"):
        StackedConvNet(8, (4,), 10, [0], pool="min")


# --- residual networks ------------------------------------------------------------------------------------------------


def by_hand(net, m, x, gates):
    """Model m with plain functions; ``gates`` are the factors on its branches."""
    w, b = ([p[m] for p in part] for part in (net.weights, net.biases))
    x = x @ w[0] + b[0]
    for block, gate in enumerate(gates):
        inner = (F.layer_norm(x, (6,)) @ w[2 * block + 1] + b[2 * block + 1]).relu()
        x = x + gate * (inner @ w[2 * block + 2] + b[2 * block + 2])
    return F.layer_norm(x, (6,)) @ w[-1] + b[-1]


def test_residual_networks_are_networks_of_their_own():
    net = StackedResidualMLP(9, 6, 3, [1, 2], [[0.0] * 3, [0.1, 0.2, 0.3]]).eval()
    x = torch.randn(2, 5, 9, generator=torch.Generator().manual_seed(0))
    y = net(x)
    assert y.shape == (4, 5, 3) and torch.equal(y[:2], y[2:])  # arms differ in training only
    for m in range(4):
        torch.testing.assert_close(y[m], by_hand(net, m, x[m % 2], [1, 1, 1]))


def test_a_block_of_a_model_is_there_for_the_whole_batch_or_not_at_all():
    p = 0.4
    net = StackedResidualMLP(9, 6, 3, [1], [[0.0, 0.0], [p, p]]).train()
    x = torch.randn(1, 5, 9, generator=torch.Generator().manual_seed(0))
    net.generator = torch.Generator().manual_seed(3)
    ways = {(a, b): by_hand(net, 1, x[0], (a / (1 - p), b / (1 - p))) for a in (0, 1) for b in (0, 1)}
    seen = dict.fromkeys(ways, 0)
    for _ in range(400):
        plain, dropped = net(x)
        torch.testing.assert_close(plain, by_hand(net, 0, x[0], (1, 1)))
        (found,) = [way for way, y in ways.items() if torch.allclose(dropped, y, atol=1e-5)]
        seen[found] += 1
    for (a, b), count in seen.items():
        chance = (1 - p if a else p) * (1 - p if b else p)
        assert abs(count - 400 * chance) < 4.5 * (400 * chance * (1 - chance)) ** 0.5
    with pytest.raises(ValueError, match=r"rates must have as many blocks in every arm, got \[1, 2\]"):
        StackedResidualMLP(9, 6, 3, [1], [[0.1], [0.1, 0.2]])


def test_the_learning_rate_rises_and_falls():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = cosine_adam(0.1, 14, warm_up=4)([weight])
    rates = []
    for _ in range(14):
        rates.append(optimizer.param_groups[0]["lr"])
        weight.grad = torch.ones(1)
        optimizer.step()
    assert rates[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1]) and rates[9] == pytest.approx(0.05)
    assert rates[4:] == sorted(rates[4:], reverse=True) and 0 < rates[-1] < 0.003
    task = digits([0], n_train=200, n_test=200)
    net = StackedResidualMLP(64, 16, 10, [0], [[0.0] * 4])
    train(net, task.train, steps=60, optimizer=cosine_adam(1e-2, 60, 10))
    assert float(evaluate(net, task.test.open())["accuracy"]) > 0.8
