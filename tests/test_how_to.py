"""The how-to pages: their code runs as it stands there, and what they say is what it prints."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest
import torch

from companion import DropBlock2d

FOLDER = Path(__file__).resolve().parents[1] / "book" / "how-to"
PAGES = sorted(FOLDER.glob("*.md"))
BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)*(?![\w])")


def blocks(text):
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


def needs_timm(code):
    return re.search(r"^(import|from) timm\b", code, re.MULTILINE) is not None


def outputs(text):
    """Runs the code blocks in order; returns for each what it printed, or None where timm is missing."""
    printed, names = [], {"__name__": "how_to"}
    for number, code in enumerate(code for kind, code in blocks(text) if kind == "python"):
        source = compile(code, f"block {number}", "exec")
        if needs_timm(code) and importlib.util.find_spec("timm") is None:
            printed.append(None)
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out, torch.random.fork_rng([]):
            exec(source, names)
        printed.append(out.getvalue())
    return printed


def stated(text):
    """What the page says that each code block prints: the text block that follows it, if one does."""
    found = blocks(text)
    behind = [*found[1:], ("", "")]
    return [
        next_text if next_kind == "text" else ""
        for (kind, _), (next_kind, next_text) in zip(found, behind, strict=True)
        if kind == "python"
    ]


def unsupported_numbers(text):
    """Numbers in paragraphs that neither cite a work nor find the number in the page's code or outputs."""
    shown = set(NUMBER.findall("\n".join(content for _, content in blocks(text))))
    prose = [part for part in re.split(r"\n\s*\n", BLOCK.sub("", text)) if "{cite" not in part]
    said = NUMBER.findall(re.sub(r"`[^`]*`|\$[^$]*\$|\([^)]*\.(?:md|ipynb)[^)]*\)", "", "\n\n".join(prose)))
    return [number for number in said if number not in shown]


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def page(request):
    return request.param.read_text(encoding="utf-8")


def test_there_is_a_page():
    assert PAGES


@pytest.mark.filterwarnings("error")
def test_the_code_prints_what_the_page_says(page):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number, (got, said) in enumerate(zip(outputs(page), stated(page), strict=True)):
            assert got is None or got == said, f"code block {number}"
    finally:
        torch.set_num_threads(threads)


def test_numbers_in_the_text_come_from_code_or_a_cited_paper(page):
    assert unsupported_numbers(page) == []


def test_a_wrong_output_and_a_number_by_hand_are_seen():
    text = "It drops 0.3 of all.\n\n```python\nprint(0.2)\n```\n\n```text\n0.25\n```\n"
    assert outputs(text) == ["0.2\n"] != stated(text)
    assert unsupported_numbers(text) == ["0.3"]


def test_the_swap_finds_every_drop_block_of_timm():
    timm = pytest.importorskip("timm")
    text = (FOLDER / "drop-block-in-a-resnet.md").read_text(encoding="utf-8")
    (code,) = [code for kind, code in blocks(text) if kind == "python" and "def replace_drop_block" in code]
    names = {}
    exec(code.split("\nreplace_drop_block(net)\n")[0], names)
    net = names["replace_drop_block"](timm.create_model("resnet18", drop_block_rate=0.1))
    found = [module for module in net.modules() if type(module).__name__ == "DropBlock2d"]
    assert all(isinstance(module, DropBlock2d) for module in found)
    assert [(module.p, module.block_size) for module in found] == [(0.025, 5)] * 2 + [(0.1, 3)] * 2
