"""Stacked transformers are torch's own, one for each arm and seed, and each site drops what it names."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.data import digits
from companion.models import SITES, StackedTransformer
from companion.training import cosine_adam, evaluate, train

SIZES = {"width": 12, "heads": 3, "ff": 20}


def tokens(seeds=2, n=5):
    return torch.randn(seeds, n, 24, generator=torch.Generator().manual_seed(0))


def by_torch(net, m, x):
    """Model m with torch's encoder layers, whose norms start without effect."""
    w, b = ([p[m] for p in part] for part in (net.weights, net.biases))
    x = x.unflatten(-1, (4, 6)) @ w[0] + b[0] + net.positions[m]
    for block in range(net.blocks):
        layer = nn.TransformerEncoderLayer(12, 3, 20, dropout=0.0, batch_first=True, norm_first=True)
        into, out, up, down = range(4 * block + 1, 4 * block + 5)
        pairs = (
            (layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias, into),
            (layer.self_attn.out_proj.weight, layer.self_attn.out_proj.bias, out),
            (layer.linear1.weight, layer.linear1.bias, up),
            (layer.linear2.weight, layer.linear2.bias, down),
        )
        with torch.no_grad():
            for weight, bias, i in pairs:
                weight.copy_(w[i].T)
                bias.copy_(b[i][0])
        x = layer(x)
    x = F.layer_norm(x, (12,))
    return (x.mean(1) if net.read == "mean" else x[:, -1]) @ w[-1] + b[-1]


@pytest.mark.parametrize("read", ["mean", "last"])
def test_a_stack_is_as_many_transformers_of_torch(read):
    net = StackedTransformer(4, 6, 3, [1, 2], [{}, {"residual": 0.5}], read=read, **SIZES).eval()
    x = tokens()
    y = net(x)
    assert y.shape == (4, 5, 3) and torch.equal(y[:2], y[2:])  # arms differ in training only
    torch.testing.assert_close(net(x.repeat(2, 1, 1)), y)
    for m in range(4):
        torch.testing.assert_close(y[m], by_torch(net, m, x[m % 2]))


def test_arms_of_a_seed_start_from_the_same_weights():
    net = StackedTransformer(4, 6, 3, [1, 2], [{}, {"ff": 0.5}, {}], **SIZES)
    for parameter in net.parameters():
        arms = parameter.detach().unflatten(0, (3, 2))
        assert (
            torch.equal(arms[0], arms[1]) and torch.equal(arms[0], arms[2]) and not torch.equal(arms[0, 0], arms[0, 1])
        )


@pytest.mark.parametrize("rates", [[{"attention": 0.4}], [{}, {"attention": 0.4}]], ids=["one rate", "a rate a model"])
def test_attention_drops_weights_after_the_softmax(rates):
    net = StackedTransformer(4, 6, 3, [1, 2], rates, **SIZES)
    net.generator = torch.Generator().manual_seed(0)
    weights = torch.full((net.models, 50, 3, 4, 4), 0.25)
    dropped = net.train()._drop(weights, "attention")
    last = dropped[-2:]
    assert sorted(last.unique().tolist()) == pytest.approx([0, 0.25 / 0.6])
    assert abs(float((last == 0).double().mean()) - 0.4) < 0.03
    assert len(rates) == 1 or torch.equal(dropped[:2], weights[:2])
    assert torch.equal(net.eval()._drop(weights, "attention"), weights)


@pytest.mark.parametrize("site", SITES)
def test_each_site_drops_where_it_says(site):
    """At p = 1 the dropped place is zero, and what is left of the network is known."""
    net = StackedTransformer(4, 6, 3, [1], [{site: 1.0}], blocks=1, **SIZES)
    x = tokens(1)
    w, b = net.weights, net.biases
    found = net.train()(x)[0]
    embedded = x[0].unflatten(-1, (4, 6)) @ w[0][0] + b[0][0] + net.positions[0]
    read = lambda h: F.layer_norm(h, (12,)).mean(1) @ w[5][0] + b[5][0]  # noqa: E731
    relu = lambda h: (F.layer_norm(h, (12,)) @ w[3][0] + b[3][0]).relu() @ w[4][0] + b[4][0]  # noqa: E731
    plain = StackedTransformer(4, 6, 3, [1], [{}], blocks=1, **SIZES)
    attended = embedded + b[2][0]  # no attention weights: the output layer's bias alone
    expected = {
        "residual": lambda: read(embedded),
        "attention": lambda: read(attended + relu(attended)),
        "head": lambda: b[5][0].expand(5, 3),
        "sum": lambda: b[5][0].expand(5, 3),
    }
    if site in expected:
        torch.testing.assert_close(found, expected[site]())
    elif site == "embedding":
        with torch.no_grad():
            plain.positions.zero_(), plain.weights[0].zero_(), plain.biases[0].zero_()
        torch.testing.assert_close(found, plain(x)[0])
    else:
        with torch.no_grad():
            plain.weights[4].zero_()
        torch.testing.assert_close(found, plain(x)[0])


def test_it_trains_and_arms_do_not_meet():
    task = digits([0, 1], n_train=150, n_test=150)
    alone = StackedTransformer(8, 8, 10, [0, 1])
    both = StackedTransformer(8, 8, 10, [0, 1], [{}, {"residual": 0.2, "embedding": 0.2}])
    for net in (alone, both):
        train(net, task.train, steps=120, batch=25, optimizer=cosine_adam(3e-3, 120, 10))
    test = task.test.open()
    assert float(evaluate(alone, test)["accuracy"].mean()) > 0.5
    torch.testing.assert_close(both(test.x)[:2], alone(test.x), atol=2e-3, rtol=1e-2)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="width must be a multiple of heads, got 12 and 5"):
        StackedTransformer(4, 6, 3, [1], width=12, heads=5)
    with pytest.raises(ValueError, match=r"rates must name sites among \['embedding', .*got \['skip'\]"):
        StackedTransformer(4, 6, 3, [1], [{"skip": 0.1}])
    with pytest.raises(ValueError, match=r"read must be \"mean\" or \"last\", got 'first'"):
        StackedTransformer(4, 6, 3, [1], read="first")
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got 1.2"):
        StackedTransformer(4, 6, 3, [1], [{"ff": 1.2}])
