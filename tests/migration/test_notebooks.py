"""Notebooks: their code cells are rewritten, and every other byte stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rewriting import HEAD

from compat.migration.codemod import migrate_source
from compat.migration.notebooks import read_notebook
from compat.migration.scan import Find, Source, finds_in

CALL = 'r = requests.get(f"{URL}/api/v3/exams/17/index_students", params=signed(17), headers=HEADERS)\n'
SHOWN = 'r.json()["students"]'


def cell(kind: str, source: Any, **more: Any) -> dict[str, Any]:
    outputs = {"execution_count": 3, "outputs": [{"output_type": "stream", "name": "stdout", "text": ["é"]}]}
    return {"cell_type": kind, "metadata": {}, "source": source, **(outputs if kind == "code" else {}), **more}


def written(folder: Path, cells: list[dict[str, Any]], **form: Any) -> Path:
    content = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    path = folder / "old.ipynb"
    path.write_text(json.dumps(content, ensure_ascii=False, **form) + "\n", encoding="utf-8")
    return path


CELLS = [
    cell("markdown", [SHOWN]),
    cell("code", HEAD.splitlines(keepends=True)),
    cell("code", "%matplotlib inline\nif URL:\n    !ls\n" + CALL),
    cell("code", "%%bash\ncurl $URL/exams/17/index_students"),
    cell("code", [SHOWN]),
    cell("code", ["# done"], id="last"),
]


@pytest.mark.parametrize("form", [{"indent": 1}, {"indent": 2, "sort_keys": True}, {}], ids=str)
def test_only_the_cells_that_change_change(tmp_path: Path, form: dict[str, Any]) -> None:
    path = written(tmp_path, CELLS, **form)
    found = migrate_source(Source(path))
    assert found is not None
    after = json.loads(found.after)
    sent = CALL.replace("requests.get(", "StudentSessionsHTTP(SECRET).get(")
    sent = sent.replace("index_students", "student_sessions")
    assert after["cells"][2]["source"] == "%matplotlib inline\nif URL:\n    !ls\n" + sent
    assert "from compat import StudentSessionsHTTP\n" in after["cells"][1]["source"]
    # Written in the same form, the new content is the new file: nothing else has changed.
    assert found.after == json.dumps(after, ensure_ascii=False, **form) + "\n"
    for place in (0, 3, 4, 5):
        assert after["cells"][place] == CELLS[place]
    for place in (1, 2):
        assert {**after["cells"][place], "source": ""} == {**CELLS[place], "source": ""}
    path.write_text(found.after, encoding="utf-8")
    again = migrate_source(Source(path))
    assert again is None or (again.after, again.changes) == (found.after, ())


def test_places_are_told_by_cell(tmp_path: Path) -> None:
    cells = [*CELLS[:2], cell("code", ["\n", CALL.replace(".get(", ".put(")]), cell("code", ["print(r.text)"])]
    path = written(tmp_path, cells, indent=1)
    found = migrate_source(Source(path))
    assert found is not None
    (left,) = [each for each in found.left if each.needed]
    assert found.place(left.line) == f"{path}:cell 3:2"
    (find,) = finds_in(Source(path))
    assert isinstance(find, Find)
    assert (find.cell, find.line, find.place) == (3, 2, f"{path}:cell 3:2:{find.column}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "not a Jupyter notebook"),
        ('{"cells": "index_students"}', "not a Jupyter notebook"),
        ("{", "not a Jupyter notebook"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "a notebook in r"),
    ],
)
def test_what_is_no_notebook_in_python(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_notebook(text)


ROUTE = "https://a.example/api/v3/exams/17/index_students"


@pytest.mark.parametrize(
    "odd",
    [
        "x = !ls",
        "files = !ls *.csv | head",
        "rows?",
        "?rows",
        "rows.head??",
        "%matplotlib inline",
        "%load_ext \\\n    autoreload",
        "!curl \\\n  -s \\\n  http://a",
        "if True:\n    !ls\n    x = %timeit -o f()",
        "t, u = !ls",
        "get_ipython().system('ls')",
        "get_ipython().run_line_magic('time', 'f()')",
        "this is no Python",
        "SELECT * FROM t",
        "print 'x'",
        "%%bash\nls",
        "%%time\nx = 1",
        "%%unknown x\n}{",
        "await f()",
        'sql = """\n%like%\n!really\nWhy?\n"""',
        "y = (10\n  % 3)",
        "",
        "%%",
    ],
)
def test_an_odd_cell_hides_no_other_line(tmp_path: Path, odd: str) -> None:
    cells = [cell("code", "import requests"), cell("code", odd), cell("code", f"\nrequests.get('{ROUTE}')")]
    path = written(tmp_path, [*cells, cell("code", f"{odd}\n")])
    finds = finds_in(Source(path))
    assert [(each.cell, each.line, each.library, each.grade) for each in finds if isinstance(each, Find)] == [
        (3, 2, "requests", "certain")
    ]
    assert len(finds) == 1


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (f"x = 1\nrows = !curl {ROUTE}", 2),
        (f"!curl -s \\\n  {ROUTE}", 2),
        (f"%%bash\ncurl {ROUTE}", 2),
        (f"%%sh -e\n\ncurl {ROUTE}", 3),
        (f"%%time\nimport requests\nrequests.get('{ROUTE}')", 3),
        (f"%time requests.get('{ROUTE}')", 1),
        (f"get_ipython().system('curl {ROUTE}')", 1),
        (f"no python here\ncurl {ROUTE}", 2),
        (f"%%R\nfromJSON('{ROUTE}')", 2),
        (f"if True:\n    !curl {ROUTE}", 2),
    ],
)
def test_a_call_in_an_odd_cell_is_found(tmp_path: Path, source: str, line: int) -> None:
    path = written(tmp_path, [cell("markdown", "# Title"), cell("code", source)])
    (find,) = finds_in(Source(path), lambda source, code: {})
    assert isinstance(find, Find)
    assert (find.cell, find.line, find.grade) == (2, line, "certain")
    assert find.rewritable == source.startswith("get_ipython")


def test_prose_is_a_mention_and_other_languages_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, [cell("markdown", f"See {ROUTE}."), cell("raw", "x"), cell("code", f"# {ROUTE}\nx = 1")])
    assert [(each.cell, each.grade) for each in finds_in(Source(path)) if isinstance(each, Find)] == [
        (1, "mention"),
        (3, "mention"),
    ]
    content = json.loads(path.read_text())
    content["metadata"] = {"kernelspec": {"language": "R"}}
    content["cells"] = [cell("code", f'x <- 1\nGET("{ROUTE}") # {ROUTE}')]
    path.write_text(json.dumps(content))
    (find,) = finds_in(Source(path))
    assert isinstance(find, Find)
    assert (find.cell, find.line, find.grade, find.rewritable) == (1, 2, "certain", False)


@pytest.mark.parametrize(
    "source",
    ["files = !ls *.csv\nx = 1", "t, u = %time f()", "%run \\\n  a.py\n", "if x:\n    !ls \\\n      -l\n", "rows?"],
)
def test_what_ipython_alone_reads_stays_byte_for_byte(tmp_path: Path, source: str) -> None:
    text = written(tmp_path, [cell("code", source), cell("code", "y = 2")]).read_text(encoding="utf-8")
    notebook = read_notebook(text)
    compile(notebook.code, "notebook", "exec")
    assert notebook.with_code(notebook.code) == text
    assert json.loads(notebook.with_code(notebook.code.replace("y = 2", "y = 3")))["cells"][0]["source"] == source
