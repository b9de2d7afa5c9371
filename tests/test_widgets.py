"""Interactive figures: what they ship, what they say, and that they live without a kernel and with one."""

import json
import math
import re
from collections import Counter

import pytest
from chromium import browser, show  # noqa: F401

from companion.experiments.masks import SIX_UNITS, masked_sum
from companion.layers.dropout import dropout, naive_dropout, vanilla_dropout
from companion.widgets import base, masks
from companion.widgets.base import InteractiveFigure, drop_levels, inline, interactive, module_text, script_json
from companion.widgets.batchnorm import shift_figure
from companion.widgets.co_adaptation import dependence_figure
from companion.widgets.dropblock import dropblock_figure
from companion.widgets.dropconnect import dropconnect_figure
from companion.widgets.ensembles import ensemble_figure
from companion.widgets.inverted_scaling import one_unit_moments, scaling_figure
from companion.widgets.masks import mask_figure, masked_sum_moments
from companion.widgets.mc_dropout import turning_figure
from companion.widgets.overfitting_lab import lab_figure
from companion.widgets.placement import placement_figure
from companion.widgets.regularization_family import family_figure
from companion.widgets.spatial_dropout import spatial_figure
from companion.widgets.stochastic_depth import depth_figure
from companion.widgets.transformers_and_rnns import sites_figure, time_figure
from companion.widgets.when_dropout_hurts import hurts_figure

FIGURES = {
    "co_adaptation": dependence_figure,
    "masks": mask_figure,
    "inverted_scaling": scaling_figure,
    "ensembles": ensemble_figure,
    "spatial_dropout": spatial_figure,
    "dropconnect": dropconnect_figure,
    "dropblock": dropblock_figure,
    "stochastic_depth": depth_figure,
    "overfitting_lab": lab_figure,
    "placement": placement_figure,
    "mc_dropout": turning_figure,
    "regularization_family": family_figure,
    "transformer_sites": sites_figure,
    "masks_over_time": time_figure,
    "batchnorm": shift_figure,
    "when_dropout_hurts": hurts_figure,
}
every_figure = pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES)


# ---- what a figure ships -----------------------------------------------------------------------------------------


@every_figure
def test_the_html_is_deterministic_and_needs_nothing_from_outside(make):
    html = make()._repr_html_()
    assert html == make()._repr_html_()
    assert not re.search(r"\b(?:src|href)\s*=|@import|\bimport\s*\(|^\s*(?:im|ex)port\b", html, re.MULTILINE)
    assert set(re.findall(r"https?://[^\s\"']+", html)) <= {"http://www.w3.org/2000/svg"}
    assert "Math.random" not in html
    assert html.count("</script>") == html.count("<script>") == 1
    assert len(html) < 60_000


@every_figure
def test_the_state_is_json_and_its_texts_say_something(make):
    figure = make()
    assert json.loads(script_json(figure.values)) == json.loads(json.dumps(figure.values))
    assert len(figure.alt.split()) > 20 and len(figure.caption.split()) > 20
    assert "<svg" in figure.fallback and "aria-label=" in figure.fallback


def test_nothing_in_the_state_can_end_the_script():
    hostile = "</script><!-- <script>alert(1)</script>\u2028"
    text = script_json({"text": hostile})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text) == {"text": hostile}
    figure = InteractiveFigure(
        "probe", module_text("masks"), {"text": hostile}, "what is seen", "notice", "<svg></svg>"
    )
    assert figure._repr_html_().count("</script>") == 1


def test_the_uid_follows_name_and_state():
    figure = mask_figure()
    other = InteractiveFigure(
        figure.name, figure.module, {**figure.state, "p": 0.2}, figure.alt, figure.caption, figure.fallback
    )
    assert figure.uid == mask_figure().uid != other.uid
    assert f'id="{figure.uid}"' in figure._repr_html_()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Masks!"}, "name must be lower-case"),
        ({"alt": " "}, "alt must not be empty"),
        ({"caption": ""}, "caption must not be empty"),
        ({"state": {"p": math.nan}}, "Out of range float"),
    ],
)
def test_a_bad_figure_is_refused(change, message):
    good = {"name": "probe", "module": "", "state": {}, "alt": "seen", "caption": "notice", "fallback": ""}
    with pytest.raises(ValueError, match=message):
        InteractiveFigure(**{**good, **change})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('import { a } from "./other.js";\nexport function render() {}\n', "must import"),
        ('import { svg } from "./kit.js";\nfunction render() {}\n', "must export function render"),
        ('import { svg as draw } from "./kit.js";\nexport function render() {}\n', "must not rename .* 'svg as draw'"),
        ("export const mean = 1;\nexport function render() {}\n", "top-level names of the kit again, got mean"),
    ],
)
def test_a_module_that_cannot_be_joined_is_refused(text, message, monkeypatch):
    base._kit("kit.js")  # the kit itself stays as it is
    monkeypatch.setattr(base, "package_text", lambda package, name: text)
    with pytest.raises(ValueError, match=message):
        module_text("probe")


@every_figure
def test_the_module_has_one_export(make):
    module = make().module
    assert re.findall(r"^export .*", module, re.MULTILINE) == ["export default { render };"]
    assert not re.search(r"^import\b", module, re.MULTILINE)


def test_inline_text_escapes_all_but_a_few_tags():
    assert inline("`a < b` and <em>x</em><sup>2</sup>") == "<code>a &lt; b</code> and <em>x</em><sup>2</sup>"
    assert inline("<script>alert(1)</script> & <b onclick=1>") == (
        "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b onclick=1&gt;"
    )


# ---- masks that the companion drew -------------------------------------------------------------------------------


def test_levels_have_the_stated_distribution():
    n, steps = 40_000, 20
    counts = Counter("".join(drop_levels(n // 10, 10, steps=steps, seed=5)))
    assert set(counts) == {chr(97 + level) for level in range(steps)}
    chi2 = sum((count - n / steps) ** 2 / (n / steps) for count in counts.values())
    assert chi2 < 43.8  # 0.1 % quantile of chi-squared with 19 degrees of freedom; the seed is fixed


def test_levels_of_a_seed_are_always_the_same():
    assert drop_levels(3, 8, seed=7) == drop_levels(3, 8, seed=7) != drop_levels(3, 8, seed=8)
    assert drop_levels(2, 4, steps=1) == ["aaaa", "aaaa"]  # the only rates are 0 and 1
    with pytest.raises(ValueError, match="steps must be from 1 to 26, got 27"):
        drop_levels(1, 1, steps=27)


def test_moments_agree_with_the_enumeration_of_all_masks():
    state = mask_figure().state
    six = state["sets"]["six"]
    assert tuple(six["x"]) == SIX_UNITS
    for j in range(state["steps"] + 1):
        exact = masked_sum(SIX_UNITS, j / state["steps"])
        assert six["mean"][j] == pytest.approx(exact.mean, abs=1e-6)
        assert six["sd"][j] == pytest.approx(exact.deviation, abs=1e-6)


def test_the_many_units_are_positive_and_their_moments_follow_the_formula():
    state = mask_figure().state
    many = state["sets"]["many"]
    assert len(many["x"]) == 48 and min(many["x"]) > 0
    assert {len(row) for row in many["rows"]} == {48}
    for j, (mean, sd) in enumerate(zip(many["mean"], many["sd"], strict=True)):
        p = j / state["steps"]
        assert mean == pytest.approx((1 - p) * sum(many["x"]), abs=1e-6)
        assert sd == pytest.approx(math.sqrt(p * (1 - p) * sum(x * x for x in many["x"])), abs=1e-6)


@pytest.mark.parametrize("name", ["six", "many"])
@pytest.mark.parametrize("step", [2, 10, 17])
def test_the_shipped_masks_are_no_outliers(name, step):
    """The mean of the 100 sums that a reader can draw lies within 4 standard errors of the line."""
    state = mask_figure().state
    units = state["sets"][name]
    sums = [
        sum(x for x, letter in zip(units["x"], row, strict=True) if ord(letter) - 97 >= step) for row in units["rows"]
    ]
    assert len(set(units["rows"])) == len(sums) == 100
    error = units["sd"][step] / math.sqrt(len(sums))
    assert abs(sum(sums) / len(sums) - units["mean"][step]) < 4 * error


def test_moments_of_a_masked_sum():
    assert masked_sum_moments((2.0, -1.0), 0.0) == (1.0, 0.0)
    assert masked_sum_moments((2.0, -1.0), 1.0) == (0.0, 0.0)
    assert masked_sum_moments((3.0, 4.0), 0.5) == (3.5, 2.5)


# ---- expectations that the companion computed --------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_the_neuron_of_4(p):
    """The schemes' definitions, written down independently of the functions."""
    k = 1 - p
    expected = {
        naive_dropout: (4.0, (4 * k, 4.0), (16 * k, 16.0)),
        vanilla_dropout: (4.0, (4 * k, 4 * k), (16 * k, 16 * k * k)),
        dropout: (4 / k, (4.0, 4.0), (16 / k, 16.0)),
    }
    for scheme, (kept, mean, second) in expected.items():
        found = one_unit_moments(scheme, 4.0, p)
        assert found["kept"] == pytest.approx(kept)
        assert found["mean"] == pytest.approx(mean)
        assert found["second"] == pytest.approx(second)


def test_a_changed_scheme_changes_the_figure():
    without_scale = one_unit_moments(naive_dropout, 4.0, 0.5)
    assert without_scale["mean"][0] != pytest.approx(one_unit_moments(dropout, 4.0, 0.5)["mean"][0])

    def noisy(x, p, training, generator=None):
        return x * x.new_empty(x.shape).uniform_(generator=generator)

    with pytest.raises(ValueError, match="two outputs at most"):
        one_unit_moments(noisy, 4.0, 0.5)


def test_the_state_of_the_schemes():
    state = scaling_figure().state
    by_name = {scheme["name"]: scheme for scheme in state["schemes"]}
    assert list(by_name) == ["naive", "vanilla", "inverted"]
    half = state["steps"] // 2
    assert [by_name[name]["mean"]["train"][half] for name in by_name] == [2.0, 2.0, 4.0]
    assert [by_name[name]["mean"]["test"][half] for name in by_name] == [4.0, 2.0, 4.0]
    assert by_name["inverted"]["kept"][half] == 8.0
    assert by_name["inverted"]["second"]["train"][half] == 32.0


def test_the_fallback_pictures_show_the_worked_examples():
    assert "sum 3.0 of 3.5; over all masks 1.75 on average, s.d. 2.19" in masks._fallback()
    assert "naive 2.0 and 4.0; vanilla 2.0 and 2.0; inverted 4.0 and 4.0." in scaling_figure().fallback


# ---- colours -----------------------------------------------------------------------------------------------------


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _palettes() -> list[dict[str, str]]:
    blocks = re.findall(r"\{([^{}]*--cf-paper:[^{}]*)\}", base._kit("kit.css"))
    return [dict(re.findall(r"--cf-(\w+): (#\w{6});", block)) for block in blocks]


def test_the_dark_palette_is_written_the_same_twice():
    light, dark, preferred = _palettes()
    assert light.keys() == dark.keys()
    assert dark == preferred


@pytest.mark.parametrize("palette", _palettes()[:2], ids=["light", "dark"])
def test_every_colour_can_be_read(palette):
    for name in ("ink", "muted", "blue", "orange", "green", "purple", "red"):
        for ground in ("paper", "card"):
            assert _contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
    assert _contrast(palette["on"], palette["blue"]) >= 4.5
    for ground in ("paper", "card"):
        assert _contrast(palette["line"], palette[ground]) >= 3, ground


# ---- in the page, without a kernel -------------------------------------------------------------------------------


def _said(figure) -> str:
    return figure.get_by_role("status").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark", None])
def test_masks_answer_the_keyboard(show, theme):  # noqa: F811
    page = show(mask_figure()._repr_html_(), theme, color_scheme="dark")
    figure = page.locator("figure")
    assert _said(figure).startswith("Mask 1, p = 0.50:")
    figure.get_by_role("button", name="New mask").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    assert _said(figure).startswith("Mask 3, p = 0.50:")
    figure.get_by_role("slider", name="Drop probability p").focus()
    page.keyboard.press("ArrowLeft")
    assert _said(figure).startswith("Mask 3, p = 0.45:")
    page.keyboard.press("Home")
    assert "6 of 6 units kept. Surviving sum 3.5 of 3.5. Expected 3.50 with standard deviation 0.00." in _said(figure)
    page.keyboard.press("End")
    assert "p = 1.00: 0 of 6 units kept" in _said(figure)
    figure.get_by_role("radio", name="six, both signs").focus()
    page.keyboard.press("ArrowRight")
    assert "0 of 48 units kept" in _said(figure)
    ink = figure.evaluate("e => getComputedStyle(e).color")
    assert ink == ("rgb(34, 40, 50)" if theme == "light" else "rgb(220, 227, 234)")


def test_the_masks_start_over_after_the_last_one(show):  # noqa: F811
    page = show(mask_figure()._repr_html_())
    figure = page.locator("figure")
    more = figure.get_by_role("button", name="Ten more")
    for _ in range(10):
        more.click()
    assert _said(figure).startswith("Mask 100,")
    more.click()
    assert _said(figure).startswith("Mask 1,")


def test_what_is_kept_is_marked_by_more_than_colour(show):  # noqa: F811
    page = show(mask_figure()._repr_html_())
    figure = page.locator("figure")
    kept = int(re.search(r"(\d) of 6 units", _said(figure)).group(1))
    assert figure.locator("svg text.cf-on", has_text="1").count() == kept
    assert figure.locator("svg text.cf-small", has_text=re.compile("^0$")).count() >= 6 - kept
    assert figure.locator("svg path.cf-cross").count() == 6 - kept + 1  # one more in the legend
    for text in ("kept", "dropped"):
        assert figure.locator("svg text", has_text=re.compile(f"^{text}$")).count() == 1


def test_schemes_answer_the_keyboard(show):  # noqa: F811
    page = show(scaling_figure()._repr_html_())
    figure = page.locator("figure")
    assert "Naive: 2.0 in training, 4.0 at test: no match" in _said(figure)
    slider = figure.get_by_role("slider", name="Drop probability p")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    assert "p = 0.20" in _said(figure) and "Naive: 3.2 in training, 4.0 at test" in _said(figure)
    assert slider.get_attribute("aria-valuetext") == "0.20"
    page.keyboard.press("End")
    assert "p = 0.80" in _said(figure) and "Vanilla: 0.8 in training, 0.8 at test: match" in _said(figure)
    figure.get_by_role("radio", name="mean").focus()
    page.keyboard.press("ArrowDown")
    assert "Inverted: 80.0 in training, 16.0 at test: no match" in _said(figure)
    assert figure.locator("svg text", has_text="✗").count() == 3


@every_figure
def test_the_same_figure_twice_on_a_page(make, show):  # noqa: F811
    page = show(make()._repr_html_() * 2)
    first, second = (page.locator("figure").nth(i) for i in range(2))
    before = _said(second)
    first.get_by_role("slider").first.focus()
    heard = set()
    for key in ("Home", "End"):
        page.keyboard.press(key)
        heard.add(_said(first))
        assert _said(second) == before
    assert len(heard) == 2
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)


@every_figure
def test_without_scripts_a_picture_and_its_description_stand_there(make, show):  # noqa: F811
    page = show(make()._repr_html_(), java_script_enabled=False)
    figure = page.locator("figure")
    assert figure.locator("svg").bounding_box()["height"] > 100
    assert figure.locator(".cf-description").inner_text().endswith(make().values["alt"])
    assert figure.get_by_role("button").count() + figure.get_by_role("slider").count() == 0
    assert "Notice." in figure.locator("figcaption").inner_text()


@pytest.mark.parametrize("width", [1000, 390, 320])
@every_figure
def test_it_fits_a_phone_and_nothing_moves(make, width, show):  # noqa: F811
    page = show(make()._repr_html_(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    slider = page.get_by_role("slider").first
    places = set()
    for key in ("Home", "ArrowRight", "End"):
        slider.focus()
        page.keyboard.press(key)
        places.add((slider.bounding_box()["y"], page.locator("figure").bounding_box()["height"]))
    assert len(places) == 1
    for control in page.locator("button, input[type=range], label:has(input)").all():
        box = control.bounding_box()
        assert box["height"] >= 44 and box["width"] >= 44
    # text in the drawing stays at its size: the drawing is made for the width, not shrunk to it
    scale = page.locator("figure svg").evaluate("e => e.getBoundingClientRect().width / e.viewBox.baseVal.width")
    assert scale == pytest.approx(1, abs=0.02)
    outside = page.locator("figure svg").evaluate(
        """svg => [...svg.querySelectorAll("text")].filter((t) => {
             const [box, all] = [t.getBoundingClientRect(), svg.getBoundingClientRect()];
             return box.left < all.left - 1 || box.right > all.right + 1;
           }).map((t) => t.textContent)"""
    )
    assert outside == []


@every_figure
def test_every_control_has_a_name(make, show):  # noqa: F811
    page = show(make()._repr_html_())
    names = page.locator("figure button, figure input").evaluate_all(
        "controls => controls.map(c => (c.labels?.[0] ?? c).textContent.trim())"
    )
    assert len(names) >= 3 and all(names)
    assert all(page.locator("fieldset legend").all_inner_texts())
    assert len(page.locator("figure svg").get_attribute("aria-label").split()) > 20


@every_figure
def test_it_is_redrawn_for_a_new_width(make, show):  # noqa: F811
    page = show(make()._repr_html_(), width=1000)
    before = page.locator("figure svg").get_attribute("viewBox")
    page.set_viewport_size({"width": 400, "height": 900})
    page.wait_for_function(
        "before => document.querySelector('figure svg').getAttribute('viewBox') !== before", arg=before
    )


# ---- as a widget, with a kernel ----------------------------------------------------------------------------------


@every_figure
def test_the_widget_has_the_state_as_traits(make):
    anywidget = pytest.importorskip("anywidget")
    figure = make()
    widget = figure.widget()
    assert isinstance(widget, anywidget.AnyWidget)
    assert {key: getattr(widget, key) for key in figure.values} == figure.values
    assert set(figure.values) <= set(widget.keys)
    assert str(widget._esm) == figure.module
    assert type(widget).__mro__[1] is type(make().widget()).__mro__[1]  # one class a figure; anywidget adds a shell


def test_python_reads_what_the_reader_chose_and_writes_it():
    pytest.importorskip("anywidget")
    import traitlets

    widget = mask_figure().widget()
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "p")
    widget.set_state({"p": 0.3, "draw": 4, "units": "many"})  # what a front end sends
    assert (widget.p, widget.draw, widget.units) == (0.3, 4, "many")
    widget.p = 0.7
    assert seen == [0.3, 0.7]
    assert mask_figure().widget().p == 0.5  # another widget of the same figure keeps its own state
    with pytest.raises(traitlets.TraitError):
        widget.p = "high"


def test_a_missing_anywidget_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anywidget", None)
    base._widget_class.cache_clear()
    with pytest.raises(ImportError, match="pip install anywidget"):
        mask_figure().widget()


@every_figure
def test_the_widgets_module_runs_and_follows_python(make, show):  # noqa: F811
    """The module that anywidget sends, imported as it is, on a model that Python changes."""
    pytest.importorskip("anywidget")
    widget = make().widget()
    page = show(f"<style>{widget._css}</style><main id='cell'></main>", width=600)
    page.evaluate(
        """async ([text, values]) => {
             const blob = new Blob([text], { type: "text/javascript" });
             const { default: figure } = await import(URL.createObjectURL(blob));
             const heard = {};
             const model = {
               sent: 0,
               get: (name) => values[name],
               set: (name, value) => { values[name] = value; (heard["change:" + name] ?? []).forEach((f) => f()); },
               on: (name, f) => (heard[name] ??= []).push(f),
               off: (name, f) => { heard[name] = heard[name].filter((g) => g !== f); },
               save_changes: () => { model.sent += 1; },
             };
             globalThis.probe = { model, values, end: figure.render({ model, el: document.getElementById("cell") }) };
           }""",
        [str(widget._esm), make().values],
    )
    cell = page.locator("#cell")
    slider = cell.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("Home")
    first, at_first = _said(cell), page.evaluate("({ ...probe.values })")
    page.keyboard.press("End")  # the reader writes
    last, at_last = _said(cell), page.evaluate("({ ...probe.values })")
    changed = {key: value for key, value in at_first.items() if value != at_last[key]}
    assert changed and page.evaluate("probe.model.sent") >= 1
    page.evaluate("changed => Object.entries(changed).forEach(([k, v]) => probe.model.set(k, v))", changed)
    assert _said(cell) == first != last  # Python writes
    assert float(slider.input_value()) == float(slider.get_attribute("min"))
    assert "Notice." in cell.inner_text()  # the caption comes along
    page.evaluate("probe.end()")
    page.evaluate("last => Object.keys(probe.values).forEach(k => probe.model.set(k, last[k]))", at_last)
    assert _said(cell) == first


def test_interactive_needs_its_module():
    with pytest.raises(FileNotFoundError):
        interactive("no_such_figure", state={}, alt="seen", caption="notice", fallback="")
