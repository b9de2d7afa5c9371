"""Chapter 14's experiment: steps and rests exactly, regressions, each regularizer in a stack, the rest tiny."""

import json
import math

import pytest
import torch
import torch.nn.functional as F

from companion.data import digits
from companion.experiments.protocol import load
from companion.experiments.regularization_family import (
    METHODS,
    PAIRS,
    _fitted,
    _Objective,
    best_gap,
    cosine,
    diabetes,
    family,
    fixed_point,
    half_life,
    kept_by_ridge,
    kept_by_stopping,
    logistic_data,
    logistic_paths,
    logistic_penalty,
    noise,
    settled,
    smoothing,
    sparse_regression,
    sparsity,
    step,
)
from companion.figures import regularization_family as pictures
from companion.models import StackedMLP
from companion.training import cross_entropy, train
from companion.widgets.regularization_family import family_figure, nearest

# ---- one weight ----------------------------------------------------------------------------------------------------


def test_the_first_step_of_four_optimizers():
    settings = {"lr": 0.1, "weight_decay": 0.01}
    assert step(torch.optim.SGD, 2.0, [0.5], **settings) == pytest.approx([1.948], abs=1e-12)
    assert step(torch.optim.Adam, 2.0, [0.5], **settings) == pytest.approx([1.9], abs=1e-7)
    assert step(torch.optim.AdamW, 2.0, [0.5], **settings) == pytest.approx([1.898], abs=1e-7)


@pytest.mark.parametrize("how", ["L2", "decoupled"])
@pytest.mark.parametrize(("curvature", "strength", "momentum"), [(1.0, 0.1, 0.0), (1.0, 0.1, 0.9), (3.0, 0.5, 0.7)])
def test_weights_settle_at_the_fixed_point(curvature, strength, momentum, how):
    want = fixed_point(curvature, strength, momentum, how)
    assert settled(curvature, strength, momentum, how) == pytest.approx(want, abs=1e-9)


def test_the_two_rests_by_hand():
    assert fixed_point(1, 0.1, 0.9, "L2") == pytest.approx(1 / 1.1) and round(1 / 1.1, 4) == 0.9091
    assert fixed_point(1, 0.1, 0.9, "decoupled") == pytest.approx(1 / 1.01) and round(1 / 1.01, 4) == 0.9901
    assert fixed_point(1, 1.0, 0.9, "decoupled") == pytest.approx(fixed_point(1, 0.1, 0.9, "L2"))


def test_half_lives():
    assert half_life(1e-3, 0.01) == 69_315
    steps = half_life(0.01, 1.0)
    assert 0.99**steps <= 0.5 < 0.99 ** (steps - 1)


def test_early_stopping_and_ridge_by_hand():
    e = torch.tensor([0.01, 0.1, 1.0, 10.0], dtype=torch.float64)
    assert [round(v, 4) for v in kept_by_stopping(e, 100, 0.05).tolist()] == [0.0488, 0.3942, 0.9941, 1.0]
    assert [round(v, 4) for v in kept_by_ridge(e, 0.2).tolist()] == [0.0476, 0.3333, 0.8333, 0.9804]


@pytest.mark.parametrize(("smooth", "classes"), [(0.1, 10), (0.3, 4), (0.05, 1000)])
def test_at_the_best_gap_the_gradient_vanishes(smooth, classes):
    logits = torch.zeros(classes, dtype=torch.float64)
    logits[0] = best_gap(smooth, classes)
    logits.requires_grad_()
    F.cross_entropy(logits, torch.tensor(0), label_smoothing=smooth).backward()
    assert float(logits.grad.abs().max()) < 1e-9


def test_the_best_gap_has_its_ends():
    assert best_gap(0.1, 10) == pytest.approx(4.511, abs=5e-4) and best_gap(0.0, 10) == math.inf
    with pytest.raises(ValueError, match=r"smoothing must be in \[0, 1\), got 1"):
        best_gap(1.0, 10)


# ---- regressions ---------------------------------------------------------------------------------------------------


def test_only_the_proximal_step_makes_zeros_and_it_finds_the_minimum():
    found = sparse_regression(seeds=range(4))
    zeros = {name: int((w == 0).sum()) for name, w in found.items()}
    assert zeros["L1 in the loss"] == zeros["L2"] == 0 < zeros["L1, proximal step"]
    # At the minimum the slope of the loss is -λ sign(w) where w is not zero, and at most λ where it is.
    g = torch.Generator().manual_seed(0)
    x, extra = torch.randn(100, 21, dtype=torch.float64, generator=g).split([20, 1], -1)
    w, strength = found["L1, proximal step"][0], 0.5 * math.sqrt(2 * math.log(20) / 100)
    slope = x.T @ (x @ w - x[:, :3].sum(1) - 0.5 * extra[:, 0]) / 100
    torch.testing.assert_close(slope[w != 0], -strength * w[w != 0].sign(), atol=1e-9, rtol=0)
    assert float(slope.abs().max()) <= strength + 1e-9


def test_the_logistic_penalty_is_quadratic_for_small_weights_only():
    g = torch.Generator().manual_seed(1)
    x, w = torch.randn(10, 4, dtype=torch.float64, generator=g), torch.randn(4, dtype=torch.float64, generator=g)
    exact, quadratic = logistic_penalty(x, 1e-3 * w, 0.5)
    assert exact == pytest.approx(quadratic, rel=1e-4)
    exact, quadratic = logistic_penalty(x, 20 * w, 0.5)
    assert abs(exact / quadratic - 1) > 0.2
    assert logistic_penalty(x, w, 0.0) == pytest.approx((0.0, 0.0), abs=1e-12)


def test_one_input_by_hand():
    x, w = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([1.5], dtype=torch.float64)
    mean = (math.log1p(math.exp(6)) + math.log(2)) / 2
    q = 1 / (1 + math.exp(-3))
    assert logistic_penalty(x, w, 0.5) == pytest.approx((mean - math.log1p(math.exp(3)), q * (1 - q) * 9 / 2))


@pytest.fixture(scope="module")
def paths():
    x, y = logistic_data()
    return x, y, logistic_paths(x, y)


def test_every_knob_starts_without_strength_and_ends_small(paths):
    x, y, knobs = paths
    none = knobs["L2"].weights[0]
    assert float((x.T @ ((x @ none).sigmoid() - y)).abs().max()) < 1e-7  # the minimum of the plain loss
    spread = x.square().mean(0).sqrt()
    for knob in knobs.values():
        assert knob.weights.shape == (19, 6) and len(knob.strengths) == 19
        assert torch.equal(knob.weights[0], none)
        assert float((knob.weights[-1] * spread).abs().max()) < 0.15 * float((none * spread).abs().max())


def test_the_knobs_meet_their_own_conditions(paths):
    x, y, knobs = paths
    w, strength = knobs["L2"].weights[9], knobs["L2"].strengths[9]
    torch.testing.assert_close(x.T @ ((x @ w).sigmoid() - y) / len(y), -strength * w, atol=1e-8, rtol=0)
    w, eps = knobs["label smoothing"].weights[4], knobs["label smoothing"].strengths[4]
    soft = (1 - eps) * y + eps / 2
    assert float((x.T @ ((x @ w).sigmoid() - soft)).abs().max()) < 1e-7
    w, p = knobs["dropout"].weights[10].clone().requires_grad_(), knobs["dropout"].strengths[10]
    masks = torch.tensor([[i >> j & 1 for j in range(6)] for i in range(64)]).double()
    chance = p ** (6 - masks.sum(1)) * (1 - p) ** masks.sum(1)
    logits = (masks * w / (1 - p)) @ x.T
    losses = F.binary_cross_entropy_with_logits(logits, y.expand(64, -1), reduction="none").mean(1)
    (chance @ losses).backward()
    assert float(w.grad.abs().max()) < 1e-8


def test_dropout_does_not_mind_units_and_l2_does(paths):
    x, _, knobs = paths
    says = {name: knob.weights * x.square().mean(0).sqrt() for name, knob in knobs.items()}
    clear, small = says["dropout"][8, :2]
    assert float(small / clear) == pytest.approx(float(says["dropout"][0, 1] / says["dropout"][0, 0]), abs=0.2)
    assert float(says["L2"][8, 1]) < 0.7 * float(says["L2"][8, 0])


def test_nearest_by_hand():
    dropout = torch.tensor([[1.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
    assert nearest(torch.tensor([[0.4, 0.9], [0.1, 0.0]]), dropout).tolist() == [1, 2]


def test_diabetes_is_a_ridge_and_beats_least_squares():
    record = diabetes(seeds=range(8), rates=(0.1, 0.3, 0.5))
    assert record.effect("unexplained", "dropout", "least squares").mean < 0
    assert abs(record.effect("unexplained", "early stopping", "dropout").mean) < 0.05


def test_noise_leaves_what_decay_leaves():
    record = noise(seeds=range(2), weights=400, steps=300, lr=0.02)
    left = {arm: [record.mean(m, arm).mean for m in record.metrics] for arm in record.arms}
    expected = (1 - 0.02 * 0.1) ** 300
    assert left["SGD + L2"] == pytest.approx([expected] * 5, abs=0.05)
    assert left["AdamW"] == pytest.approx([expected] * 5, abs=0.08)
    assert abs(left["Adam + L2"][0]) < 0.05 < 0.3 < left["Adam + L2"][-1]


# ---- in a stack ----------------------------------------------------------------------------------------------------


@pytest.fixture
def task():
    return digits((0, 1), n_train=60, n_validation=20, n_test=40)


TINY = {"steps": 12, "hidden": (8,)}


def weights(net, arm):
    return [w.detach()[2 * arm : 2 * arm + 2] for w in net.weights]


@pytest.mark.parametrize("changed", ["l2", "decay", "l1", "smoothing", "shifted"])
def test_no_strength_is_no_regularizer(changed, task):
    plain = _fitted({"p": (0.0,)}, task, **TINY)
    net = _fitted({changed: (0.0, 0.5)}, task, **TINY)
    for there, here, other in zip(weights(plain, 0), weights(net, 0), weights(net, 1), strict=True):
        torch.testing.assert_close(here, there, atol=2e-5, rtol=1e-4)
        assert not torch.allclose(other, there, atol=1e-3)


def test_decay_is_that_of_torch(task):
    net = _fitted({"decay": (2.0,)}, task, **TINY)
    again = StackedMLP((64, 8, 10), task.seeds, (0.0,))

    def made(_):
        groups = [
            {"params": list(again.weights), "weight_decay": 2.0},
            {"params": list(again.biases), "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=3e-3)

    train(again, task.train, steps=12, optimizer=made)
    for ours, theirs in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_l2_is_that_of_torch(task):
    net = _fitted({"l2": (0.3,)}, task, **TINY)
    again = StackedMLP((64, 8, 10), task.seeds, (0.0,))

    def made(_):
        groups = [
            {"params": list(again.weights), "weight_decay": 0.3},
            {"params": list(again.biases), "weight_decay": 0.0},
        ]
        return torch.optim.Adam(groups, lr=3e-3)

    train(again, task.train, steps=12, optimizer=made)
    for ours, theirs in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_the_norm_has_its_limit_and_l1_its_zeros(task):
    net = _fitted({"norm": (0.2, 100.0)}, task, **TINY)
    norms = [[w.norm(dim=1).max().item() for w in weights(net, arm)] for arm in (0, 1)]
    assert max(norms[0]) <= 0.2 + 1e-6 and min(norms[1]) > 0.3
    net = _fitted({"l1": (0.0, 3.0)}, task, **TINY)
    shares = [torch.cat([(w == 0).flatten() for w in weights(net, arm)]).double().mean() for arm in (0, 1)]
    assert shares[0] == 0 and shares[1] > 0.3


def test_early_stopping_hands_back_the_weights_of_its_step(task):
    stopped = _fitted({"steps": (4, 12)}, task, **TINY)
    short, whole = (_fitted({"p": (0.0,)}, task, steps=steps, hidden=(8,)) for steps in (4, 12))
    for arm, net in enumerate((short, whole)):
        for ours, theirs in zip(weights(stopped, arm), weights(net, 0), strict=True):
            torch.testing.assert_close(ours, theirs)


def objective(changes, seeds=(0, 1)):
    per_model = {name: torch.tensor(values).repeat_interleave(len(seeds)) for name, values in changes.items()}
    return _Objective(seeds, len(next(iter(changes.values()))), per_model)


def test_smoothing_is_that_of_torch():
    model = StackedMLP((64, 10), (0, 1), (0.0, 0.0))
    x, y = torch.rand(2, 7, 64), torch.arange(14).view(2, 7) % 10
    got = objective({"smoothing": (0.0, 0.3)})(model, x, y)
    logits = model(x)
    want = sum(F.cross_entropy(logits[i], y[i % 2], label_smoothing=eps) for i, eps in enumerate((0.0, 0.0, 0.3, 0.3)))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(objective({"smoothing": (0.0, 0.0)})(model, x, y), cross_entropy(model, x, y))


def test_images_move_by_one_pixel_and_no_further():
    image = torch.zeros(8, 8)
    image[3, 4] = 1
    x = image.flatten().expand(4, 500, 64)
    shift = objective({"shifted": (0.4, 1.0)})
    moved = shift._shift(x)
    places = [(place // 8 - 3, place % 8 - 4) for place in moved[2].argmax(-1).tolist()]
    assert {(a, b) for a, b in places} == {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)} - {(0, 0)}
    share = (moved[:2] != x[:2]).any(-1).double().mean()
    assert abs(float(share) - 0.4) < 4.5 * (0.24 / 1000) ** 0.5
    assert torch.equal(moved.sum(-1), torch.ones(4, 500))


def test_mixup_mixes_images_and_labels_in_the_same_shares():
    x = torch.eye(64)[:40].expand(4, 40, 64).clone()
    y = torch.arange(40).expand(4, 40) % 10
    mixed, other, share = objective({"alpha": (0.2, 1.0)})._mix(x, y)
    own = mixed.gather(-1, torch.arange(40).view(1, 40, 1).expand(4, 40, 1))[..., 0]
    partner = (mixed - share[..., None] * x).argmax(-1)
    alone = partner == torch.arange(40)
    torch.testing.assert_close(own[~alone], share[~alone])
    assert torch.equal(other[~alone], (partner % 10)[~alone])
    torch.testing.assert_close(mixed.sum(-1), torch.ones(4, 40))
    assert float(share[:2].var()) > float(share[2:].var())  # a small alpha mixes little or all


# ---- the records, at a tiny size -----------------------------------------------------------------------------------


def test_the_comparison_gives_everyone_five_tries():
    assert {len(values) for name, change in METHODS.items() for values in change.values() if name != "none"} == {5}
    assert set(PAIRS) == {name for name in METHODS if name.startswith("dropout +")}
    record = family(methods=("none", "AdamW"), seeds=range(2), steps=20, hidden=(4,))
    assert record.arms == ("none", "AdamW", "AdamW, 0.1")
    assert set(record.values("strength", "AdamW")) <= set(METHODS["AdamW"]["decay"])
    assert "AdamW, 0.1" not in record.metrics["NLL"]


def test_a_method_can_be_repeated_alone():
    sizes = {"seeds": range(2), "steps": 20, "hidden": (4,)}
    both, alone = family(methods=("dropout", "mixup"), **sizes), family(methods=("mixup",), **sizes)
    assert both.values("NLL", "mixup").tolist() == alone.values("NLL", "mixup").tolist()


def test_the_rate_falls_for_the_decay_too():
    record = cosine(seeds=range(2), steps=30, hidden=(4,))
    assert record.arms == ("none", "Adam + L2", "AdamW", "AdamW, 0.1")


def test_useless_inputs_and_smoothing_at_a_tiny_size():
    record = sparsity(seeds=range(2), useless=16, steps=20)
    assert record.mean("exact zeros", "L1, proximal step").mean > 0 == record.mean("exact zeros", "L1 in the loss").mean
    record = smoothing(seeds=range(2), kinds=("noisy",), strengths=(0.0, 0.3), steps=60)
    assert record.mean("confidence", "noisy, ε = 0.3").mean < record.mean("confidence", "noisy, ε = 0").mean


# ---- what the chapter shows ----------------------------------------------------------------------------------------


def test_the_pictures_say_what_they_show():
    assert "AdamW: 0.37" in pictures.left_by_noise(load("family-noise")).alt
    assert "the largest gap is 0.21" in pictures.two_shrinkages().alt
    assert "least squares: 0.74" in pictures.regressions(load("family-diabetes")).alt
    assert "over-confident: 15" in pictures.calibration(load("family-smoothing")).alt
    assert "test accuracy, dropout:" in pictures.gains(load("family")).alt


def test_the_state_of_the_figure_is_small_and_its_zeros_are_those_of_l1():
    state = family_figure().state
    assert len(json.dumps(state)) < 30_000
    zeros = {name: method["zeros"] for name, method in state["methods"].items()}
    assert max(zeros["L1"]) == 6 and all(max(counts) == 0 for name, counts in zeros.items() if name != "L1")
    assert state["methods"]["dropout"]["nearest"] == list(range(19))
    for name, method in state["methods"].items():
        assert min(method["loss"]) < method["loss"][0], name  # every knob helps at some strength
