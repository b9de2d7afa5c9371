"""What nbval does not look at: order of execution, words on pictures, clean outputs, numbers in the prose."""

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]-*.ipynb"))
EXERCISES = sorted((ROOT / "book" / "exercises").glob("*.ipynb"))
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path):
    return nbformat.read(path, as_version=4)


def output_texts(cell):
    """The text of every output of a cell, by kind."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield output.name, output.text
        elif output.output_type == "error":
            yield "error", f"{output.ename}: {output.evalue}"
        else:
            for kind, data in output.data.items():
                yield kind, data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def test_there_are_chapters():
    assert [path.stem[:2] for path in CHAPTERS] == [f"{n:02d}" for n in range(1, len(CHAPTERS) + 1)] and CHAPTERS


@every_chapter
def test_every_code_cell_was_executed_in_order(path):
    counts = [cell.execution_count for cell in read(path).cells if cell.cell_type == "code" and cell.source]
    assert counts == list(range(1, len(counts) + 1))


@every_chapter
def test_the_notebook_is_in_normal_form(path, tmp_path):
    tool = script("notebooks")
    copy = tmp_path / path.name
    tool.write(tool.normalise(read(path), path.stem), copy)
    assert copy.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


@every_chapter
def test_install_lines_come_from_the_one_address(path):
    notebook = read(path)
    assert script("notebooks").with_setup(read(path)) == notebook
    assert len(re.findall(r"git\+http", "".join(cell.source for cell in notebook.cells))) == 1


def test_another_address_is_seen(monkeypatch):
    tool = script("notebooks")
    monkeypatch.setattr(tool, "repository_url", lambda root: "https://example.org/other")
    notebook = read(CHAPTERS[0])
    assert tool.with_setup(read(CHAPTERS[0])) != notebook


@every_chapter
def test_outputs_are_clean(path):
    """No error, nothing on stderr, no path of a machine, no address of an object, no picture made of pixels."""
    for cell in read(path).cells:
        if cell.cell_type != "code":
            continue
        allowed = "raises-exception" in cell.metadata.get("tags", [])
        for kind, text in output_texts(cell):
            assert allowed or kind not in ("stderr", "error"), f"{kind} in {cell.id}: {text[:200]}"
            assert kind not in ("image/png", "image/jpeg"), f"{cell.id} shows pixels; make an inline SVG"
            assert not re.search(r"(?<![\w.<])/(home|root|work|tmp|usr|opt|var)/|site-packages", text), cell.id
            assert not re.search(r"\bat 0x[0-9a-f]{6,}", text), cell.id
            assert not re.search(r"\bWarning\b:", text), cell.id


SVG = re.compile(r"<svg\b[^>]*>")


def unnamed_pictures(html: str) -> list[str]:
    """Opening tags of pictures that say nothing: no label of 20 characters or more, and not marked as decoration."""
    silent = []
    for tag in SVG.findall(html):
        label = re.search(r'aria-label="([^"]*)"', tag)
        words = label.group(1) if label else ""
        if 'aria-hidden="true"' not in tag and (len(words) < 20 or re.search(r"\.(png|svg|jpg)", words)):
            silent.append(tag)
    silent += [tag for tag in re.findall(r"<img\b[^>]*>", html) if not re.search(r'alt="[^"]{20,}"', tag)]
    return silent


@every_chapter
def test_every_picture_says_what_is_seen_and_what_to_notice(path):
    pictures = 0
    for cell in read(path).cells:
        for kind, text in output_texts(cell):
            if kind == "text/html":
                static = re.sub(r"<script\b.*?</script>", "", text, flags=re.S)
                assert not unnamed_pictures(static), f"{cell.id}: {unnamed_pictures(static)}"
                for one in re.findall(r"<figure\b.*?</figure>", static, flags=re.S):
                    captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", one, flags=re.S)
                    words = re.sub(r"<[^>]*>", "", "".join(captions)).strip()
                    assert len(words) >= 20, f"a figure of {cell.id} has no caption"
                    pictures += 1
    assert pictures >= 2, "a chapter has at least an interactive figure and a static one"


def test_a_removed_alt_text_is_seen():
    html = (
        '<figure><svg viewBox="0 0 1 1" role="img" aria-label="A line that rises from left to right."></svg></figure>'
    )
    assert not unnamed_pictures(html)
    assert unnamed_pictures(re.sub(r'aria-label="[^"]*"', "", html))
    assert unnamed_pictures(re.sub(r'aria-label="[^"]*"', 'aria-label="figures/rise.png of the book"', html))


# --- numbers in the prose -----------------------------------------------------------------------------------
NUMBER = re.compile(r"(?<![\w.,/-])[-\u2212+]?\d+(?:[.,]\d+)*(?![\w/])")


def spoken(markdown: str) -> list[str]:
    """Paragraphs of a markdown cell, without what may hold numbers freely: code, mathematics, links, directives."""
    text = re.sub(r"^```.*?^```", " ", markdown, flags=re.S | re.M)
    text = re.sub(r"^:{3,}.*$|^#+ .*$", " ", text, flags=re.M)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$|`[^`]*`|<[^>]+>|\]\([^)]*\)", " ", text, flags=re.S)
    return re.split(r"\n\s*\n", text)


def unsupported_numbers(markdown: str, supported: set[str]) -> list[str]:
    """Numbers of the prose that no cell made and no cited paper holds.

    Free are integers up to ten (they count things on the page), years, and numbers of chapters, which have two digits.
    """
    loose = []
    cited = [bool(re.search(r"\{cite", part)) for part in re.split(r"\n\s*\n", markdown)]
    if any(cited):
        markdown = "\n\n".join(p for p, c in zip(re.split(r"\n\s*\n", markdown), cited, strict=True) if not c)
    for paragraph in spoken(markdown):
        for number in NUMBER.findall(paragraph):
            bare = number.lstrip("+-\u2212").replace(",", "")
            if re.fullmatch(r"\d|10|0\d|1[0-5]|(?:19|20)\d\d", bare):
                continue
            if bare not in supported:
                loose.append(number)
    return loose


def numbers_of_cells(notebook) -> set[str]:
    found: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for text in [cell.source, *(text for _, text in output_texts(cell))]:
                text = re.sub(r"<svg\b.*?</svg>|<script\b.*?</script>|<style\b.*?</style>", " ", text, flags=re.S)
                found |= {number.lstrip("+-\u2212").replace(",", "") for number in NUMBER.findall(text)}
    return found


@every_chapter
def test_no_number_in_the_prose_is_typed_by_hand(path):
    notebook = read(path)
    supported = numbers_of_cells(notebook)
    loose = {
        cell.id: found
        for cell in notebook.cells
        if cell.cell_type == "markdown" and (found := unsupported_numbers(cell.source, supported))
    }
    assert not loose, f"numbers that no cell of {path.name} makes and no paper beside them holds: {loose}"


def test_an_invented_number_is_seen():
    assert unsupported_numbers("The mean is 1.75 here.", {"1.75"}) == []
    assert unsupported_numbers("The mean is 1.76 here.", {"1.75"}) == ["1.76"]
    assert unsupported_numbers("In 2012 {cite}`hinton2012` report 48.6 errors.", set()) == []
    assert unsupported_numbers("Two of 64 masks; see $x = 99$ and `77`.", set()) == ["64"]


# --- notebook, ledger and prose agree -----------------------------------------------------------------------
def test_the_ledger_page_is_what_the_notebooks_recorded():
    tool = script("ledger")
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(tool.recorded())


def test_every_claim_of_a_written_chapter_is_judged_once_and_in_its_chapter():
    from companion.experiments.claims import statements

    claims = script("ledger").recorded()
    written = {path.stem[:2] for path in CHAPTERS}
    expected = sorted(id for id, claim in statements().items() if claim["chapter"] in written)
    assert sorted(claim["id"] for claim in claims) == expected
    assert all(claim["page"].startswith(claim["chapter"]) for claim in claims)


def test_a_changed_verdict_is_seen():
    tool = script("ledger")
    claims = tool.recorded()
    changed = [{**claims[0], "verdict": "refuted" if claims[0]["verdict"] != "refuted" else "shown"}, *claims[1:]]
    assert tool.page(changed) != tool.page(claims)


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_exercise_notebooks_hold_no_outputs(path):
    assert all(not cell.get("outputs") for cell in read(path).cells)
