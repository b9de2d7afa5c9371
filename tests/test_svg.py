"""Pictures: the same bytes every time, words for everyone, the page's own ink."""

import re

import numpy as np
import pytest

from companion.figures.svg import COLOURS, canvas, figure
from companion.figures.tables import rows


def draw(alt="A line that rises from left to right.", caption="Notice that the line never falls.", name="rise"):
    fig, axes = canvas(columns=2)
    axes[0].plot(np.linspace(0, 1, 7), np.linspace(0, 1, 7) ** 2, marker="o")
    axes[0].set(xlabel="x", title="left")
    axes[1].fill_between([0, 1], [0, 1], [1, 2], alpha=0.3)
    return figure(fig, name=name, alt=alt, caption=caption)


def test_the_same_bytes_every_time():
    assert draw().svg == draw().svg


def test_ink_is_the_pages_own_and_ids_are_the_pictures_own():
    svg = draw().svg
    assert "currentColor" in svg and "#010203" not in svg and "#000000" not in svg
    assert all(name.startswith("rise-") for name in re.findall(r'\bid="([^"]+)"', svg))
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert targets and targets <= set(re.findall(r'\bid="([^"]+)"', svg))
    assert "<style" not in svg and "<metadata" not in svg and "http" not in svg.replace("http://www.w3.org/", "")


def test_coordinates_are_rounded_and_labels_are_not():
    fig, ax = canvas()
    ax.plot([0.0001, 0.0004], [1 / 3, 2 / 3])
    ax.set_xticks([0.0001, 0.0004], labels=["0.0001", "0.0004"])
    svg = figure(fig, "small", "A line between two small numbers.", "Notice that the labels keep all digits.").svg
    assert ">0.0001</text>" in svg
    assert not re.search(r"\d\.\d{3,}", re.sub(r">[^<]*<", "><", svg))


def test_words_are_in_place():
    html = draw()._repr_html_()
    assert 'role="img" aria-label="A line that rises' in html and "<figcaption>Notice" in html


@pytest.mark.parametrize("bad", ["", "short", "book/figures/rise.png shows it all here"])
def test_a_picture_without_words_is_refused(bad):
    with pytest.raises(ValueError, match="alt must say"):
        draw(alt=bad)
    with pytest.raises(ValueError, match="caption must say"):
        draw(caption=bad)


def test_names_are_checked():
    with pytest.raises(ValueError, match="name must be made of"):
        draw(name="No Spaces")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("background", ["#ffffff", "#121212"])
def test_marks_stand_out_on_both_pages(background):
    """WCAG 1.4.11: at least 3 to 1."""
    for name, colour in COLOURS.items():
        light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3, name


@pytest.mark.parametrize("table", [[], [{"a": 1}, {"b": 2}], [{"": 1, "a": 2}]])
def test_a_table_without_heads_is_refused(table):
    with pytest.raises(ValueError, match="table must h"):
        rows(table, "A table.")
