"""``exam-compat fields``, ``openapi`` and ``completion``: what is declared here, for people, programs and shells."""

from __future__ import annotations

import json
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from compat.cli.console import Column, note, say, say_json, show_table
from compat.cli.files import write_whole
from compat.cli.options import COMPLETION_VARIABLE, NewFile, config_option, configuration
from compat.mapping.tables import CATEGORIES, mapping_rows, markdown_tables

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


@click.command(short_help="Show the mapping, field by field.")
@click.option("--class", "option", type=click.Choice(tuple(_BY_OPTION)), help="Show only the fields of this class.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, as in MIGRATION.md.")
@click.option("--json", "form", flag_value="json", help="Print a JSON array of objects.")
def fields(option: str | None, form: str | None) -> None:
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
    category = None if option is None else _BY_OPTION[option]
    if form == "markdown":
        click.echo(markdown_tables(category), nl=False)
    elif form == "json":
        say_json([row.as_dict() for row in mapping_rows(category)])
    else:
        rows = [tuple(text.replace("`", "") for text in row.as_dict().values()) for row in mapping_rows(category)]
        show_table(_COLUMNS, rows)


@click.command(short_help="Write the OpenAPI document of the old interface.")
@click.option("--output", type=NewFile(), metavar="FILE", help="Write to this file.  [default: the standard output]")
@config_option
def openapi(output: Path | None) -> None:
    """Write a description of the old interface: an OpenAPI 3.1 document, in JSON.

    It comes from the same declarations that answer the calls. It has the routes, the parameters, the record, and every
    status with its headers.

    The configuration says which endpoint answers. So it decides whether students can be added, which fields beyond the
    record are let through, and since when the interface is deprecated. Nothing secret is in the document.

    \b
    Exit status:
      0  written
      1  the file cannot be written
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat openapi
      exam-compat openapi --output exam-students.json
    """
    from compat.gateway.openapi import document

    text = json.dumps(document(configuration()), indent=2, ensure_ascii=False)
    if output is None:
        say(text)
        return
    write_whole(output, f"{text}\n")
    note(f"The document is in {output}.")


_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(short_help="Print a script for the Tab key in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
def completion(shell: str) -> None:
    """Print a script for your shell, so that the Tab key completes exam-compat commands.

    It completes commands, options and their values, callers, exams and paths. The script asks exam-compat each time. So
    it stays right when exam-compat is updated. Callers and exams are those of the configuration. No endpoint is asked.

    \b
    Exit status:
      0  printed
      2  wrong usage

    \b
    Examples:
      exam-compat completion bash >> ~/.bashrc
      exam-compat completion zsh >> ~/.zshrc
      exam-compat completion fish > ~/.config/fish/completions/exam-compat.fish
    """
    program = click.get_current_context().find_root().command
    asked = _SHELLS[shell](program, {}, "exam-compat", COMPLETION_VARIABLE)
    # Not by its source(), which looks at the bash that is here; the script may be for another machine.
    say(asked.source_template % asked.source_vars())
