"""Chapter 10's experiment: the exact parts to the last digits, trained parts at a tiny size, and the evidence."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from companion import dropout
from companion.data import digits
from companion.experiments.placement import (
    MLP_ARMS,
    MORE_ARMS,
    RESIDUAL_ARMS,
    commutes,
    conv,
    dropped_logits,
    energy_after,
    logit_floor,
    mlp,
    pooled_shift,
    residual,
)
from companion.experiments.protocol import load
from companion.figures.placement import STRENGTHS, evidence, evidence_table, recipes
from companion.models import PlacedConvNet, PlacedMLP, PlacedResidualMLP, StackedMLP
from companion.training import train
from companion.widgets.placement import placement_figure

# ---- exact


def test_dropped_logits_have_a_floor():
    without, expected = dropped_logits((5, 0, 0), 0, 0.5)
    assert without == pytest.approx(math.log(1 + 2 * math.exp(-5)), abs=1e-12)
    assert expected == pytest.approx((math.log(1 + 2 * math.exp(-10)) + math.log(3)) / 2, abs=1e-12)
    assert dropped_logits((1, -2, 0.5), 2, 0.0)[0] == pytest.approx(dropped_logits((1, -2, 0.5), 2, 0.0)[1], abs=1e-12)
    assert dropped_logits((1e3, 0, 0), 0, 0.5)[1] == pytest.approx(math.log(3) / 2, abs=1e-12)


def test_no_logits_get_below_the_floor():
    assert logit_floor(3, 0.5) == pytest.approx(0.5 * (0.5 * math.log(2) + 0.25 * math.log(3)), abs=1e-12)
    assert dropped_logits((1e3, -1e3, -1e3, -1e3), 0, 0.3)[1] == pytest.approx(logit_floor(4, 0.3), abs=1e-9)
    assert logit_floor(10, 0.0) == 0
    generator = torch.Generator().manual_seed(0)
    for z in (10 * torch.randn(200, 4, generator=generator)).tolist():
        assert dropped_logits(z, 0, 0.3)[1] > logit_floor(4, 0.3)


def test_dropped_logits_agree_with_drawn_masks():
    logits, p = (1.5, -0.5, 0.2, 0.0), 0.3
    z = torch.tensor(logits, dtype=torch.float64).expand(200_000, 4)
    losses = -dropout(z, p, generator=torch.Generator().manual_seed(0)).log_softmax(1)[:, 1]
    error = float(losses.std()) / len(losses) ** 0.5
    assert abs(float(losses.mean()) - dropped_logits(logits, 1, p)[1]) < 4.5 * error


def test_homogeneous_activations_commute_and_others_fail_for_two_reasons():
    assert max(commutes(torch.relu).values()) == 0
    assert commutes(torch.tanh)["mask"] == 0 and commutes(torch.tanh)["scale"] > 0.9
    assert commutes(torch.sigmoid)["mask"] == 0.5
    x, masks = torch.randn(100, 8, generator=torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    before = dropout(x, 0.5, generator=masks).relu()
    assert torch.equal(before, dropout(x.relu(), 0.5, generator=masks.manual_seed(1)))


def test_a_shortcut_under_dropout_closes():
    assert energy_after(0.1, 12)["alive"] == pytest.approx(0.9**12, abs=1e-12)
    unit = torch.ones(100_000, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        unit = dropout(unit, 0.2, generator=generator)
    found = energy_after(0.2, 5)
    assert abs(float((unit != 0).double().mean()) - found["alive"]) < 4.5 * (0.25 / 100_000) ** 0.5
    assert float((unit**2).mean()) == pytest.approx(found["energy"], rel=0.02)


def test_the_pooled_shift_is_measured_as_predicted():
    found = pooled_shift(0.2, 49, channels=100_000)
    c, v = 1 / math.sqrt(2 * math.pi), 0.5 - 1 / (2 * math.pi)
    assert found["before"] == pytest.approx(v / ((c**2 + v) / 0.8 - c**2), abs=1e-9)
    assert found["behind"] == pytest.approx((v / 49) / ((c**2 + v / 49) / 0.8 - c**2), abs=1e-9)
    for where in ("before", "behind"):
        assert found[f"{where}, measured"] == pytest.approx(found[where], rel=0.03)


# ---- networks with a rate a site


def test_a_placed_mlp_without_rates_is_a_stacked_mlp():
    x = torch.rand(2, 5, 64, generator=torch.Generator().manual_seed(0))
    placed = PlacedMLP((64, 16, 12, 10), [3, 4], [{}, {}])
    assert torch.equal(placed(x), StackedMLP((64, 16, 12, 10), [3, 4], (0.0, 0.0))(x))


def test_placed_conv_nets_are_as_many_networks_of_torch():
    stacked = PlacedConvNet(8, (3, 5), 12, 10, [4, 7], [{}, {"pool": 0.5}]).eval()
    x = torch.rand(2, 6, 64, generator=torch.Generator().manual_seed(0))
    together = stacked(x)
    for m in range(4):
        layers = [nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 5, 3, padding=1), nn.Linear(80, 12), nn.Linear(12, 10)]
        weights = [stacked.kernels[0][m], stacked.kernels[1][m], stacked.weight[m].T, stacked.head[m].T]
        biases = [stacked.shifts[0][m], stacked.shifts[1][m], stacked.bias[m, 0], stacked.head_bias[m, 0]]
        with torch.no_grad():
            for layer, weight, bias in zip(layers, weights, biases, strict=True):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        first, second, dense, head = layers
        alone = nn.Sequential(
            *(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), dense, nn.ReLU(), head)
        )
        torch.testing.assert_close(together[m], alone(x[m % 2].view(6, 1, 8, 8)))
    arms = stacked.head.detach().unflatten(0, (2, 2))
    assert torch.equal(arms[0], arms[1]) and not torch.equal(arms[0, 0], arms[0, 1])


def test_each_site_drops_what_it_is_named_for():
    x = 0.5 + torch.rand(1, 100, 64, generator=torch.Generator().manual_seed(0))
    rates = [{site: 0.4} for site in PlacedConvNet.SITES]
    net = PlacedConvNet(8, (3, 4), 20, 10, [0], rates)
    seen = {}
    net.sites.drop = lambda y, site, generator: seen.setdefault(
        site, type(net.sites).drop(net.sites, y, site, generator)
    )
    net.train()
    net(x)
    assert tuple(seen) == PlacedConvNet.SITES
    clean = {}
    net.sites.drop = lambda y, site, generator: clean.setdefault(site, y)
    net(x)
    for i, (site, after) in enumerate(seen.items()):
        if i == 0:  # nothing before it was dropped
            kept = after[0] != 0
            assert abs(float(kept.double().mean()) - 0.6) < 0.03
            torch.testing.assert_close(after[0][kept], (clean[site][0] / 0.6)[kept])
        others = [m for m in range(len(rates)) if m != i and m > i]  # arms whose own site comes later
        torch.testing.assert_close(after[others], clean[site][others])
        assert not torch.equal(after[i], clean[site][i])
    net.eval()
    del net.sites.drop
    assert torch.equal(net(x), net(x))


def test_residual_sites_drop_the_branch_or_the_sum():
    x = torch.rand(1, 200, 64, generator=torch.Generator().manual_seed(0))
    net = PlacedResidualMLP(64, 16, 10, 3, [0], [{}, {"branch": 1.0}, {"sum": 1.0}]).train()
    with torch.no_grad():
        logits = net(x)
    stem = net.linear(net.per_model(x), 0)
    head = net.linear(torch.nn.functional.layer_norm(stem, (16,)), 7)
    torch.testing.assert_close(logits[1], head[1])  # only the shortcut is left
    torch.testing.assert_close(logits[2], net.biases[7][2].expand(200, 10))  # nothing is left


def test_stacked_placed_networks_are_trained_as_if_alone():
    task = digits([0], n_train=30, n_test=20)
    rates = [{}, {"dense": 0.5}]
    both = train(PlacedConvNet(8, (3, 4), 12, 10, task.seeds, rates), task.train, steps=3, batch=8)
    alone = train(PlacedConvNet(8, (3, 4), 12, 10, task.seeds, rates[1:]), task.train, steps=3, batch=8)
    for a, b in zip(both.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a[1], b[0])


def test_unknown_sites_are_refused():
    with pytest.raises(ValueError, match=r"rates must name sites among .*hidden 1.*got .*hidden 2"):
        PlacedMLP((64, 8, 10), [0], [{"hidden 2": 0.5}])
    with pytest.raises(ValueError, match="p must be"):
        PlacedConvNet(8, (3, 4), 12, 10, [0], [{"dense": 1.5}])


# ---- trained


def test_records_at_a_tiny_size_and_parts_that_can_be_repeated():
    small = {"steps": 3, "n_test": 20}
    whole = mlp(seeds=range(6), width=8, together=3, **small)
    assert whole.arms == tuple(MLP_ARMS) and whole.name == "placement-mlp"
    part = mlp(["none", "logits 0.5"], range(3), width=8, together=3, **small)
    for arm in part.arms:
        assert part.metrics["NLL"][arm] == whole.metrics["NLL"][arm][:3]
    assert conv(["dense"], range(2), rates=(0.3,), channels=(2, 3), **small).arms == ("none", "dense 0.3")
    assert conv([], range(2), noise=0.0, channels=(2, 3), **small).name == "placement-conv-clean"
    assert residual(seeds=range(2), blocks=2, width=8, **small).arms == tuple(RESIDUAL_ARMS)


def test_the_records_have_the_arms_that_the_chapter_compares():
    assert load("placement-mlp").arms == tuple(MLP_ARMS) and load("placement-mlp-500").arms == MORE_ARMS
    assert load("placement-conv-clean").arms == ("none", "input 0.5", "conv 1 0.5", "dense 0.5")
    assert {f"{site} {p:g}" for site in PlacedConvNet.SITES for p in (0.1, 0.2, 0.3, 0.5, 0.7)} < set(
        load("placement-conv").arms
    )


# ---- evidence


def test_every_line_of_evidence_names_its_paper_or_is_folklore():
    bibliography = (Path(__file__).parents[1] / "book" / "references.bib").read_text(encoding="utf-8")
    for row in evidence():
        assert row.strength in STRENGTHS
        assert bool(row.paper) == bool(row.cite) == (row.strength != "folklore"), row
        assert row.says.endswith(".") and row.sites
        assert (row.before is None) == (row.behind is None)
        if row.before is not None:
            assert row.strength == "control" and row.measure
        assert not row.cite or f"{{{row.cite}," in bibliography
    for recipe in recipes():
        assert f"{{{recipe.cite}," in bibliography
    years = [recipe.year for recipe in recipes()]
    assert years == sorted(years)


def test_z_is_that_of_two_proportions():
    (row,) = [row for row in evidence() if row.where == "pixels, dense network"]
    assert row.z == pytest.approx(0.002 / math.sqrt((0.013 * 0.987 + 0.011 * 0.989) / 10_000), abs=1e-9)
    assert len(evidence_table().body) == len(evidence())


# ---- the interactive figure


def test_the_figure_shows_what_the_records_say():
    networks = placement_figure().state["networks"]
    effect = load("placement-mlp").effect("accuracy", "input 0.2", "none")
    (site,) = [site for site in networks["mlp"]["sites"] if site["id"] == "input"]
    assert site["gains"][0] == ["0.2", round(effect.mean, 2), round(effect.low, 2), round(effect.high, 2)]
    for network in networks.values():
        drawn = {part[0] for part in network["chain"] if isinstance(part, list)}
        assert drawn <= {site["id"] for site in network["sites"]}
    shown = [says for network in networks.values() for site in network["sites"] for says in site["evidence"]]
    assert len({says for _, _, says in shown}) == len(evidence())
