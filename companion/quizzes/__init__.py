"""Quizzes: three questions a chapter from ``NAME.toml``, as one self-contained piece of HTML.

Every choice has its explanation, the wrong ones too. With scripts on, the reader chooses, checks and reads the
explanation (a live region speaks it); with scripts off, each explanation stands in a ``<details>`` under its choice.
Nothing is counted, stored or sent.

The file of a quiz::

    [[question]]
    text = "How many masks ...?"

    [[question.choice]]
    text = "128"
    right = true
    why = "..."

Texts may hold `code` in backticks and the tags ``<sub> <sup> <em> <strong> <var>``; all else is shown as it stands.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from companion.widgets.base import inline, package_text

__all__ = ["Choice", "Question", "Quiz", "parse_quiz", "quiz"]

QUESTIONS = 3


@dataclass(frozen=True)
class Choice:
    """One answer: what it says, whether it is right, and why."""

    text: str
    right: bool
    why: str


@dataclass(frozen=True)
class Question:
    """A question with its choices, one of them right."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Quiz:
    """The questions of a chapter; a notebook shows them by ``_repr_html_``."""

    name: str
    questions: tuple[Question, ...]

    def _repr_html_(self) -> str:
        forms = "\n".join(self._form(i, question) for i, question in enumerate(self.questions))
        uid = f"quiz-{self.name.replace('_', '-')}-{hashlib.sha256(forms.encode()).hexdigest()[:10]}"
        script = package_text("companion.quizzes", "quiz.js").replace("export ", "")
        # The same quiz may stand twice on a page: each script takes the first one that is not alive yet.
        return (
            f'<section class="companion-quiz" id="{uid}" data-quiz="{uid}" aria-label="Quiz">\n{forms}\n</section>\n'
            f"<style>\n{package_text('companion.widgets', 'kit.css')}</style>\n"
            f"<script>\n(() => {{\n{script}"
            f"const section = document.querySelector('[data-quiz=\"{uid}\"]:not([data-alive])');\n"
            "if (section) render(section);\n"
            "})();\n</script>\n"
        )

    def _form(self, index: int, question: Question) -> str:
        choices = "\n".join(
            f'<div class="cq-choice"><label><input type="radio" name="question-{index + 1}" value="{j + 1}">'
            f"<span>{inline(choice.text)}</span></label>\n"
            f"<details><summary>Is it this?</summary>"
            f'<p class="{"cq-right" if choice.right else "cq-wrong"}">'
            f"<strong>{'Right.' if choice.right else 'Not quite.'}</strong> {inline(choice.why)}</p></details></div>"
            for j, choice in enumerate(question.choices)
        )
        return (
            f"<form>\n<fieldset>\n<legend><small>Question {index + 1} of {len(self.questions)}</small> "
            f"{inline(question.text)}</legend>\n{choices}\n</fieldset>\n</form>"
        )


def _text(table: Any, key: str, where: str) -> str:
    value = table.get(key) if isinstance(table, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {key} must be a text that is not empty, got {value!r}")
    return value


def _only(table: dict, keys: set[str], where: str) -> None:
    if unknown := sorted(set(table) - keys):
        raise ValueError(f"{where}: keys must be {', '.join(sorted(keys))}, got {', '.join(unknown)}")


def _choice(table: dict, where: str) -> Choice:
    text, why = _text(table, "text", where), _text(table, "why", where)
    _only(table, {"text", "right", "why"}, where)
    if not isinstance(table.get("right"), bool):
        raise ValueError(f"{where}: right must be true or false, got {table.get('right')!r}")
    return Choice(text, table["right"], why)


def _question(table: dict, where: str) -> Question:
    text = _text(table, "text", where)
    _only(table, {"text", "choice"}, where)
    choices = tuple(_choice(choice, f"{where}, choice {j}") for j, choice in enumerate(table.get("choice", []), 1))
    if len(choices) < 2:
        raise ValueError(f"{where}: there must be at least 2 choices, got {len(choices)}")
    if (right := sum(choice.right for choice in choices)) != 1:
        raise ValueError(f"{where}: exactly one choice must be right, got {right}")
    if len({choice.text for choice in choices}) < len(choices):
        raise ValueError(f"{where}: choices must differ, got the same text twice")
    return Question(text, choices)


def parse_quiz(name: str, text: str) -> Quiz:
    """Reads and checks the text of a quiz file.

    Args:
        name: the quiz's name, for its page and for error messages.
        text: TOML as described above.

    Raises:
        ValueError: if the text is no TOML, or a rule is broken: three questions, at least two different choices each,
            exactly one right, a ``why`` for every choice. The message names the question and the choice.
    """
    file = f"{name}.toml"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file}: must be TOML: {error}") from error
    _only(data, {"question"}, file)
    tables = data.get("question", [])
    if len(tables) != QUESTIONS:
        raise ValueError(f"{file}: there must be {QUESTIONS} questions, got {len(tables)}")
    return Quiz(name, tuple(_question(table, f"{file}, question {i}") for i, table in enumerate(tables, 1)))


def quiz(name: str) -> Quiz:
    """The quiz of a chapter.

    Args:
        name: the chapter's word, such as ``"masks"``; the file is ``companion/quizzes/masks.toml``.

    Raises:
        ValueError: if there is no such quiz, or its file breaks a rule of :func:`parse_quiz`.
    """
    files = (file.name for file in resources.files(__name__).iterdir())
    known = sorted(file.removesuffix(".toml") for file in files if file.endswith(".toml"))
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")
    return parse_quiz(name, package_text(__name__, f"{name}.toml"))
