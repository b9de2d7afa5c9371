"""Every exhibit of the bug museum fails its own test, its cure passes it, and the page is made from both."""

import pytest
import torch
from torch import nn

from book._scripts import museum as page
from companion import museum
from companion.museum import exhibits

every_exhibit = pytest.mark.parametrize("name", list(exhibits()))


@every_exhibit
def test_the_mistake_fails(name):
    with pytest.raises(AssertionError):
        exhibits()[name].check(exhibits()[name].wrong)


@every_exhibit
def test_the_cure_passes(name):
    exhibits()[name].check(exhibits()[name].right)


@every_exhibit
def test_a_check_holds_for_other_seeds(name):
    """The cure passes, and the mistake fails, whatever is drawn: the verdict is not one of luck."""
    exhibit = exhibits()[name]
    for seed in range(5):
        torch.manual_seed(seed)
        exhibit.module.check(exhibit.right)
        with pytest.raises(AssertionError):
            exhibit.module.check(exhibit.wrong)


def test_a_check_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    exhibits()["shared_mask"].check(nn.functional.dropout)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_mistake_that_passes_is_an_error(monkeypatch):
    exhibit = exhibits()["shared_mask"]
    monkeypatch.setattr(exhibit.module, "wrong", exhibit.right)
    with pytest.raises(RuntimeError, match="must fail its own test"):
        exhibit.complaint()


def test_every_exhibit_names_a_chapter():
    chapters = {path.name[:2] for path in page.chapters()}
    assert {exhibit.chapter for exhibit in exhibits().values()} <= chapters
    assert len(exhibits()) >= 20 and all(exhibit.story for exhibit in exhibits().values())


def test_the_page_is_made_from_the_exhibits():
    assert page.PAGE.read_text(encoding="utf-8") == page.page(museum.exhibits()), "make pages writes the page anew"
