"""A headless Chromium, if this machine has one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

# Names under which distributions install it; POLYMORPH_CHROMIUM names another one.
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Containers run as root, in which Chromium's sandbox does not start. The rest keeps it from calling
# home and from looking for a graphics card. Playwright gives it an empty profile of its own.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; skips the test where there is none."""
    with sync_playwright() as playwright:
        found = os.environ.get("POLYMORPH_CHROMIUM") or next(
            filter(None, map(shutil.which, _NAMES)), playwright.chromium.executable_path
        )
        if not Path(found).exists():
            pytest.skip(
                "no Chromium: install the package chromium, or 'playwright install chromium', "
                "or set POLYMORPH_CHROMIUM"
            )
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
