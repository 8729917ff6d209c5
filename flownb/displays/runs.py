"""Many runs, shown: one row each, with the values that went in and came out side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flownb.displays.outputs import is_scalar
from flownb.displays.parts import Line, Shown, Span, Table, code, muted, state
from flownb.displays.run import given_values, short_version_of, source_of
from flownb.displays.wording import seconds_text, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flownb.displays.parts import Words
    from flownb.runs.record import OutputRecord, RunRecord

Column = tuple[str, Sequence["Words"]]

_ID = 6  #: characters of an id's end, which is random: every command takes it
_COLUMNS = 8  #: values that have a column of their own
_SHARED = ("parameters", "outputs")  #: columns of values that are too many for columns of their own
_VALUE = 24  #: characters


def runs_table(
    runs: Sequence[RunRecord],
    *,
    outputs: Mapping[str, Sequence[OutputRecord]],
    defaults: Mapping[str, Mapping[str, str]],
    links: Mapping[str, str] | None = None,
) -> Shown:
    """Show runs, in this order.

    Args:
        runs: their records.
        outputs: by a run's id.
        defaults: of the parameters, by a flow's digest.
        links: to the executed notebooks, by a run's id.
    """
    if not runs:
        return Shown([Line(muted("no runs"))])
    given = {run.id: given_values(run, defaults.get(run.digest, {})) for run in runs}
    came = {
        run.id: {each.name: each.preview for each in outputs.get(run.id, ()) if is_scalar(each)}
        for run in runs
    }
    sources = [source_of(run) for run in runs]
    columns: list[Column] = [
        ("run", [_id(run, (links or {}).get(run.id, "")) for run in runs]),
        ("flow", [run.flow for run in runs]),
        ("state", [state(run.state) for run in runs]),
        ("started", [(run.started or run.created).astimezone().strftime("%m-%d %H:%M:%S") for run in runs]),
        ("time", [seconds_text(run.seconds) for run in runs]),
    ]
    values = [*_values(_SHARED[0], given), *_values(_SHARED[1], came)]
    last: list[Column] = [
        ("error", [shorten(str(run.error), 60) if run.error else "" for run in runs]),
        ("version", [code(short_version_of(run)) for run in runs]),
        ("source", sources if len(set(sources)) > 1 else [""] * len(runs)),
        ("labels", [", ".join(run.labels) for run in runs]),
    ]
    after = len(columns) + len(values)
    headers, cells = zip(*columns, *values, *last, strict=True)
    gives_way = [*range(after + len(last) - 1, after - 1, -1), *range(after - 1, len(columns) - 1, -1)]
    gives_way = [at for at in gives_way if headers[at] not in _SHARED]
    return Shown([Table(headers, list(zip(*cells, strict=True)), gives_way=gives_way)])


def _id(run: RunRecord, link: str) -> Span:
    return Span(run.id[-_ID:], "" if link else "code", link)


def _values(what: str, values: Mapping[str, Mapping[str, str]]) -> list[Column]:
    """Return a column for each name; where there are too many, one in which names and values stand."""
    names = list(dict.fromkeys(name for each in values.values() for name in each))
    if len(names) <= _COLUMNS:
        return [(name, [shorten(each.get(name, ""), _VALUE) for each in values.values()]) for name in names]
    told = (", ".join(f"{name}={shorten(v, _VALUE)}" for name, v in each.items()) for each in values.values())
    return [(what, [shorten(text, 120) for text in told])]
