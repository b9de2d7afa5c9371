"""What belongs to the instructor is nowhere in the built site: pages, copied sources, search index."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from exercise_gates import ROOT, leaks_of_site, secrets, sources


def test_nothing_hidden_is_in_the_site(site):
    assert leaks_of_site(site, secrets(ROOT)) == []


def test_every_exercise_page_is_there_with_its_colab_button(site):
    for source in sources(ROOT):
        page = (site / "book" / "exercises" / f"{source.parent.name}_{source.stem}.html").read_text()
        assert f"{source.parent.name}_{source.stem}.ipynb" in page
        assert "colab.research.google.com" in page
        assert page.count("<summary>Hint</summary>") >= 3
