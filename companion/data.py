"""Small data sets, generated or shipped with scikit-learn, one split per seed, and a test set that cannot be tuned on.

Every task is drawn for several seeds at once and carries them as its leading axis: seed s has its own split, its own
wrong labels and, later, its own initial weights and batches, so that arms that share seeds are paired.

The test part of a task is sealed. It opens once, for the final report; a second opening raises
:class:`TestSetOpened`, and what chooses a setting (see :func:`companion.experiments.protocol.choose`) accepts only
validation examples.
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["Examples", "SealedTest", "Task", "TestSetOpened", "digits", "moons", "remember", "table", "teacher", "text"]

Role = Literal["train", "validation", "test"]


class TestSetOpened(RuntimeError):
    """The sealed test set was asked for a second time, or by something that chooses a setting."""

    __test__ = False  # the name starts with Test; pytest must not collect it


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of all seeds.

    Args:
        x: Tensor[seeds, n, features], float32.
        y: Tensor[seeds, n], int64 labels (or float32 targets of a regression).
        role: what they may be used for: "train", "validation" or "test".
    """

    x: Tensor
    y: Tensor
    role: Role

    def __len__(self) -> int:
        """Number of examples of one seed."""
        return self.x.shape[1]

    def to(self, device: torch.device | str) -> "Examples":
        return Examples(self.x.to(device), self.y.to(device), self.role)


class SealedTest:
    """Test examples that can be opened once.

    Args:
        examples: the examples, with the role "test".
    """

    __test__ = False

    def __init__(self, examples: Examples) -> None:
        self._examples: Examples | None = examples

    def open(self) -> Examples:
        """Returns the test examples, the first time that it is called.

        Raises:
            TestSetOpened: from the second time on. Draw the task again for another experiment, never for another try.
        """
        if self._examples is None:
            raise TestSetOpened(
                "the test set has been opened already: decide everything on validation examples, then test once"
            )
        examples, self._examples = self._examples, None
        return examples

    def __repr__(self) -> str:
        return f"SealedTest({'closed' if self._examples is not None else 'opened'})"


@dataclass(frozen=True)
class Task:
    """A data set, split for every seed.

    Args:
        name: what was drawn, in words, with its sizes and its label noise.
        seeds: the seeds; entry i of every tensor belongs to ``seeds[i]``.
        classes: number of classes; 0 for a regression.
        train: examples to fit.
        validation: examples to choose settings on; None if none were asked for.
        test: the sealed test examples.
    """

    name: str
    seeds: tuple[int, ...]
    classes: int
    train: Examples
    validation: Examples | None
    test: SealedTest


def _check_sizes(available: int, **sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < (0 if name == "n_validation" else 1):
            least = 0 if name == "n_validation" else 1
            raise ValueError(f"{name} must be an integer of at least {least}, got {size!r}")
    if sum(sizes.values()) > available:
        raise ValueError(f"{' + '.join(sizes)} must be at most {available}, got {sum(sizes.values())}")


def _check_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    seeds = tuple(seeds)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be a non-empty list without repetition, got {list(seeds)}")
    return seeds


def _wrong_labels(y: Tensor, classes: int, noise: float, generator: torch.Generator) -> Tensor:
    """Replaces each label with probability ``noise`` by one of the other classes."""
    if not 0 <= noise <= 1:
        raise ValueError(f"noise must be in [0, 1], got {noise}")
    wrong = torch.rand(y.shape, generator=generator, dtype=torch.float64) < noise
    shift = torch.randint(1, classes, y.shape, generator=generator)
    return torch.where(wrong, (y + shift) % classes, y)


def _split(
    name: str,
    draw,
    seeds: Sequence[int],
    classes: int,
    n_train: int,
    n_validation: int,
    n_test: int,
    noise: float,
) -> Task:
    """Calls ``draw(generator) -> x, y`` for each seed, splits, and makes ``noise`` of the labels for fitting wrong."""
    parts: dict[Role, list[tuple[Tensor, Tensor]]] = {"train": [], "validation": [], "test": []}
    seeds = _check_seeds(seeds)
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        x, y = draw(generator)
        order = torch.randperm(len(x), generator=generator)
        pieces = order[: n_train + n_validation + n_test].split([n_train, n_validation, n_test])
        for role, piece in zip(parts, pieces, strict=True):
            labels = y[piece]
            if classes and role != "test":  # what one chooses on is as noisy as what one fits; the test stays clean
                labels = _wrong_labels(labels, classes, noise, generator)
            parts[role].append((x[piece], labels))

    def stack(role: Role) -> Examples:
        return Examples(*(torch.stack(tensors) for tensors in zip(*parts[role], strict=True)), role)

    if noise and classes:
        name += f", {noise:.0%} of the labels for fitting wrong"
    return Task(
        name, seeds, classes, stack("train"), stack("validation") if n_validation else None, SealedTest(stack("test"))
    )


def digits(
    seeds: Sequence[int], *, n_train: int = 300, n_validation: int = 0, n_test: int = 1000, noise: float = 0.2
) -> Task:
    """Handwritten digits of 8 x 8 pixels (1797 images), pixel values in [0, 1].

    Args:
        seeds: one split, and one draw of wrong labels, a seed.
        n_train, n_validation, n_test: number of images; together at most 1797.
        noise: probability that a training or validation label is replaced by a wrong one. Test labels stay clean.
            The default makes a small network overfit visibly: without wrong labels, 300 digits are too easy.

    Returns:
        Task with x of shape (seeds, n, 64) and 10 classes.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.from_numpy(bunch.data / 16).float()
    y = torch.from_numpy(bunch.target).long()
    _check_sizes(len(x), n_train=n_train, n_validation=n_validation, n_test=n_test)
    return _split(
        f"digits, {n_train} images", lambda generator: (x, y), seeds, 10, n_train, n_validation, n_test, noise
    )


def moons(
    seeds: Sequence[int],
    *,
    n_train: int = 200,
    n_validation: int = 0,
    n_test: int = 200,
    spread: float = 0.25,
    noise: float = 0.0,
) -> Task:
    """Two interleaving half circles in the plane.

    Args:
        seeds: one draw of points a seed.
        n_train, n_validation, n_test: number of points.
        spread: standard deviation of the Gaussian noise on the coordinates.
        noise: probability that a training or validation label is wrong.

    Returns:
        Task with x of shape (seeds, n, 2) and 2 classes.
    """
    total = n_train + n_validation + n_test
    _check_sizes(max(total, 3), n_train=n_train, n_validation=n_validation, n_test=n_test)
    if spread < 0:
        raise ValueError(f"spread must be at least 0, got {spread}")

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        label = torch.arange(total) % 2
        angle = torch.pi * torch.rand(total, generator=generator, dtype=torch.float64)
        upper = torch.stack([angle.cos(), angle.sin()], 1)
        lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
        points = torch.where(label[:, None] == 0, upper, lower)
        points += spread * torch.randn(points.shape, generator=generator, dtype=torch.float64)
        return points.float(), label

    return _split(f"two moons, {n_train} points", draw, seeds, 2, n_train, n_validation, n_test, noise)


def teacher(
    seeds: Sequence[int],
    *,
    n_train: int,
    n_validation: int = 0,
    n_test: int = 1000,
    noise: float = 0.2,
    features: int = 16,
    hidden: int = 16,
    classes: int = 5,
) -> Task:
    r"""Points labelled by a random network, the teacher: as many as one likes, for questions about data size.

    Inputs are standard normal. The teacher has one tanh layer with weights of standard deviation
    :math:`1.5/\sqrt{\text{features}}`; the label is the class of its largest output, all outputs centred over the
    points, so that no class is rare.

    Args:
        seeds: one teacher, one draw of points and one of wrong labels a seed.
        n_train, n_validation, n_test: number of points.
        noise: probability that a training or validation label is wrong. Test labels stay clean.
        features: number of inputs.
        hidden: units of the teacher's layer.
        classes: number of classes.

    Returns:
        Task with x of shape (seeds, n, features).
    """
    total = n_train + n_validation + n_test
    _check_sizes(max(total, 2), n_train=n_train, n_validation=n_validation, n_test=n_test)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        inner = torch.randn(features, hidden, generator=generator, dtype=torch.float64) * 1.5 / features**0.5
        outer = torch.randn(hidden, classes, generator=generator, dtype=torch.float64)
        x = torch.randn(total, features, generator=generator, dtype=torch.float64)
        outputs = (x @ inner).tanh() @ outer
        return x.float(), (outputs - outputs.mean(0)).argmax(1)

    return _split(f"random teacher, {n_train} points", draw, seeds, classes, n_train, n_validation, n_test, noise)


def remember(
    seeds: Sequence[int],
    *,
    n_train: int = 300,
    n_validation: int = 0,
    n_test: int = 500,
    steps: int = 10,
    classes: int = 4,
    noise: float = 0.0,
) -> Task:
    """Sequences of noise whose first step shows the class: what it takes is a memory.

    A step has ``classes`` + 2 numbers, normal with a standard deviation of 0.5. In the first step, and only there, 2 is
    added to the number that belongs to the class.

    Args:
        seeds: one draw of sequences a seed.
        n_train, n_validation, n_test: number of sequences.
        steps: length of a sequence, T.
        classes: number of classes.
        noise: probability that a training or validation label is wrong. Test labels stay right.

    Returns:
        Task with x of shape (seeds, n, T * (classes + 2)), one step after the other.
    """
    total = n_train + n_validation + n_test
    _check_sizes(max(total, 3), n_train=n_train, n_validation=n_validation, n_test=n_test)

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        y = torch.randint(classes, (total,), generator=generator)
        x = 0.5 * torch.randn(total, steps, classes + 2, generator=generator, dtype=torch.float64)
        x[torch.arange(total), 0, y] += 2
        return x.flatten(1).float(), y

    name = f"remember the first of {steps} steps, {n_train} sequences"
    return _split(name, draw, seeds, classes, n_train, n_validation, n_test, noise)


def text(
    seeds: Sequence[int],
    *,
    n_train: int,
    n_test: int = 2000,
    context: int = 8,
    letters: int = 12,
    words: int = 60,
    followers: int = 4,
) -> Task:
    """Text of an invented language, for language models: which character comes next?

    Each seed has a language of its own: ``words`` random words of 2 to 5 letters, and after each word one of
    ``followers`` others, with probabilities drawn evenly from all that add up to 1. Training and test text are two
    walks through it, so that they share the language and nothing else. A shorter training text of a seed is the
    beginning of a longer one, and the test text is the same.

    Args:
        seeds: one language a seed.
        n_train, n_test: number of characters to predict.
        context: number of characters that are seen in front of the one to predict.
        letters: size of the alphabet, without the space.
        words: number of words.
        followers: number of words that can follow a word.

    Returns:
        Task with x of shape (seeds, n, context * (letters + 1)): one character after the other, each as a one among
        zeros; y is the next character. Consecutive examples overlap.
    """
    _check_sizes(n_train + n_test, n_train=n_train, n_test=n_test)
    seeds, space = _check_seeds(seeds), letters
    parts: dict[Role, list[tuple[Tensor, Tensor]]] = {"train": [], "test": []}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(2, 6, (words,), generator=generator).tolist()
        lexicon = [[*torch.randint(letters, (length,), generator=generator).tolist(), space] for length in lengths]
        after = torch.rand(words, words, generator=generator).argsort(1)[:, :followers].tolist()
        shares = -torch.rand(words, followers, generator=generator, dtype=torch.float64).log()
        ends = (shares.cumsum(1) / shares.sum(1, keepdim=True)).tolist()
        for role, n in (("test", n_test), ("train", n_train)):  # so that more text for training has the same test
            word, written = 0, []
            for chance in torch.rand(context + n, generator=generator, dtype=torch.float64).tolist():
                if len(written) >= context + n:
                    break
                word = after[word][min(bisect(ends[word], chance), followers - 1)]
                written += lexicon[word]
            characters = torch.tensor(written[: context + n])
            windows = characters.unfold(0, context, 1)[:n]
            x = torch.zeros(n, context, letters + 1).scatter_(2, windows[..., None], 1.0)
            parts[role].append((x.flatten(1), characters[context:]))
    train, test = (
        Examples(*(torch.stack(tensors) for tensors in zip(*parts[role], strict=True)), role)
        for role in ("train", "test")
    )
    return Task(f"invented text, {n_train} characters", seeds, letters + 1, train, None, SealedTest(test))


_TABLES = {"breast-cancer": ("load_breast_cancer", 2), "diabetes": ("load_diabetes", 0), "wine": ("load_wine", 3)}


def table(
    name: Literal["breast-cancer", "diabetes", "wine"],
    seeds: Sequence[int],
    *,
    n_train: int,
    n_validation: int = 0,
    n_test: int,
    noise: float = 0.0,
) -> Task:
    """A small table of scikit-learn, columns standardised with the mean and deviation of the training part.

    Args:
        name: "breast-cancer" (569 rows, 30 columns, 2 classes), "wine" (178, 13, 3) or "diabetes" (442, 10, regression;
            its target is standardised too).
        seeds: one split a seed.
        n_train, n_validation, n_test: number of rows.
        noise: probability that a training or validation label is wrong; must be 0 for a regression.

    Returns:
        Task with x of shape (seeds, n, columns).
    """
    import sklearn.datasets

    if name not in _TABLES:
        raise ValueError(f"name must be one of {sorted(_TABLES)}, got {name!r}")
    loader, classes = _TABLES[name]
    if noise and not classes:
        raise ValueError(f"noise must be 0 for the regression {name!r}, got {noise}")
    bunch = getattr(sklearn.datasets, loader)()
    x = torch.from_numpy(np.asarray(bunch.data)).double()
    y = torch.from_numpy(np.asarray(bunch.target))
    y = y.long() if classes else y.double()
    _check_sizes(len(x), n_train=n_train, n_validation=n_validation, n_test=n_test)
    task = _split(
        f"{name}, {n_train} rows", lambda generator: (x, y), seeds, classes, n_train, n_validation, n_test, noise
    )
    return _standardised(task)


def _standardised(task: Task) -> Task:
    mean = task.train.x.mean(1, keepdim=True)
    deviation = task.train.x.std(1, keepdim=True).clamp(min=1e-12)
    target_mean, target_deviation = 0.0, 1.0
    if not task.classes:
        target_mean, target_deviation = task.train.y.mean(1, keepdim=True), task.train.y.std(1, keepdim=True)

    def scaled(examples: Examples) -> Examples:
        y = examples.y if task.classes else ((examples.y - target_mean) / target_deviation).float()
        return Examples(((examples.x - mean) / deviation).float(), y, examples.role)

    validation = scaled(task.validation) if task.validation is not None else None
    sealed = SealedTest(scaled(task.test.open()))
    return Task(task.name, task.seeds, task.classes, scaled(task.train), validation, sealed)
