"""The papers' numbers: read whole, judged by the right formula, printed as they stand."""

import math
import re
from pathlib import Path

import pytest

from book._scripts import papers as page
from companion import papers
from companion.papers import Reported, reported, z_of_errors

BIBLIOGRAPHY = Path(__file__).resolve().parents[1] / "book" / "references.bib"


def test_z_of_errors_by_hand():
    """50 % against 40 % of 100 examples: the variances are .25 and .24 hundredths."""
    assert z_of_errors(50, 40, 100) == pytest.approx(0.1 / math.sqrt(0.0025 + 0.0024))
    assert z_of_errors(40, 50, 100) == -z_of_errors(50, 40, 100)


@pytest.mark.parametrize(
    ("before", "after", "n", "z"),
    [(1.62, 1.05, 10_000, 3.5), (1.25, 1.06, 10_000, 1.3), (6.41, 5.25, 10_000, 3.5), (1.80, 1.75, 26_032, 0.43)],
)
def test_z_of_famous_differences(before, after, n, z):
    assert z_of_errors(before, after, n) == pytest.approx(z, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((101, 1, 10), "before must be a percentage in [0, 100], got 101"),
        ((1, math.nan, 10), "after must be a percentage in [0, 100], got nan"),
        ((1, 2, 0), "n must be at least 1, got 0"),
        ((0, 0, 10), "before and after must not both be 0 or 100, got 0 and 0"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        z_of_errors(*arguments)


def test_accuracies_count_the_other_way_round():
    rows = [
        Reported("a", "", "", "", metric, 90.0, 91.0, "network", "paper", 1000) for metric in ("error %", "accuracy %")
    ]
    assert rows[0].z == pytest.approx(z_of_errors(90, 91, 1000)) and rows[1].z == -rows[0].z
    assert Reported("a", "", "", "", "BLEU", 24.6, 25.8, "network", "paper").z is None


@pytest.mark.parametrize("wrong", [{"same": "nothing"}, {"read": "somewhere"}])
def test_unknown_words_are_refused(wrong):
    parts = {"same": "network", "read": "paper"} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Reported("a", "", "", "", "error %", 1.0, 2.0, **parts)


def test_every_paper_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{([^,]+),", BIBLIOGRAPHY.read_text(encoding="utf-8"), re.MULTILINE))
    assert {row.paper for row in reported()} <= known


def test_only_shares_of_test_examples_have_a_z():
    assert all((row.n is not None) <= (row.metric in ("error %", "accuracy %")) for row in reported())


def test_the_page_is_made_from_the_numbers():
    assert page.PAGE.read_text(encoding="utf-8") == page.page(papers.reported()), "make pages writes the page anew"
