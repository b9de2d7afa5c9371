"""Stacked models train as if each were alone, and the arms of a seed differ in nothing but their treatment."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.data import digits
from companion.models import StackedMLP
from companion.training import accuracy, adam, adamw, batches, cross_entropy, epochs, evaluate, nll, train


def test_arms_of_a_seed_start_from_the_same_weights():
    model = StackedMLP((8, 6, 3), [5, 6], p=(0.0, 0.5, 0.9))
    for parameter in model.parameters():
        arms = parameter.view(3, 2, *parameter.shape[1:])
        assert torch.equal(arms[0], arms[1]) and torch.equal(arms[0], arms[2])
        assert not torch.equal(arms[0, 0], arms[0, 1])


def test_initial_weights_are_those_of_nn_linear_in_distribution():
    model = StackedMLP((64, 500, 2), range(8))
    first = model.weights[0]
    assert first.abs().max() <= 64**-0.5
    # variance of a uniform number in ±1/8; 4.9 standard errors
    n = first.numel()
    variance, expected = first.double().var().item(), 1 / 64 / 3
    assert abs(variance - expected) < 4.9 * expected * (0.8 / n) ** 0.5


@pytest.mark.parametrize("optimizer", [adam(3e-3), adamw(3e-3, 1.0)])
def test_a_stack_of_models_trains_exactly_as_each_alone(optimizer):
    """The loop that the stack replaces: one nn.Sequential per seed, same weights, same batches, no dropout."""
    seeds, steps, batch = [0, 1, 2], 30, 16
    task = digits(seeds, n_train=64, n_test=50)
    stacked = StackedMLP((64, 16, 10), seeds)
    alone = []
    for s in range(len(seeds)):
        net = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
        with torch.no_grad():
            for layer, index in ((net[0], 0), (net[2], 1)):
                layer.weight.copy_(stacked.weights[index][s].T)
                layer.bias.copy_(stacked.biases[index][s, 0])
        alone.append(net)
    index = batches(seeds, 64, steps, batch)
    for s, net in enumerate(alone):
        step = optimizer(net.parameters())
        for i in index[s]:
            step.zero_grad()
            F.cross_entropy(net(task.train.x[s, i]), task.train.y[s, i]).backward()
            step.step()
    train(stacked, task.train, steps=steps, batch=batch, optimizer=optimizer)
    test = task.test.open()
    with torch.no_grad():
        together = stacked(test.x)
        each = torch.stack([net(test.x[s]) for s, net in enumerate(alone)])
    torch.testing.assert_close(together, each, atol=2e-4, rtol=1e-3)


def test_an_arm_does_not_change_its_neighbour():
    seeds = [0, 1]
    task = digits(seeds, n_train=60, n_test=20)
    two = train(StackedMLP((64, 12, 10), seeds, p=(0.0, 0.7)), task.train, steps=20)
    one = train(StackedMLP((64, 12, 10), seeds, p=(0.0,)), task.train, steps=20)
    for both, single in zip(two.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(both[:2], single, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(both[2:], single, atol=1e-3)


def test_same_seeds_same_result():
    def run():
        task = digits([0, 1], n_train=60, n_test=40)
        model = train(StackedMLP((64, 12, 10), [0, 1], p=(0.5,)), task.train, steps=25)
        return evaluate(model, task.test.open())["nll"]

    assert torch.equal(run(), run())


def test_rates_reach_their_sites():
    model = StackedMLP((4, 1000, 1000, 2), [0], p=((0.0, 0.0, 0.5), 0.25))
    model.train()
    model.generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for bias in model.biases:
            bias.fill_(1.0)
        for weight in model.weights:
            weight.fill_(0.0)
        first, second = model.hidden(torch.ones(2, 3, 4))
    dropped = [(layer == 0).double().mean((1, 2)) for layer in (first, second)]
    expected = torch.tensor([[0.0, 0.25], [0.5, 0.25]], dtype=torch.float64)
    error = 4.9 * (0.25 / 3000) ** 0.5
    torch.testing.assert_close(torch.stack(dropped), expected, atol=error, rtol=0)


def test_an_objective_takes_the_place_of_cross_entropy():
    task = digits((0, 1), n_train=40, n_test=10)
    nets = [StackedMLP((64, 8, 10), task.seeds, (0.0, 0.0)) for _ in range(3)]
    shapes = []

    def doubled(model, x, y):
        shapes.append((x.shape, y.shape))
        return 2 * cross_entropy(model, x, y)

    def sgd(lr):
        return lambda parameters: torch.optim.SGD(parameters, lr=lr)

    train(nets[0], task.train, steps=5, batch=7, optimizer=sgd(0.2))
    train(nets[1], task.train, steps=5, batch=7, optimizer=sgd(0.2), objective=cross_entropy)
    train(nets[2], task.train, steps=5, batch=7, optimizer=sgd(0.1), objective=doubled)
    assert shapes == [((2, 7, 64), (2, 7))] * 5
    for plain, same, twice in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(plain, same)
        torch.testing.assert_close(plain, twice)


def test_watch_sees_the_model_in_evaluation_mode_before_and_after():
    steps = []

    def watch(model, step):
        assert not model.training and not torch.is_grad_enabled()
        steps.append(step)

    task = digits([0], n_train=30, n_test=20)
    train(StackedMLP((64, 4, 10), [0]), task.train, steps=6, watch=watch, watch_every=2)
    assert steps == [0, 2, 4, 6]


def test_accuracy_and_nll_by_hand():
    logits = torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [0.0, 1.0]]])
    y = torch.tensor([[0, 1]])
    assert accuracy(logits, y).tolist() == [1.0, 0.5]
    expected = torch.tensor([[2.0, 1.0], [-2.0, 1.0]]).double().neg().exp().log1p().mean(1)
    torch.testing.assert_close(nll(logits, y), expected)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: StackedMLP((4,), [0]), "widths must hold"),
        (lambda: StackedMLP((4, 2), [0], scheme="keep"), "scheme must be one of"),
        (lambda: StackedMLP((4, 2), [0], activation="gelu"), "activation must be one of"),
        (lambda: StackedMLP((4, 3, 2), [0], p=((0.5,),)), "p must have 2 entries an arm"),
        (lambda: StackedMLP((4, 3, 2), [0], p=(1.5,)), r"p must be in \[0, 1\], got 1.5"),
        (lambda: train(StackedMLP((64, 3, 10), [0]), digits([0, 1], n_train=9).train, steps=1), "1 seeds, got 2"),
        (
            lambda: train(StackedMLP((64, 3, 10), [0]), digits([0], n_train=9).train, steps=0),
            "steps must be at least 1",
        ),
    ],
)
def test_bad_arguments_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_epochs_show_every_example_equally_often_and_each_pass_anew():
    index = epochs([3, 4], n=6, steps=6, batch=4)
    assert index.shape == (2, 6, 4)
    passes = index.view(2, 4, 6)
    assert torch.equal(passes.sort(-1).values, torch.arange(6).expand(2, 4, 6))
    assert not torch.equal(passes[:, 0], passes[:, 1]) and not torch.equal(index[0], index[1])
    assert torch.equal(index[1:], epochs([4], n=6, steps=6, batch=4))  # a seed's order is its own
    assert epochs([0], n=5, steps=2, batch=4).unique().tolist() == [0, 1, 2, 3, 4]  # the last pass may be cut off


def test_training_follows_the_order_it_is_given():
    task, drawn = digits([0], n_train=8, n_test=10), []

    def order(seeds, n, steps, batch):
        drawn.append((list(seeds), n, steps, batch))
        return epochs(seeds, n, steps, batch)

    train(StackedMLP((64, 4, 10), [0]), task.train, steps=2, batch=4, order=order)
    assert drawn == [([0], 8, 2, 4)]
