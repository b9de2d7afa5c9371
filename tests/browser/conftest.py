"""Headless Chromium over the built site, with everything outside the site refused and remembered."""

import contextlib
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("SITE") or ROOT / "_build" / "html")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pages() -> list[str]:
    """Every page of the site, by its path under the site's root, but for the start page, which leads on at once."""
    if not SITE.exists():
        return []
    found = [path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts]
    return sorted(
        path for path in found if not path.startswith(("_modules/", "genindex", "index.html", "search", "py-modindex"))
    )


def chapters() -> list[str]:
    return [page for page in pages() if page.startswith("book/") and page[5:7].isdigit()]


class _Host(http.server.SimpleHTTPRequestHandler):
    """Serves the site at / and at its place of publication, by which the 404 page, shown anywhere, names its files."""

    published_at = urlsplit(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]).path

    def translate_path(self, path):
        return super().translate_path("/" + path.removeprefix(self.published_at).lstrip("/"))

    def log_message(self, *args):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):  # a page that is closed while it still loads
            super().handle()


@pytest.fixture(scope="session")
def site():
    if not (SITE / "index.html").exists():
        pytest.fail("the site is not built: run make book first")
    return SITE


@pytest.fixture(scope="session")
def address(site):
    """The site over http, on a free port of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Host, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        message = "no Chromium found (apt install chromium): the browser tests need it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """An open page that refuses and lists what leaves the site, and lists the console's complaints."""

    def __init__(self, browser, home: str, **options) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.home, self.left, self.said = home, [], []
        self.page.route("**/*", self._guard)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("response", self._answer)

    def _guard(self, route) -> None:
        url = route.request.url
        if url.startswith((self.home, "data:", "blob:")):
            route.continue_()
        else:
            self.left.append(url)
            route.abort()

    def _console(self, message) -> None:
        if message.type in ("warning", "error"):  # the theme logs its state; that is no complaint
            self.said.append(f"{message.type}: {message.text}")

    def _answer(self, response) -> None:
        if response.status >= 400:
            self.said.append(f"{response.status}: {response.url}")

    def open(self, path: str, theme: str = "light") -> "Visit":
        self.page.add_init_script(f"try {{ localStorage.setItem('mode', '{theme}'); }} catch (refused) {{}}")
        self.page.goto(f"{self.home}/{path}", wait_until="load")
        self.page.wait_for_timeout(150)
        return self

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def visit(browser):
    """``visit(home, path, theme=, width=, ...)`` opens a page in a context of its own."""
    opened = []

    def start(home: str, path: str, theme: str = "light", width: int = 1280, height: int = 900, **options) -> Visit:
        one = Visit(browser, home, viewport={"width": width, "height": height}, color_scheme=theme, **options)
        opened.append(one)
        return one.open(path, theme)

    yield start
    for one in opened:
        one.close()
