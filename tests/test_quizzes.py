"""Quizzes: the rules of their files, their answers recomputed, and that every choice is explained to everyone."""

import itertools
from collections import Counter
from pathlib import Path

import pytest
import torch
from chromium import browser, show  # noqa: F401

from companion import quizzes
from companion.experiments.masks import SIX_UNITS, masked_sum
from companion.layers.dropout import dropout
from companion.quizzes import parse_quiz, quiz

NAMES = sorted(file.stem for file in Path(quizzes.__file__).parent.glob("*.toml"))
every_quiz = pytest.mark.parametrize("name", NAMES)


def _file(questions: int = 3, **changes: str) -> str:
    """A small right file; ``changes`` replace lines of its first question."""
    lines = {
        "text": 'text = "How many?"',
        "right": 'text = "one"\nright = true\nwhy = "it is"',
        "wrong": 'text = "two"\nright = false\nwhy = "it is not"',
    }
    first = {**lines, **changes}
    return "\n".join(
        f"[[question]]\n{part['text']}\n[[question.choice]]\n{part['right']}\n[[question.choice]]\n{part['wrong']}\n"
        for part in [first, *[lines] * (questions - 1)]
    )


# ---- files -------------------------------------------------------------------------------------------------------


@every_quiz
def test_each_quiz_has_three_questions_and_explains_every_choice(name):
    found = quiz(name)
    assert len(found.questions) == 3
    for question in found.questions:
        assert len(question.choices) >= 3
        whys = [choice.why for choice in question.choices]
        assert all(len(why.split()) >= 8 for why in whys) and len(set(whys)) == len(whys)


@every_quiz
def test_the_place_of_the_right_choice_gives_nothing_away(name):
    places = [[choice.right for choice in question.choices].index(True) for question in quiz(name).questions]
    assert len(set(places)) > 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_file(2), r"probe.toml: there must be 3 questions, got 2"),
        (_file(4), r"probe.toml: there must be 3 questions, got 4"),
        ("[[question", r"probe.toml: must be TOML"),
        (_file(text="text = 3"), r"question 1: text must be a text that is not empty, got 3"),
        (
            _file(right='text = "one"\nright = false\nwhy = "no"'),
            r"question 1: exactly one choice must be right, got 0",
        ),
        (
            _file(wrong='text = "two"\nright = true\nwhy = "yes"'),
            r"question 1: exactly one choice must be right, got 2",
        ),
        (_file(wrong='text = "two"\nright = false'), r"question 1, choice 2: why must be a text .* got None"),
        (_file(wrong='text = "two"\nright = false\nwhy = " "'), r"question 1, choice 2: why must be a text .* got ' '"),
        (_file(wrong='text = "two"\nright = "no"\nwhy = "no"'), r"choice 2: right must be true or false, got 'no'"),
        (_file(wrong='text = "one"\nright = false\nwhy = "no"'), r"question 1: choices must differ"),
        (_file(wrong='text = "two"\nright = false\nwhy = "no"\nhint = "x"'), r"choice 2: keys must be .* got hint"),
    ],
)
def test_a_broken_file_is_refused_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_quiz("probe", text)


def test_a_right_file_is_read():
    assert [question.choices[0].right for question in parse_quiz("probe", _file()).questions] == [True] * 3


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"name must be one of .*masks.*, got 'mask'"):
        quiz("mask")


# ---- the answers, recomputed -------------------------------------------------------------------------------------


def _right(name: str, question: int) -> str:
    (choice,) = [choice for choice in quiz(name).questions[question].choices if choice.right]
    return choice.text


def test_how_often_the_masked_sum_exceeds_the_full_sum():
    sums = [sum(m * x for m, x in zip(mask, SIX_UNITS, strict=True)) for mask in itertools.product((0, 1), repeat=6)]
    assert _right("masks", 0) == f"{sum(total > sum(SIX_UNITS) for total in sums)}/{len(sums)}"
    assert max(sums) == 6.5 and sums.count(6.5) == 1
    assert "6.5" in quiz("masks").questions[0].choices[0].why
    assert f"{masked_sum(SIX_UNITS, 0.5).mean:.2f}" in quiz("masks").questions[0].choices[2].why
    dropped = Counter((sum(SIX_UNITS) - total > 0) - (sum(SIX_UNITS) - total < 0) for total in sums)
    assert dropped[1] > 3 * dropped[-1]  # positive far more often than negative


def test_how_many_masks_a_batch_draws():
    torch.manual_seed(0)
    kept = torch.nn.Dropout(0.5)(torch.ones(128, 64)) > 0
    assert len({tuple(row) for row in kept.tolist()}) == 128
    assert _right("masks", 1).startswith("128,")


def test_rand_can_be_zero_and_never_one():
    assert "exactly 0" in _right("masks", 2)
    draws = torch.rand(2**22, generator=torch.Generator().manual_seed(0))
    assert draws.max() < 1
    assert torch.equal(draws * 2**24, (draws * 2**24).round())  # a grid of 2^-24, so 0 is one of its points
    assert "2<sup>24</sup>" in quiz("masks").questions[2].choices[1].why


def test_the_second_moment():
    outputs = dropout(torch.full((4096,), 3.0, dtype=torch.float64), 0.5, True).unique()
    assert (outputs**2).mean() == 2 * 3.0**2  # both outputs are equally likely
    assert _right("inverted_scaling", 0) == "2 <var>h</var><sup>2</sup>"


def test_evaluation_is_the_identity():
    x = torch.randn(5)
    assert torch.nn.Dropout(0.5).eval()(x) is x or torch.equal(torch.nn.Dropout(0.5).eval()(x), x)
    assert _right("inverted_scaling", 1).startswith("by 1:")


def test_forgetting_the_scale_multiplies_the_logits_by_eight():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(16, 16, generator=generator, dtype=torch.float64) for _ in range(4)]
    x = torch.randn(32, 16, generator=generator, dtype=torch.float64)

    def logits(scale: float) -> torch.Tensor:
        h = x
        for weight in weights[:-1]:
            h = torch.relu(h @ weight) * scale
        return h @ weights[-1]

    plain, scaled = logits(1.0), logits(0.5)
    torch.testing.assert_close(plain, 8 * scaled)
    assert torch.equal(plain.argmax(1), scaled.argmax(1))
    assert "2 · 2 · 2 = 8" in quiz("inverted_scaling").questions[2].choices[0].why
    assert _right("inverted_scaling", 2).startswith("Accuracy stays the same")


# ---- the page ----------------------------------------------------------------------------------------------------


@every_quiz
def test_the_html_is_deterministic_and_sends_nothing(name):
    html = quiz(name)._repr_html_()
    assert html == quiz(name)._repr_html_()
    for word in ("fetch(", "XMLHttpRequest", "sendBeacon", "localStorage", "action=", "src=", "href=", "http"):
        assert word not in html
    assert html.count("<script>") == html.count("</script>") == 1


@every_quiz
@pytest.mark.parametrize(("theme", "width"), [("light", 1000), ("dark", 320)])
def test_every_choice_is_explained_by_keyboard(name, theme, width, show):  # noqa: F811
    page = show(quiz(name)._repr_html_(), theme, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for i, question in enumerate(quiz(name).questions):
        form = page.locator("form").nth(i)
        answer = form.get_by_role("status")
        assert form.locator("fieldset legend").inner_text().startswith(f"Question {i + 1} of 3")
        form.get_by_role("button", name="Check").focus()
        page.keyboard.press("Enter")
        assert answer.inner_text() == "Choose an answer first."
        form.get_by_role("radio").first.focus()
        page.keyboard.press("Space")
        heard = []
        for choice in question.choices:
            assert answer.inner_text() == ""  # another choice takes the old explanation away
            page.keyboard.press("Enter")
            heard.append(answer.inner_text())
            assert heard[-1].startswith("Right." if choice.right else "Not quite.")
            page.keyboard.press("ArrowDown")
        assert len(set(heard)) == len(question.choices)
        for label in form.locator("label").all():
            assert label.bounding_box()["height"] >= 44
    assert page.locator("details").count() == 0


def test_without_scripts_the_explanations_can_be_opened(show):  # noqa: F811
    page = show(quiz("masks")._repr_html_(), java_script_enabled=False)
    details = page.locator("details")
    assert details.count() == sum(len(question.choices) for question in quiz("masks").questions)
    assert page.get_by_role("button").count() == 0
    details.nth(2).locator("summary").click()
    assert details.nth(2).locator("p").inner_text().startswith("Right.")


def test_the_same_quiz_twice_on_a_page(show):  # noqa: F811
    page = show(quiz("masks")._repr_html_() * 2)
    for i in (0, 3):
        page.locator("form").nth(i).get_by_role("radio").nth(i // 3).check()
        page.locator("form").nth(i).get_by_role("button", name="Check").click()
    first, second = (page.locator("form").nth(i).get_by_role("status").inner_text() for i in (0, 3))
    assert first and second and first != second
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)


def test_texts_are_escaped():
    page = parse_quiz("probe", _file(text='text = "Is `a < b` & <b>bold</b>?"'))._repr_html_()
    assert "Is <code>a &lt; b</code> &amp; &lt;b&gt;bold&lt;/b&gt;?" in page
