"""Chapter 13's experiments: what is exact, what the libraries do, and the trained parts at a tiny size."""

import itertools
import math

import pytest
import torch

from companion.data import remember, text
from companion.experiments.protocol import load
from companion.experiments.transformers_and_rnns import (
    FIVE,
    MASKS_ARMS,
    SITES_ARMS,
    TEXT_ARMS,
    checkpoint_error,
    epochs_of_text,
    lstm_masks,
    rank_noise,
    recurrent_masks,
    row_sums,
    survival,
    transformer_sites,
)
from companion.figures import transformers_and_rnns as pictures
from companion.models import SITES
from companion.widgets.transformers_and_rnns import sites_figure, time_figure


@pytest.mark.parametrize("row", [(0.5, 0.3, 0.2), (0.25,) * 4, (1.0,)])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_rows_of_attention_sum_to_one_on_average(row, p):
    masks = row_sums(row, p)
    assert len(masks) == 2 ** len(row) and sum(chance for *_, chance in masks) == pytest.approx(1, abs=1e-12)
    mean = math.fsum(total * chance for _, total, chance in masks)
    variance = math.fsum((total - mean) ** 2 * chance for _, total, chance in masks)
    assert mean == pytest.approx(1, abs=1e-9)
    assert variance == pytest.approx(p / (1 - p) * sum(weight**2 for weight in row), abs=1e-9)


def test_the_worked_numbers():
    sums = {mask: (total, chance) for mask, total, chance in row_sums((0.5, 0.3, 0.2), 0.1)}
    assert sums[1, 0, 1][0] == pytest.approx(0.7 / 0.9, abs=1e-12)
    assert sums[0, 0, 0] == (0, pytest.approx(0.001, abs=1e-12))
    assert survival(0.1, 100) == (pytest.approx(2.65614e-5, rel=1e-5), 0.9)


def test_nn_lstm_draws_a_mask_for_each_step_between_its_layers():
    mask = lstm_masks(2, 400, 20, 0.3)
    assert mask.shape == (400, 20) and not bool((mask == mask[0]).all())
    assert abs(float(mask.double().mean()) - 0.7) < 4.9 * (0.21 / 8000) ** 0.5
    together = (mask[1:] * mask[:-1]).double().mean()  # steps are independent
    assert abs(float(together) - 0.49) < 0.03
    assert bool(lstm_masks(2, 5, 4, 0.0).all()) and not bool(lstm_masks(3, 5, 4, 1.0).any())
    before = torch.get_rng_state()
    assert torch.equal(lstm_masks(2, 5, 4, 0.5), lstm_masks(2, 5, 4, 0.5))
    assert torch.equal(torch.get_rng_state(), before)


def test_checkpointing_needs_the_random_state():
    assert checkpoint_error(preserve=True) == 0 and checkpoint_error(0.0, preserve=False) == 0
    assert checkpoint_error(preserve=False) > 0.1


def test_equal_masks_on_all_ranks_add_noise():
    two, four = rank_noise(2), rank_noise(4)
    assert 1.2 < two < 2 and two < four < 4
    assert rank_noise(1) == pytest.approx(1, abs=0.15)


# ---- data


def test_only_the_first_step_tells_the_class():
    task = remember([0, 1], n_train=500, n_test=50, steps=5, classes=3)
    x = task.train.x.view(2, 500, 5, 5)
    told = torch.nn.functional.one_hot(task.train.y, 3) * 2
    rest = x.clone()
    rest[:, :, 0, :3] -= told
    assert float(rest.mean().abs()) < 0.02 and abs(float(rest.std()) - 0.5) < 0.01
    assert float(x[:, :, 1:].mean((0, 1)).abs().max()) < 0.1
    assert sorted(task.train.y.unique().tolist()) == [0, 1, 2] and task.classes == 3


def test_text_is_a_walk_through_one_language():
    task = text([3, 4], n_train=3000, n_test=300, context=6, letters=5, words=9, followers=2)
    assert task.train.x.shape == (2, 3000, 36) and task.classes == 6
    windows = task.train.x.view(2, 3000, 6, 6).argmax(-1)
    assert torch.equal(windows[:, 1:, -1], task.train.y[:, :-1])  # one character after the other
    for seed in range(2):
        written = "".join("abcde "[c] for c in task.train.y[seed].tolist()).split(" ")[1:-1]
        followers = {}
        for word, after in itertools.pairwise(written):
            followers.setdefault(word, set()).add(after)
        assert len(followers) <= 9 and all(len(found) <= 2 for found in followers.values())
        assert all(2 <= len(word) <= 5 for word in written)
    short, long = text([3], n_train=50), text([3], n_train=90)
    assert torch.equal(short.train.y, long.train.y[:, :50]) and torch.equal(short.test.open().x, long.test.open().x)
    assert not torch.equal(text([3], n_train=50).train.y, text([4], n_train=50).train.y)


# ---- trained


def test_records_at_a_tiny_size():
    record = transformer_sites(("none", "sum 0.5"), seeds=(0, 1), steps=2)
    assert record.arms == ("none", "sum 0.5") and set(record.metrics) == {"accuracy", "NLL"}
    record = recurrent_masks(("Elman, none", "GRU gates, locked 0.5"), seeds=(0, 1), steps=2)
    assert record.budget["units"] == 32
    record = epochs_of_text(("once, p = 0", "20 times, p = 0.3"), seeds=(0, 1), steps=4, batch=10)
    assert record.mean("NLL", "once, p = 0").mean < 4


def test_an_arm_is_trained_apart_from_the_others():
    alone = recurrent_masks(("Elman, fresh 0.5",), seeds=(0, 1), steps=3)
    among = recurrent_masks(("Elman, locked 0.5", "Elman, fresh 0.5"), seeds=(0, 1), steps=3)
    assert alone.metrics["NLL"]["Elman, fresh 0.5"] == among.metrics["NLL"]["Elman, fresh 0.5"]


def test_records_hold_all_arms_and_the_figures_say_what_they_show():
    sites, recurrent, passes = (load(name) for name in ("transformer-sites", "recurrent-masks", "epochs-of-text"))
    assert sites.arms == tuple(SITES_ARMS) and recurrent.arms == tuple(MASKS_ARMS) and passes.arms == tuple(TEXT_ARMS)
    assert {*FIVE, "sum"} == set(SITES)
    # Captions: nothing at 0.1 is worse than no dropout on average, and "sum 0.5" is worst of all.
    effects = {arm: sites.effect("accuracy", arm, "none").mean for arm in sites.arms}
    assert min(effects, key=effects.get) == "sum 0.5"
    assert all(effect >= 0 for arm, effect in effects.items() if arm.endswith("0.1"))
    assert "behind the sum at 0.5" in pictures.sites(sites).caption
    # A locked mask is the same wherever it stands in a gated net.
    for p in ("0.25", "0.5"):
        for values in recurrent.metrics.values():
            assert values[f"GRU state, locked {p}"] == values[f"GRU gates, locked {p}"]
    none = recurrent.mean("accuracy", "Elman, none").mean
    assert all(recurrent.mean("accuracy", arm).mean <= none for arm in recurrent.arms)
    assert len(pictures.locked_or_fresh(recurrent).alt) > 100 and len(pictures.passes(passes).alt) > 100
    assert "from 0.9 after 1 step to 0.81" in pictures.memories({"a mask": [0.9, 0.81]}).alt


def test_the_figures_state_is_the_record():
    state = sites_figure().state
    record = load("transformer-sites")
    for site in state["sites"].values():
        assert set(site["active"]) <= set(SITES)
    effect = record.effect("accuracy", "sum 0.5", "none")
    assert state["sites"]["sum"]["effects"][1] == [
        "0.5",
        *(round(v, 1) for v in (effect.mean, effect.low, effect.high)),
    ]
    assert len(str(state)) < 30_000
    state = time_figure().state
    assert all(len(letters) == state["units"] * 20 for letters in state["masks"]) and len(str(state)) < 30_000
