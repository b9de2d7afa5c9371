"""Chapter 03: the worked numbers, and the experiments at a tiny size."""

import math

import pytest
import torch

from companion.experiments.inverted_scaling import (
    calibration_error,
    convergence,
    expected_outputs,
    homogeneity,
    pooled,
    schemes_deep,
    schemes_shallow,
)
from companion.experiments.masks import masked_sum
from companion.experiments.protocol import load
from companion.models import StackedMLP

TINY = {"seeds": (0, 1), "n_train": 60, "n_test": 80}


@pytest.mark.parametrize(
    ("p", "naive", "vanilla", "inverted"),
    [
        (0.5, (2.0, 4.0), (2.0, 2.0), (4.0, 4.0)),
        (0.2, (3.2, 4.0), (3.2, 3.2), (4.0, 4.0)),
        (0.8, (0.8, 4.0), (0.8, 0.8), (4.0, 4.0)),
    ],
)
def test_a_unit_of_four(p, naive, vanilla, inverted):
    outputs = expected_outputs(4.0, p)
    for name, pair in (("naive", naive), ("vanilla", vanilla), ("inverted", inverted)):
        assert outputs[name] == pytest.approx(pair), name


def test_all_units_dropped():
    assert expected_outputs(4.0, 1.0) == {"naive": (0.0, 4.0), "vanilla": (0.0, 0.0), "inverted": (0.0, 4.0)}


def test_five_units():
    result = masked_sum((0.8, 0.3, 0.9, 0.2, 0.7), 0.5, inverted=True)
    assert result.mean == pytest.approx(2.9) and result.full == pytest.approx(2.9)
    assert result.deviation == pytest.approx(1.439, abs=5e-4)
    assert int((result.sums >= 4.8 - 1e-9).sum()) == 4


def test_pooling():
    """Largest of 1, 2, 3, 4 at p = 0.5: 8/2 + 6/4 + 4/8 + 2/16 = 6.125."""
    assert pooled((1.0, 2.0, 3.0, 4.0), 0.5) == (6.125, 4.0)
    assert pooled((1.0, 2.0, 3.0, 4.0), 0.0) == (4.0, 4.0)
    assert pooled((3.0,), 0.8)[0] == pytest.approx(3.0)  # one value: the maximum is linear


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_bias_free_logits_grow_by_a_power_of_two(layers):
    net = StackedMLP((64, *[16] * layers, 10), (0, 1), (0.5,), scheme="vanilla", bias=False).eval()
    x = torch.rand(2, 30, 64, generator=torch.Generator().manual_seed(0))
    scaled = net(x)
    net.scheme = "naive"
    assert torch.equal(net(x), scaled * 2**layers)


def test_calibration_error():
    """Two bins by hand: confidence 0.9 with 1 of 2 right, confidence 0.6 with 2 of 2 right."""
    confidence = torch.tensor([0.9, 0.9, 0.6, 0.6], dtype=torch.float64)
    logits = torch.stack([confidence.log(), (1 - confidence).log()], -1)[None]
    y = torch.tensor([[0, 1, 0, 0]])
    assert float(calibration_error(logits, y)) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
    certain = torch.tensor([[[50.0, -50.0], [50.0, -50.0]]])
    assert float(calibration_error(certain, torch.tensor([[0, 0]]))) == pytest.approx(0)
    assert float(calibration_error(certain, torch.tensor([[1, 1]]))) == pytest.approx(1)
    one_bin = calibration_error(logits, y, bins=1)
    assert float(one_bin) == pytest.approx(abs(0.75 - 0.75))
    two_models = calibration_error(torch.cat([logits, logits]), torch.cat([y, 1 - y]))
    assert two_models.shape == (2,) and two_models[0] != two_models[1]


def test_schemes_at_a_tiny_size():
    for record in (
        schemes_shallow(widths=(64, 8, 8, 10), steps=3, **TINY),
        schemes_deep(widths=(64, 8, 8, 8, 10), steps=3, longer=2, **TINY),
    ):
        assert record.seeds == (0, 1) and record.arms[:3] == ("naive", "vanilla", "inverted")
        layers = len(record.budget["widths"].split("-")) - 2
        _, ratio = record.curve("ratio", "naive")
        assert ratio.shape == (2, layers)
        for seed in range(2):  # the first layer's inputs carry no mask: 1/(1-p) up to the noise of the draws
            assert record.values("test/train ratio, layer 1", "naive")[seed] == pytest.approx(2, rel=0.1)
            naive, vanilla = (record.values("test/train ratio, layer 1", arm)[seed] for arm in ("naive", "vanilla"))
            assert naive == pytest.approx(2 * vanilla, rel=1e-3)  # the same weights and masks
    assert set(record.arms[3:]) == {"vanilla, 2 × steps", "inverted, 2 × steps"}
    assert set(record.metrics["NLL"]) == set(record.arms)


def test_long_arms_continue_the_short_ones():
    """Looking in the middle of a run must not change it: masks go on from where they were."""
    long = schemes_deep(widths=(64, 8, 8, 10), steps=3, longer=2, **TINY)
    whole = schemes_deep(widths=(64, 8, 8, 10), steps=6, longer=1, **TINY)
    for arm in ("vanilla", "inverted"):
        assert long.metrics["NLL"][f"{arm}, 2 × steps"] == whole.metrics["NLL"][arm]


def test_homogeneity_at_a_tiny_size():
    record = homogeneity(widths=(64, 8, 8, 8, 10), steps=3, **TINY)
    assert record.metrics["logit ratio"]["no biases, unscaled"] == [8.0, 8.0]
    assert record.metrics["same answer"]["no biases, unscaled"] == [100.0, 100.0]
    assert record.metrics["accuracy"]["no biases, scaled"] == record.metrics["accuracy"]["no biases, unscaled"]
    assert record.metrics["NLL"]["no biases, scaled"] != record.metrics["NLL"]["no biases, unscaled"]
    assert all(value != 8.0 for value in record.metrics["logit ratio"]["biases, unscaled"])


def test_convergence_at_a_tiny_size():
    record = convergence(widths=(64, 8, 10), steps=20, every=5, goal=0.1, **TINY)
    steps, values = record.curve("training accuracy", "p = 0")
    assert steps.tolist() == [0, 5, 10, 15, 20] and values.shape == (2, 5)
    for arm in record.arms:
        _, values = record.curve("training accuracy", arm)
        for seed in range(2):
            reached = [step for step, value in zip(steps, values[seed], strict=True) if value >= 10 - 1e-9]
            assert record.values("steps to 10% of the training images", arm)[seed] == (reached[0] if reached else 20)


def test_stored_records_agree_with_the_theory():
    for name in ("scaling-shallow", "scaling-deep"):
        record = load(name)
        k = 1 - record.budget["p"]
        assert record.mean("test/train ratio, layer 1", "naive").mean == pytest.approx(1 / k, rel=0.01)
        layers = len(record.budget["widths"].split("-")) - 2
        for layer in range(1, layers + 1):
            naive = record.mean(f"test/train ratio, layer {layer}", "naive").mean
            assert 0.8 < naive * k**layer < 1.01  # Jensen: a little below in deeper layers
    plain = load("homogeneity")
    assert set(plain.metrics["logit ratio"]["no biases, unscaled"]) == {8.0}
    assert math.isclose(plain.mean("same answer", "no biases, unscaled").mean, 100.0)
