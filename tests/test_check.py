"""The engine behind ``check``: what a learner sees, what it leaves untouched, and what it refuses."""

# ruff: noqa: NPY002
import random
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from torch import nn
from traitlets.config import Config

import companion
from companion.assignments import NotYet, ReadyMade, check
from companion.assignments import check as _check_function
from companion.assignments.check import (
    Answer,
    NoSuchExercise,
    exercise,
    function,
    near,
    no_ready_made,
    number,
    numbers,
    off,
    shown,
)

engine = sys.modules["companion.assignments.check"]


def right_shape(shape, kind):
    n, *rest = shape
    ones = (1,) * len(rest)
    return {"element": shape, "channel": (n, *rest[:1], *ones[1:]), "example": (n, *ones), "batch": (1, *rest)}[kind]


@pytest.fixture
def sample(monkeypatch):
    """Registers an exercise for one test: ``sample(checker)`` returns a function that checks an answer with it."""
    monkeypatch.setattr(engine, "_registry", dict(engine._registry))

    def register(checker, **options):
        exercise("ch99.sample", **options)(checker)
        return lambda answer: check("ch99.sample", answer)

    return register


def test_success_is_one_friendly_line(capsys):
    assert check("ch02.mask_shape", right_shape) is None
    out, error = capsys.readouterr()
    assert out == "ch02.mask_shape: right. The shape says what one coin decides about.\n"
    assert error == ""


def test_a_notebook_shows_the_hint_and_nothing_else(capfd):
    quiet = Config()
    quiet.HistoryManager.enabled = False
    shell = InteractiveShell(config=quiet)
    code = (
        "from companion.assignments import check\n"
        "def mask_shape(shape, kind):\n    return tuple(shape)\n"
        "check('ch02.mask_shape', mask_shape)"
    )
    with capture_output() as captured:
        result = shell.run_cell(code)
    assert isinstance(result.error_in_exec, NotYet)
    assert captured.stdout.startswith("Not yet: ask how many coins are thrown")
    assert "Traceback" not in captured.stdout and "check.py" not in captured.stdout
    assert captured.stderr == "" and capfd.readouterr().err == ""


def test_an_unknown_name_lists_the_near_ones():
    assert issubclass(NoSuchExercise, ValueError)
    assert NoSuchExercise("no such thing")._render_traceback_() == ["no such thing"]
    with pytest.raises(ValueError, match=r"got 'ch02.maskshape'; the nearest are ch02.mask_shape"):
        check("ch02.maskshape", right_shape)
    with pytest.raises(ValueError, match=r"name must be an exercise"):
        check(None, right_shape)


def test_an_error_in_the_answer_is_told_with_the_input_that_caused_it():
    def broken(shape, kind):
        return 1 // (len(shape) - 2)

    with pytest.raises(NotYet, match=r"broken\(\(.*\), 'element'\) raised ZeroDivisionError: .*zero"):
        check("ch02.mask_shape", broken)


def test_a_stub_is_called_a_stub():
    def mask_shape(shape, kind):
        raise NotImplementedError

    with pytest.raises(NotYet, match="mask_shape is still the stub"):
        check("ch02.mask_shape", mask_shape)


@pytest.mark.parametrize("answer", [3, None, "text", torch.ones(2), (2, 3)])
def test_the_result_instead_of_the_function(answer):
    with pytest.raises(NotYet, match="give check\\(\\) the function itself, without calling it"):
        check("ch02.mask_shape", answer)


def test_a_dict_with_wrong_keys():
    with pytest.raises(NotYet, match=r"dict with the keys 'enumeration', 'formula'; it got the keys \['formula'\]"):
        check("ch02.masked_sum", {"formula": right_shape})
    with pytest.raises(NotYet, match=r"it got right_shape"):
        check("ch02.masked_sum", right_shape)


def test_warnings_of_an_answer_do_not_reach_the_error_stream(capfd, sample):
    def warn():
        warnings.warn("look out", stacklevel=1)
        return 1

    sample(lambda answer, g: near(answer(), 1) or None)(warn)
    assert capfd.readouterr() == ("ch99.sample: right. True\n", "")


def test_random_states_are_left_alone(sample):
    def draws():
        return [*torch.rand(3).tolist(), random.random(), np.random.rand()]

    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    sample(lambda answer, g: str(len(answer())))(draws)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


def test_the_same_answer_gets_the_same_reply():
    def guess(shape, kind):
        return tuple(torch.randint(1, 9, (len(shape),)).tolist())

    replies = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        with pytest.raises(NotYet) as caught:
            check("ch02.mask_shape", guess)
        replies.append(str(caught.value))
    assert replies[0] == replies[1]


@pytest.mark.parametrize(
    ("value", "damage"),
    [
        (torch.ones(3), lambda v: v.mul_(2)),
        (torch.ones(3), lambda v: v.data.zero_()),
        (np.ones(3), lambda v: v.fill(0)),
        ([1, 2], lambda v: v.append(3)),
        ({"w": torch.ones(2)}, lambda v: v["w"].zero_()),
    ],
)
def test_an_input_changed_in_place_is_noticed(value, damage):
    with pytest.raises(NotYet, match="changes its input in place"):
        Answer(damage)(value)


def test_an_input_left_alone_is_no_fault():
    x = torch.tensor([1.0, float("nan")], requires_grad=True)
    assert Answer(lambda v: v * 2)(x) is not None
    assert Answer(lambda v: v)([np.ones(2), {"a": x}])[0].sum() == 2


# ---- Ready-made answers

READY_MADE = {
    "F.dropout": lambda x: F.dropout(x, 0.5),
    "F.dropout in eval": lambda x: F.dropout(x, 0.5, training=False),
    "F.dropout1d": lambda x: F.dropout1d(x[None, None], 0.5)[0, 0],
    "F.alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, training=True),
    "F.feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x[None], 0.5)[0],
    "torch.dropout": lambda x: torch.dropout(x, 0.5, True),
    "torch.native_dropout": lambda x: torch.native_dropout(x, 0.5, True)[0],
    "nn.Dropout": nn.Dropout(0.5),
    "nn.Dropout in a network": nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)),
    "companion.dropout": lambda x: companion.dropout(x, 0.5),
    "companion.Dropout": companion.Dropout(0.5),
    "companion.masks": lambda x: x * companion.masks.element_mask(x, 0.5),
}


@pytest.mark.parametrize("name", READY_MADE)
def test_a_ready_made_answer_does_not_count(name):
    with pytest.raises(ReadyMade, match="ready-made"):
        Answer(READY_MADE[name])(torch.ones(4))
    assert sys.getprofile() is None


def test_a_ready_made_answer_does_not_count_under_another_name():
    from companion import dropout as innocent

    with pytest.raises(ReadyMade, match=r"companion\.layers\.dropout\.dropout"):
        Answer(lambda x: innocent(x, 0.5))(torch.ones(4))


def test_a_refusal_cannot_be_swallowed():
    def sly(x):
        try:
            return F.dropout(x, 0.5)
        except BaseException:
            return x

    with pytest.raises(ReadyMade):
        Answer(sly)(torch.ones(4))


def test_basic_operations_are_allowed():
    def inverted_dropout(x):  # the word in the learner's own names is no offence
        return x * torch.empty_like(x).bernoulli_(0.5) / 0.5

    assert Answer(inverted_dropout)(torch.ones(4)).shape == (4,)


def test_an_exercise_can_allow_what_it_hands_out():
    with no_ready_made({"torch", "companion.masks.check_p"}):
        F.dropout(torch.ones(2), 0.5)
        companion.masks.check_p(0.5)
    with pytest.raises(ReadyMade), no_ready_made({"torch"}):
        companion.dropout(torch.ones(2), 0.5)


def test_the_profiler_of_others_comes_back():
    def hook(frame, event, argument):
        return None

    sys.setprofile(hook)
    try:
        Answer(lambda: 1)()
        found = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert found is hook


# ---- What checkers are built from


def test_registering_a_name_twice_is_an_error():
    _check_function("ch02.mask_shape", right_shape)
    with pytest.raises(ValueError, match=r"name must be new, got 'ch02.mask_shape'"):
        exercise("ch02.mask_shape")(lambda answer, g: None)


def test_numbers():
    assert number(torch.tensor([2.0]), "it") == number(np.float32(2), "it") == number(2, "it") == 2.0
    assert numbers((1, torch.tensor(2)), 2, "it") == numbers(np.array([1, 2]), 2, "it") == [1.0, 2.0]
    for bad in (True, "2", None, torch.ones(2), [1]):
        with pytest.raises(NotYet, match="it must be one number"):
            number(bad, "it")
    with pytest.raises(NotYet, match="it must be 2 numbers; it was \\[1\\]"):
        numbers([1], 2, "it")
    assert near(1.0, 1.0 + 1e-6) and not near(1.0, 1.001) and not near(float("nan"), float("nan"))


def test_off_keeps_right_means_and_notices_wrong_ones():
    g = torch.Generator().manual_seed(0)

    def draw():
        return torch.randn(10_000, generator=g)

    assert all(off(draw, 0.0, 1.0) is None for _ in range(200))
    assert abs(off(draw, 0.1, 1.0)) < 0.05  # 10 standard errors away
    assert off(lambda: torch.full((3,), float("nan")), 0.0, 1.0) is not None


def test_a_function_answer():
    assert function(Answer(max)).name == "max"
    with pytest.raises(NotYet):
        function(3)


def test_inputs_are_described_shortly():
    assert shown(torch.tensor([1.0, 0.123456789])) == "tensor([1.0, 0.123457])"
    assert shown(torch.ones(30, 2)) == "a float32 tensor of shape (30, 2)"
    assert shown(torch.empty(3, device="meta")) == "a float32 tensor of shape (3,)"
    assert shown(torch.Generator()) == "a seeded generator"
    assert shown(np.ones(9)) == "an array of shape (9,)"
    assert len(shown(list(range(1000)))) == 120
