"""Makes the page of the bug museum from the exhibits.

    python -m book._scripts.museum

The page holds the mistakes, what their tests say, and the cures, as they stand in companion/museum; a test compares.
"""

import ast
import inspect
from itertools import groupby

from book._scripts.chapters import BOOK, chapters, title
from companion.files import write_whole
from companion.museum import Exhibit, exhibits

PAGE = BOOK / "reference" / "bug-museum.md"

HEAD = """\
# The bug museum

What the usual tutorials get wrong, and what nearly every one of us has written once. None of these mistakes raises an
error; most of them train. Each exhibit shows the mistake, what its test says of it, and the cure, which passes the same
test. The code stands in `companion/museum`, one file an exhibit, and runs with every change of the course.

Try your own code, or play: cure an exhibit before you open its cure.

```python
from companion.museum import exhibits

exhibits()["shared_mask"].check(my_dropout)  # an AssertionError, with words, if it makes the same mistake
```
"""


def _source(exhibit: Exhibit, name: str) -> str:
    """The function or class as it stands in the file, which reads better than what inspect finds for a class."""
    text = inspect.getsource(exhibit.module)
    found = next(node for node in ast.parse(text).body if getattr(node, "name", "") == name)
    return ast.get_source_segment(text, found)


def _section(exhibit: Exhibit) -> str:
    code = {name: _source(exhibit, name) for name in ("wrong", "check", "right")}
    story = exhibit.story.replace("``", "`")
    return f"""\
### {exhibit.title}

{story}

```python
{code["wrong"]}
```

:::{{admonition}} What the test says
:class: danger
{exhibit.complaint()}.
:::

::::{{dropdown}} The cure, and the test of `{exhibit.name}`
```python
{code["right"]}


{code["check"]}
```
::::
"""


def page(shown: dict[str, Exhibit]) -> str:
    """The text of the page."""
    chapter = {path.stem[:2]: path for path in chapters()}
    parts = [HEAD]
    for number, some in groupby(shown.values(), key=lambda exhibit: exhibit.chapter):
        name = title(chapter[number])
        parts.append(f"## {number} {name}\n\nWhy: [chapter {number}](../{chapter[number].name}).\n")
        parts += [_section(exhibit) for exhibit in some]
    return "\n".join(parts)


if __name__ == "__main__":
    write_whole(PAGE, page(exhibits()))
