"""Monte-Carlo dropout: what is switched on, what is computed once, what comes out.

Statistical tests use fixed seeds and 4.5 standard errors: a right implementation fails one comparison with 7e-6, and
the some 500 comparisons here together with 4e-3.
"""

import copy
import dataclasses
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import companion
from companion import dropout
from companion.ensembles import arithmetic_mean, enumerate_masks
from companion.layers.dropblock import DropBlock2d
from companion.layers.dropconnect import DropConnectLinear
from companion.layers.recurrent import EmbeddingDropout, LockedDropout, WeightDrop
from companion.layers.spatial import SpatialDropout2d
from companion.layers.stochastic_depth import DropPath, StochasticDepth
from companion.models import StackedMLP
from companion.uncertainty import (
    dropout_active,
    mc_predict,
)

LIMIT = 4.5


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(make, *args, **kwargs):
    """A module with weights that do not depend on the order of the tests."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return make(*args, **kwargs)


def seeded(seed, f, *args, **kwargs):
    torch.manual_seed(seed)
    return f(*args, **kwargs)


# --- networks ---------------------------------------------------------------------------------------------------------


def head(dropout=companion.Dropout):
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), dropout(0.5), nn.Linear(6, 3))


def early():
    layers = [nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 6), nn.ReLU(), companion.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(6, 3))


class Residual(nn.Module):
    """Skips lead around the first dropout, from a tensor that is the same in all passes."""

    def __init__(self, drop=nn.Dropout):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), drop(0.4))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = self.norm(self.stem(x)).relu()
        h = h + self.branch(h)
        h = self.branch(h) + h  # a shared module
        return self.head(h.mean((-2, -1)))


class Last(nn.Module):
    """Recurrent network read at its last step."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.head = rnn, nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def lstm():
    return Last(nn.LSTM(5, 6, 2, dropout=0.5, batch_first=True))


def encoder():
    layer = nn.TransformerEncoderLayer(6, 2, 8, 0.3, batch_first=True)
    return nn.Sequential(nn.Linear(5, 6), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(6, 3))


class InPlaceSum(nn.Module):
    """What vmap cannot run: a sum in place into a tensor that is the same in all passes."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3)

    def forward(self, x):
        h = self.first(x)
        y = self.drop(h)
        h += y
        return self.last(h)


def elu_branch():
    return nn.Sequential(nn.ELU(inplace=True), nn.Conv2d(4, 4, 1))


class Stable(nn.Module):
    """Dropout-like module of another library, with its own coin on the host: one for the whole batch."""

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        return x * float(torch.rand(()) >= self.drop_prob) if self.training else x


class DropPathOfOthers(Stable):
    pass


DropPathOfOthers.__name__ = "XDropPath"


class Functional(nn.Module):
    """Dropout that hangs on the flag of a larger module."""

    def __init__(self, p=0.5):
        super().__init__()
        self.linear, self.p = nn.Linear(6, 6), p

    def forward(self, x):
        return F.dropout(self.linear(x), self.p, self.training)


class Attention(nn.Module):
    """Attention dropout as a number that the module's flag chooses."""

    def __init__(self, p=0.5):
        super().__init__()
        self.drop = nn.Dropout(p)

    def forward(self, x):
        x = x[None]
        return F.scaled_dot_product_attention(x, x, x, dropout_p=self.drop.p if self.training else 0.0)[0]


class Ours(nn.Module):
    def forward(self, x):
        if self.training:
            x = dropout(x, 0.5)
        return x


def _helper(x, training):
    return torch.nn.functional.dropout(x, 0.5, training)


class Hidden(nn.Module):
    """Nothing in the source of this class speaks of it."""

    def forward(self, x):
        on = self.training
        return _helper(x, on)


def convolutional(*middle):
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
    return nn.Sequential(*first, *middle, nn.Conv2d(4, 4, 3), nn.Flatten(1), nn.Linear(64, 3))


FLAT, IMAGES, STEPS = random(4, 5), random(4, 2, 6, 6), random(4, 7, 5)
IDS = torch.arange(20).view(4, 5)


def table(*rest):
    return nn.Sequential(EmbeddingDropout(nn.Embedding(20, 5), 0.3), *rest)


# One random site, so that the passes draw in the order in which single passes would; and the input.
ONE_SITE = {
    "head": (head, FLAT),
    "LSTM": (lstm, STEPS),
    "weight drop": (lambda: Last(WeightDrop(nn.LSTM(5, 6, batch_first=True), 0.5)), STEPS),
    "locked": (lambda: nn.Sequential(LockedDropout(0.5), Last(nn.GRU(5, 6, batch_first=True))), STEPS),
    "embedding": (lambda: table(Last(nn.RNN(5, 6, batch_first=True))), IDS),
    "DropConnect": (lambda: nn.Sequential(nn.Linear(5, 6), DropConnectLinear(6, 6), nn.ReLU(), nn.Linear(6, 3)), FLAT),
    "DropBlock": (lambda: convolutional(DropBlock2d(0.3, 3)), IMAGES),
    "spatial": (lambda: convolutional(SpatialDropout2d(0.5)), IMAGES),
    "torch spatial": (lambda: convolutional(nn.Dropout2d(0.5)), IMAGES),
    "drop path": (lambda: convolutional(DropPath(0.5)), IMAGES),
    "depth by batch": (lambda: convolutional(StochasticDepth(nn.BatchNorm2d(4), 0.5)), IMAGES),
    "depth by sample": (lambda: convolutional(StochasticDepth(nn.Conv2d(4, 4, 1), 0.5, "sample")), IMAGES),
    "in place within": (lambda: convolutional(StochasticDepth(elu_branch(), 0.5)), IMAGES),
    "other library": (lambda: nn.Sequential(nn.Linear(5, 6), DropPathOfOthers(0.5), nn.Linear(6, 3)), FLAT),
}
MANY_SITES = {
    "early": (early, FLAT),
    "residual": (Residual, IMAGES),
    "residual DropBlock": (lambda: Residual(lambda p: DropBlock2d(p, 3)), IMAGES),
    "encoder": (encoder, STEPS),
    "in place": (lambda: nn.Sequential(nn.Dropout(0.3, inplace=True), *early()), FLAT),
    "before LSTM": (lambda: nn.Sequential(nn.Dropout(0.3), lstm()), STEPS),
    "before attention": (lambda: nn.Sequential(nn.Dropout(0.3), nn.Linear(5, 6), SelfAttention()), STEPS),
    "nested depth": (lambda: convolutional(StochasticDepth(nn.Sequential(nn.Dropout(0.2)), 0.5)), IMAGES),
}


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0])


# --- what is switched on ----------------------------------------------------------------------------------------------


def test_only_dropout_is_switched_on_and_all_flags_come_back():
    model = built(
        nn.Sequential,
        nn.Conv2d(1, 2, 1),
        nn.BatchNorm2d(2),
        nn.Dropout2d(),
        StochasticDepth(nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()), 0.5),
        nn.LSTM(2, 2, 2, dropout=0.5),
        nn.LSTM(2, 2, 2),
        nn.MultiheadAttention(2, 1, dropout=0.1),
        nn.MultiheadAttention(2, 1),
        nn.AlphaDropout(),
        nn.FeatureAlphaDropout(),
        WeightDrop(nn.LSTM(2, 2), 0.5),
    ).eval()
    model[1].train()  # a flag of its own, which has to come back
    model[8].train()
    before = {name: module.training for name, module in model.named_modules()}
    with dropout_active(model) as names:
        assert set(names) == {"2", "3", "4", "6", "8", "9", "10"}
        on = {name for name, module in model.named_modules() if module.training}
        assert on == {*names, "1"}  # neither the BatchNorm in the branch nor the LSTM in the weight drop
    assert {name: module.training for name, module in model.named_modules()} == before


def test_flags_come_back_after_an_exception_and_from_nested_blocks():
    model = built(early).eval()
    with pytest.raises(KeyError), dropout_active(model):
        raise KeyError
    assert not any(module.training for module in model.modules())
    with dropout_active(model):
        with dropout_active(model):
            pass
        assert model[2].training and model[5].training and not model[0].training
        model.eval()  # whatever happens within
    assert not any(module.training for module in model.modules())
    with dropout_active(model.train()):
        assert all(module.training for module in model.modules())
    assert all(module.training for module in model.modules())


def test_a_shared_module_and_a_bare_one():
    shared = nn.Dropout()
    model = nn.Sequential(shared, nn.Linear(2, 2), shared).eval()
    with dropout_active(model) as names:
        assert names == ("0",) and shared.training
    assert not shared.training
    # baal patches the children of the root and so passes over a root that is a dropout itself
    with dropout_active(nn.Dropout().eval()) as names:
        assert names == ("",)
    result = mc_predict(nn.Dropout().eval(), torch.ones(2, 3), 50, task="regression")
    assert bool((result.std > 0).all())


def test_modules_of_other_libraries_go_by_name_unless_they_hold_others():
    class MyDropBlock2d(nn.Module):
        pass

    class DropoutNet(nn.Module):
        pass

    class NetWithDropout(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

    model = nn.Sequential(MyDropBlock2d(), DropoutNet(), NetWithDropout()).eval()
    with dropout_active(model) as names:
        assert names == ("0",)
    with dropout_active(model, also=[NetWithDropout]) as names:
        assert names == ("0", "2") and model[2].training and not model[2].norm.training


def test_the_fused_kernel_of_the_encoder_layer_does_not_swallow_dropout():
    """In evaluation torch's layer takes a kernel without dropout, whatever the flags of its dropout modules."""
    layer = built(nn.TransformerEncoderLayer, 6, 2, 8, 0.5, batch_first=True).eval()
    x = random(2, 3, 6)
    with torch.no_grad():
        for module in layer.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        assert torch.equal(layer(x), layer(x))  # the usual recipe
        with dropout_active(layer.eval()):
            assert not torch.equal(layer(x), layer(x))
            assert not layer.norm1.training
        assert not layer.training and torch.equal(layer(x), layer(x))


def test_no_dropout_is_said():
    model = nn.Linear(2, 2)
    with pytest.warns(UserWarning, match="no dropout that can be switched on"), dropout_active(model) as names:
        assert names == ()
    with pytest.raises(ValueError, match="model must have dropout that can be switched on"):
        mc_predict(model, torch.ones(1, 2))
    with pytest.warns(UserWarning, match="num_layers"):  # it stands between layers, of which there is one
        single = nn.LSTM(5, 6, 1, dropout=0.5, batch_first=True)
    with pytest.raises(ValueError, match="model must have dropout"):
        mc_predict(Last(single), STEPS)


@pytest.mark.parametrize("module", [Functional, Attention, Ours])
def test_dropout_out_of_reach_is_reported_by_name(module):
    model = built(nn.Sequential, nn.Dropout(), nn.Sequential(module())).eval()
    with pytest.warns(UserWarning, match=r"stays off: '1\.0'") as caught, dropout_active(model):
        assert not model[1][0].training
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"stays off: '1\.0'") as caught:
        mc_predict(model, random(2, 6))
    assert caught[0].filename == __file__ and len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with dropout_active(model, also=[module]) as names:
            assert "1.0" in names and model[1][0].training
        mc_predict(model, random(2, 6), also=[module])


def test_dropout_that_the_source_does_not_tell_is_heard_in_the_first_pass():
    model = nn.Sequential(nn.Dropout(), Hidden()).eval()
    for method in ("vmap", "loop"):
        with pytest.warns(UserWarning, match="stays off: '1'"):
            mc_predict(model, random(2, 6), method=method)


def test_no_false_alarm():
    model = built(nn.Sequential, nn.Dropout(), Functional(0.0), Attention(0.0), nn.Linear(6, 6)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with dropout_active(model):
            pass
        mc_predict(model, random(2, 6))
        for make, x in (*ONE_SITE.values(), *MANY_SITES.values()):
            mc_predict(built(make), x, 2)


@pytest.mark.parametrize("function", [F.dropout, dropout])
def test_a_model_that_is_always_random_needs_no_module(function):
    class Always(nn.Module):
        def forward(self, x):
            return function(x, 0.5)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("vmap", "loop"):
            result = mc_predict(Always(), torch.ones(3, 4), 50, task="regression", method=method)
            assert bool((result.std > 0.5).all())


# --- passes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_SITE)
def test_passes_at_once_are_the_passes_one_by_one(name):
    """With one random site even the masks are the same, so that every pass is a single pass of the model."""
    make, x = ONE_SITE[name]
    model = built(make)
    together = seeded(7, mc_predict, model, x, 9, chunk=4, keep_samples=True, method="vmap")
    with torch.no_grad(), dropout_active(model.eval()):
        torch.manual_seed(7)
        alone = torch.stack([model(x) for _ in range(9)]).softmax(-1)
    torch.testing.assert_close(together.samples, alone, rtol=1e-5, atol=1e-6)
    loop = seeded(7, mc_predict, model, x, 9, method="loop")
    torch.testing.assert_close(loop.mean, together.mean, rtol=1e-5, atol=1e-6)
    assert len({sample.numpy().tobytes() for sample in together.samples}) > 1


@pytest.mark.parametrize("name", MANY_SITES)
def test_passes_at_once_have_the_law_of_passes_one_by_one(name):
    """Means and mean squares over 600 passes, and the covariance of neighbouring examples: no mask is shared."""
    make, x = MANY_SITES[name]
    model = built(make)
    a, b = (
        seeded(3, mc_predict, model, x, 600, task="regression", method=method, keep_samples=True).samples.double()
        for method in ("vmap", "loop")
    )
    assert float(a.std(0).min()) > 0
    center = b.mean(0)
    a, b = a - center, b - center
    for f in (lambda y: y, lambda y: y**2, lambda y: y[:, :-1] * y[:, 1:]):
        error = ((f(a).var(0) + f(b).var(0)) / 600).sqrt()
        z = (f(a).mean(0) - f(b).mean(0)) / error
        assert float(z.abs().max()) < LIMIT


@pytest.mark.parametrize("name", [*ONE_SITE, *MANY_SITES])
def test_nothing_is_left_changed(name):
    make, x = (ONE_SITE | MANY_SITES)[name]
    model = built(make)
    for index, module in enumerate(model.modules()):
        module.training = index % 3 == 0
    flags = [module.training for module in model.modules()]
    attributes = [set(vars(module)) for module in model.modules()]
    state, given = copy.deepcopy(model.state_dict()), x.clone()
    for method in ("vmap", "loop"):
        mc_predict(model, x, 3, method=method)
        assert [module.training for module in model.modules()] == flags
        assert [set(vars(module)) for module in model.modules()] == attributes  # no forward of ours
        assert torch.equal(x, given)
        assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
        assert all(module.inplace for module in model.modules() if type(module) is nn.ReLU and hasattr(model, "stem"))


def test_an_inplace_dropout_stays_one_and_spares_the_input():
    model, x = nn.Sequential(nn.Dropout(inplace=True), nn.Linear(5, 3)), FLAT.clone()
    for method in ("vmap", "loop"):
        result = mc_predict(model, x, 40, method=method, keep_samples=True)
        assert torch.equal(x, FLAT) and model[0].inplace
        assert len({sample.numpy().tobytes() for sample in result.samples}) > 20  # not dropped anew from the dropped


def test_a_model_that_works_on_its_input_gets_a_copy():
    class Doubles(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return self.drop(x.mul_(2))

    x = torch.ones(3, 4)
    for method in ("vmap", "loop"):
        result = mc_predict(Doubles(), x, 20, task="regression", chunk=5, method=method, keep_samples=True)
        assert result.samples.unique().tolist() == [0.0, 4.0] and bool((x == 1).all())


def test_nothing_is_left_changed_by_a_model_that_fails():
    class Fails(nn.Module):
        def forward(self, x):
            raise OverflowError("of the model")

    model = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(inplace=True), Fails())
    for method in ("auto", "vmap", "loop"):
        with pytest.raises(OverflowError, match="of the model"):
            mc_predict(model, FLAT, method=method)
        assert all(module.training for module in model.modules())
        assert model[1].inplace and "forward" not in vars(model[1])


def test_seeded_gates_do_not_count_the_passes():
    model = built(convolutional, StochasticDepth(nn.Conv2d(4, 4, 1), 0.5, seed=3))
    other = copy.deepcopy(model).train()
    result = mc_predict(model, IMAGES, 30, keep_samples=True)
    assert len({sample.numpy().tobytes() for sample in result.samples}) == 2  # the branch or none, for the whole batch
    for _ in range(8):
        torch.testing.assert_close(model.train()(IMAGES), other(IMAGES))
    assert int(model[3].step) == 8


def count(module):
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("name", ["head", "early", "residual", "residual DropBlock", "depth by batch", "weight drop"])
def test_what_stands_before_the_first_dropout_is_computed_once(name):
    make, x = (ONE_SITE | MANY_SITES)[name]
    model = built(make)
    if name == "weight drop":
        model = nn.Sequential(nn.Linear(5, 5), model)
    first = count(next(module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)))
    assert mc_predict(model, x, 50).method == "vmap"
    assert len(first) == 1
    mc_predict(model, x, 6, chunk=2)
    assert len(first) == 4
    assert mc_predict(model, x, 6, method="loop").method == "loop"
    assert len(first) == 10


def test_prefix_has_the_rows_of_the_input_and_the_rest_those_of_all_passes():
    """Counts the multiply-adds of all matrix products."""

    class Products(TorchDispatchMode):
        rows = ()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            y = func(*args, **(kwargs or {}))
            if func.overloadpacket in (torch.ops.aten.addmm, torch.ops.aten.mm, torch.ops.aten.bmm):
                self.rows += (y.numel() // y.shape[-1],)
            return y

    with Products() as products:
        mc_predict(built(head), FLAT, 10, chunk=10)
    assert products.rows == (4, 4, 40)


def test_memory_does_not_grow_with_the_number_of_passes():
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            y = func(*args, **(kwargs or {}))
            if isinstance(y, torch.Tensor):
                self.numel = max(self.numel, y.numel())
            return y

    largest = []
    for samples in (8, 80):
        with Largest() as mode:
            mc_predict(built(early), random(500, 5), samples, chunk=8)
        largest.append(mode.numel)
    assert largest[0] == largest[1] == 8 * 500 * 8


def test_where_vmap_cannot_go_every_pass_runs_alone():
    model = built(InPlaceSum)
    with pytest.raises(RuntimeError):
        mc_predict(model, FLAT, method="vmap")
    result = seeded(1, mc_predict, model, FLAT, 9)
    assert result.method == "loop"
    torch.testing.assert_close(result.mean, seeded(1, mc_predict, model, FLAT, 9, method="loop").mean, rtol=0, atol=0)


def test_a_compiled_model_runs_pass_by_pass():
    model = torch.compile(built(head, nn.Dropout).eval(), backend="eager")
    result = mc_predict(model, FLAT, 30, keep_samples=True)
    assert result.method == "loop" and float(result.std.min()) > 0
    assert len({sample.numpy().tobytes() for sample in result.samples}) > 10
    assert torch.equal(model(FLAT), model(FLAT))


def test_stacked_models_are_switched_on_by_class():
    model = StackedMLP((5, 16, 3), (0, 1), (0.0, 0.5)).eval()
    x = random(4, 6, 5)
    with (
        pytest.warns(UserWarning, match="the model itself"),
        pytest.raises(ValueError, match="model must have dropout"),
    ):
        mc_predict(model, x)
    result = mc_predict(model, x, 20, also=[StackedMLP])
    assert result.mean.shape == (4, 6, 3)
    assert float(result.std[:2].max()) < 1e-6 < 0.01 < float(result.std[2:].min())


def test_the_same_seed_gives_the_same_result():
    model = built(early)
    for method in ("auto", "loop"):
        a, b, c = (seeded(seed, mc_predict, model, FLAT, method=method).mean for seed in (0, 0, 1))
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_generator_leaves_the_global_state_alone():
    model = built(early)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(5)
    a, b = (mc_predict(model, FLAT, generator=generator).mean for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    c = mc_predict(model, FLAT, generator=torch.Generator().manual_seed(5)).mean
    assert torch.equal(a, c) and not torch.equal(a, b)


def test_weight_masks_and_gates_are_drawn_for_every_pass():
    """A batch repeated T times, as other wrappers have it, would meet one weight mask and one gate."""
    model = built(nn.Sequential, DropConnectLinear(5, 40, p=0.5), nn.ReLU(), nn.Linear(40, 3))
    x = FLAT[:1].expand(4, 5)
    samples = mc_predict(model, x, 20, keep_samples=True).samples
    torch.testing.assert_close(samples[:, :1].expand(-1, 4, -1), samples)  # within a pass one mask for the batch
    assert len({sample.numpy().tobytes() for sample in samples}) == 20


# --- results ----------------------------------------------------------------------------------------------------------


def test_mean_converges_to_the_arithmetic_mean_of_all_subnetworks():
    model = built(head).double()
    x = FLAT.double()
    with torch.no_grad():
        h = model.eval()[:4](x)
        masks, weights = enumerate_masks(6, 0.5)
        logits = model[5](masks[:, None] * h / 0.5)
    exact = arithmetic_mean(logits, weights)
    spread = torch.einsum("m,mnc->nc", weights, (logits.softmax(-1) - exact) ** 2).sqrt()
    entropy = torch.einsum("m,mn->n", weights, torch.special.entr(logits.softmax(-1)).sum(-1))
    result = seeded(0, mc_predict, model, x, 20_000, keep_samples=True)
    assert bool(((result.mean - exact).abs() < LIMIT * spread / math.sqrt(20_000)).all())
    torch.testing.assert_close(result.std, spread, rtol=0.05, atol=1e-4)
    torch.testing.assert_close(result.expected_entropy, entropy, rtol=0.02, atol=0)
    assert float((result.mean - logits[-1].softmax(-1)).abs().max()) > 0.01  # one scaled pass is another mean


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_streamed_numbers_are_those_of_the_samples(chunk):
    model = built(early)
    result = mc_predict(model, FLAT, 7, chunk=chunk, keep_samples=True)
    p = result.samples.double()
    assert p.shape == (7, 4, 3) and result.mean.dtype == torch.float32
    torch.testing.assert_close(result.mean, p.mean(0).float())
    torch.testing.assert_close(result.std, p.std(0, correction=0).float(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(result.expected_entropy, torch.special.entr(p).sum(-1).mean(0).float())
    torch.testing.assert_close(result.predictive_entropy, torch.special.entr(p.mean(0)).sum(-1).float())
    torch.testing.assert_close(result.predictive_entropy, result.expected_entropy + result.mutual_information)
    assert bool((result.mutual_information > 0).all()) and mc_predict(model, FLAT).samples is None


def test_a_small_spread_around_a_large_mean_is_not_lost():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return 1e6 + self.drop(x)

    result = seeded(0, mc_predict, Shifted().double(), torch.ones(200, dtype=torch.float64), 1000, task="regression")
    # 0 or 2: the squares of 1e6 would swallow the variance of 1 in 32 bits
    assert abs(float(result.std.mean()) - 1) < 0.01 and abs(float(result.mean.mean()) - 1e6 - 1) < 0.05


class Passes(nn.Module):
    """Answers that are given beforehand, pass after pass."""

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.drop = torch.tensor(answers).log(), nn.Dropout(0.0)
        self.asked = -1

    def forward(self, x):
        self.asked += 1
        return self.drop(self.answers[self.asked % len(self.answers)].expand(len(x), -1))


def test_mutual_information_is_never_below_zero():
    model = nn.Sequential(companion.Dropout(0.0), nn.Identity())
    result = mc_predict(model.double(), random(500, 3).double(), 7, chunk=3)
    assert bool((result.mutual_information >= 0).all()) and float(result.mutual_information.max()) < 1e-14
    assert bool((result.predictive_entropy < result.expected_entropy).any())  # as rounding has it


def test_entropy_tells_noise_from_ignorance_and_std_does_not():
    """Worked by hand: half and half in every pass, and certainty of either class in turn."""
    noise = mc_predict(Passes((0.5, 0.5)), torch.ones(1, 1), 4, method="loop")
    doubt = mc_predict(Passes((1.0, 0.0), (0.0, 1.0)), torch.ones(1, 1), 4, method="loop")
    for result, expected, mutual, std in ((noise, math.log(2), 0, 0), (doubt, 0, math.log(2), 0.5)):
        torch.testing.assert_close(result.mean, torch.full((1, 2), 0.5))
        assert float(result.predictive_entropy) == pytest.approx(math.log(2))
        assert float(result.expected_entropy) == pytest.approx(expected)
        assert float(result.mutual_information) == pytest.approx(mutual)
        assert result.std.tolist() == [[std, std]]


def test_regression_has_a_mean_and_a_spread():
    result = mc_predict(built(early), FLAT, 5, task="regression")
    assert result.predictive_entropy is result.expected_entropy is result.mutual_information is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.mean = None
    p, n = 0.3, 4000
    linear = nn.Sequential(nn.Dropout(p), nn.Linear(5, 1, bias=False))
    result = seeded(0, mc_predict, linear, FLAT, n, task="regression")
    exact = (p / (1 - p) * (linear[1].weight.detach() * FLAT).square().sum(1, keepdim=True)).sqrt()
    torch.testing.assert_close(result.std, exact, rtol=LIMIT / math.sqrt(n), atol=0)  # kurtosis is below 3


def test_a_single_pass_and_one_class():
    result = mc_predict(built(early), FLAT, 1)
    assert not result.std.any() and not result.mutual_information.any()
    torch.testing.assert_close(result.predictive_entropy, result.expected_entropy)
    one = mc_predict(nn.Sequential(nn.Dropout(), nn.Linear(5, 1)), FLAT)
    assert bool((one.mean == 1).all()) and not one.predictive_entropy.any()


def test_class_axis_dtype_and_other_calls():
    maps = built(nn.Sequential, nn.Conv2d(2, 4, 1), nn.Dropout(), nn.Conv2d(4, 3, 1)).to(torch.bfloat16)
    result = mc_predict(maps, IMAGES.bfloat16(), axis=1)
    assert result.mean.dtype == torch.float32 and result.mutual_information.shape == (4, 6, 6)
    torch.testing.assert_close(result.mean.sum(1), torch.ones(4, 6, 6))
    last = mc_predict(maps, IMAGES.bfloat16(), axis=-3)
    assert last.predictive_entropy.shape == (4, 6, 6)

    class TwoInputs(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout()

        def forward(self, a, b):
            return {"logits": self.drop(a + b)}

    both = {"a": FLAT, "b": FLAT}
    result = mc_predict(TwoInputs(), both, forward=lambda model, x: model(**x)["logits"])
    assert result.method == "vmap" and result.mean.shape == (4, 5)
    with pytest.raises(TypeError, match=r"model must return one floating-point tensor.*got dict"):
        mc_predict(TwoInputs(), both, forward=lambda model, x: model(**x))


def test_rates_of_zero_and_one_draw_nothing():
    for p in (0.0, 1.0):
        for method in ("auto", "vmap", "loop"):
            result = mc_predict(nn.Sequential(companion.Dropout(p), nn.Linear(5, 3)), FLAT, method=method)
            assert float(result.std.max()) < 1e-6


@pytest.mark.parametrize(
    ("error", "name", "arguments"),
    [
        (ValueError, "samples", {"samples": 0}),
        (TypeError, "samples", {"samples": 2.5}),
        (TypeError, "samples", {"samples": True}),
        (ValueError, "chunk", {"chunk": 0}),
        (ValueError, "task", {"task": "detection"}),
        (ValueError, "method", {"method": "batch"}),
    ],
)
def test_bad_arguments_are_named(error, name, arguments):
    with pytest.raises(error, match=f"{name} must be"):
        mc_predict(built(early), FLAT, **arguments)


# --- mistakes of others -----------------------------------------------------------------------------------------------


def test_batch_norm_is_not_touched():
    """The usual recipe, ``model.train()``, moves the running statistics even without gradients."""
    model = built(nn.Sequential, nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))
    x = random(64, 5) * 3 + 4.2

    wrong = copy.deepcopy(model)
    with torch.no_grad():
        for _ in range(3):
            wrong.train()(x)
    assert float(wrong[0].running_mean.abs().max()) > 0.42

    before = copy.deepcopy(model.state_dict())
    result = mc_predict(model.train(), x)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    single = mc_predict(model, x[:1])  # with the statistics of its batch, BatchNorm would raise here
    assert bool(torch.isfinite(single.mean).all())
    torch.testing.assert_close(result.mean[:1], single.mean, atol=0.5, rtol=0)


def test_mode_of_the_model_does_not_matter():
    """torch-uncertainty: after ``eval()`` of the inner model all samples are the same, without a word."""
    model = nn.Sequential(nn.Sequential(built(early)))
    train = seeded(0, mc_predict, model.train(), FLAT)
    evaluation = seeded(0, mc_predict, model.eval(), FLAT)
    assert torch.equal(train.mean, evaluation.mean) and float(evaluation.std.min()) > 0


def test_model_is_deterministic_afterwards():
    """torch-uncertainty leaves the wrapped model random."""
    model = built(early).eval()
    before = model(FLAT)
    mc_predict(model, FLAT)
    assert torch.equal(model(FLAT), before) and torch.equal(model(FLAT), before)


def test_every_kind_of_dropout_is_switched_on():
    """torch-uncertainty finds no LSTM, DropPath or DropBlock; baal only Dropout and Dropout2d."""
    kinds = [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]
    ours = [getattr(companion, name) for name in companion.__all__]
    ours = [kind for kind in ours if isinstance(kind, type) and issubclass(kind, nn.Module)]
    with_arguments = {
        "DropConnectLinear": (3, 3),
        "DropConnectConv2d": (3, 3, 1),
        "StochasticDepth": (nn.Identity(),),
        "WeightDrop": (nn.LSTM(2, 2),),
        "EmbeddingDropout": (nn.Embedding(3, 2),),
    }
    for kind in (*kinds, *ours):
        extra = {"block_size": 3} if "DropBlock" in kind.__name__ else {}
        module = kind(*with_arguments.get(kind.__name__, ()), p=0.5, **extra)
        with dropout_active(nn.Sequential(module).eval()) as names:
            assert names == ("0",), kind
            assert module.training, kind


def test_weights_and_form_of_the_layers_are_kept():
    """baal's weight-drop patch makes new layers: new weights, stride 1, groups 1, a bias where there was none."""
    conv = nn.Conv2d(2, 4, 3, stride=2, groups=2, bias=False)
    model = nn.Sequential(conv, nn.Dropout(), nn.Flatten(), nn.Linear(16, 3))
    weight = conv.weight.clone()
    mc_predict(model, IMAGES, 3)
    assert model[0] is conv and conv.stride == (2, 2) and conv.groups == 2 and conv.bias is None
    assert torch.equal(conv.weight, weight)


def test_no_mask_outlives_its_call():
    """baal's consistent mask is reset by ``eval()`` of the layer, which a parent's ``eval()`` never calls."""
    model = nn.Sequential(nn.Sequential(LockedDropout(0.5)))
    x = torch.ones(2, 3, 50)
    a, b = (mc_predict(model, x, 1, task="regression").mean for _ in range(2))
    assert not torch.equal(a, b)
    assert model.eval()(x) is x
