"""A model hub on this machine, as far as an upload needs one: it makes a repository and takes one commit."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Hub:
    """Where it listens, the repositories asked for with their visibility, and the files of the commit."""

    address: str = ""
    repositories: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def open_hub() -> Iterator[Hub]:
    """A hub on a free port of 127.0.0.1, as long as the context is open."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._reply(_answer(hub, self.path, self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            self._reply({"id": "me/tiny", "modelId": "me/tiny", "sha": "0" * 40, "siblings": []})

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

        def _reply(self, value: dict[str, Any]) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(hub: Hub, path: str, body: bytes) -> dict[str, Any]:
    if path.endswith("/repos/create"):
        asked = json.loads(body)
        hub.repositories[asked["name"]] = asked.get("visibility") or ("private" if asked["private"] else "public")
        return {"url": f"{hub.address}/me/tiny"}
    if "/preupload/" in path:
        names = [file["path"] for file in json.loads(body)["files"]]
        return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
    if "/commit/" in path:
        rows = [json.loads(line) for line in body.splitlines()]
        hub.files |= {
            row["value"]["path"]: base64.b64decode(row["value"]["content"]) for row in rows if row["key"] == "file"
        }
        return {"commitUrl": f"{hub.address}/me/tiny/commit/{'1' * 40}", "commitOid": "1" * 40}
    return {}
