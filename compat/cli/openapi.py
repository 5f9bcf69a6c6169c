"""``exam-compat openapi``: the legacy interface as an OpenAPI document."""

from __future__ import annotations

import json
from pathlib import Path

import click

from compat.cli.console import NewFile, config_option, configuration, note, say
from compat.cli.files import whole_file

__all__ = ["openapi"]


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
    with whole_file(output) as file:
        file.write(f"{text}\n".encode())
    note(f"The document is in {output}.")
