"""The command ``polymorph label`` in a process of its own, and what it serves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page


@dataclass(frozen=True)
class LabelServer:
    """A running server."""

    process: subprocess.Popen[str]
    url: str

    @property
    def token(self) -> str:
        return urlsplit(self.url).query.removeprefix("token=")

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None, said: object = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, content and headers of one request, with no more headers than given."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = dict(headers or {})
        link.putrequest("GET" if said is None else "POST", path, skip_host="host" in sent)
        body = b"" if said is None else json.dumps(said).encode()
        if said is not None:
            sent.setdefault("content-type", "application/json")
            sent["content-length"] = str(len(body))
        for name, value in sent.items():
            link.putheader(name, value)
        link.endheaders(body or None)
        answer = link.getresponse()
        content = answer.read()
        link.close()
        return answer.status, content, {name.lower(): value for name, value in answer.getheaders()}

    def change(self, **said: Any) -> tuple[int, Any]:
        """Make a change; status and answer."""
        status, content, _ = self.ask("/api/change", {"x-polymorph-token": self.token}, said)
        return status, json.loads(content)

    def state(self) -> Any:
        """All that a page reads at its beginning."""
        return json.loads(self.ask("/api/state", {"x-polymorph-token": self.token})[1])

    def stop(self, kill: bool = False) -> str:
        """End it as Ctrl+C does, or at once; what it printed since it was ready."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGINT)
        return self.process.communicate(timeout=120)[0]


@contextmanager
def label_server(*arguments: str | Path) -> Iterator[LabelServer]:
    """Start the command and wait for its address."""
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    process = subprocess.Popen(
        [sys.executable, "-m", "polymorph_ros.cli.main", "label", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if line.startswith("open http"):
            break
    else:
        raise AssertionError("".join(told))
    server = LabelServer(process, line.split()[1])
    try:
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def opened(browser: Browser, server: LabelServer, **options: Any) -> Iterator[Page]:
    """The page, ready for keys; what the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: _note_foreign(asked.url, server, complaints))
    page.goto(server.url)
    page.wait_for_selector("body[data-ready]")
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def _note_foreign(url: str, server: LabelServer, complaints: list[str]) -> None:
    if urlsplit(url).port != server.port:
        complaints.append(f"asked the network for {url}")
