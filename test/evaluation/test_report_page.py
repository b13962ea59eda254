"""Pins the report in a real browser: it opens, needs no network, says no error, and can be used.

Left open: how it looks. The screenshot that the test takes is for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from helpers.browser import chromium
from helpers.labelled_video import noise_dataset
from helpers.tiny_bundle import write_tiny_bundle
from polymorph_ros.evaluation.report.write import write_report
from polymorph_ros.evaluation.session import Request, evaluate

METHODS = ("polymorph", "all_adapters", "polymorph_no_gating")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report; the data's name would be markup if it were not escaped."""
    root = tmp_path_factory.mktemp("report")
    bundle = write_tiny_bundle(root / "tiny").path
    request = Request(bundle, "<b>noise</b>", METHODS, root / "out", device="cpu", memory=False)
    dataset = noise_dataset(("person", "cup", "car", "kite"), sequences=3, frames=60)
    write_report(evaluate(request, dataset, lambda _: None), root / "out", "noise/1")
    return root / "out"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The report, open; what the browser complains of or asks the network for fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: _note_foreign(asked.url, complaints))
    page.goto((folder / "report.html").as_uri())
    page.wait_for_selector("#label-bars .main-svg")
    yield page
    page.close()
    assert complaints == []


def test_every_part_is_there(page: Page, folder: Path) -> None:
    for link in page.locator("nav a").all():
        link.click()
        target = page.locator(link.get_attribute("href") or "#nowhere")
        assert target.is_visible()
    assert page.locator("#comparison tbody tr").count() == len(METHODS)
    assert page.locator("#timeline-plot image").count() == 12
    assert "noise/1" in page.locator("#timeline").inner_text()
    assert "kite" in page.locator("#left-out").inner_text()
    assert page.locator("h1 b").count() == 0

    shot = page.screenshot(full_page=True, path=folder / "report.png")
    assert len(shot) > 50_000


def test_a_heading_sorts_the_table(page: Page) -> None:
    head = page.locator("#comparison th", has_text="latency p50")
    place = page.locator("#comparison th").all_inner_texts().index(head.inner_text())
    cells = page.locator(f"#comparison tbody td:nth-child({place + 1})")
    values = "cells => cells.map(cell => Number(cell.dataset.value))"

    head.click()
    falling = cells.evaluate_all(values)
    head.click()
    rising = cells.evaluate_all(values)

    assert len(set(falling)) == len(METHODS)
    assert falling == sorted(falling, reverse=True)
    assert rising == sorted(rising)


def test_zooming_one_row_of_the_timeline_zooms_all(page: Page) -> None:
    page.locator("#timeline-plot").scroll_into_view_if_needed()
    area = page.locator("#timeline-plot .nsewdrag").nth(3).bounding_box()
    assert area is not None
    middle = area["y"] + area["height"] / 2

    page.mouse.move(area["x"] + 0.25 * area["width"], middle)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.5 * area["width"], middle, steps=5)
    page.mouse.up()
    page.wait_for_function(
        "document.getElementById('timeline-plot')._fullLayout.xaxis4.range[0] > 1"
    )

    ranges = page.evaluate(
        "['xaxis', 'xaxis2', 'xaxis3', 'xaxis4'].map("
        "axis => document.getElementById('timeline-plot')._fullLayout[axis].range)"
    )
    assert all(one == ranges[0] for one in ranges)
    assert ranges[0] == pytest.approx([1.5, 3.0], abs=0.1)


def test_the_legend_shows_another_methods_labels(page: Page) -> None:
    hidden = "document.getElementById('label-bars').data[2].visible"
    assert page.evaluate(hidden) == "legendonly"

    page.locator("#label-bars .legendtoggle").nth(2).click()
    page.wait_for_function(f"{hidden} === true")


def test_plots_for_papers_and_a_markdown_table_lie_beside_it(folder: Path) -> None:
    names = {file.name for file in (folder / "plots").iterdir()}
    assert names == {"accuracy_energy.png", "accuracy_energy.svg", "labels.png", "labels.svg"}
    table = (folder / "table.md").read_text().splitlines()
    assert len(table) == 2 + len(METHODS)
    assert len({line.count("|") for line in table}) == 1


def _note_foreign(url: str, complaints: list[str]) -> None:
    if not url.startswith(("file:", "data:", "blob:")):
        complaints.append(f"asked for {url}")
