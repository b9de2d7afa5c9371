r"""Interactive figures that need no kernel: one ES module, one JSON state, two ways to show them.

``InteractiveFigure._repr_html_()`` is a self-contained piece of HTML (fallback picture, style, script): alive in the
static book over http and from ``file://``, in JupyterLab and on Colab, and compared literally by nbval.
``InteractiveFigure.widget()`` shows the same module as an anywidget whose values Python can read and write.

A new figure is two files. ``companion/widgets/NAME.js`` draws and thresholds, and nothing else::

    import { fixed, mount, readout, slider, stage, svg, watch } from "./kit.js";

    export const words = (p) => `Dropping with p = ${fixed(p)}.`;                  // pure: tested in tests/js

    export function render({ model, el }) {
      const line = readout();
      const picture = stage(model.get("alt"), (width) => ({
        height: 40,
        marks: [svg("rect", { class: "cf-blue-fill", width: width * model.get("p"), height: 40 })],
      }));
      mount(model, el, {
        pictures: [picture],
        readout: line,
        controls: [slider(model, "p", { label: "Drop rate p", min: 0, max: 1, step: 0.05, format: fixed })],
      });
      return watch(model, ["p"], () => { picture.redraw(); line.say(words(model.get("p"))); });
    }

    export default { render };

and ``companion/widgets/NAME.py`` computes the state with the companion::

    def name_figure() -> InteractiveFigure:
        return interactive("name", state={"p": 0.5}, alt="...", caption="...", fallback="<svg ...>...</svg>")

The kit has ``slider``, ``toggle`` (one of several) and ``button`` in a ``row``; ``change`` writes into the model and
``watch`` redraws when a value changes, whoever changed it: a reader, or Python through ``.widget()``. ``stage`` draws
for the width that there is, so that text stays readable at 320 px; ``svg``, ``label``, ``hatch``, ``scale`` and
``ticks`` help. ``readout(longest)`` keeps room for the longest text. ``animate`` respects those who want less motion.
Randomness never comes from JavaScript: ship :func:`drop_levels` and threshold them (``levels``, ``threshold``). Colours
are the classes ``cf-blue-fill``, ``cf-orange-line``, ``cf-green-text`` and so on (blue, orange, green, purple, red);
what differs in colour must also differ in shape, hatch or text.
"""

import functools
import hashlib
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from companion.nested import drop_levels

__all__ = ["InteractiveFigure", "drop_levels", "inline", "interactive", "module_text"]

_KIT_IMPORT = re.compile(r'^import \{[^}]*\} from "\./kit\.js";\n', re.MULTILINE)
_EXPORT_DEFAULT = re.compile(r"^export default [^;]*;\n?", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|let|class)\b)", re.MULTILINE)
_TOP_NAME = re.compile(r"^(?:export )?(?:async )?(?:const|let|class|function) (\w+)", re.MULTILINE)
_INLINE_TAGS = "sub|sup|em|strong|var"


def package_text(package: str, name: str) -> str:
    """Text of a file that lies beside the modules of ``package``."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def module_text(name: str) -> str:
    """One ES module: kit.js and ``NAME.js`` joined, with a single export, the default one.

    Args:
        name: the figure's file name without ``.js``.

    Raises:
        ValueError: if the figure needs another file, renames what it imports, takes a name of the kit, or does not
            export ``render``.
    """
    text = package_text("companion.widgets", f"{name}.js")
    body = _KIT_IMPORT.sub("", text)
    if re.search(r"^\s*import\b", body, re.MULTILINE):
        raise ValueError(f'{name}.js must import from "./kit.js" only, in one import statement')
    if not re.search(r"^export function render\b", body, re.MULTILINE):
        raise ValueError(f"{name}.js must export function render({{ model, el }})")
    if renamed := re.search(r"\w+ as \w+", "".join(_KIT_IMPORT.findall(text))):
        raise ValueError(f"{name}.js must not rename what it imports from the kit, got {renamed.group()!r}")
    if taken := sorted(set(_TOP_NAME.findall(_kit("kit.js"))) & set(_TOP_NAME.findall(body))):
        raise ValueError(f"{name}.js must not use top-level names of the kit again, got {', '.join(taken)}")
    parts = [_EXPORT.sub("", _EXPORT_DEFAULT.sub("", part)) for part in (_kit("kit.js"), body)]
    return "\n".join(parts).rstrip() + "\nexport default { render };\n"


@functools.cache
def _kit(name: str) -> str:
    return package_text("companion.widgets", name)


def script_json(value: Any) -> str:
    """JSON that can stand inside a ``<script>``: no ``<`` is left that could end it or open a comment."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def inline(text: str) -> str:
    r"""Escapes ``text`` for HTML; backticks make code, and ``<sub> <sup> <em> <strong> <var>`` keep their meaning."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    escaped = re.sub(rf"&lt;(/?(?:{_INLINE_TAGS}))&gt;", r"<\1>", escaped)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)


@dataclass(frozen=True)
class InteractiveFigure:
    """A figure that the reader can operate, with and without a kernel.

    Args:
        name: name of the figure's files; lower-case words joined by underscores.
        module: text of the ES module; see :func:`module_text`.
        state: JSON-able values that the module reads; those that its controls change are among them.
        alt: what is seen, for those who do not see it and for pages without scripts.
        caption: what to notice.
        fallback: HTML or SVG shown when scripts are off: a string, or an object with ``_repr_html_``.
    """

    name: str
    module: str = field(repr=False)
    state: dict[str, Any] = field(repr=False)
    alt: str
    caption: str
    fallback: Any = field(repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"name must be lower-case words joined by underscores, got {self.name!r}")
        for argument in ("alt", "caption"):
            if not getattr(self, argument).strip():
                raise ValueError(f"{argument} must not be empty: say what is seen (alt) and what to notice (caption)")
        script_json(self.state)  # fails here, not in the page, when a value is no JSON

    @property
    def values(self) -> dict[str, Any]:
        """The state together with the texts that the module shows."""
        caption = re.sub("<[^>]*>", "", self.caption.replace("`", ""))
        return {**self.state, "alt": " ".join(self.alt.split()), "caption": " ".join(caption.split())}

    @property
    def uid(self) -> str:
        """Name and a hash of what the figure shows: the same figure always has the same one."""
        digest = hashlib.sha256((self.name + script_json(self.values)).encode()).hexdigest()
        return f"{self.name.replace('_', '-')}-{digest[:10]}"

    def _repr_html_(self) -> str:
        fallback = self.fallback if isinstance(self.fallback, str) else self.fallback._repr_html_()
        module = self.module.replace("export default { render };\n", "")
        if "</script" in module or "<!--" in module:
            raise ValueError(f"{self.name}.js must hold neither a closing script tag nor an HTML comment")
        # The same figure may stand twice on a page: each script takes the first one that is not alive yet.
        return (
            f'<figure class="companion-figure" id="{self.uid}" data-figure="{self.uid}">\n'
            f'<div class="cf-live">{fallback}\n<p class="cf-description">'
            f"This figure can be operated when scripts are on. It then shows: {inline(self.alt)}</p></div>\n"
            f"<figcaption>{inline(self.caption)}</figcaption>\n</figure>\n"
            f"<style>\n{_kit('kit.css')}</style>\n"
            f"<script>\n(() => {{\n"
            f"const figure = document.querySelector('[data-figure=\"{self.uid}\"]:not([data-alive])');\n"
            "if (!figure) return;\n"
            'figure.setAttribute("data-alive", "");\n'
            "if (document.getElementById(figure.id) !== figure) figure.removeAttribute('id');\n"
            f"const state = {script_json(self.values)};\n"
            f"{module}\n"
            "render({ model: staticModel(state), el: figure.querySelector('.cf-live') });\n"
            "})();\n</script>\n"
        )

    def widget(self) -> Any:
        """The same figure as an ``anywidget.AnyWidget``: every value of ``state`` is a synchronised trait.

        Raises:
            ImportError: if anywidget is not installed.
        """
        return _widget_class(self.name, self.module, tuple((k, type(v)) for k, v in sorted(self.values.items())))(
            **self.values
        )


@functools.cache
def _widget_class(name: str, module: str, traits: Sequence[tuple[str, type]]) -> type:
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(
            "widget() needs the package anywidget: pip install anywidget. "
            "Without it, show the figure itself: it is alive in the page without a kernel."
        ) from error
    kinds = {float: traitlets.Float, int: traitlets.Int, str: traitlets.Unicode, bool: traitlets.Bool}
    members = {key: kinds.get(kind, traitlets.Any)().tag(sync=True) for key, kind in traits}
    members |= {"_esm": module, "_css": _kit("kit.css"), "__doc__": f"The figure {name!r} as a widget."}
    members["__module__"] = __name__
    return type("".join(word.capitalize() for word in name.split("_")) + "Widget", (anywidget.AnyWidget,), members)


def interactive(name: str, *, state: dict[str, Any], alt: str, caption: str, fallback: Any) -> InteractiveFigure:
    """The interactive figure whose module is ``companion/widgets/NAME.js``; arguments as in `InteractiveFigure`."""
    return InteractiveFigure(name, module_text(name), state, alt, caption, fallback)
