"""Chapter 12's experiment: exact parts to the last digits, trained parts at a tiny size, and what the figure ships."""

import numpy as np
import pytest
import torch
from torch import nn

from companion.ensembles import enumerate_masks
from companion.experiments.mc_dropout import (
    ANGLES,
    dropout_ridge,
    entropy,
    held_out,
    linear_spread,
    linear_task,
    one_network,
    packed_turn,
    predictions,
    rotated,
    train_bug,
    turned_digit,
)
from companion.experiments.protocol import load, paired
from companion.models import StackedMLP
from companion.uncertainty import auroc
from companion.widgets.mc_dropout import turning_figure


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- exact parts


def test_a_quarter_turn_is_that_of_the_pixels():
    x = torch.rand(3, 64, generator=seeded(0))
    turned = rotated(x, 90).view(3, 8, 8)
    torch.testing.assert_close(turned, torch.rot90(x.view(3, 8, 8), 1, (1, 2)), atol=1e-6, rtol=0)
    torch.testing.assert_close(rotated(x, 0), x)
    assert rotated(torch.ones(64), 45).view(8, 8)[0, 0] == 0, "corners are blank"


def test_the_spread_of_a_linear_model_is_that_over_all_masks():
    for p in (0.2, 0.5):
        w, x = torch.randn(5, generator=seeded(1)).double(), torch.randn(5, generator=seeded(2)).double()
        masks, chances = enumerate_masks(5, p)
        outputs = masks.double() / (1 - p) @ (w * x)
        mean = (chances * outputs).sum()
        assert float((chances * (outputs - mean) ** 2).sum()) == pytest.approx(float(linear_spread(w, x, p)), rel=1e-9)


def test_the_weights_minimise_the_mean_loss_over_all_masks():
    x, y, _ = linear_task(12, features=3)
    p = 0.3
    masks, chances = enumerate_masks(3, p)
    w = dropout_ridge(x, y, p).requires_grad_()
    outputs = masks.double() / (1 - p) * w @ x.T
    (chances[:, None] * (outputs - y) ** 2).sum().backward()
    assert float(w.grad.abs().max()) < 1e-9


def test_the_spread_settles_while_a_posterior_shrinks():
    x, y, truth = linear_task(200_000)
    point = torch.ones(6, dtype=torch.float64)
    spread = [float(linear_spread(dropout_ridge(x[:n], y[:n], 0.5), point, 0.5)) for n in (2000, 200_000)]
    limit = float(linear_spread(truth / 2, point, 0.5))
    assert spread[1] == pytest.approx(limit, rel=0.02) and spread[0] == pytest.approx(limit, rel=0.2)
    for broken in (dropout_ridge, linear_spread):
        with pytest.raises(ValueError, match="p must be below 1"):
            broken(x[:20] if broken is dropout_ridge else truth, y[:20] if broken is dropout_ridge else point, 1.0)


def test_auroc_counts_pairs():
    inside, outside = torch.randn(2, 30, generator=seeded(3)).round(), torch.randn(2, 20, generator=seeded(4)).round()
    above = (outside[:, :, None] > inside[:, None]).double() + 0.5 * (outside[:, :, None] == inside[:, None]).double()
    torch.testing.assert_close(auroc(inside, outside), above.mean((1, 2)), rtol=0, atol=1e-12)
    assert auroc(torch.zeros(3), torch.ones(2)) == 1 and auroc(torch.ones(3), torch.zeros(2)) == 0
    for a, b in ((torch.zeros(2, 3), torch.zeros(3, 3)), (torch.zeros(0), torch.ones(1)), (torch.zeros(()), inside[0])):
        with pytest.raises(ValueError, match="inside"):
            auroc(a, b)
    with pytest.raises(ValueError, match="outside must hold numbers"):
        auroc(torch.zeros(2), torch.tensor([float("nan")]))


def test_entropy_of_certainty_is_zero():
    assert float(entropy(torch.tensor([1.0, 0.0]))) == 0
    assert float(entropy(torch.tensor([0.5, 0.5]))) == pytest.approx(np.log(2))


def test_one_model_of_a_stack_as_ordinary_modules():
    net = StackedMLP((6, 5, 4, 3), (0, 1), ((0.1, 0.0, 0.5), 0.2)).eval()
    x = torch.randn(4, 7, 6, generator=seeded(5))
    for model in range(4):
        torch.testing.assert_close(net.single(model)(x[model]), net(x)[model])
    kinds = [type(module).__name__ for module in net.single(0)]
    assert kinds == ["Dropout", "Linear", "ReLU", "Linear", "ReLU", "Dropout", "Linear"]
    assert [module.p for module in net.single(2) if hasattr(module, "p")] == [0.2, 0.2]
    with pytest.raises(ValueError, match=r"model must be in \[0, 3\]"):
        net.single(4)


# ---- trained parts at a tiny size


def test_the_bug_changes_networks_and_dropout_alone_does_not():
    record = train_bug(seeds=(3, 4), passes=15, steps=40, test=300)
    for arm in record.arms:
        before = record.values("accuracy before", arm)
        assert np.array_equal(record.values("accuracy afterwards, dropout only", arm), before)
    assert (record.values("accuracy afterwards, train()", "noise") != before).all()
    wrong, right = (record.values(f"accuracy of the passes, {way}", "one class") for way in ("train()", "dropout only"))
    assert (right - wrong > 20).all()


def test_predictions_at_a_tiny_size():
    record = predictions(seeds=(0, 1), rates=(0.0, 0.5), members=2, passes=10, few=3, steps=25, n_test=320)
    assert record.arms == ("no dropout", "p = 0.5, one pass", "p = 0.5, MC", "p = 0.5, geometric", "ensemble")
    x, values = record.curve("NLL against passes", "p = 0.5, MC")
    assert x.tolist() == [1, 2, 3, 5, 10] and values.shape == (2, 5)
    np.testing.assert_allclose(values[:, -1], record.values("NLL", "p = 0.5, MC"), rtol=1e-3)
    assert record.curve("entropy against angle", "p = 0.5, MC")[1].shape == (2, len(ANGLES))
    # averaging cannot make the entropy smaller than that of what is averaged
    total, mutual = (
        record.curve(f"{name} against angle", "p = 0.5, MC")[1] for name in ("entropy", "mutual information")
    )
    assert (total >= mutual).all() and (mutual >= 0).all()


def test_a_part_of_the_predictions_is_the_same_when_it_is_trained_alone():
    sizes = {"passes": 3, "few": 2, "steps": 3, "n_test": 320}
    whole = predictions(seeds=range(9), rates=(0.0, 0.5), members=2, **sizes)
    part = predictions(seeds=range(8), rates=(0.0, 0.5), members=0, curves=False, **sizes)
    for metric, arms in part.metrics.items():
        for arm in arms:
            np.testing.assert_allclose(part.values(metric, arm), whole.values(metric, arm)[:8], rtol=1e-4, atol=1e-4)


def test_the_strange_digit_is_not_in_the_training_images():
    record = held_out(seeds=(3, 5), passes=2, steps=5)
    assert record.arms == ("no dropout", "p = 0.5, one pass", "p = 0.5, MC")
    assert all(0 <= value <= 1 for values in record.metrics.values() for arm in values.values() for value in arm)


def test_the_stored_record_shows_the_bug():
    record = load("mc-train-bug")
    wrong, right = (record.values(f"accuracy of the passes, {way}", "one class") for way in ("train()", "dropout only"))
    assert paired(wrong, right).high < -50
    assert record.mean("accuracy of the passes, train()", "mixed").mean > 90, "and does not see it on a mixed batch"


# ---- what the interactive figure ships


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 10)).eval()


def test_a_turned_digit_is_packed_and_read_again():
    image = torch.rand(64, generator=seeded(6))
    found = turned_digit(small_network(), image, (0, 45), passes=5)
    assert found["passes"].shape == (2, 5, 10) and found["images"].shape == (2, 64)
    torch.testing.assert_close(found["passes"].sum(-1), torch.ones(2, 5))
    pack = packed_turn(found)
    assert [len(text) for text in pack["passes"]] == [50, 50] and [len(text) for text in pack["images"]] == [64, 64]
    means = [int(pack["mean"][0][i : i + 2], 36) / 1000 for i in range(0, 20, 2)]
    np.testing.assert_allclose(means, found["passes"][0].mean(0), atol=6e-4)
    mutual = int(pack["entropy"][1][2:], 36) / 100
    assert mutual == pytest.approx(float(found["mutual information"][1]), abs=0.006)


def test_the_recorded_digits_are_those_of_the_network():
    """Another processor lets a training drift apart, so that this is no comparison to the last digit."""
    record = load("mc-turned-figure")
    model, test = one_network(record.seeds[0], steps=record.budget["steps"])
    x, y = test.x[0], test.y[0]
    digit = record.arms[0]
    with torch.no_grad():
        right = model(x).argmax(-1) == y
    places = ((y == int(digit)) & right).nonzero().flatten()[:3]  # the first, unless another processor misreads it
    packs = [packed_turn(turned_digit(model, x[place])) for place in places]
    kept = record.notes["digits"][digit]
    same = [pack for pack in packs if pack["images"] == kept["images"]]
    assert same
    for now, then in zip(same[0]["one"], kept["one"], strict=True):
        pairs = [(int(now[i : i + 2], 36), int(then[i : i + 2], 36)) for i in range(0, 20, 2)]
        assert max(abs(a - b) for a, b in pairs) < 150


def test_the_live_figure_answers_for_any_image():
    pytest.importorskip("anywidget")
    test = type("Images", (), {"x": torch.rand(1, 5, 64), "y": torch.tensor([[3, 1, 4, 1, 5]])})
    widget = turning_figure(live=True, network=(small_network(), test), passes=4)
    assert widget.shown["truth"] == 3 and len(widget.shown["pack"]["images"]) == len(widget.angles) == 37
    first = widget.shown
    widget.asked = {"number": 1, "index": 2, "seed": 0}
    assert widget.shown["truth"] == 4 and widget.shown["pack"]["images"] != first["pack"]["images"]
    second = widget.shown
    widget.asked = {"number": 2, "index": 2, "seed": 1}
    assert widget.shown["pack"]["images"] == second["pack"]["images"]
    assert widget.shown["pack"]["passes"] != second["pack"]["passes"]
    assert widget.shown["pack"]["one"] == second["pack"]["one"], "one pass draws nothing"


def test_bad_figures_are_refused():
    with pytest.raises(TypeError, match="network must go with live=True"):
        turning_figure(network=(small_network(), None))
    with pytest.raises(ValueError, match="passes must be at least 2, got 1"):
        turning_figure(passes=1)
