"""Bodies of every kind, by every entrance: read as the old server read them, or refused by a reason of their own."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from click.testing import CliRunner
from gateways import SECRET, TOKEN, settings_for, written
from serving import HEADERS, Gateway, serving, until
from support import OLD, mounted, program, upstream_of

import compat
from compat.cli.program import program as exam_compat
from compat.doctor import SeenRequest, diagnose
from compat.legacy.signature import signed
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

ASKED = {"filter": '{"name":{"ne":"Zoé + ?a=b&c"}}', "limit": "3"}
CALLER = compat.Caller("registrar", TOKEN, SECRET)
Values = Mapping[str, str]


def multipart(values: Values, head: str = "", boundary: str = "B0undary", further: str = "") -> bytes:
    """A multipart form; what is given is put behind the name and below it."""
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{head}\r\n{further}\r\n{value}\r\n'
        for name, value in values.items()
    )
    return ("".join(parts) + f"--{boundary}--\r\n").encode()


def as_json(values: Values) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode()


FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B0undary"
READ: list[tuple[str | None, Callable[[Values], bytes]]] = [
    ("application/json", as_json),
    ("application/json; charset=UTF-8", as_json),
    ('Application/JSON; Charset="utf-8"', as_json),
    ("text/json", as_json),
    ("text/x-json", as_json),
    ("application/vnd.api+json", as_json),
    (None, as_json),
    ("", as_json),
    ("application/json", lambda values: b"\r\n " + json.dumps({**values, "limit": 3}).encode()),
    (FORM, lambda values: urlencode(values).encode()),
    (f"{FORM}; charset=utf-8", lambda values: urlencode(values).replace("+", "%20").encode()),
    (None, lambda values: urlencode(values).encode()),
    (MULTIPART, multipart),
    ('Multipart/Form-Data; charset=utf-8; BOUNDARY="B0undary"', multipart),
    (MULTIPART, lambda values: multipart(values, further="Content-Type: text/plain; charset=UTF-8\r\n")),
    (MULTIPART, lambda values: b"passed over\r\n" + multipart(values) + b"passed over"),
]


@dataclass(frozen=True)
class Entrances:
    """A gateway, and adapters that check signatures and that do not."""

    gateway: Gateway
    checking: requests.Session
    trusting: requests.Session

    def ask(self, body: bytes, headers: Mapping[str, str | None], query: str = "") -> list[requests.Response]:
        """The answers of the gateway and of the adapter that checks."""
        found = []
        for session, base in ((requests.Session(), self.gateway.base), (self.checking, OLD)):
            request = requests.Request("GET", f"{base}/api/v3/exams/17/index_students{query}", data=body)
            prepared = session.prepare_request(request)
            prepared.headers.update({name: text for name, text in {**HEADERS, **headers}.items() if text is not None})
            found.append(session.send(prepared, timeout=30))
        return found

    def line(self, request_id: str) -> str:
        """The line of the gateway's log about a request, which is written a little after its answer."""

        def found() -> list[str]:
            return [each for each in self.gateway.log.read_text().splitlines() if f'"{request_id}"' in each]

        until(lambda: bool(found()), self.gateway)
        return found()[0]


@pytest.fixture(scope="module")
def entrances(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrances]:
    with Sandbox(students=12) as sandbox:
        config = written(tmp_path_factory.mktemp("bodies"), settings_for(sandbox))
        upstream = upstream_of(sandbox, "student_sessions")
        with serving(config) as gateway:
            checking = mounted(upstream, verifier=compat.Verifier([CALLER]))
            yield Entrances(gateway, checking, mounted(upstream))


def now(**more: str) -> dict[str, str]:
    return signed({**ASKED, **more}, SECRET, {"id": "17"})


@pytest.mark.parametrize(("kind", "write"), READ)
def test_what_is_read(entrances: Entrances, kind: str | None, write: Callable[[Values], bytes]) -> None:
    expected = entrances.gateway.listed(**ASKED)
    assert expected.status_code == 200
    for answer in entrances.ask(write(now()), {"Content-Type": kind}):
        assert (answer.status_code, answer.content) == (200, expected.content)


def test_how_libraries_and_curl_send_forms(entrances: Entrances) -> None:
    expected = entrances.gateway.listed(**ASKED).content
    url = entrances.gateway.url()
    fields = {name: (None, text) for name, text in now().items()}
    assert requests.get(url, files=fields, headers=HEADERS, timeout=30).content == expected
    fields = {name: (None, text) for name, text in now().items()}
    there = f"{OLD}/api/v3/exams/17/index_students"
    assert entrances.checking.get(there, files=fields, headers=HEADERS).content == expected
    options = [each for name, text in now().items() for each in ("--form-string", f"{name}={text}")]
    command = [program("curl"), "-sS", "-X", "GET", "-H", f"Authorization: {HEADERS['Authorization']}", *options, url]
    assert subprocess.run(command, check=True, capture_output=True, timeout=30).stdout == expected


def test_a_body_without_anything(entrances: Entrances) -> None:
    query = f"?{urlencode(now())}"
    for kind in ("application/json", "text/xml", MULTIPART, FORM):
        for body in (b"", b" \r\n"):
            answers = entrances.ask(body, {"Content-Type": kind}, query)
            assert {answer.status_code for answer in answers} <= {200}
            query = f"?{urlencode(now())}"


JSON = "application/json"
UNREAD: list[tuple[dict[str, str], Callable[[Values], bytes], str, str]] = [
    ({"Content-Type": "text/xml"}, as_json, "the type of the body is not one that is read", "body-of-unknown-type"),
    ({"Content-Type": "text/plain"}, as_json, "the type of the body is not one that is read", "body-of-unknown-type"),
    ({"Content-Type": "application/json, text/xml"}, as_json, "the type of the body is not one that is read",
     "body-of-unknown-type"),
    ({"Content-Type": f"{JSON}; charset=utf-16"}, lambda values: json.dumps(values).encode("utf-16"),
     "the body is not UTF-8", "body-not-utf-8"),
    ({"Content-Type": f"{JSON}; charset=iso-8859-1"}, as_json, "the body is not UTF-8", "body-not-utf-8"),
    ({"Content-Type": FORM}, lambda values: urlencode(values, encoding="latin-1").encode(), "the body is not UTF-8",
     "body-not-utf-8"),
    ({"Content-Type": MULTIPART}, lambda values: multipart(values).replace("é".encode(), b"\xe9"),
     "the body is not UTF-8", "body-not-utf-8"),
    ({"Content-Type": MULTIPART},
     lambda values: multipart(values, further="Content-Type: text/plain; charset=utf-7\r\n"), "the body is not UTF-8",
     "body-not-utf-8"),
    ({"Content-Type": JSON, "Content-Encoding": "gzip"}, lambda values: gzip.compress(as_json(values)),
     "the body is compressed or encoded", "body-encoded"),
    ({"Content-Type": JSON, "Content-Encoding": "br"}, as_json, "the body is compressed or encoded", "body-encoded"),
    ({"Content-Type": MULTIPART},
     lambda values: multipart(values, further="Content-Transfer-Encoding: base64\r\n"),
     "the body is compressed or encoded", "body-encoded"),
    ({"Content-Type": JSON}, lambda values: b"\xef\xbb\xbf" + as_json(values),
     "the body begins with a byte-order mark", "body-with-byte-order-mark"),
    ({"Content-Type": FORM}, lambda values: b"\xef\xbb\xbf" + urlencode(values).encode(),
     "the body begins with a byte-order mark", "body-with-byte-order-mark"),
    ({"Content-Type": JSON}, lambda values: urlencode(values).encode(),
     "the body is not the JSON object that its type says", "body-not-json"),
    ({"Content-Type": JSON}, lambda values: gzip.compress(as_json(values)),
     "the body is not the JSON object that its type says", "body-not-json"),
    ({"Content-Type": JSON}, lambda values: json.dumps([values]).encode(),
     "the body is not the JSON object that its type says", "body-not-json"),
    ({"Content-Type": JSON}, lambda values: as_json(values)[:-1] + b',"limit":"4"}', "a key of the body stands twice",
     "body-key-twice"),
    ({"Content-Type": "multipart/form-data"}, multipart, "the body is not the multipart form that its type says",
     "body-not-multipart"),
    ({"Content-Type": MULTIPART}, as_json, "the body is not the multipart form that its type says",
     "body-not-multipart"),
    ({"Content-Type": MULTIPART}, lambda values: multipart(values)[:-30],
     "the body is not the multipart form that its type says", "body-not-multipart"),
    ({"Content-Type": MULTIPART}, lambda values: multipart({**values, **dict.fromkeys(map(str, range(256)), "")}),
     "the body is not the multipart form that its type says", "body-not-multipart"),
    ({"Content-Type": MULTIPART}, lambda values: multipart(values, head='; filename="a.txt"'), "the body holds a file",
     "body-with-file"),
    ({"Content-Type": MULTIPART}, lambda values: multipart(values, head="; filename*=UTF-8''a"),
     "the body holds a file", "body-with-file"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "write", "reason", "finding"), UNREAD)
def test_what_is_not_read(
    entrances: Entrances, headers: dict[str, str], write: Callable[[Values], bytes], reason: str, finding: str
) -> None:
    stranger = requests.get(entrances.gateway.url(), headers={"Authorization": "Token token=x"}, timeout=30)
    body, request_id = write(now()), f"body-{time.time_ns()}"
    for answer in entrances.ask(body, {**headers, "X-Request-Id": request_id}):
        # As any other refusal, so that nobody learns from it what was read.
        assert (answer.status_code, answer.content) == (403, stranger.content)
    line = entrances.line(request_id)
    assert json.loads(line)["refusal"] == reason
    told = CliRunner().invoke(exam_compat, ["doctor", "--json", line])
    assert [each["name"] for each in json.loads(told.output)["findings"]] == [finding]
    seen = {name.lower(): value for name, value in {**HEADERS, **headers}.items()}
    diagnosis = diagnose(SeenRequest("GET", "/api/v3/exams/17/index_students", seen, body), CALLER, now=0)
    assert finding in [each.name for each in diagnosis.findings]
    # Nobody checks a signature there, so the answer can say it.
    request = requests.Request("GET", f"{OLD}/api/v3/exams/17/index_students", data=body, headers=headers)
    answer = entrances.trusting.send(entrances.trusting.prepare_request(request))
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("Must ")


def test_a_stranger_learns_nothing_of_bodies(entrances: Entrances) -> None:
    entrances.ask(b"<a/>", {"Content-Type": "text/xml", "Authorization": "Token token=x", "X-Request-Id": "stranger"})
    assert json.loads(entrances.line("stranger"))["refusal"] == "unknown token"


def test_two_content_types(entrances: Entrances) -> None:
    """Two that differ are an unknown type, whichever came first; the same twice is one."""
    from http.client import HTTPConnection

    host = entrances.gateway.base.partition("//")[2]
    for second, status in (("text/xml", 403), ("application/json", 200)):
        connection = HTTPConnection(host, timeout=30)
        body = as_json(now())
        connection.putrequest("GET", "/api/v3/exams/17/index_students")
        for name, value in (*HEADERS.items(), ("Content-Length", str(len(body))), ("Content-Type", "application/json")):
            connection.putheader(name, value)
        connection.putheader("Content-Type", second)
        connection.endheaders(body)
        assert connection.getresponse().status == status
        connection.close()


def test_a_signed_call_with_a_file_nobody_signed_is_told(entrances: Entrances) -> None:
    for answer in entrances.ask(
        multipart(now())[:-14] + multipart({"photo": "x"}, head='; filename="a.png"'), {"Content-Type": MULTIPART}
    ):
        assert answer.status_code == 422
        message = "Must be a value, not a file: send the part without a filename."
        assert answer.json() == {"error": message, "errors": {"photo": [message]}}


@pytest.mark.parametrize("name", ["status", "page", "limit", "sort", "filter", "unknown"])
def test_null_is_a_parameter_without_a_value(entrances: Entrances, name: str) -> None:
    message = f"Param is missing or the value is empty: '{name}'"
    values = signed({**ASKED, name: ""}, SECRET, {"id": "17"})
    for answer in entrances.ask(json.dumps({**values, name: None}).encode(), {"Content-Type": JSON}):
        assert (answer.status_code, answer.json()["errors"]) == (422, {name: [message]})


@pytest.mark.parametrize("name", ["name", "email", "individual_info", "skip_requirements", "open_time"])
def test_null_in_a_student_who_is_added(entrances: Entrances, name: str) -> None:
    given = {"name": "A", "email": "a@example.org", name: None}
    answer = entrances.trusting.post(f"{OLD}/api/v3/exams/17/add_student", json=given)
    assert answer.json()["errors"] == {name: [f"Param is missing or the value is empty: '{name}'"]}


@pytest.mark.parametrize(
    ("sent", "name", "form"),
    [
        ("filter[start_time][gte]", "filter", "one parameter of stringified JSON"),
        ("sort[][name]", "sort", "one parameter of stringified JSON"),
        ("page[number]", "page", "the parameter page"),
        ("status[]", "status", "the parameter status"),
        ("student[limit]", "limit", "the parameter limit"),
    ],
)
def test_names_with_brackets(entrances: Entrances, sent: str, name: str, form: str) -> None:
    message = f"Must be sent as {form}: brackets are not read in '{sent}'."
    values = signed({sent: "1"}, SECRET, {"id": "17"})
    for kind, write in ((MULTIPART, multipart), (FORM, lambda given: urlencode(given).encode()), (JSON, as_json)):
        for answer in entrances.ask(write(values), {"Content-Type": kind}):
            assert answer.json()["errors"] == {name: [message]}
        values = signed({sent: "1"}, SECRET, {"id": "17"})
    ignored = signed({"columns[0][name]": "1", "q[filter]": "2"}, SECRET, {"id": "17"})
    assert [answer.status_code for answer in entrances.ask(as_json(ignored), {"Content-Type": JSON})] == [200, 200]


def test_links_in_signed_texts(entrances: Entrances) -> None:
    for number, link in enumerate(
        ("https://m.example.org/view.php?id=123", "see http://h.example.org/?name=b&limit=2")
    ):
        given = {"name": "Ann", "email": f"ann{number}@example.org", "individual_info": link}
        url = f"{entrances.gateway.base}/api/v3/exams/17/add_student"
        body = {name: (None, text) for name, text in signed(given, SECRET, {"id": "17"}).items()}
        answer = requests.post(url, files=body, headers=HEADERS, timeout=30)
        assert (answer.status_code, answer.json()["student"]["individual_info"]) == (201, link)


def test_the_reasons_are_those_of_the_code(tmp_path: Path) -> None:
    from compat.legacy import parameters

    reasons = (value for name, value in vars(parameters).items() if name.isupper() and name in parameters.__all__)
    known = {value for value in reasons if isinstance(value, str)} - {parameters.QUERY_CHARSET}
    assert {reason for _, _, reason, _ in UNREAD} == known
