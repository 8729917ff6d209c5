"""`flownb check`: prove that a stored flow gives, isolated, what it gave where it was captured."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flownb.cli.completing import complete_assignment, complete_reference
from flownb.cli.printing import print_json, say, show

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("check")
@click.argument("reference", metavar="REF", shell_complete=complete_reference)
@click.option(
    "-p",
    "--parameter",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=complete_assignment,
    help="The value of a parameter that has no default; @env:VARIABLE and the like as for `flownb run`.",
)
@click.option(
    "--trust", "trusted", is_flag=True, help="Check it this once, though its store came from elsewhere."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def check_command(*, reference: str, assignments: Sequence[str], trusted: bool, as_json: bool) -> int:
    """Run the flow REF isolated, and compare its values with the marks kept at its capture.

    Exit status: 0 nothing differs, 1 something does or the flow failed, 2 it could not be started.
    """
    from flownb.cli.running import given_values
    from flownb.displays.wording import visible
    from flownb.environments.checking import check_flow
    from flownb.parameters import validate
    from flownb.storage import open_flow, trust
    from flownb.ui.checking import check_table

    storage, flow = open_flow(reference)
    values = validate(flow, given_values(flow, assignments), text=True)
    for note in storage.notes(flow):
        say(f"flownb: ⚠ {visible(note)}")
    with trust.allow_once(storage) if trusted else nullcontext():
        trust.require(storage, flow.location)
        check = check_flow(flow, dict(storage.marks(flow)), values, cwd=flow.folder or Path.cwd())
    if as_json:
        found = [asdict(one) for one in check.compared]
        print_json({"flow": check.flow, "good": check.good, "failure": check.failure, "compared": found})
    else:
        show(check_table(check))
    return 0 if check.good else 1
