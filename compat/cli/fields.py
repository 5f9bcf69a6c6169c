"""``exam-compat fields``: the mapping as a table."""

from __future__ import annotations

import json

import click

from compat.cli.console import say
from compat.cli.tables import Column, show_table
from compat.mapping.tables import CATEGORIES, mapping_rows, markdown_tables

__all__ = ["fields"]

_COLUMNS = (
    Column("field", whole=True),
    Column("type", rank=4, whole=True),
    Column("class", rank=2, whole=True),
    Column("old from new", least=16),
    Column("way back", rank=3, least=16),
    Column("loss", rank=1, least=16),
)


# A shell would want quotes around a blank.
_BY_OPTION = {name.replace(" ", "-"): name for name in CATEGORIES}


def _category(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _BY_OPTION[value]


@click.command(short_help="Show the mapping, field by field.")
@click.option(
    "--class",
    "category",
    type=click.Choice(tuple(_BY_OPTION)),
    callback=_category,
    help="Show only the fields of this class.",
)
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, as in MIGRATION.md.")
@click.option("--json", "form", flag_value="json", help="Print a JSON array of objects.")
def fields(category: str | None, form: str | None) -> None:
    """Show for each old field where it comes from, where it goes, and what is lost.

    A loss is a value that a session cannot hold by itself. A session that was made from an old record carries such
    values along. So they are lost only if a session was never an old record.

    \b
    Exit status:
      0  shown
      2  wrong usage

    \b
    Examples:
      exam-compat fields
      exam-compat fields --class exact
      exam-compat fields --class looked-up --json
      exam-compat fields --markdown > fields.md
    """
    if form == "markdown":
        click.echo(markdown_tables(category), nl=False)
    elif form == "json":
        say(json.dumps([row.as_dict() for row in mapping_rows(category)], indent=2, ensure_ascii=False))
    else:
        rows = [tuple(text.replace("`", "") for text in row.as_dict().values()) for row in mapping_rows(category)]
        show_table(_COLUMNS, rows)
