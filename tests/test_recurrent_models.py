"""Stacked recurrent networks are torch's own, and their masks fall where they should, as often as they should."""

import pytest
import torch
from torch import nn

from companion.data import remember
from companion.layers.recurrent import locked_dropout
from companion.models import StackedRecurrent
from companion.training import accuracy, adam, clipped, evaluate, train


def sequences(seeds=2, n=5, steps=4):
    return torch.randn(seeds, n, steps * 3, generator=torch.Generator().manual_seed(0))


def by_torch(net, m, x):
    """Model m with torch's layers."""
    layer = {"elman": nn.RNN, "gru": nn.GRU}[net.cell](3, net.width, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(net.into[m].T)
        layer.weight_hh_l0.copy_(net.recurrent[m].T)
        layer.bias_ih_l0.copy_(net.bias[m, 0])
        layer.bias_hh_l0.zero_()
        if net.cell == "gru":
            layer.bias_hh_l0[-net.width :] = net.inner[m, 0]
    return layer(x.unflatten(-1, (-1, 3)))[0][:, -1] @ net.head[m] + net.head_bias[m]


@pytest.mark.parametrize("cell", ["elman", "gru"])
@pytest.mark.parametrize("steps", [1, 4])
def test_a_stack_is_as_many_networks_of_torch(cell, steps):
    net = StackedRecurrent(3, 6, 4, [1, 2], [("fresh", 0.0), ("locked", 0.5)], cell=cell).eval()
    x = sequences(steps=steps)
    y = net(x)
    assert y.shape == (4, 5, 4)
    torch.testing.assert_close(y[:2], y[2:])  # arms differ in training only
    for m in range(4):
        torch.testing.assert_close(y[m], by_torch(net, m, x[m % 2]))
    for parameter in net.parameters():
        arms = parameter.detach().unflatten(0, (2, 2))
        assert torch.equal(arms[0], arms[1]) and not torch.equal(arms[0, 0], arms[0, 1])
    for part in net.recurrent[0].split(6, 1):
        torch.testing.assert_close(part @ part.T, torch.eye(6))


def test_locked_masks_are_drawn_once_and_fresh_ones_at_each_step():
    net = StackedRecurrent(3, 6, 4, [1, 2], [("fresh", 0.3), ("locked", 0.3), ("fresh", 0.0)]).train()
    net.generator = torch.Generator().manual_seed(0)
    masks = net.draw_masks(400, 5)
    assert masks.shape == (5, 6, 400, 6)
    fresh, locked, none = masks.unflatten(1, (3, 2)).unbind(1)
    assert bool((locked == locked[:1]).all()) and not bool((fresh == fresh[:1]).all()) and bool(none.all())
    for mask, coins in ((fresh, fresh.numel()), (locked[0], locked[0].numel())):
        assert abs(float(mask.double().mean()) - 0.7) < 4.9 * (0.21 / coins) ** 0.5
    assert not torch.equal(locked[0, :, 0], locked[0, :, 1])  # each example has its own


@pytest.mark.parametrize("kind", ["fresh", "locked"])
@pytest.mark.parametrize(("cell", "state"), [("elman", True), ("gru", True), ("gru", False)])
def test_a_training_pass_is_the_formula(kind, cell, state):
    p, scale = 0.5, 2.0
    net = StackedRecurrent(3, 6, 4, [1], [(kind, p)], cell=cell, state=state).train()
    x = sequences(1)
    net.generator = torch.Generator().manual_seed(3)
    found = net(x)[0]
    net.generator = torch.Generator().manual_seed(3)
    masks = net.draw_masks(5, 4)[:, 0]
    into, bias, recurrent = net.into[0], net.bias[0], net.recurrent[0]
    h = torch.zeros(5, 6)
    for t, seen in enumerate(x[0].unflatten(-1, (4, 3)).unbind(1)):
        mask = masks[t - 1] if t else torch.ones(5, 6)
        dropped = mask * h * scale
        carried = h if not state else dropped if kind == "fresh" else mask * h
        a, b = seen @ into + bias, dropped @ recurrent
        if cell == "elman":
            h = (a + b).tanh()
            continue
        r, z = ((a[:, i] + b[:, i]).sigmoid() for i in (slice(0, 6), slice(6, 12)))
        h = (1 - z) * (a[:, 12:] + r * (b[:, 12:] + net.inner[0])).tanh() + z * carried
    torch.testing.assert_close(found, (masks[-1] * h * scale) @ net.head[0] + net.head_bias[0])


def test_locked_masks_make_no_difference_between_state_and_gates():
    x = sequences(1, n=50)
    outputs = []
    for state in (True, False):
        net = StackedRecurrent(3, 6, 4, [1], [("locked", 0.5)], cell="gru", state=state).train()
        net.generator = torch.Generator().manual_seed(3)
        outputs.append(net(x))
    torch.testing.assert_close(*outputs)


def test_locked_is_the_companions_locked_dropout():
    """Of a sequence of equal states, both drop the same share, each unit at all steps or at none."""
    net = StackedRecurrent(3, 500, 4, [1], [("locked", 0.4)])
    net.generator = torch.Generator().manual_seed(0)
    ours = net.draw_masks(3, 7)[:, 0].transpose(0, 1)
    theirs = locked_dropout(torch.ones(3, 7, 500), 0.4, generator=torch.Generator().manual_seed(0)) != 0
    assert torch.equal(ours.bool(), theirs)


def test_it_learns_to_remember_and_arms_do_not_meet():
    task = remember([0, 1], n_train=200, n_test=200, steps=4)
    alone = StackedRecurrent(6, 16, 4, [0, 1])
    both = StackedRecurrent(6, 16, 4, [0, 1], [("fresh", 0.0), ("locked", 0.2)])
    for net in (alone, both):
        train(net, task.train, steps=150, batch=25, optimizer=clipped(adam(1e-2), 1.0))
    test = task.test.open()
    assert float(evaluate(alone, test)["accuracy"].mean()) > 0.85
    torch.testing.assert_close(both(test.x)[:2], alone(test.x), atol=2e-3, rtol=1e-2)
    shuffled = test.x.view(2, 200, 4, 6).flip(2).reshape(2, 200, -1)  # the class is shown last: not what was learnt
    assert float(accuracy(alone(shuffled), test.y).mean()) < 0.8


def test_gradients_are_clipped_for_each_model_alone():
    weight = nn.Parameter(torch.zeros(2, 3, 2))
    bias = nn.Parameter(torch.zeros(2, 1))
    optimizer = clipped(lambda parameters: torch.optim.SGD(parameters, lr=1.0), 1.0)(iter([weight, bias]))
    weight.grad = torch.stack([torch.full((3, 2), 3.0), torch.full((3, 2), 0.1)])
    bias.grad = torch.tensor([[4.0], [0.1]])
    before = [weight.grad.clone(), bias.grad.clone()]
    optimizer.step()
    length = (54 + 16) ** 0.5
    torch.testing.assert_close(-weight.detach()[0], before[0][0] / length)
    torch.testing.assert_close(-bias.detach()[0], before[1][0] / length)
    torch.testing.assert_close(-weight.detach()[1], before[0][1])  # short enough: left as it is


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"cell must be \"elman\" or \"gru\", got 'lstm'"):
        StackedRecurrent(3, 6, 4, [1], cell="lstm")
    with pytest.raises(ValueError, match=r"masks must be \"fresh\" or \"locked\" with a probability, got 'loose'"):
        StackedRecurrent(3, 6, 4, [1], [("loose", 0.1)])
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got -0.1"):
        StackedRecurrent(3, 6, 4, [1], [("fresh", -0.1)])
