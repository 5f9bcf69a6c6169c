"""Callers of a constant that another module of the tree binds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compat.migration.codemod import Importers, migrate_source, refused_lines
from compat.migration.scan import Source, scan_files, sources

ROUTE = "/api/v3/exams/17/index_students"
SETTINGS = (
    f'BASE = "https://acme.proctorexam.com"\nSTUDENTS_PATH = "{ROUTE}"\nACTION = "show_student"\nEXAMS = "/exams/"\n'
)


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def found(folder: Path) -> list[tuple[str, int, str]]:
    finds = scan_files(sources([folder]), refused_lines).finds
    return [(Path(each.path).relative_to(folder).as_posix(), each.line, each.grade) for each in finds]


@pytest.mark.parametrize(
    "caller",
    [
        "from settings import BASE, STUDENTS_PATH\nrequests.get(BASE + STUDENTS_PATH)",
        "from settings import STUDENTS_PATH as WHERE\nrequests.get(BASE + WHERE)",
        "from settings import STUDENTS_PATH\nrequests.get(STUDENTS_PATH)",
        "from settings import *\nrequests.get(BASE + STUDENTS_PATH)",
        "import settings\nrequests.get(settings.STUDENTS_PATH)",
        "import settings as s\nrequests.get(f'{s.BASE}{s.STUDENTS_PATH}')",
        "from . import settings\nrequests.get(settings.BASE + settings.STUDENTS_PATH)",
        "from .settings import STUDENTS_PATH\nrequests.get('%s%s' % (base, STUDENTS_PATH))",
        "from django.conf import settings\nrequests.get(settings.STUDENTS_PATH)",
        "from settings import EXAMS, ACTION\nrequests.get(base + EXAMS + exam + '/' + ACTION)",
        "from settings import ACTION\nrequests.get(f'{base}/exams/{exam}/{ACTION}')",
        "from settings import EXAMS\nrequests.get(f'{base}{EXAMS}{exam}/add_student')",
    ],
)
def test_every_form_of_import(tmp_path: Path, caller: str) -> None:
    written(tmp_path, {"settings.py": SETTINGS, "caller.py": f"{caller}\n"})
    assert [each for each in found(tmp_path) if each[0] == "caller.py"] == [("caller.py", 2, "certain")]


def test_packages_classes_and_what_is_handed_on(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/urls/__init__.py": "from .lists import Paths, STUDENTS as LIST\n",
        "app/urls/lists.py": f'STUDENTS = "{ROUTE}"\n\n\nclass Paths:\n    ONE = "/exams/17/show_student"\n',
        "app/jobs/nightly.py": "from app.urls import LIST\n\nget(base + LIST)\n",
        "app/jobs/one.py": "from ..urls import Paths\n\nget(base + Paths.ONE)\n",
        "app/jobs/whole.py": "import app.urls.lists\n\nget(app.urls.lists.STUDENTS)\n",
        "app/jobs/else_.py": "from elsewhere import LIST\n\nget(base + LIST)\n",
        "app/jobs/shadow.py": 'from app.urls import LIST\nLIST = "/other"\nget(base + LIST)\n',
        "other/urls.py": 'LIST = "/api/v3/student_sessions"\n',
        "other/job.py": "from urls import LIST\nget(LIST)\n",
    }
    assert found(written(tmp_path, files)) == [
        ("app/jobs/nightly.py", 3, "certain"),
        ("app/jobs/one.py", 3, "certain"),
        ("app/jobs/whole.py", 3, "certain"),
        ("app/urls/lists.py", 1, "certain"),
        ("app/urls/lists.py", 5, "certain"),
    ]


def test_modules_that_import_each_other_and_broken_ones(tmp_path: Path) -> None:
    files = {
        "a.py": f'from b import *\nSTUDENTS = "{ROUTE}"\n',
        "b.py": "from a import *\nfrom broken import STUDENTS as THEIRS\nget(STUDENTS)\n",
        "broken.py": f'STUDENTS = "{ROUTE}"\nprint "x"\n',
    }
    assert found(written(tmp_path, files)) == [
        ("a.py", 2, "certain"),
        ("b.py", 3, "certain"),
        ("broken.py", 1, "certain"),
    ]


def test_a_long_line_of_modules_ends_nothing(tmp_path: Path) -> None:
    files = {f"m{number}.py": f"from m{number + 1} import *\nEXAMS{number} = 1  # exams\n" for number in range(400)}
    last = {"m400.py": f'STUDENTS = "{ROUTE}"\n', "user.py": "from m0 import *\nget('index_students')\n"}
    assert ("user.py", 2, "likely") in found(written(tmp_path, {**files, **last}))


def test_a_notebook_uses_a_constant_and_nothing_is_said_to_be_rewritten(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": "from settings import STUDENTS_PATH\nget(STUDENTS_PATH)"}]
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    written(tmp_path, {"settings.py": SETTINGS, "a.ipynb": notebook})
    (find,) = [each for each in scan_files(sources([tmp_path]), refused_lines).finds if each.cell]
    assert (find.line, find.grade, find.rewritable) == (2, "certain", False)
    assert "another module" in find.why_not


@pytest.mark.parametrize(
    ("imported", "constant"),
    [
        ("from settings import STUDENTS_PATH", "STUDENTS_PATH"),
        ("import settings", "settings.STUDENTS_PATH"),
        ("from django.conf import settings", "settings.STUDENTS_PATH"),
    ],
)
def test_scan_says_of_a_constant_elsewhere_what_migrate_does(tmp_path: Path, imported: str, constant: str) -> None:
    report = (
        f"import hashlib\nimport hmac\n\nimport requests\n{imported}\n\nparams = {{}}\n"
        "params['signature'] = hmac.new(b'key', b'text', hashlib.sha256).hexdigest()\n"
        f"print(requests.get('https://a.example' + {constant}, params=params).status_code)\n"
    )
    written(tmp_path, {"settings.py": SETTINGS, "report.py": report})
    scanned = scan_files(sources([tmp_path]), refused_lines).finds
    (find,) = [each for each in scanned if each.path.endswith("report.py") and each.grade == "certain"]
    made = migrate_source(Source(tmp_path / "report.py"), importers=Importers())
    assert made is not None
    assert "StudentSessionsHTTP(" in made.after
    assert (find.rewritable, find.why_not) == (True, "")
