"""The bug museum: the usual mistakes with dropout, each with the test that it fails and the cure that passes it.

One file an exhibit, and in each: the title and the story (the docstring), the mistake (``wrong``), the cure
(``right``), and the test (``check``), which takes either of them, or yours::

    from companion.museum import exhibits
    exhibits()["shared_mask"].check(my_dropout)  # AssertionError, with words, if it makes the same mistake
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch

__all__ = ["Exhibit", "exhibits"]


@dataclass(frozen=True)
class Exhibit:
    """One mistake.

    Args:
        module: the exhibit's module, with ``CHAPTER``, ``wrong``, ``right`` and ``check``.
    """

    module: ModuleType

    @property
    def name(self) -> str:
        return self.module.__name__.rpartition(".")[2]

    @property
    def title(self) -> str:
        return inspect.getdoc(self.module).partition("\n")[0].rstrip(".")

    @property
    def story(self) -> str:
        """What is seen, and why: the docstring without its first line."""
        return inspect.getdoc(self.module).partition("\n")[2].strip()

    @property
    def chapter(self) -> str:
        """Number of the chapter that explains it."""
        return self.module.CHAPTER

    @property
    def wrong(self) -> Callable:
        return self.module.wrong

    @property
    def right(self) -> Callable:
        return self.module.right

    def check(self, candidate: Callable) -> None:
        """Tests ``candidate``, which is called as ``wrong`` and ``right`` are; the global random state is left alone.

        Raises:
            AssertionError: with words, if it makes the mistake.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.module.check(candidate)

    def complaint(self) -> str:
        """What the test says of the mistake."""
        try:
            self.check(self.wrong)
        except AssertionError as error:
            return str(error)
        raise RuntimeError(f"the exhibit {self.name!r} must fail its own test, and it passes")


def exhibits() -> dict[str, Exhibit]:
    """All exhibits by name, in the order of the chapters."""
    found = [
        Exhibit(importlib.import_module(f"{__name__}.{module.name}"))
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    ]
    return {exhibit.name: exhibit for exhibit in sorted(found, key=lambda exhibit: (exhibit.chapter, exhibit.name))}
