"""Scripts that reach the old endpoint past the shim are told so, in one line, and other scripts nothing."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import signed_url

from compat.testing.sandbox import Sandbox
from exam_compat_uncaught import LegacyHost

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a configuration that is found by itself is of POSIX")

NEWS = "exam-compat: "
NOT_CAUGHT = (
    "{line} reaches the old endpoint's host by {library}, which is not caught (docs/run.md): send it by requests, "
    "httpx, urllib or aiohttp, or let the gateway answer it (exam-compat serve); deprecated calls go out as they were"
)
CAUGHT_ELSE = (
    "{line} reaches the old endpoint's host by {library}, in a way that is not caught (docs/run.md): let exam-compat "
    "migrate rewrite it, or let the gateway answer it (exam-compat serve); deprecated calls go out as they were"
)


@dataclass(frozen=True)
class Place:
    """A folder with a configuration, for a sandbox that serves the old endpoint too, under a name."""

    folder: Path
    sandbox: Sandbox

    @property
    def port(self) -> str:
        return self.sandbox.base_url.rpartition(":")[2]

    def run(self, script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script that knows where the old endpoint is."""
        url = signed_url(self.sandbox, f"http://localhost:{self.port}", "index_students", limit="3")
        head = f"HOST, PORT, URL, HEADERS = 'localhost', {self.port}, {url!r}, {dict(self.sandbox.headers)!r}\n"
        path = self.folder / "script.py"
        path.write_text(head + script, encoding="utf-8")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("EXAM_COMPAT", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, *options, str(path)],
            cwd=self.folder,
            env={**kept, "EXAM_COMPAT": "1", "EXAM_COMPAT_WARNINGS": "ignore", **variables},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done

    def line(self, script: str) -> str:
        """The line of a script that ends with ``# here``."""
        (number,) = [number for number, line in enumerate(script.splitlines(), 2) if line.endswith("# here")]
        return f"{self.folder / 'script.py'}:{number}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("uncaught")
    with Sandbox(students=20, exams=2) as sandbox:
        before, legacy, after = sandbox.toml("student_sessions").partition("[legacy]")
        named = after.replace(sandbox.base_url, sandbox.base_url.replace("127.0.0.1", "localhost"), 1)
        assert named != after
        (folder / "exam-compat.toml").write_text(before + legacy + named)
        yield Place(folder, sandbox)


def news(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What we said; nothing else stands on standard error."""
    lines = done.stderr.splitlines()
    assert all(line.startswith(NEWS) for line in lines), done.stderr
    return [line.removeprefix(NEWS) for line in lines]


PAST: dict[str, tuple[str, str]] = {
    "http.client": (
        "http.client",
        """
import http.client
for _ in range(3):
    connection = http.client.HTTPConnection(HOST, PORT)
    connection.request("GET", URL, headers=HEADERS)  # here
    print(connection.getresponse().status)
    connection.close()
""",
    ),
    "urllib3": (
        "urllib3",
        """
import urllib3
class Client:
    def __init__(self):
        self.pool = urllib3.PoolManager()
    def get(self, url):
        return self.pool.request("GET", url, headers=HEADERS)  # here
print(Client().get(URL).status)
""",
    ),
    "asyncio": (
        "asyncio",
        """
import asyncio
async def fetch():
    reader, writer = await asyncio.open_connection(HOST, PORT)  # here
    writer.write(f"GET {URL} HTTP/1.1\\r\\nHost: {HOST}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    await reader.readline()
    writer.close()
async def main():
    await asyncio.gather(fetch(), asyncio.sleep(0.01))
asyncio.run(main())
""",
    ),
    "asyncio, looked up before its task waits": (
        "asyncio",
        """
import asyncio
# Of the library's own kind, so that the line stays the script's.
slow = "import time\\ndef wrap_future(future, loop=None):\\n    time.sleep(0.2)\\n    return real(future, loop=loop)"
names = {"__name__": "asyncio.futures", "real": asyncio.futures.wrap_future}
exec(compile(slow, asyncio.__file__, "exec"), names)
asyncio.futures.wrap_future = names["wrap_future"]
async def fetch():
    reader, writer = await asyncio.open_connection(HOST, PORT)  # here
    writer.write(f"GET {URL} HTTP/1.1\\r\\nHost: {HOST}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    await reader.readline()
    writer.close()
async def main():
    await asyncio.gather(fetch(), asyncio.sleep(0.01))
asyncio.run(main())
""",
    ),
    "a task that waits for a library's own tasks": (
        "anyio",
        """
import anyio
async def fetch():
    async with await anyio.connect_tcp(HOST, PORT):  # here
        pass
async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(fetch)
anyio.run(main)
""",
    ),
    "a socket and a name": (
        "socket",
        """
import socket
with socket.socket() as plain:
    plain.connect((HOST.upper(), PORT))  # here
""",
    ),
    "a lookup and its port": (
        "socket",
        """
import socket
socket.getaddrinfo(HOST, str(PORT))  # here
""",
    ),
    "threads at one line": (
        "http.client",
        """
import http.client, threading
def call():
    connection = http.client.HTTPConnection(HOST, PORT)
    barrier.wait()
    connection.connect()  # here
    connection.close()
barrier = threading.Barrier(8)
threads = [threading.Thread(target=call) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    ),
    "a thread that runs nothing of the script's": (
        "urllib3",
        """
import requests, urllib3
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    pool.submit(urllib3.PoolManager().request, "GET", URL, headers=HEADERS).result()  # here
""",
    ),
    "a forked child": (
        "http.client",
        """
import http.client, os
def call():
    connection = http.client.HTTPConnection(HOST, PORT)
    connection.connect()  # here
    connection.close()
import socket
if os.fork() == 0:
    call()
    os._exit(0)
os.wait()
""",
    ),
    "a standard error that goes there itself, and fails": (
        "http.client",
        """
import http.client, socket, sys
class Log:
    def write(self, text):
        socket.create_connection((HOST, PORT)).close()
        sys.__stderr__.write(text)
        raise KeyError("nobody expects this")
    def flush(self):
        pass
sys.stderr = Log()
connection = http.client.HTTPConnection(HOST, PORT)
connection.connect()  # here
connection.close()
""",
    ),
}


@pytest.mark.parametrize("name", PAST)
def test_a_line_past_the_shim_is_told_once(place: Place, name: str) -> None:
    library, script = PAST[name]
    assert news(place.run(script)) == [NOT_CAUGHT.format(line=place.line(script), library=library)]


@pytest.mark.skipif(importlib.util.find_spec("pycurl") is None, reason="needs pycurl")
@pytest.mark.parametrize("url", ["URL", "URL.encode()", "URL.removeprefix('http://')"])
def test_a_handle_of_pycurl_that_is_given_the_url(place: Place, url: str) -> None:
    script = f"""
import io
from pycurl import Curl, CurlMulti, HTTPHEADER, RESPONSE_CODE, URL as OPTION, WRITEDATA
class Handle(Curl):
    pass
handle, body = Handle(), io.BytesIO()
handle.setopt(OPTION, {url})  # here
handle.setopt(HTTPHEADER, [f"{{name}}: {{text}}" for name, text in HEADERS.items()])
handle.setopt(WRITEDATA, body)
handle.perform()
other = handle.duphandle()
other.setopt(OPTION, "http://other.example")
CurlMulti().add_handle(other)
print(handle.getinfo(RESPONSE_CODE), len(body.getvalue()) > 100)
"""
    done = place.run(script)
    assert done.stdout == "200 True\n"
    assert news(done) == [NOT_CAUGHT.format(line=place.line(script), library="pycurl")]


BY_HAND: dict[str, str] = {
    "its adapter alone": """
import requests
prepared = requests.Request("GET", URL, headers=HEADERS).prepare()
print(requests.adapters.HTTPAdapter().send(prepared).headers.get("X-Compat-Answered-By"))  # here
""",
    "a session that finds an adapter by itself": """
import requests
class Session(requests.Session):
    def get_adapter(self, url):
        return self.adapters["http://"]
print(Session().get(URL, headers=HEADERS).headers.get("X-Compat-Answered-By"))  # here
""",
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_call_of_requests_that_is_not_caught(place: Place, name: str) -> None:
    script = BY_HAND[name]
    done = place.run(script)
    assert done.stdout == "None\n"
    assert news(done) == [CAUGHT_ELSE.format(line=place.line(script), library="requests")]


def test_a_thread_that_nobody_has_noted(place: Place) -> None:
    script = """
import urllib3
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    pool.submit(urllib3.PoolManager().request, "GET", URL, headers=HEADERS).result()
"""
    assert news(place.run(script)) == [NOT_CAUGHT.format(line="a thread", library="urllib3")]


CAUGHT = """
import requests, sys, threading
from requests.adapters import HTTPAdapter
class Slow(HTTPAdapter):
    def send(self, *arguments, **options):
        return super().send(*arguments, **options)
session = requests.Session()
session.headers.update(HEADERS)
session.mount(URL.partition("/api")[0], Slow() if "own" in sys.argv else HTTPAdapter())
def call(found):
    found.append(session.get(URL).headers["X-Compat-Answered-By"])
    # A route that is not deprecated goes on to the same host.
    found.append(session.get(URL.partition("index_students")[0]).status_code)
found = []
call(found)
thread = threading.Thread(target=call, args=(found,))
thread.start(); thread.join()
session.close()
print(*found)
"""


@pytest.mark.parametrize(
    ("mode", "answered"), [("new", "new"), ("legacy", "legacy"), ("shadow", "legacy"), ("canary:100", "new")]
)
def test_calls_that_are_caught_are_told_nothing_of(place: Place, mode: str, answered: str) -> None:
    done = place.run(CAUGHT, EXAM_COMPAT_MODE=mode)
    assert done.stdout == f"{answered} 404 {answered} 404\n"
    assert news(done) == []


BY_LIBRARIES: dict[str, str] = {
    "httpx": """
import httpx
with httpx.Client(headers=HEADERS) as client:
    for url in URLS:
        print(client.get(url).headers.get("X-Compat-Answered-By"))
""",
    "httpx in a loop": """
import asyncio, httpx
async def main():
    async with httpx.AsyncClient(headers=HEADERS) as client:
        for url in URLS:
            print((await client.get(url)).headers.get("X-Compat-Answered-By"))
asyncio.run(main())
""",
    "urllib": """
import urllib.error, urllib.request
for url in URLS:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=HEADERS)) as answer:
            print(answer.headers.get("X-Compat-Answered-By"))
    except urllib.error.HTTPError as error:
        print(error.headers.get("X-Compat-Answered-By"))
        error.close()
""",
    "aiohttp": """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        for url in URLS:
            async with session.get(url) as answer:
                print(answer.headers.get("X-Compat-Answered-By"))
asyncio.run(main())
""",
}


@pytest.mark.parametrize("name", BY_LIBRARIES)
def test_calls_of_other_libraries_that_are_caught(place: Place, name: str) -> None:
    done = place.run(f"URLS = [URL.partition('index_students')[0], URL]\n{BY_LIBRARIES[name]}")
    assert done.stdout == "None\nnew\n"
    assert news(done) == []


def test_an_adapter_of_the_scripts_own_behind_ours(place: Place) -> None:
    done = place.run(CAUGHT.replace('"own" in sys.argv', "True"), EXAM_COMPAT_MODE="legacy")
    assert done.stdout == "legacy 404 legacy 404\n"
    assert news(done) == []


def test_other_hosts_ports_and_lookups_are_nobodys_business(place: Place) -> None:
    script = """
import http.client, socket, threading
with socket.create_server((HOST, 0)) as other:
    http.client.HTTPConnection(HOST, other.getsockname()[1]).connect()
socket.gethostbyname(HOST)
socket.getaddrinfo(HOST, None)
socket.getaddrinfo(b"127.0.0.1", PORT)
with socket.create_connection(("127.0.0.1", PORT)):
    pass
"""
    assert news(place.run(script, "-W", "ignore")) == []


CALL = """
import http.client
def call():
    connection = http.client.HTTPConnection(HOST, PORT)
    connection.connect()
    connection.close()
"""


@pytest.mark.parametrize(
    ("options", "variables"),
    [((), {"EXAM_COMPAT": "0"}), (("-I",), {}), (("-E",), {}), ((), {"EXAM_COMPAT_CONFIG": "/dev/zero"})],
    ids=["off", "isolated", "no environment", "no configuration"],
)
def test_nothing_is_told_where_the_shim_takes_no_part(
    place: Place, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    assert news(place.run(f"{CALL}call()\n", *options, **variables)) == []


def test_a_configuration_that_is_a_pipe_is_not_waited_for(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert news(place.run(f"{CALL}call()\n", EXAM_COMPAT_CONFIG=str(tmp_path / "pipe"))) == []


def test_a_host_that_a_variable_names(place: Place, tmp_path: Path) -> None:
    (tmp_path / "named.toml").write_text("[legacy]\nbase_url = 'env:OLD'\n")
    named = {"EXAM_COMPAT_CONFIG": str(tmp_path / "named.toml"), "OLD": f"http://LOCALHOST:{place.port}/below/"}
    assert len(news(place.run(f"{CALL}call()\n", **named))) == 1


def test_nothing_is_told_once_it_is_uninstalled(place: Place) -> None:
    script = f"{CALL}import compat\ncompat.uninstall()\nfor _ in range(2): call()\n"
    assert news(place.run(script)) == []


def test_where_the_shim_refuses_its_configuration_it_says_that_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(
        f"[upstream]\nkind = 'x'\n[legacy]\nbase_url = 'http://localhost:{place.port}'"
    )
    script = f"{CALL}import requests\nrequests.get(URL, headers=HEADERS).close()\ncall()\n"
    (line,) = news(place.run(script, EXAM_COMPAT_CONFIG=str(tmp_path / "wrong.toml")))
    assert line.endswith("; calls go out as they were")


def test_code_that_is_made_at_run_time_is_told_of_up_to_a_bound(place: Place) -> None:
    script = """
import socket
for number in range(60):
    exec(compile("socket.create_connection((HOST, PORT)).close()", f"<made {number}>", "exec"))
"""
    lines = news(place.run(script))
    assert len(lines) == 50
    assert lines[7] == NOT_CAUGHT.format(line="<made 7>:1", library="socket")


def test_a_process_without_sockets_has_no_hook(place: Place) -> None:
    script = """
import exam_compat_uncaught as uncaught
print(uncaught._listening)
import socket
print(uncaught._listening)
"""
    assert place.run(script).stdout == "False\nTrue\n"


def test_a_run_that_was_told_where_it_calls_is_not_told_that_nothing_was_caught(place: Place) -> None:
    place.run("")
    command = str(Path(sys.executable).with_name("exam-compat"))
    script = place.folder / "calls.py"
    script.write_text(f"HOST, PORT = 'localhost', {place.port}\n{CALL}call()\n")
    done = subprocess.run(
        [command, "run", str(script)], cwd=place.folder, check=True, capture_output=True, text=True, timeout=60
    )
    assert news(done) == [NOT_CAUGHT.format(line=f"{script}:6", library="http.client")]


@pytest.mark.parametrize(
    ("base_url", "host", "port", "same"),
    [
        ("https://acme.example", "acme.example", 443, True),
        ("https://acme.example", b"ACME.example.", "https", True),
        ("https://acme.example", "acme.example", None, True),
        ("https://acme.example", "acme.example", 80, False),
        ("https://acme.example", "www.acme.example", 443, False),
        ("https://acme.example", None, 443, False),
        ("https://münchen.example/path", "xn--mnchen-3ya.example", 443, True),
        ("https://xn--mnchen-3ya.example", "MÜNCHEN.example", 443, True),
        ("http://[::1]:8080", "0:0:0:0:0:0:0:1", 8080, True),
        ("http://[::1]:8080", "::1%lo", "8080", True),
        ("http://[::1]:8080", "::1", None, False),
        ("http://127.0.0.1", "127.0.0.1", None, False),
        ("http://127.0.0.1", "127.0.0.1", 80, True),
        ("http://localhost", "localhost", 0, False),
    ],
)
def test_how_a_host_is_known(base_url: str, host: str | bytes | None, port: object, same: bool) -> None:
    assert LegacyHost(base_url).is_asked_for(host, port) is same


@pytest.mark.parametrize("base_url", ["", "ftp://acme.example", "acme.example", "https://"])
def test_what_is_no_old_endpoint(base_url: str) -> None:
    with pytest.raises(ValueError, match="no URL of http or https"):
        LegacyHost(base_url)
