"""Executes the chapters' notebooks and writes them back in one normal form: twice in a row changes nothing.

    python -m book._scripts.notebooks [book/01-co-adaptation.ipynb ...]

Kept are sources, outputs and execution counts; dropped is what differs from run to run or from tool to tool: timings,
kernel versions, random cell ids, split stream outputs. A notebook is written whole or not at all.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from book._scripts.chapters import BOOK, chapters
from companion.assignments.release import colab_setup, repository_url
from companion.files import write_whole

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def normalise(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Returns the notebook in normal form; ``name`` makes its cell ids."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    count = 0
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = re.sub(r"[^a-zA-Z0-9-]", "-", name)[:48] + f"-{number:02d}"
        cell.source = cell.source.rstrip()
        for key in ("execution", "collapsed", "scrolled", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            cell.pop("attachments", None)
            continue
        if cell.source:
            count += 1
        cell.execution_count = count if cell.source else None
        cell.outputs = _joined(cell.outputs)
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    return notebook


def _joined(outputs: list) -> list:
    """Joins neighbouring pieces of one stream: how a stream is cut depends on timing."""
    joined: list = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT, sort_keys=True, indent=1) + "\n"
    write_whole(path, text)


def with_setup(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Puts the install lines, made from the address in ``_config.yml``, at the top of the first code cell."""
    lines = colab_setup(repository_url(BOOK.parent)).rstrip("\n").split("\n")
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    rest = first.source.split("\n")
    if rest[0] == lines[0]:  # the cell has install lines already
        rest = rest[len(lines) :]
    first.source = "\n".join([*lines, *rest])
    return notebook


def execute(path: Path) -> bool:
    """Executes one notebook in place; returns whether its file changed."""
    before = path.read_text(encoding="utf-8")
    notebook = with_setup(nbformat.reads(before, as_version=4))
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    write(normalise(notebook, path.stem), path)
    return path.read_text(encoding="utf-8") != before


def main(names: list[str]) -> None:
    os.environ.update(OMP_NUM_THREADS="1", TQDM_DISABLE="1", PYTHONHASHSEED="0")
    for path in [Path(name) for name in names] or chapters():
        print(f"{path.name}: {'written' if execute(path) else 'unchanged'}")


if __name__ == "__main__":
    main(sys.argv[1:])
