"""Headless Chromium for pages that a test writes itself; pages over ``file://`` as a reader would open them."""

import os
import shutil

import pytest

PAGE = (
    '<!doctype html>\n<html lang="en"{theme}><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>test</title>'
    "<style>body {{ margin: 0; padding: 16px; font-family: sans-serif; }}</style></head>\n"
    "<body>\n{body}</body></html>\n"
)

# JupyterLab takes every key that it has a command for, but from an element that says it shall not.
JUPYTERLAB = """
document.addEventListener("keydown", (event) => {
  if (!event.target.hasAttribute("data-lm-suppress-shortcuts")) event.preventDefault();
}, true);
"""


@pytest.fixture(scope="module")
def browser():
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        message = "no Chromium found (apt install chromium): the browser tests need it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def show(browser, tmp_path):
    """``show(html, theme=None, width=1000, **options)`` opens the HTML from a file; a request or an error fails."""
    contexts, complaints = [], []

    def guard(route):
        if not route.request.url.startswith(("file:", "blob:", "data:")):
            complaints.append(f"request: {route.request.url}")
            return route.abort()
        return route.continue_()

    def opened(body: str, theme: str | None = None, width: int = 1000, **options):
        file = tmp_path / f"page-{len(contexts)}.html"
        file.write_text(PAGE.format(theme=f' data-theme="{theme}"' if theme else "", body=body), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.add_init_script(JUPYTERLAB)
        contexts.append(context)
        page = context.new_page()
        page.route("**/*", guard)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and complaints.append(f"console: {said.text}"))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
