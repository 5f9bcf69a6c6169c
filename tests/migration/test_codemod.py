"""Rewritten calls: the same output from the new endpoint, every comment kept, twice is once, unsure is untouched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rewriting import account, comments, run, script, settled

from compat.migration.codemod import rewritten
from compat.testing.sandbox import Sandbox

CERTAIN = {
    "a data class whose fields share a line": """
        from dataclasses import dataclass


        @dataclass
        class Job:
            http: requests.Session; exam: int


        job = Job(requests.Session(), 17)
        url = f"{URL}/api/v3/exams/{job.exam}/index_students"
        print(len(job.http.get(url, params=signed(17), headers=HEADERS).json()["students"]))
        """,
    "one page": """
        r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)
        for s in r.json()["students"]:  # each
            print(s["id"], s["email"], s["pin_code"] if "pin_code" in s else "-")
        """,
    "percent": """
        exam = "18"
        answer = requests.get("%s/api/v3/exams/%s/index_students/" % (URL, exam), params=signed(exam), headers=HEADERS)
        answer.raise_for_status()
        body = answer.json()
        print(len(body["students"]), list(body))
        """,
    "format and a constant": """
        route = "{}/api/v3/exams/{}/index_students"
        for exam in (17, 18):
            found = requests.get(route.format(URL, exam), params=signed(exam, status="exam_finished"), headers=HEADERS)
            print(exam, [s["name"] for s in found.json().get("students", [])])
        """,
    "plus": """
        BASE = URL + "/api/v3"
        url = BASE + "/exams/" + str(17) + "/index_students"
        r = requests.get(url, headers=HEADERS, timeout=5, params=signed("17", limit=3, page=2))
        print([s["id"] for s in r.json()["students"]], r.headers["X-Pagination-Item-Count"])
        """,
    "pages by the header": """
        def fetch(exam, page):
            # limits are small, so that there are pages
            r = requests.get(
                f"{URL}/api/v3/exams/{exam}/index_students",
                params=signed(exam, page=page, limit=4),
                headers=HEADERS,
            )
            r.raise_for_status()
            return r

        page, pages = 1, 1
        while page <= pages:
            answer = fetch(17, page)
            pages = int(answer.headers.get("x-pagination-page-count", 0))
            print(page, [s["id"] for s in answer.json()["students"]])
            page += 1  # the next one
        """,
    "pages by a range": """
        first = requests.get(URL + "/api/v3/exams/17/index_students", params=signed(17, limit=5), headers=HEADERS)
        students = first.json()["students"]
        for number in range(2, int(first.headers["X-Pagination-Page-Count"]) + 1):
            params = signed(17, limit=5, page=number)
            more = requests.get(URL + "/api/v3/exams/17/index_students", params=params, headers=HEADERS)
            students += more.json()["students"]
        print([s["id"] for s in students])
        """,
    "a dictionary that grows": """
        def report(exam, status=None, since=None):
            params = {
                "limit": 50,  # plenty
            }
            if status:
                params["status"] = status
            params["sort"] = json.dumps([{"start_time": "desc"}, {"id": "asc"}])
            if since is not None:
                params["filter"] = json.dumps({"start_time": {"gte": since}})
            params["timestamp"] = int(time.time() * 1000)
            params["nonce"] = random.getrandbits(60)
            base = sorted(list(params.items()) + [("id", exam)])
            text = "?".join("%s=%s" % pair for pair in base)
            params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            r = requests.get("%s/api/v3/exams/%s/index_students" % (URL, exam), params=params, headers=HEADERS)
            return [s["id"] for s in r.json()["students"]]


        print(report(17), report(17, "exam_finished"), report(17, since="2018-10-28"))
        """,
    "a session": """
        session = requests.Session()
        session.headers.update(HEADERS)  # for all calls

        def count(http, exam):
            listed = http.get(f"{URL}/api/v3/exams/{exam}/index_students", params=signed(exam))
            return int(listed.headers["X-Pagination-Item-Count"])

        print(count(session, 17), count(session, 18))
        """,
    "with a session": """
        with requests.Session() as s:
            s.headers["Authorization"] = f"Token token={TOKEN}"
            r = s.request("GET", f"{URL}/api/v3/exams/17/index_students", params=signed(17, sort='[{"name":"asc"}]'))
            print([x["name"] for x in r.json()["students"]])
        """,
    "one student": """
        first = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17, limit=1), headers=HEADERS)
        student_id = first.json()["students"][0]["id"]
        which = signed(17, student_session_id=student_id)
        r = requests.get(f"{URL}/api/v3/exams/17/show_student", params=which, headers=HEADERS)
        r.raise_for_status()
        student = r.json()["student"]
        print(list(student.items()))
        """,
    "adding and deleting": """
        form = signed(17, name="Ann", email="ann@example.org", skip_requirements=True)
        added = requests.post(f"{URL}/api/v3/exams/17/add_student", data=form, headers=HEADERS).json()["student"]
        print(added["name"], added["skip_requirements"], len(added))
        requests.delete(
            f"{URL}/api/v3/exams/17/delete_student",
            json=signed(17, student_session_id=added["id"]),  # JSON, even here
            headers=HEADERS,
        ).raise_for_status()
        """,
    "passed on by name": """
        def listed(exam, **params):
            params.update(timestamp=int(time.time() * 1000), nonce=random.getrandbits(60))
            text = "?".join(f"{k}={v}" for k, v in sorted({**params, "id": exam}.items()))
            params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            return requests.get(f"{URL}/api/v3/exams/{exam}/index_students", params=params, headers=HEADERS)

        print(len(listed(17).json()["students"]), [s["id"] for s in listed(18, limit=3, page=2).json()["students"]])
        """,
    "passed on by name to what signs": """
        def listed(exam, **wanted):
            params = signed(exam, **wanted)
            r = requests.get(f"{URL}/api/v3/exams/{exam}/index_students", params=params, headers=HEADERS)
            return r.json()["students"]

        print(len(listed(17)), [s["id"] for s in listed(18, status="exam_finished")])
        """,
    "an outage": """
        try:
            r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)
            print(len(r.json()["students"]))
        except (requests.ConnectionError, requests.Timeout):
            # the next run will do
            print("later")
        """,
}


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    """One for all: what a script adds it takes away."""
    with Sandbox(students=60, exams=3, clamp=25) as sandbox, account(sandbox):
        yield sandbox


@pytest.mark.parametrize("body", CERTAIN.values(), ids=CERTAIN)
def test_a_rewritten_script_prints_the_same_from_the_new_endpoint(world: Sandbox, body: str) -> None:
    old = script(body)
    found = settled(old)
    assert [each for each in found.left if each.needed] == []
    assert found.changes
    expected = run(old)
    assert expected
    world.clear_calls()
    assert run(found.code) == expected
    assert {call.interface for call in world.calls} == {"student_sessions"}
    assert [each for each in comments(old) if each not in comments(found.code)] == []
    assert "index_students" not in found.code


AS_BEFORE = {
    "the status": """
        r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17, limit=LIMIT), headers=HEADERS)
        if r.status_code != 200:
            print("failed", r.status_code, r.reason, r.ok, r.text)
        else:
            print(len(r.content), r.encoding, r.headers["content-type"], r.links, r.is_redirect, r.history)
        """,
    "the body of an error": """
        url = "/".join([URL, "api", "v3", "exams", "17", "index_students"])
        data = requests.get(url, params=signed(17, limit=LIMIT), headers=HEADERS).json()
        print(data["error"] if "error" in data else len(data.get("students", [])))
        """,
    "an error that is caught": """
        try:
            r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17, limit=LIMIT), headers=HEADERS)
            r.raise_for_status()
        except requests.HTTPError as error:
            print("http", error.response.status_code, error.response.json()["error"])
        except requests.RequestException as error:
            print("other", type(error).__name__)
        else:
            print("fine", r.elapsed.total_seconds() > 0)
        """,
    "a helper that returns the answer": """
        ROUTES = {"all": "exams/%d/index_students", "one": "exams/%d/show_student"}

        def call(what, exam, **query):
            query.update(id=exam, timestamp=int(time.time() * 1000), nonce=random.getrandbits(60))
            text = "?".join(f"{k}={query[k]}" for k in sorted(query))
            query["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            return requests.get(URL + "/api/v3/" + ROUTES[what] % exam, params=query, headers=HEADERS, timeout=9)

        answer = call("all", 17, limit=LIMIT)
        first = answer.json().get("students", [{"id": 5}])[0]["id"]
        found = call("one", 17, student_session_id=first)
        print(answer.status_code, found.status_code, sorted(found.json()))
        """,
    "a class": """
        class Signer:
            def __init__(self, secret):
                self._secret = secret

            def sign(self, params):
                text = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
                return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()

        class Base:
            def __init__(self, token, secret):
                self.session = requests.Session()
                self.session.headers["Authorization"] = "Token token=" + token
                self.signer = Signer(secret)

            def _get(self, path, **params):
                params.update(timestamp=int(time.time() * 1000), nonce=random.getrandbits(60))
                params["signature"] = self.signer.sign(params)
                return self.session.get(URL + "/api/v3" + path, params=params)

        class Exams(Base):
            def students(self, exam, **params):
                return self._get(f"/exams/{exam}/index_students", id=exam, **params)

        answer = Exams(TOKEN, SECRET).students(17, limit=LIMIT)
        print(answer.status_code, len(answer.json().get("students", [])))
        """,
    "an account that is read in the function": """
        import argparse

        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--secret", default=SECRET)
            given = parser.parse_args([])
            query = {"limit": LIMIT, "id": 17, "timestamp": int(time.time() * 1000), "nonce": random.getrandbits(60)}
            text = "?".join(f"{k}={v}" for k, v in sorted(query.items()))
            query["signature"] = hmac.new(given.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=query, headers=HEADERS)
            print(r.status_code)

        main()
        """,
    "a session class of one's own": """
        class Signed(requests.Session):
            def request(self, method, url, params=None, **options):
                return super().request(method, URL + url, params=signed(17, **params), **options)

        print(Signed().get("/api/v3/exams/17/index_students", params={"limit": LIMIT}, headers=HEADERS).status_code)
        """,
    "an authentication of one's own": """
        from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

        class Auth(requests.auth.AuthBase):
            def __init__(self, token, secret):
                self.token, self.secret = token, secret

            def __call__(self, request):
                query = dict(parse_qsl(urlsplit(request.url).query))
                query.update(timestamp=int(time.time() * 1000), nonce=random.getrandbits(60))
                text = "?".join(f"{k}={v}" for k, v in sorted({**query, "id": 17}.items()))
                query["signature"] = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
                request.url = request.url.partition("?")[0] + "?" + urlencode(query)
                request.headers["Authorization"] = "Token token=" + self.token
                return request

        url = urljoin(URL, "/api/v3/exams/17/index_students")
        print(requests.get(url, params={"limit": LIMIT}, auth=Auth(TOKEN, SECRET)).status_code)
        """,
    "a partial and a prepared request": """
        import functools

        get = functools.partial(requests.get, headers=HEADERS)
        print(get(f"{URL}/api/v3/exams/17/index_students", params=signed(17, limit=LIMIT)).status_code)
        with requests.Session() as session:
            wanted = requests.Request("GET", f"{URL}/api/v3/exams/18/index_students", HEADERS, params=signed(18))
            print(session.send(session.prepare_request(wanted), timeout=5).status_code)
        """,
    "threads": """
        from concurrent.futures import ThreadPoolExecutor

        def count(exam):
            r = requests.get(f"{URL}/api/v3/exams/{exam}/index_students", params=signed(exam), headers=HEADERS)
            return r.status_code, int(r.headers.get("X-Pagination-Item-Count", -1))

        with ThreadPoolExecutor(3) as pool:
            print(list(pool.map(count, [17, 18, 19])))
        """,
    "urllib": """
        import urllib.error
        import urllib.parse
        import urllib.request

        url = f"{URL}/api/v3/exams/17/index_students?" + urllib.parse.urlencode(signed(17, limit=LIMIT))
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=HEADERS), timeout=9) as response:
                listed = json.load(response)["students"]
                print(response.status, response.headers["X-Pagination-Item-Count"], len(listed))
        except urllib.error.HTTPError as error:
            print(error.code, error.reason, json.load(error)["error"])
        """,
    "httpx": """
        import httpx

        with httpx.Client(base_url=URL, headers=HEADERS) as client:
            r = client.get("/api/v3/exams/17/index_students", params=signed(17, limit=LIMIT))
            print(r.status_code, r.is_success, r.reason_phrase, sorted(r.json()))
        """,
    "httpx without waiting": """
        import asyncio
        import httpx

        async def main():
            async with httpx.AsyncClient(headers=HEADERS) as client:
                r = await client.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17, limit=LIMIT))
                print(r.status_code, r.is_error, sorted(r.json()))

        asyncio.run(main())
        """,
}
WITH_THE_OLD_NAME = ("a helper that returns the answer", "a session class of one's own")
"""Where more than one route is called by one line, or something that is not followed gets the name."""
FAILURES = {
    "none": ("", "limit=3"),
    "403": (' + "x"', "limit=3"),
    "422": ("", 'limit="many"'),
}


# Python 3.14 says so of an HTTPError that a script leaves open, as they do.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("body", AS_BEFORE.values(), ids=AS_BEFORE)
def test_what_a_script_does_with_an_answer_goes_on(world: Sandbox, body: str, failure: str) -> None:
    if "httpx" in body:
        pytest.importorskip("httpx")
    more, limit = FAILURES[failure]
    old = script(body).replace(
        'SECRET = os.environ["PROCTOREXAM_SECRET"]', f'SECRET = os.environ["PROCTOREXAM_SECRET"]{more}'
    )
    old = old.replace("limit=LIMIT", limit).replace('"limit": LIMIT', '"limit": ' + limit.removeprefix("limit="))
    found = settled(old)
    assert [each for each in found.left if each.needed] == []
    assert "StudentSessionsHTTP(" in found.code
    stays = any(body == AS_BEFORE[name] for name in WITH_THE_OLD_NAME)
    assert ("index_students" in found.code) == stays
    assert any(each.reason.startswith("the name of the old route stays") for each in found.left) == stays
    expected = run(old)
    assert expected
    world.clear_calls()
    assert run(found.code) == expected
    assert {call.interface for call in world.calls} == {"student_sessions"}


CALL = 'r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)\n'
REFUSED = {
    "another method": ("requests.put(f'{URL}/api/v3/exams/17/index_students', headers=HEADERS)", "PUT"),
    "requests is changed": ("requests.get = traced\n" + CALL, "changes requests"),
    "a test's mock": (
        '@mock.patch("requests.get")\ndef test(get):\n    ' + CALL + "    assert r",
        "tests put something",
    ),
    "another library": (
        "import aiohttp\nasync def f():\n    async with aiohttp.ClientSession() as http:\n"
        "        async with http.get(f'{URL}/api/v3/exams/17/index_students', headers=HEADERS) as r:\n"
        "            return await r.json()",
        "aiohttp",
    ),
    "a URL that goes elsewhere": ("fetch(f'{URL}/api/v3/exams/17/index_students')", "`fetch`, which is not followed"),
    "a key that is asked for": (
        "def sign():\n    key = input()\n    return hmac.new(key.encode(), b'', hashlib.sha256).hexdigest()\n\n"
        "r = requests.get(f'{URL}/api/v3/exams/17/index_students', params={'signature': sign()}, headers=HEADERS)",
        "may say something else",
    ),
    "a library that signs": (
        "from elsewhere import sign\n\ndef check(body):\n    return hmac.new(HOOK.encode(), body, hashlib.sha256)\n\n"
        "r = requests.get(f'{URL}/api/v3/exams/17/index_students', params=sign({}), headers=HEADERS)",
        "may sign the call",
    ),
    "two keys": (
        "other = hmac.new(OTHER.encode(), b'', hashlib.sha256)\n"
        "r = requests.get(f'{URL}/api/v3/exams/17/index_students', headers=HEADERS)",
        "more than one hmac.new",
    ),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_certain_stays_and_is_told(body: str, reason: str) -> None:
    old = script(body + "\n")
    found = rewritten(old)
    assert found.code == old
    assert found.changes == ()
    assert found.left
    assert all(each.needed and each.by_hand for each in found.left)
    assert any(reason in each.reason for each in found.left), found.left
    lines = old.splitlines()
    assert all(1 <= each.line <= len(lines) for each in found.left)


def test_a_module_without_old_calls_stays_byte_for_byte() -> None:
    code = "import requests\nprint( requests.get( 'https://example.org/students' ) )  # spaced\n\n\n"
    assert rewritten(code).code == code


def test_a_name_that_is_looked_up_elsewhere_stays() -> None:
    old = script("r = requests.get(url_of('index_students'), params=signed(17))\nprint(r.text)\n")
    found = settled(old)
    assert "StudentSessionsHTTP(SECRET).get(url_of('index_students')" in found.code
    (left,) = found.left
    assert not left.needed


def test_a_name_that_is_shown_stays_and_is_answered_all_the_same(world: Sandbox) -> None:
    old = script(
        """
        path = "/api/v3/exams/17/index_students"
        print("asking", path)
        r = requests.get(URL + path, params=signed(17), headers=HEADERS)
        print(r.status_code, len(r.text))
        """
    )
    found = settled(old)
    expected = run(old)
    world.clear_calls()
    assert run(found.code) == expected
    assert "asking /api/v3/exams/17/index_students" in expected
    assert {call.interface for call in world.calls} == {"student_sessions"}


def test_a_refusal_shows_the_way_and_what_to_write() -> None:
    old = script(
        """
        def sign():
            return hmac.new(input().encode(), b"", hashlib.sha256).hexdigest()

        def fetch(path):
            return requests.get(URL + path, params={"signature": sign()}, headers=HEADERS)

        print(fetch("/api/v3/exams/17/index_students").text)
        """
    )
    (left,) = rewritten(old).left
    lines = old.splitlines()
    assert lines[left.line - 1].lstrip().startswith("return requests.get")
    assert lines.index('    return hmac.new(input().encode(), b"", hashlib.sha256).hexdigest()') + 1 == int(
        left.reason.split()[1].rstrip(":")
    )
    assert left.way[0].endswith('`"/api/v3/exams/17/index_students"`')
    assert left.way[-1].endswith("`URL + path`")
    assert "StudentSessionsHTTP(secret_key).get(URL + path" in left.snippet


def test_an_import_of_ones_own_stays() -> None:
    old = (
        script(
            """
        import settings

        print(requests.get(f"{settings.URL}/api/v3/exams/17/index_students", headers=HEADERS).json()["students"])
        settings_of = settings
        """
        )
        .replace("import requests\n", "import requests\nimport ours\n")
        .replace("+ TOKEN", "+ ours.TOKEN")
    )
    assert "import ours\n" in settled(old).code


def test_a_method_of_ones_own_that_is_called_as_a_dictionarys_is_followed_as_what_it_is() -> None:
    old = script(
        """
        class Api:
            def get(self, path, **params):
                return requests.get(URL + "/api/v3/" + path, params=signed(17, **params), headers=HEADERS).json()

            def students(self, exam):
                return self.get("exams/%d/index_students" % exam)["students"]

        print(len(Api().students(17)))
        """
    )
    found = settled(old)
    assert '"exams/%d/student_sessions" % exam' in found.code
    assert found.left == ()
