"""Chapter 06's experiment: all masks of a small layer, by hand and by the layers, and the rest at a tiny size."""

import pytest
import torch

from companion import drop_connect_linear, dropout
from companion.experiments.dropconnect import (
    _trained,
    accuracies,
    all_outputs,
    covariance,
    inference,
    mean_activation,
    mean_of_relu,
    noise,
)
from companion.layers.dropconnect import gaussian_moments

W, X = torch.tensor([[1.0, 2.0, -1.0], [2.0, -1.0, 1.0]]), torch.tensor([1.0, 2.0, 3.0])


def test_equal_marginals_and_different_covariances():
    """The worked example, with the outputs divided by 1 - p: variances 4 x 6.5 and 4 x 4.25, covariance 4 x -3.75."""
    units, weights = (all_outputs(W, X, 0.5, kind) for kind in ("units", "weights"))
    assert len(units[0]) == 2**3 and len(weights[0]) == 2**6
    for outputs, expected in ((units, [[26, -15], [-15, 17]]), (weights, [[26, 0], [0, 17]])):
        mean, cov = covariance(*outputs)
        torch.testing.assert_close(mean, torch.tensor([2.0, 3.0], dtype=torch.float64))
        torch.testing.assert_close(cov, torch.tensor(expected, dtype=torch.float64))
        relu = mean_activation(*outputs, torch.relu) / 2
        assert relu.tolist() == pytest.approx([1.625, 1.75])
    product = [mean_activation(*outputs, lambda u: u.relu().prod(1, keepdim=True) / 4) for outputs in (units, weights)]
    assert [float(value) for value in product] == pytest.approx([1.125, 1.625 * 1.75])
    with pytest.raises(ValueError, match="dropped must be"):
        all_outputs(W, X, 0.5, "inputs")


@pytest.mark.parametrize("kind", ["units", "weights"])
def test_the_enumeration_is_what_the_layers_draw(kind):
    outputs, probability = all_outputs(W, X, 0.3, kind)
    mean, cov = covariance(outputs, probability)
    assert float(probability.sum()) == pytest.approx(1)
    n, generator = 40_000, torch.Generator().manual_seed(0)
    x = X.double().expand(n, 3)
    if kind == "units":
        drawn = dropout(x, 0.3, generator=generator) @ W.double().T
    else:
        drawn = drop_connect_linear(x, W.double(), None, 0.3, per_example=True, generator=generator)
    error = (cov.diagonal() / n).sqrt()
    assert bool(((drawn.mean(0) - mean).abs() < 4.5 * error).all())
    torch.testing.assert_close(drawn.T.cov(), cov, atol=0.5, rtol=0.03)
    torch.testing.assert_close(gaussian_moments(X.double(), W.double(), p=0.3)[1], cov.diagonal())


def test_moments_beat_the_mean_weights_at_a_tiny_size():
    record = mean_of_relu(seeds=(0, 1), rates=(0.5,), inputs=8, units=20)
    error = record.metrics["RMSE, p = 0.5"]
    assert all(a < b for a, b in zip(error["normal moments"], error["mean weights"], strict=True))
    assert max(record.metrics["bias, p = 0.5"]["mean weights"]) < 0  # Jensen


def test_records_at_a_tiny_size():
    record = accuracies(seeds=(0, 1), steps=2, rates=(0.5,))
    assert record.arms == ("none", "units, p = 0.5", "weights, p = 0.5") and set(record.metrics) == {"accuracy", "NLL"}
    record = inference(seeds=(0, 1), steps=2, reference=20, images=20)
    assert record.arms[0] == "one pass" and all(value > -1e-6 for v in record.metrics["KL"].values() for value in v)


def test_noise_is_the_same_in_one_output_and_not_in_what_is_made_of_many():
    record = noise(seeds=(0, 1), steps=2, masks=60, images=40)
    units, weights = (record.values("noise in one output", arm) for arm in ("units", "weights"))
    assert units == pytest.approx(weights, rel=0.1)
    assert all(value > 0 for values in record.metrics["noise in the logits"].values() for value in values)


def test_training_leaves_the_global_random_state_alone_and_is_repeatable():
    from companion.data import digits

    task = digits([3], n_train=60, n_test=60)
    index = torch.arange(60).view(3, 20)
    before = torch.get_rng_state()
    nets = [_trained("weights", 0.5, 0, 3, task.train, index, 1e-2) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    first, second = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert torch.equal(first, second)
    plain = _trained("none", 0.5, 0, 3, task.train, index, 1e-2)
    assert not torch.equal(first, torch.cat([p.flatten() for p in plain.parameters()]))
