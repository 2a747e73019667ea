"""gdown itself against a stand-in of Google Drive on this machine.

Needs gdown: `pip install 'isozoo[convert]'`, then `pytest -m convert`.
"""

import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import isozoo
from isozoo.errors import WeightsError
from isozoo.zoo import convert
from isozoo.zoo.store import downloads_directory

gdown = pytest.importorskip("gdown", reason="gdown, of the extra `convert`, is not installed")
requests = pytest.importorskip("requests")
pytestmark = pytest.mark.convert

NAME = "r-isonet-50.imagenet"
WARNING = """<!DOCTYPE html><html><form id="download-form" action="{host}/download" method="get">
<input type="hidden" name="id" value="x"><input type="hidden" name="confirm" value="t"></form>"""
QUOTA = """<!DOCTYPE html><html>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p>"""


def checkpoint():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("best/data.pkl", b"x")
        file.writestr("best/data/0", bytes(range(256)) * 8000)
    return content.getvalue()


class Drive(BaseHTTPRequestHandler):
    """Asks for a confirmation, as Drive does for large files, then sends; may break off."""

    content = checkpoint()
    page = WARNING
    breaks = 0
    ranges: list[str | None] = []  # noqa: RUF012

    def do_GET(self):
        if not self.path.startswith("/download"):
            host = f"http://{self.headers['Host']}"
            return self.reply(200, self.page.format(host=host).encode(), "text/html")
        wanted = self.headers.get("Range")
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        extra = {"Content-Disposition": 'attachment; filename="best.pt"'}
        if wanted:
            last = len(self.content) - 1
            extra["Content-Range"] = f"bytes {start}-{last}/{len(self.content)}"
        whole = self.content[start:]
        if Drive.breaks:
            Drive.breaks -= 1
            return self.reply(206 if wanted else 200, whole, sent=1_000_000, **extra)
        return self.reply(206 if wanted else 200, whole, **extra)

    def reply(self, code, content, kind="application/octet-stream", sent=None, **headers):
        self.send_response(code)
        fixed = {"Content-Type": kind, "Content-Length": len(content), "ETag": '"1"'}
        for name, value in {**fixed, **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content[:sent])

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def drive(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOZOO_HOME", str(tmp_path))
    monkeypatch.setattr(Drive, "page", WARNING)
    monkeypatch.setattr(Drive, "breaks", 0)
    monkeypatch.setattr(Drive, "ranges", [])
    monkeypatch.setattr(convert, "RETRIES", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Drive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here, get = f"http://127.0.0.1:{server.server_port}", requests.Session.get

    def redirected(session, url, **options):
        return get(session, url.replace("https://drive.google.com", here), **options)

    monkeypatch.setattr(requests.Session, "get", redirected)
    yield Drive
    server.shutdown()
    server.server_close()


def parts():
    return [path for path in downloads_directory().iterdir() if path.suffix == ".part"]


def test_a_checkpoint_is_fetched_past_the_question_for_large_files(drive):
    path = convert.fetch_release(isozoo.info(NAME))
    assert path == downloads_directory() / f"{NAME}.pt"
    assert path.read_bytes() == drive.content
    assert list(downloads_directory().iterdir()) == [path]


def test_a_download_that_was_cut_off_is_taken_up_where_it_ended(drive):
    drive.breaks = 1
    with pytest.raises(WeightsError, match=r"cannot fetch r-isonet-50.imagenet .*incomplete"):
        convert.fetch_release(isozoo.info(NAME))
    (part,) = parts()
    arrived = part.stat().st_size
    assert 0 < arrived < len(drive.content)
    assert convert.fetch_release(isozoo.info(NAME)).read_bytes() == drive.content
    assert f"bytes={arrived}-" in drive.ranges
    assert parts() == []


def test_a_connection_that_breaks_once_is_taken_up_at_once(drive, monkeypatch):
    monkeypatch.setattr(convert, "RETRIES", 1)
    drive.breaks = 1
    assert convert.fetch_release(isozoo.info(NAME)).read_bytes() == drive.content


def test_a_file_that_was_fetched_too_often_is_said(drive, monkeypatch):
    monkeypatch.setattr(drive, "page", QUOTA)
    with pytest.raises(WeightsError, match=r"Too many users .* open https://drive.google.com/file"):
        convert.fetch_release(isozoo.info(NAME))
    assert list(downloads_directory().iterdir()) == []
