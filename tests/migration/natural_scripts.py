"""Scripts of the old interface as strangers write them (``natural/``), and how each is called.

None was written for our tools. The account is in ``PE_URL``, ``PE_TOKEN``, ``PE_SECRET`` and in the same names with
``PROCTOREXAM_`` in front; what a script wants beside that is said here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).with_name("natural")

_STUDENTS_CSV = (
    "name,email,info\nAnaïs Peeters,anais.peeters@example.org,\nBjörn Groß,bjoern.gross@example.org,Raum 12\n"
    "Anaïs Peeters,anais.peeters@example.org,\n"
)
_ACCOUNT_INI = "url = $url\ntoken = $token\nsecret = $secret\n"


@dataclass(frozen=True)
class NaturalScript:
    """A script, and how it is called; ``$url``, ``$token``, ``$secret``, ``$first`` and ``$second`` are filled in.

    Attributes:
        name: its file below the folder; of a script of several modules the one that is started.
        arguments: what stands behind its name. ``$first`` and ``$second`` are ids of exam 17.
        input: its standard input.
        environment: variables beside its account.
        files: name to text of what lies in its working directory.
        account: what its source has in place of the account, where that is written into it.
        status: what it ends with where all goes well.
    """

    name: str
    arguments: tuple[str, ...] = ()
    input: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    account: Mapping[str, str] = field(default_factory=dict)
    status: int = 0

    def __str__(self) -> str:
        return self.name

    @property
    def can_run(self) -> bool:
        """Whether the library that it calls by is installed; CI has them all."""
        return not self.name.startswith("httpx") or bool(os.environ.get("CI") or find_spec("httpx"))


_PARTICULAR = (
    NaturalScript("account_configparser.py", files={"pe.ini": "[pe]\n" + _ACCOUNT_INI}),
    NaturalScript("adapter_retries.py"),
    NaturalScript("add_then_show.py", ("18",)),
    NaturalScript("argv_everything.py", ("$url", "$token", "$secret", "17", "19")),
    NaturalScript("attendance_count.py", ("17", "18")),
    NaturalScript("bulk_add.py", ("18", "students.csv"), files={"students.csv": _STUDENTS_CSV}, status=1),
    NaturalScript("cached_lookup.py", input="17 nobody@example.org\n17 student2@example.com\n18 x@example.org\n"),
    NaturalScript(
        "class_get_helper.py",
        account={'"https://acme.proctorexam.com"': '"$url"', '"t"': '"$token"', '"s"': '"$secret"'},
    ),
    NaturalScript("client_package/main.py", ("17",)),
    NaturalScript("delete_by_email.py", ("17", "$first_email", "nobody@example.org"), status=1),
    NaturalScript("delete_no_shows.py", ("17",), input="y\n"),
    NaturalScript("dictwriter_stdout.py", ("18",)),
    NaturalScript(
        "dotenv_report.py", files={".env": 'PEX_HOST="$url"\nPEX_TOKEN=$token\nPEX_SECRET=$secret # do not share\n'}
    ),
    NaturalScript("error_in_body.py", ("17",)),
    NaturalScript("export_finished_csv.py", ("18", "--page-size", "10", "-o", "out.csv")),
    NaturalScript("generic_request.py", ("19",)),
    NaturalScript(
        "hard_coded.py",
        account={"https://acme.proctorexam.com": "$url", "0123456789abcdef": "$token", "s3cr3t": "$secret"},
    ),
    NaturalScript("http_client.py", ("17",)),
    NaturalScript("http_error_response.py", ("19",)),
    NaturalScript("httpx_async.py", ("17", "19")),
    NaturalScript("individual_info.py", ("17", "Ångström Test", "Renée van Dijk")),
    NaturalScript(
        "ini_sections.py",
        files={
            "proctorexam.ini": "[account]\n" + _ACCOUNT_INI + "timeout = 20\n\n[exam:resit]\nid = 17\nnames = yes\n\n"
            "[exam:main]\nid = 18\nstatus = registered\n"
        },
    ),
    NaturalScript("key_error.py", ("18",)),
    NaturalScript("logging_everywhere.py", ("17",)),
    NaturalScript("match_status.py", ("17", "$first", "$second", "1")),
    NaturalScript("mixed_other_api.py", files={"students.json": '{"107919": {"faculty": "Letteren"}}'}),
    NaturalScript("nightly.py", environment={"EXAMS": "17,18"}),
    NaturalScript("percent_format.py", ("18",)),
    NaturalScript("prepared_request.py", input="$first_email\n\nnobody@example.org\n"),
    NaturalScript("prompt_credentials.py", input="$url\n$token\n$secret\n17\n19\n\n"),
    NaturalScript("quiet_cron.py", status=1),
    NaturalScript("retry_decorator.py", ("17", "$first", "$second", "1")),
    NaturalScript(
        "roster_compare.py",
        ("17", "enrolled.csv"),
        files={"enrolled.csv": "email;faculty\n$first_email;Letteren\nnew@example.org;Rechten\n"},
    ),
    NaturalScript(
        "settings_json.py",
        files={
            "settings.json": '{"host": "$url", "api_token": "$token", "secret_key": "$secret", "exams": ["17", "19"]}'
        },
    ),
    NaturalScript("show_one.py", ("17", "$first")),
    NaturalScript("slack_no_shows.py", ("17",)),
    NaturalScript("status_not_200.py", ("17", "exam_finished")),
    NaturalScript(
        "subcommands.py",
        input="list 17 --status registered\nshow 17 $first\nadd 17 Extra extra@example.org\ndelete 17 $second\n",
    ),
    NaturalScript("tabs_and_percent.py", ("17", "18")),
    NaturalScript("teilnehmer_liste.py", ("17", "19")),
    NaturalScript("thread_pool.py", ("17", "18", "19")),
    NaturalScript("timed_calls.py", ("17", "19")),
    NaturalScript("two_modules/report.py", ("17", "18")),
    NaturalScript("until_short_page.py", ("17",)),
    NaturalScript("urllib_only.py", ("17",)),
    NaturalScript(
        "windows_task.py",
        files={"konto.json": '{"url": "$url", "token": "$token", "secret": "$secret", "exam": 17}'},
    ),
    NaturalScript("with_urljoin.py", ("17",)),
    NaturalScript("a01_get_default_403.py"),
    NaturalScript("a06_in_check.py"),
)
_KNOWN = {script.name: script for script in _PARTICULAR}
_MODULES = ("client_package/proctor/", "two_modules/pe_settings.py")


def _names() -> list[str]:
    found = (path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.py"))
    return sorted(name for name in found if not name.startswith(_MODULES))


SCRIPTS = tuple(_KNOWN.pop(name, None) or NaturalScript(name) for name in _names())
assert not _KNOWN, f"no such script: {', '.join(_KNOWN)}"
