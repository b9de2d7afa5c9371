"""Data: paired splits, wrong labels where they belong, and a test set that opens once."""

import pytest
import torch

from companion.data import TestSetOpened, digits, moons, table
from companion.experiments.protocol import choose
from companion.training import train


def test_every_seed_has_its_own_split_and_the_same_seed_the_same_one():
    first, second = digits([3, 4], n_train=50, n_test=40), digits([4], n_train=50, n_test=40)
    assert first.train.x.shape == (2, 50, 64) and first.train.y.shape == (2, 50)
    assert torch.equal(first.train.x[1], second.train.x[0]) and torch.equal(first.train.y[1], second.train.y[0])
    assert not torch.equal(first.train.x[0], first.train.x[1])


def test_parts_do_not_overlap():
    task = digits([0], n_train=800, n_validation=200, n_test=797, noise=0.0)
    parts = [task.train.x[0], task.validation.x[0], task.test.open().x[0]]
    together = torch.cat(parts)
    from sklearn.datasets import load_digits

    everything = torch.from_numpy(load_digits().data / 16).float()
    assert torch.equal(together.sum(1).sort().values, everything.sum(1).sort().values)


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_wrong_labels_only_where_one_fits_and_chooses(noise):
    seeds = range(20)
    noisy = digits(seeds, n_train=400, n_validation=200, noise=noise, n_test=300)
    clean = digits(seeds, n_train=400, n_validation=200, noise=0.0, n_test=300)
    # The images of the training part do not depend on the noise, so labels can be compared one by one.
    assert torch.equal(noisy.train.x, clean.train.x)
    wrong = (noisy.train.y != clean.train.y).double().mean().item()
    n = clean.train.y.numel()
    # 4.9 standard errors: fails by chance once in a million draws
    assert abs(wrong - noise) <= 4.9 * (noise * (1 - noise) / n) ** 0.5
    assert torch.equal(noisy.test.open().y[0], clean.test.open().y[0])


def test_test_set_opens_once():
    task = digits([0], n_train=20, n_test=20)
    assert task.test.open().role == "test"
    with pytest.raises(TestSetOpened, match="opened already"):
        task.test.open()


def test_nothing_is_chosen_on_the_test_set():
    task = digits([0], n_train=20, n_validation=20, n_test=20)
    score = lambda setting, examples: -abs(setting - len(examples) / 40)  # noqa: E731
    assert choose([0.1, 0.5, 0.9], score, task.validation) == 0.5
    with pytest.raises(TestSetOpened):
        choose([0.1, 0.5], score, task.test)
    with pytest.raises(TestSetOpened):
        choose([0.1, 0.5], score, task.test.open())
    with pytest.raises(ValueError, match="role 'validation', got 'train'"):
        choose([0.1, 0.5], score, task.train)
    with pytest.raises(ValueError, match="n_validation > 0"):
        choose([0.1, 0.5], score, digits([0], n_train=20, n_test=20).validation)


def test_nothing_is_fitted_to_the_test_set():
    from companion.models import StackedMLP

    task = digits([0], n_train=20, n_test=20)
    with pytest.raises(ValueError, match="role 'train', got 'test'"):
        train(StackedMLP((64, 4, 10), [0]), task.test.open(), steps=1)


@pytest.mark.parametrize(
    ("name", "columns", "classes"), [("wine", 13, 3), ("breast-cancer", 30, 2), ("diabetes", 10, 0)]
)
def test_tables_are_standardised_by_their_training_part(name, columns, classes):
    task = table(name, [0, 1], n_train=90, n_test=60)
    assert task.classes == classes and task.train.x.shape == (2, 90, columns)
    torch.testing.assert_close(task.train.x.mean(1), torch.zeros(2, columns), atol=1e-5, rtol=0)
    torch.testing.assert_close(task.train.x.std(1), torch.ones(2, columns), atol=1e-4, rtol=0)
    assert not torch.allclose(task.test.open().x.mean(1), torch.zeros(2, columns), atol=1e-3)


def test_moons_are_two_half_circles():
    task = moons([0, 1], n_train=100, n_test=50, spread=0.0)
    x, y = task.train.x[0], task.train.y[0]
    upper = x[y == 0]
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(len(upper)))
    assert (x[y == 1][:, 1] <= 0.5).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: digits([0], n_train=1000, n_test=1000), "must be at most 1797, got 2000"),
        (lambda: digits([0], n_train=0), "n_train must be an integer of at least 1, got 0"),
        (lambda: digits([], n_train=5), "seeds must be a non-empty list"),
        (lambda: digits([1, 1], n_train=5), "without repetition"),
        (lambda: digits([1], noise=1.2), "noise must be in"),
        (lambda: table("iris", [0], n_train=5, n_test=5), "name must be one of"),
        (lambda: table("diabetes", [0], n_train=5, n_test=5, noise=0.1), "noise must be 0"),
        (lambda: moons([0], spread=-1.0), "spread must be at least 0"),
    ],
)
def test_bad_arguments_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
