"""A stand-in for the Hugging Face Hub on loopback: its endpoints, and faults as data."""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

HTML = b"<html><body>Please accept the terms of this network.</body></html>"
EVIL = '"../../../../evil"'


@dataclass(frozen=True)
class Fault:
    """What a server does wrong when it is asked for a file.

    Args:
        status: It answers with this status, and nothing else: always, or from `from_head` on.
        portal: It answers everything with a page of its own, and status 200.
        head: Headers it puts in place of the right ones; None leaves one out.
        from_head: The first request for a file's headers that it answers wrongly.
        body: What it sends instead of a file; the length it announces is that of what it sends.
        times: How often it sends `body`; always if None.
        cut: How often it hangs up in the middle of a file, and whether after one it is sent.
        pause: Seconds it waits in the middle of a file.
    """

    status: int | None = None
    portal: bool = False
    head: Mapping[str, str | None] = field(default_factory=dict)
    from_head: int = 1
    body: Callable[[bytes], bytes] | None = None
    times: int | None = None
    cut: int = 0
    pause: float = 0.0


def git_hash(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(name):
    """Whether the Hub has a file in large file storage, as its .gitattributes say."""
    return name.endswith((".h5", ".npz"))


class StandIn:
    """The server: repositories by name, each with its commits, its branches and what was asked."""

    def __init__(self):
        self.commits = {}
        self.branches = {}
        self.large = {}
        self.requests = []
        self.tokens = []
        self.storage_tokens = []
        self.fault = Fault()
        self.counts = {}
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, repository, folder, branch="main"):
        """Take a folder's files, or a mapping, as a new commit, and return the commit's name."""
        if not isinstance(folder, Mapping):
            folder = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        files = dict(folder)
        listed = json.dumps([len(self.commits), sorted((k, git_hash(v)) for k, v in files.items())])
        commit = hashlib.sha1(listed.encode()).hexdigest()
        self.commits[repository, commit] = files
        self.branches.setdefault(repository, {})[branch] = commit
        return commit

    def count(self, *what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            return self.counts[what]

    def find(self, repository, revision):
        """Return the commit that a branch or a commit's name means."""
        branches = self.branches.get(repository, {})
        commit = branches.get(revision, revision)
        return commit if (repository, commit) in self.commits else None


def _handler(hub):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, content=b"", headers=(), kind="application/json"):
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": kind, "Content-Length": str(len(content)), **dict(headers)
            }.items():  # fmt: skip
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def handle_any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = unquote(self.path)
            with hub.lock:
                hub.requests.append((self.command, path))
                # To large files the real one redirects to another host, see `resolve`.
                elsewhere = self.headers["Host"].startswith("localhost")
                tokens = hub.storage_tokens if elsewhere else hub.tokens
                tokens.append(self.headers.get("Authorization"))
            fault = hub.fault
            if fault.status is not None and fault.from_head == 1:
                self.reply(fault.status, {"error": "no"})
            elif fault.portal:
                self.reply(200, HTML, kind="text/html")
            elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/(.+)/([^/]+)", path):
                self.resolve(*match.groups(), fault)
            elif match := re.fullmatch(r"/storage/([^/]+/[^/]+)/(.+)/([^/]+)", path):
                repository, commit, name = match.groups()
                content = hub.commits[repository, commit][name]
                if self.command == "HEAD":
                    self.reply(200, content, self.answer(name, content, commit, fault))
                else:
                    self.send_file(name, content, fault)
            else:
                self.interface(path, body)

        do_GET = do_HEAD = do_POST = do_PUT = handle_any

        def resolve(self, repository, revision, name, fault):
            commit = hub.find(repository, revision)
            if commit is None or name not in hub.commits[repository, commit]:
                self.reply(404, headers={"X-Error-Code": "EntryNotFound"})
                return
            if self.command == "HEAD":
                number = hub.count("HEAD", name)
                if fault.status is not None and number >= fault.from_head:
                    self.reply(fault.status)
                    return
            answer = self.answer(name, hub.commits[repository, commit][name], commit, fault)
            # The real one redirects: by path to what is in git, to another host for large files.
            host = hub.url.replace("127.0.0.1", "localhost") if is_large(name) else ""
            linked = {
                "X-Repo-Commit": answer["X-Repo-Commit"],
                "X-Linked-ETag": answer["ETag"],
                "X-Linked-Size": answer["Content-Length"],
                "Location": f"{host}/storage/{repository}/{commit}/{name}",
            }
            self.reply(302 if host else 307, headers=linked)

        def answer(self, name, content, commit, fault):
            """Return what the headers say of a file, once it was asked for."""
            etag = hashlib.sha256(content).hexdigest() if is_large(name) else git_hash(content)
            size = str(len(content))
            right = {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Content-Length": size}
            wrong = hub.counts.get(("HEAD", name), 0) >= fault.from_head
            return right | (fault.head if wrong else {})

        def send_file(self, name, content, fault):
            number = hub.count("GET", name)
            if fault.body is not None and (fault.times is None or number <= fault.times):
                content = fault.body(content)
            begin = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
            part = content[begin:]
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(part)))
            if begin:
                self.send_header(
                    "Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}"
                )
            self.end_headers()
            self.wfile.write(part[: len(part) // 2])
            if number <= fault.cut:
                self.close_connection = True
                return
            if fault.pause:
                self.wfile.flush()
                time.sleep(fault.pause)
            self.wfile.write(part[len(part) // 2 :])

        def interface(self, path, body):
            if path == "/api/whoami-v2":
                known = self.headers.get("Authorization") is not None
                self.reply(200 if known else 401, {"name": "me", "type": "user", "orgs": []})
            elif path == "/api/repos/create":
                asked = json.loads(body)
                name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                new = hub.branches.setdefault(name, {}) == {}
                status = 200 if new else 409
                self.reply(status, {"url": f"{hub.url}/{name}", "name": name, "id": name})
            elif path == "/api/validate-yaml":
                self.reply(200, {"errors": [], "warnings": []})
            elif match := re.fullmatch(r"/large/(\w+)", path):
                hub.large[match[1]] = body
                self.close_connection = hub.fault.cut > 0
                if not self.close_connection:
                    self.reply(200, {})
            elif match := re.fullmatch(r"/(.+)\.git/info/lfs/objects/batch", path):
                self.reply(200, {"transfer": "basic", "objects": [
                    {**entry, "actions": {"upload": {"href": f"{hub.url}/large/{entry['oid']}"}}}
                    for entry in json.loads(body)["objects"]
                ]})  # fmt: skip
            elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/([\w-]+)/(.+)", path):
                self.repository(*match.groups(), body)
            else:
                self.reply(404, {"error": path})

        def repository(self, name, verb, revision, body):
            if verb == "preupload":
                self.reply(200, {"files": [
                    {"path": file["path"], "shouldIgnore": False,
                     "uploadMode": "lfs" if is_large(file["path"]) else "regular"}
                    for file in json.loads(body)["files"]
                ]})  # fmt: skip
            elif verb == "branch":
                hub.branches[name].setdefault(revision, hub.branches[name].get("main"))
                self.reply(201, {})
            elif verb == "commit":
                branches = hub.branches[name]
                files = dict(hub.commits.get((name, branches.get(revision)), {}))
                for line in map(json.loads, body.splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        files[value["path"]] = hub.large[value["oid"]]
                    elif line["key"] == "deletedFile":
                        del files[value["path"]]
                commit = hub.add(name, files, revision)
                url = f"{hub.url}/{name}/commit/{commit}"
                self.reply(200, {"commitOid": commit, "commitUrl": url, "success": True})
            elif verb == "tree":
                commit = hub.find(name, revision.partition("?")[0])
                files = hub.commits.get((name, commit), {})
                self.reply(200, [self.described(path, files[path]) for path in sorted(files)])
            elif verb == "paths-info":
                files = hub.commits[name, hub.find(name, revision)]
                self.reply(200, [self.described(path, files[path]) for path in sorted(files)])
            else:
                self.reply(404, {"error": verb})

        def described(self, path, content):
            if hub.fault.body is not None:
                content = hub.fault.body(content)
            entry = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
            if is_large(path):
                digest = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 100}
            return entry

    return Handler
