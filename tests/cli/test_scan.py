"""``scan`` and ``migrate``: reports, exit statuses, and files that change at once or not at all."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from compat.migration.codemod.old_client import OldClientRewrite
from compat.migration.inventory.calls import Inventory
from compat.stores.ledger import CallRecord

from .conftest import Invoke

OLD = """\
import hashlib, hmac, os, time
import requests

URL, TOKEN = os.environ["U"], os.environ["T"]


def fetch(exam):
    params = {"timestamp": int(time.time() * 1000), "nonce": time.time_ns(), "limit": 5}  # five
    text = "?".join(f"{k}={v}" for k, v in sorted({**params, "id": exam}.items()))
    params["signature"] = hmac.new(os.environ["S"].encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"Authorization": f"Token token={os.environ['T']}"}
    r = requests.get(f"{os.environ['U']}/api/v3/exams/{exam}/index_students", params=params, headers=headers)
    return r.json()["students"]
"""
LEFT = "import requests\nrequests.get('https://a/api/v3/exams/1/index_students').text\n"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    (tmp_path / "old.py").write_text(OLD)
    (tmp_path / "left.py").write_text(LEFT)
    (tmp_path / "new.py").write_text("print('nothing old')\n")
    return tmp_path


def test_the_lines_and_the_status(invoke: Invoke, scripts: Path) -> None:
    result = invoke("scan", ".")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == [
        "left.py:2:1: certain: GET exams/:id/index_students (by requests): use StudentSessionsClient.sessions, or GET "
        "student_sessions; the secret key cannot be told: there is no hmac.new",
        "old.py:12:9: certain: GET exams/:id/index_students (by requests): use StudentSessionsClient.sessions, or GET "
        "student_sessions; exam-compat migrate rewrites it",
    ]
    assert "2 uses of the old interface in 2 files; exam-compat migrate rewrites 1 of them." in result.stdout
    result = invoke("scan", "new.py")
    assert (result.exit_code, result.stdout) == (0, "No use of the old interface in 1 file read.\n")


def test_the_shim_alone_is_a_note(invoke: Invoke, scripts: Path) -> None:
    (scripts / "shim.py").write_text("import compat\n\ncompat.install()\n")
    result = invoke("scan", "--json", "shim.py")
    assert result.exit_code == 0
    assert [each["level"] for each in json.loads(result.stdout)["finds"]] == ["note"]


def test_json_and_sarif(invoke: Invoke, scripts: Path) -> None:
    found = json.loads(invoke("scan", "--json", ".").stdout)
    assert [(each["path"], each["line"], each["migrate"]) for each in found["finds"]] == [
        ("left.py", 2, False),
        ("old.py", 12, True),
    ]
    assert found["problems"] == []
    log = json.loads(invoke("scan", "--sarif", ".").stdout)
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["index-students-route"] * 2


def test_what_a_code_host_would_not_take_is_said(invoke: Invoke, scripts: Path) -> None:
    (scripts / "many.sh").write_text("curl $U/exams/1/index_students\n" * 25_001)
    result = invoke("scan", "--sarif", ".")
    assert [each["message"]["text"].rpartition(". ")[2] for each in json.loads(result.stdout)["runs"][0]["results"]][
        :1
    ] == ["`exam-compat migrate` rewrites it."]
    assert "Note: 25,000 of 25,003 finds are in this log" in result.stderr


def test_a_diff_changes_nothing(invoke: Invoke, scripts: Path) -> None:
    result = invoke("migrate", ".")
    assert result.exit_code == 0
    assert "+from compat import StudentSessionsClient" in result.stdout.splitlines()
    assert "+    r = client.page(exam, limit=5)" in result.stdout.splitlines()
    assert "-import hashlib, hmac, os, time" in result.stdout.splitlines()
    assert "left.py:2:1: left: line" not in result.stdout
    assert "left.py:2:1: left: the secret key cannot be told: there is no hmac.new" in result.stdout
    assert "1 place in 1 file to rewrite; 1 left to do by hand." in result.stdout
    assert (scripts / "old.py").read_text() == OLD


def test_check_fails_while_there_is_anything_to_do(invoke: Invoke, scripts: Path) -> None:
    assert invoke("migrate", "--check", "old.py").exit_code == 1
    assert invoke("migrate", "--check", "left.py").exit_code == 1
    assert invoke("migrate", "--check", "new.py").exit_code == 0
    assert (scripts / "old.py").read_text() == OLD


def test_written_files_keep_mode_encoding_and_line_ends(invoke: Invoke, scripts: Path) -> None:
    path = scripts / "old.py"
    before = ("# coding: latin-1\n# Größe\n" + OLD).replace("\n", "\r\n").encode("latin-1")
    path.write_bytes(before)
    path.chmod(0o750)
    (scripts / "link.py").symlink_to("old.py")
    result = invoke("migrate", "--write", "link.py")
    assert result.exit_code == 0
    after = path.read_bytes()
    assert (scripts / "link.py").is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert after.startswith("# coding: latin-1\r\n# Größe\r\nimport os\r\n".encode("latin-1"))
    assert b"\r\nfrom compat import StudentSessionsClient\r\n" in after
    assert after.count(b"\n") == after.count(b"\r\n")
    assert b"# five" in after
    assert sorted(each.name for each in scripts.iterdir()) == ["left.py", "link.py", "new.py", "old.py"]
    again = invoke("migrate", "--write", "link.py")
    assert path.read_bytes() == after
    assert "0 places in 0 files rewritten" in again.stdout


def test_one_broken_file_stops_nothing(invoke: Invoke, scripts: Path) -> None:
    (scripts / "a_broken.py").write_text("requests.get('exams/1/index_students'\n")
    (scripts / "b_latin.py").write_bytes(b"'\xe9 exams/1/index_students'\n")
    result = invoke("migrate", "--write", "--json", ".")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert sorted(each["path"] for each in told["problems"]) == ["a_broken.py", "b_latin.py"]
    assert [each["path"] for each in told["files"] if each["changed"]] == ["old.py"]
    assert "StudentSessionsClient(" in (scripts / "old.py").read_text()
    assert invoke("scan", ".").exit_code == 1


def test_a_client_of_the_configuration_is_rewritten_where_that_is_of_student_sessions(
    invoke: Invoke, scripts: Path
) -> None:
    old = "import compat\n\nprint(compat.ExamStudentsClient().index_students(17).students)\n"
    (scripts / "old.py").write_text(old)
    for kind, rewritten in (("paginated_sessions", False), ("student_sessions", True)):
        (scripts / "exam-compat.toml").write_text(f'[upstream]\nkind = "{kind}"\nsecret_key = "env:NOT_SET"\n')
        finds = json.loads(invoke("scan", "--json", "old.py").stdout)["finds"]
        assert {each["migrate"] for each in finds} == {rewritten}
        shown = invoke("migrate", "old.py").stdout
        assert ('+print(compat.StudentSessionsClient(records="whole").page(17).sessions)' in shown) == rewritten
    assert invoke("migrate", "--config", "none.toml", "old.py").exit_code == 2


def test_a_fault_of_ours_in_one_file_stops_no_other(
    invoke: Invoke, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = OldClientRewrite.run

    def faulty(rewrite: OldClientRewrite) -> None:
        if "'https://a/api" in rewrite.module.tree.code:
            raise KeyError("a secret of the script")
        plan(rewrite)

    # No script is known that does it: else it would be mended, and not be here.
    monkeypatch.setattr(OldClientRewrite, "run", faulty)
    result = invoke("migrate", ".")
    assert result.exit_code == 1
    assert "left.py: not looked at: the rewrite failed: KeyError\n" in result.stderr
    assert "1 place in 1 file to rewrite" in result.stdout
    finds = json.loads(invoke("scan", "--json", ".").stdout)["finds"]
    assert [each["why_not"] for each in finds] == ["the rewrite failed: KeyError", None]


def test_what_a_module_returns_to_others_is_as_before(invoke: Invoke, scripts: Path) -> None:
    old = OLD.replace('return r.json()["students"]', "return r") + '\n\nprint(fetch(17).json()["students"])\n'
    (scripts / "old.py").write_text(old)
    assert "1 place in 1 file to rewrite" in invoke("migrate", "old.py").stdout
    (scripts / "library.py").write_text(old)
    (scripts / "user.py").write_text("from library import fetch\n\nprint(fetch(18).text)\n")
    shown = invoke("migrate", "library.py").stdout
    assert "StudentSessionsHTTP(" in shown
    assert "1 place in 1 file to rewrite; 0 left to do by hand." in shown
    (find,) = json.loads(invoke("scan", "--json", "library.py").stdout)["finds"]
    assert find["why_not"] is None


PROGRAM = {
    "settings.py": "import os\n\nSECRET = os.environ['S']\nPATH = '/api/v3/exams/%s/index_students'\n",
    "signing.py": "import hashlib, hmac\n\nimport settings\n\n\ndef sign(text):\n"
    "    return hmac.new(settings.SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()\n",
    "job.py": "import requests\nfrom settings import PATH\nfrom signing import sign\n\n"
    "print(requests.get('https://a' + PATH % 17, params={'signature': sign('id=17')}).status_code)\n",
}


def test_a_program_of_several_modules_is_rewritten_together(invoke: Invoke, scripts: Path) -> None:
    for name, text in PROGRAM.items():
        (scripts / name).write_text(text)
    # What sends the route is not among the files, so the route stays what that one sends.
    alone = invoke("migrate", "settings.py").stdout
    assert "0 places in 0 files to rewrite; 1 left to do by hand." in alone
    assert "the call is made in job, which is not among the files" in alone
    assert invoke("migrate", "--write", *PROGRAM).exit_code == 0
    assert (scripts / "settings.py").read_text().endswith("PATH = '/api/v3/exams/%s/student_sessions'\n")
    assert (scripts / "signing.py").read_text() == PROGRAM["signing.py"]
    job = (scripts / "job.py").read_text()
    assert "StudentSessionsHTTP(SECRET).get('https://a' + PATH % 17" in job
    assert "from settings import SECRET" in job
    assert "0 places in 0 files to rewrite" in invoke("migrate", *PROGRAM).stdout


def test_mixed_line_ends_are_left(invoke: Invoke, scripts: Path) -> None:
    mixed = OLD.replace("\n", "\r\n", 3).encode()
    (scripts / "old.py").write_bytes(mixed)
    shown = invoke("migrate", "--write", "old.py")
    assert "the file's lines end in more than one way" in shown.stdout
    assert (scripts / "old.py").read_bytes() == mixed


def test_each_change_is_asked_for(invoke: Invoke, scripts: Path) -> None:
    (scripts / "other.py").write_text(OLD)
    shown = invoke("migrate", "--interactive", ".", input="n\ny\n")
    assert shown.exit_code == 0
    assert [(scripts / name).read_text() == OLD for name in ("old.py", "other.py")] == [True, False]
    assert "left.py:2:1: the secret key cannot be told" in shown.stdout
    assert "StudentSessionsHTTP(secret_key).get('https://a" in shown.stdout
    assert invoke("migrate", "--interactive", ".", input="quit\n").exit_code == 0
    assert (scripts / "old.py").read_text() == OLD


def test_an_explanation_shows_the_way_of_the_route(invoke: Invoke, scripts: Path) -> None:
    shown = invoke("migrate", "--explain", "left.py").stdout
    assert "the route comes this way:" in shown
    assert "write instead:" in shown


def test_a_line_that_was_seen_calling_and_is_not_found_is_named(invoke: Invoke, scripts: Path) -> None:
    (scripts / "exam-compat.toml").write_text(
        '[upstream]\nkind = "student_sessions"\nbase_url = "http://127.0.0.1:1"\napi_token = "t"\nsecret_key = "k"\n'
        f'[store]\nurl = "sqlite:///{scripts.as_posix()}/calls.db"\n'
    )
    (scripts / "hidden.py").write_text("import other\n\nother.call('students of', 17)\n")
    inventory = Inventory(f"sqlite:///{scripts.as_posix()}/calls.db")
    for line in ("/srv/elsewhere/gone.py:7", f"{scripts}/left.py:2"):
        inventory.note(CallRecord(time.time(), "adapter", "index_students", call_site=line))
    inventory.flush()
    result = invoke("scan", "left.py", "hidden.py", "--seen")
    assert (result.exit_code, "was seen calling" in result.stderr) == (1, False)
    assert invoke("scan", "hidden.py", "--seen").exit_code == 0
    inventory.note(CallRecord(time.time(), "adapter", "show_student", call_site=f"{scripts}/hidden.py:3"))
    inventory.close()
    result = invoke("scan", "hidden.py", "--seen")
    assert result.exit_code == 1
    assert "hidden.py:3:1: was seen calling show_student (1 call, the last on " in result.stderr
    told = json.loads(invoke("scan", "hidden.py", "--seen", "--json").stdout)["problems"]
    assert [(each["path"].endswith("hidden.py"), each["read"]) for each in told] == [(True, True)]
    assert invoke("scan", "hidden.py").exit_code == 0


def test_seen_lines_need_a_store(invoke: Invoke, scripts: Path) -> None:
    result = invoke("scan", "left.py", "--seen")
    assert result.exit_code not in (0, 1)
    assert "Traceback" not in result.output
