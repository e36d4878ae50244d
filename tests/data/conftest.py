"""A stand-in for the Hugging Face hub on 127.0.0.1: as much of its API as `datasets` asks for."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

REVISION = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, dict[str, bytes]]  # by repository, then by path

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for repository, files in self.files.items():
            api, resolve = f"/api/datasets/{repository}", f"/datasets/{repository}/resolve/"
            if path in (api, f"{api}/revision/{REVISION}"):
                siblings = [{"rfilename": name} for name in files]
                return self._json({"id": repository, "sha": REVISION, "siblings": siblings})
            if path.startswith(f"{api}/tree/{REVISION}"):
                folder = path.removeprefix(f"{api}/tree/{REVISION}").strip("/")
                return self._tree(files, folder)
            if path.startswith(resolve):
                return self._file(files.get(path.removeprefix(resolve).partition("/")[2]))
        return self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815

    def _tree(self, files: dict[str, bytes], folder: str) -> None:
        start = f"{folder}/" if folder else ""
        below = {name.removeprefix(start): name for name in files if name.startswith(start)}
        if folder and not below:
            return self._json({}, 404, {"X-Error-Code": "EntryNotFound"})
        folders = sorted({rest.partition("/")[0] for rest in below if "/" in rest})
        entries = [
            {"type": "file", "oid": "0" * 40, "size": len(files[name]), "path": name}
            for rest, name in below.items()
            if "/" not in rest
        ]
        entries += [{"type": "directory", "oid": "1" * 40, "path": start + f} for f in folders]
        return self._json(entries)

    def _file(self, content: bytes | None) -> None:
        if content is None:
            return self._json({}, 404, {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": '"1"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        if "Range" not in self.headers:
            return self._answer(content, 200, headers)
        first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last or len(content)) + 1]
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        return self._answer(part, 206, headers)

    def _json(
        self, value: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self._answer(json.dumps(value).encode(), status, headers or {})

    def _answer(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def hub():
    """Address, and the repositories that stand there: name to path to content."""
    files: dict[str, dict[str, bytes]] = {}
    handler = type("Handler", (_Handler,), {"files": files})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()
    server.server_close()
