"""Every interactive figure and every quiz is operated by keyboard alone, in both themes, on a phone and on a desk."""

import pytest
from conftest import chapters

every_chapter = pytest.mark.parametrize("path", chapters())
CONTROLS = "button:visible, input[type=range]:visible, input[type=radio]:visible, [role=button]:visible, select:visible"


def press(page, control) -> None:
    """Operates one control as a keyboard user would."""
    control.focus()
    kind = control.evaluate("e => e.tagName === 'INPUT' ? e.type : e.tagName.toLowerCase()")
    if kind == "range":
        low, high, now = (float(control.evaluate(f"e => e.{name}")) for name in ("min", "max", "value"))
        page.keyboard.press("ArrowLeft" if now > (low + high) / 2 else "ArrowRight")
    elif kind in ("radio", "select"):
        page.keyboard.press("ArrowRight")
    else:
        page.keyboard.press("Enter")
    page.wait_for_timeout(60)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
@every_chapter
def test_every_figure_answers_the_keyboard(path, theme, width, visit, address):
    one = visit(address, path, theme, width, reduced_motion="reduce")
    figures = one.page.locator(".companion-figure")
    assert figures.count() >= 1
    for i in range(figures.count()):
        figure = figures.nth(i)
        figure.scroll_into_view_if_needed()
        readout = figure.locator("[aria-live]").first
        controls = figure.locator(CONTROLS)
        assert controls.count() >= 1
        before, changed = readout.inner_text(), 0
        assert len(before.split()) >= 4, "the read-out must say the state in words"
        for k in range(controls.count()):
            if not controls.nth(k).is_enabled():
                continue
            press(one.page, controls.nth(k))
            after = readout.inner_text()
            changed += after != before
            before = after
        assert changed >= 2, f"figure {i + 1} of {path}: its read-out does not follow its controls"
        label = figure.locator("svg, [role=img], canvas").first.get_attribute("aria-label")
        assert label is None or len(label) > 20
    assert one.left == [] and one.said == []


@every_chapter
def test_focus_is_visible(path, visit, address):
    one = visit(address, path)
    control = one.page.locator(".companion-figure").first.locator(CONTROLS).first
    control.focus()
    one.page.keyboard.press("Tab")
    one.page.keyboard.press("Shift+Tab")
    # Back in a group of radio buttons the focus is on the chosen one, which need not be the first.
    outline = one.page.evaluate(
        "() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow }"
    )
    assert outline not in ("nonenone", "none")


@every_chapter
def test_every_quiz_explains_every_choice(path, visit, address):
    one = visit(address, path, width=390)
    quiz = one.page.locator(".companion-quiz")
    assert quiz.count() == 1
    questions = quiz.locator("fieldset")
    assert questions.count() == 3
    for i in range(3):
        question = questions.nth(i)
        radios = question.locator("input[type=radio]")
        assert radios.count() >= 3
        answer = question.locator("[aria-live]")
        heard = []
        radios.first.focus()
        one.page.keyboard.press("Space")
        for _ in range(radios.count()):
            one.page.keyboard.press("Enter")  # checks the chosen answer
            one.page.wait_for_timeout(40)
            heard.append(answer.inner_text().strip())
            one.page.keyboard.press("ArrowDown")
        assert all(heard) and len(set(heard)) == len(heard), "each choice has an explanation of its own"
    assert one.left == [] and one.said == []


@every_chapter
def test_without_scripts_pictures_and_answers_remain(path, visit, address):
    one = visit(address, path, java_script_enabled=False)
    figure = one.page.locator(".companion-figure").first
    assert figure.locator("svg, img, table").count() >= 1 and len(figure.inner_text().split()) >= 10
    assert one.page.locator(".companion-quiz details").count() >= 1
