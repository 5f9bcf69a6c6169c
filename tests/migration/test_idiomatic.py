"""Calls that become pages of StudentSessionsClient, and signing that goes: the same output; in doubt both stay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rewriting import account, run, script, settled

from compat.errors import NotAuthorized
from compat.migration.codemod import Importers, migrate_source, rewritten
from compat.migration.scan import Source
from compat.testing.sandbox import Sandbox

CALL = 'requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17, limit=4), headers=HEADERS)'
PAGES = {
    "a page that is checked": f"""
        r = {CALL}
        r.raise_for_status()
        for s in r.json()["students"]:
            print(s["id"], s["email"])
        """,
    "at once": f"""
        print([s["name"] for s in {CALL}.json()["students"]])
        """,
    "a function that gives the records": """
        def students(exam, status):
            r = requests.get(
                "%s/api/v3/exams/%s/index_students" % (URL, exam),
                params=signed(exam, status=status, sort='[{"email": "desc"}]'),
                headers={"Authorization": f"Token token={TOKEN}", "Accept": "application/vnd.procwise.v3"},
                timeout=20,
            )
            r.raise_for_status()
            return r.json()["students"]

        print([s["email"] for s in students(17, "exam_finished")], len(students(18, "registered")))
        """,
    "a function that gives the answer, and a loop over pages": """
        def fetch(exam, page):
            url = "{}/api/v3/exams/{}/index_students".format(URL, exam)
            params = {"page": page, "limit": 3, "id": exam}
            params["timestamp"], params["nonce"] = int(time.time() * 1000), random.getrandbits(60)
            text = "?".join(f"{k}={params[k]}" for k in sorted(params))
            params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            answer = requests.get(url, params=params, headers=HEADERS)
            answer.raise_for_status()
            return answer

        page, pages = 1, 1
        while page <= pages:
            answer = fetch(17, page)
            pages = int(answer.headers["X-Pagination-Page-Count"])
            print(page, pages, [s["id"] for s in answer.json()["students"]])
            page += 1
        """,
    "parameters that are passed on": """
        def call(exam, **query):
            params = {"id": exam}
            params.update(query)
            params["timestamp"] = int(time.time() * 1000)
            params["nonce"] = random.getrandbits(60)
            text = "?".join("%s=%s" % (k, params[k]) for k in sorted(params))
            params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            url = "/".join([URL, "api/v3/exams", str(exam), "index_students"])
            r = requests.get(url, params=params, headers=HEADERS)
            r.raise_for_status()
            return r.json()

        print(len(call(17)["students"]), [s["id"] for s in call(18, filter='{"id": {"gt": 5}}', limit=2)["students"]])
        """,
    "the number of all": f"""
        r = {CALL}
        print(int(r.headers["x-pagination-item-count"]), len(r.json()["students"]))
        """,
}


def whole(body: str) -> str:
    """A script of that body; what the head has to sign is left out where it is not called."""
    head, sign, rest = script(body).partition("def signed(")
    return head + sign + rest if "signed(" in body else head.rstrip() + "\n\n\n" + rest.partition("\n\n\n")[2]


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    with Sandbox(students=60, exams=3, clamp=25) as sandbox, account(sandbox):
        yield sandbox


@pytest.mark.parametrize("body", PAGES.values(), ids=PAGES)
def test_an_answer_that_is_read_as_records_is_a_page(world: Sandbox, body: str) -> None:
    old = whole(body)
    found = settled(old)
    assert "StudentSessionsClient(" in found.code
    for gone in ("StudentSessionsHTTP", "requests", "hmac", "hashlib", "random", "def signed", ".json()", "raise_for"):
        assert gone not in found.code
    expected = run(old)
    assert expected
    world.clear_calls()
    assert run(found.code) == expected
    assert {call.interface for call in world.calls} == {"student_sessions"}


def test_a_loop_over_pages_reads_the_list_once(world: Sandbox) -> None:
    found = settled(whole(PAGES["a function that gives the answer, and a loop over pages"]))
    world.clear_calls()
    assert run(found.code).count("\n") > 3
    asked = [call.parameters.get("page", "1") for call in world.calls]
    assert len(asked) == len(set(asked))


def test_what_failed_ends_the_script_by_an_error_of_the_client(world: Sandbox) -> None:
    code = settled(
        script(PAGES["a page that is checked"]).replace('"PROCTOREXAM_SECRET"]', '"PROCTOREXAM_SECRET"] + "x"')
    ).code
    assert "StudentSessionsClient(" in code
    with pytest.raises(NotAuthorized):
        run(code)


STAYS = {
    "the status is read": f"r = {CALL}\nprint(r.status_code, len(r.json()['students']))",
    "another field is read": f"r = {CALL}\nprint(r.json().get('students'))",
    "another header is read": f"r = {CALL}\nprint(r.headers['Content-Type'], len(r.json()['students']))",
    "errors are caught": f"try:\n    print(len({CALL}.json()['students']))\nexcept OSError:\n    print('failed')",
    "errors are passed over": (
        f"import contextlib\nwith contextlib.suppress(OSError):\n    print(len({CALL}.json()['students']))"
    ),
    "two lists of one answer": f"r = {CALL}\nr.json()['students'].clear()\nprint(len(r.json()['students']))",
    "a parameter of no page": f"r = {CALL.replace('limit=4', 'colour=4')}\nprint(len(r.json()['students']))",
    "certificates": f"print(len({CALL[:-1]}, verify=False).json()['students']))",
    "a long wait": f"print(len({CALL[:-1]}, timeout=600).json()['students']))",
    "another header is sent": (
        "headers = {**HEADERS, 'User-Agent': 'ours'}\n"
        + f"print(len({CALL}.json()['students']))".replace("HEADERS", "headers")
    ),
    "a name that is bound twice": (
        "exam = 17\nexam = 18\n"
        f"print(len({CALL.replace('exams/17', 'exams/{exam}').replace('17', '18')}.json()['students']))"
    ),
    "an address by rules of its own": (
        "from urllib.parse import urljoin\n"
        "r = requests.get(urljoin(URL, '/api/v3/exams/17/index_students'), params=signed(17), headers=HEADERS)\n"
        "print(len(r.json()['students']))"
    ),
    "a part in a form of its own": f"print(len({CALL.replace('exams/17', 'exams/{17!r}')}.json()['students']))",
    "an address that is worked out before": (
        "def base():\n    print('base')\n    return URL\n\nurl = base() + '/api/v3/exams/17/index_students'\n"
        "print(len(requests.get(url, params=signed(17), headers=HEADERS).json()['students']))"
    ),
    "a number that the script reads in its own way": (
        "exam = 17\nexam += 0\nr = requests.get(URL + '/api/v3/exams/%s/index_students' % exam, params=signed(17),"
        " headers=HEADERS)\nprint(len(r.json()['students']))"
    ),
    "a parameter that changes before the call": (
        "limit = 2\nwanted = {'limit': limit}\nlimit = 3\n"
        + f"print(limit, len({CALL.replace('signed(17, limit=4)', 'signed(17, **wanted)')}.json()['students']))"
    ),
    "errors that a library catches": f"from functools import lru_cache as retry\nprint(len({CALL}.json()['students']))",
    "a name that means something else there": (
        "token = TOKEN\nSENT = {'Authorization': 'Token token=' + token}\n\ndef count(token):\n"
        f"    return len({CALL.replace('HEADERS', 'SENT')}.json()['students'])\n\nprint(count('other'))"
    ),
    "a parameter that is read for something else": (
        "wanted = {'limit': 3}\nother = {}\nother['limit'] = wanted['limit']\n"
        + f"print(other, len({CALL.replace('signed(17, limit=4)', 'signed(17, **wanted)')}.json()['students']))"
    ),
    "a list that is put into the answer": (
        f"data = {CALL}.json()\ndata['students'] = data['students'][1:]\nprint(len(data['students']))"
    ),
    "a list that grows in the answer": f"data = {CALL}.json()\ndata['students'] += [1]\nprint(len(data['students']))",
    "a function that gives two kinds of answer": (
        f"def read(exam):\n    if not exam:\n        return {{'students': []}}\n    return {CALL}.json()\n\n"
        "print(len(read(17)['students']), len(read(0)['students']))"
    ),
    "the answer is handed on": f"print(len({CALL}.json()['students']), bool({CALL}))",
}


@pytest.mark.parametrize("body", STAYS.values(), ids=STAYS)
def test_an_answer_that_is_read_otherwise_stays_a_response(world: Sandbox, body: str) -> None:
    old = script(body + "\n")
    found = settled(old)
    assert "StudentSessionsHTTP(SECRET)" in found.code
    assert run(found.code) == run(old)


def test_comments_and_the_docstring_stay() -> None:
    code = settled(
        script(
            f"""
            # who
            r = {CALL}  # all of them
            r.raise_for_status()  # or not
            print(len(r.json()["students"]))
            """
        )
    ).code
    assert code.startswith('"""A report."""\n')
    assert "# who\n# all of them\nclient = StudentSessionsClient(" in code or "# who\nclient = " in code
    for comment in ("# who", "# all of them", "# or not"):
        assert code.count(comment) == 1


KEPT = {
    "a nonce that is asked for": """
        with requests.Session() as session:
            session.headers.update(HEADERS)
            params = {"timestamp": int(time.time() * 1000), "nonce": session.get(URL + "/nonce").status_code}
            text = "?".join(f"{k}={v}" for k, v in sorted({**params, "id": 17}.items()))
            params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            print(session.get(f"{URL}/api/v3/exams/17/index_students", params=params).status_code)
        """,
    "a variable that must be there": """
        def sign(params):
            text = os.environ["HOME"][:0] + "?".join(f"{k}={v}" for k, v in sorted({**params, "id": 17}.items()))
            return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()

        params = {"timestamp": int(time.time() * 1000), "nonce": random.getrandbits(60)}
        params["signature"] = sign(params)
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).status_code)
        """,
    "a time that is kept elsewhere too": """
        state = {"timestamp": int(time.time()), "who": "me"}
        r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)
        open(os.devnull, "w").write(str(vars()))
        print(r.status_code)
        """,
    "one of two routes": """
        import sys

        action = "students/x" if len(sys.argv) > 99 else "index_students"
        print(requests.get(f"{URL}/api/v3/exams/17/" + action, params=signed(17), headers=HEADERS).status_code)
        """,
    "a table of routes": """
        ROUTES = {"all": "/exams/%d/index_students", "exam": "/exams/%d"}
        for name in ROUTES:
            print(requests.get(URL + "/api/v3" + ROUTES[name] % 17, params=signed(17), headers=HEADERS).status_code)
        """,
    "a row of random numbers that goes on": """
        random.seed(7)
        r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)
        print(r.status_code, random.random())
        """,
    "a key of a dictionary": """
        params = signed(17)
        seen = {}
        seen[str(params)] = 1
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).text[:9], len(seen))
        """,
    "another call that is signed": """
        r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)
        print(r.status_code)
        print(requests.get(f"{URL}/api/v3/exams/17", params=signed(17), headers=HEADERS).status_code)
        """,
    "a route that is not told": """
        def call(path):
            return requests.get(f"{URL}/api/v3/exams/17/" + path, params=signed(17), headers=HEADERS)

        print(call("index_students").status_code, call("student" + "_sessions/x").status_code)
        """,
    "parameters that are printed": """
        params = signed(17)
        print(sorted(params))
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).status_code)
        """,
    "parameters that are counted": """
        params = signed(17)
        if len(params) > 2:
            print("signed")
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).status_code)
        """,
    "a signature for somebody else": """
        print(hmac.new(SECRET.encode(), b"hook", hashlib.sha256).hexdigest()[:4])
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS).status_code)
        """,
    "a nonce that is counted": """
        def count():
            global number
            number += 1
            return number

        number = 0
        params = {"id": 17, "nonce": count(), "timestamp": int(time.time() * 1000)}
        text = "?".join(f"{k}={params[k]}" for k in sorted(params))
        params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).status_code, number)
        """,
}


@pytest.mark.parametrize("body", KEPT.values(), ids=KEPT)
def test_signing_that_is_seen_or_needed_stays(body: str) -> None:
    old = script(body)
    assert "index_students" in old
    code = settled(old).code
    assert "hmac.new(" in code
    assert '"signature"' in code or "signature=" in code


def test_functions_that_go_leave_no_gap() -> None:
    two = """
        def nonce():
            return random.getrandbits(60)


        # by hand
        def sign(params):
            text = "?".join(f"{k}={v}" for k, v in sorted({**params, "id": 17}.items()))
            return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


        def count():
            params = {"timestamp": int(time.time() * 1000), "nonce": nonce()}
            params["signature"] = sign(params)
            r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS)
            return r.status_code


        print(count())
        """
    code = settled(whole(two)).code
    assert 'Token token=" + TOKEN}\n\n\n# by hand\ndef count():\n    params = {}\n    r = StudentSessionsHTTP(' in code


def test_a_name_is_not_given_to_itself() -> None:
    body = """
        params = {"limit": 3}
        params = signed(params)
        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).status_code)
        """
    old = script(body).replace("def signed(exam, **params):", "def signed(params, exam=17):")
    code = settled(old).code
    assert "signed" not in code
    assert "params = params" not in code


def test_a_function_that_never_signed_stays() -> None:
    code = settled(script(f"def same(value):\n    return value\n\nprint(same({CALL}.status_code))\n")).code
    assert "print(same(StudentSessionsHTTP(SECRET).get(" in code
    assert "hmac" not in code


def test_what_ends_a_module_where_it_is_missing_stays() -> None:
    body = """
        OTHER = os.environ["OTHER"]
        other = os.environ["OTHER"]

        def sign(params):
            text = other + "?".join(f"{k}={v}" for k, v in sorted(params.items()))
            params["signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
            return params

        print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=sign({}), headers=HEADERS).status_code)
        """
    code = settled(whole(body)).code
    assert 'OTHER = os.environ["OTHER"]\n' in code
    assert '\nother = os.environ["OTHER"]\n' in code


def test_a_module_that_others_import_keeps_its_signing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "calls.py").write_text(script(f"def count():\n    return len({CALL}.json()['students'])\n"))
    (tmp_path / "report.py").write_text("from calls import signed\n\nprint(signed(1))\n")
    source = Source(tmp_path / "calls.py")
    found = migrate_source(source, importers=Importers())
    assert found is not None
    assert "StudentSessionsHTTP(SECRET).get(" in found.after
    assert "def signed(" in found.after


@pytest.mark.parametrize("fallback", ["requests = None", "raise SystemExit('pip install requests')"])
def test_an_import_that_may_fail_is_followed(world: Sandbox, fallback: str) -> None:
    body = f"print({CALL}.status_code)\n"
    old = script(body).replace("import requests\n", f"try:\n    import requests\nexcept ImportError:\n    {fallback}\n")
    found = settled(old)
    assert found.left == ()
    assert "StudentSessionsHTTP(SECRET).get(" in found.code
    assert run(found.code) == run(old)


def test_a_name_that_may_be_something_else_is_not_followed() -> None:
    old = script(f"print({CALL}.status_code)\n").replace(
        "import requests\n", "import requests\n\nrequests = traced(requests)\n"
    )
    assert rewritten(old).code == old


def test_a_fault_of_ours_leaves_the_answer_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(code: str) -> str:
        raise KeyError(code)

    old = script(f"print(len({CALL}.json()['students']))\n")
    with monkeypatch.context() as patched:
        patched.setattr("compat.migration.codemod.rewrite.idiomatic", fail)
        found = rewritten(old)
    assert "StudentSessionsHTTP(SECRET).get(" in found.code
    assert [(each.needed, each.reason) for each in found.left] == [(False, "a shorter form was not found: KeyError")]
    assert "StudentSessionsClient(" in rewritten(old).code
