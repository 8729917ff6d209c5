"""What is different between two flows, by meaning: parameters, steps, outputs, what is taken along.

Pure: flows in, changes out. Nothing of a flow is run or unpickled, and the defaults of secrets are not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from flownb.storage.lines import counts_text, plain, unified
from flownb.storage.script import as_script, secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from flownb.flow import Carried, Flow, Parameter, Step

Part = Literal["flow", "parameter", "step", "output", "carried", "requirement"]
Kind = Literal["added", "removed", "changed", "moved", "renamed"]
T = TypeVar("T")

PARTS: Mapping[Part, str] = {
    "flow": "flow",
    "parameter": "parameters",
    "step": "steps",
    "output": "outputs",
    "carried": "taken along from the notebook",
    "requirement": "captured with",
}
MARKS: Mapping[Kind, str] = {"added": "+", "removed": "-", "changed": "~", "moved": "↕", "renamed": "→"}
_HIDDEN = "***"
_SHORT = 40  #: characters of a value that a line of words shows


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different, in words and, where it has a source that reads, line by line."""

    part: Part
    name: str
    kind: Kind
    how: str = ""  #: in a few words; text of the flows, not made safe for a terminal or HTML
    old: str = ""  #: source before
    new: str = ""  #: source now

    @property
    def words(self) -> str:
        """The change in a line: `parameter since: default 1990 → 1958`, `step report changed: +3 -1`."""
        what = "" if self.part in ("requirement", "flow") else f"{self.part} "
        verb = "" if self.kind == "changed" and self.how else f" {self.kind}"
        about = f": {self.how}" if self.how and self.kind not in ("added", "removed") else ""
        return f"{what}{self.name}{verb}{about}"


@dataclass(frozen=True)
class FlowDiff:
    """How the flow `new` differs from the flow `old`."""

    old: Flow
    new: Flow
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs, what the flows were captured with included."""
        return not self.changes

    @property
    def same_content(self) -> bool:
        """Whether both are one version: equal digests. What they were captured with may differ."""
        return all(change.part == "requirement" for change in self.changes)

    def of(self, part: Part) -> list[Change]:
        """Return the changes of one part."""
        return [change for change in self.changes if change.part == part]

    def summary(self, limit: int = 3) -> str:
        """Say in a few words what changed, on one line: at most `limit` changes, and how many more."""
        if self.same:
            return "no change"
        told = [plain(change.words) for change in self.changes]
        return "; ".join(told[:limit]) + (f"; and {len(told) - limit} more" if len(told) > limit else "")

    def to_text(self) -> str:
        """Write all of it for a terminal; what a terminal would obey is made visible."""
        lines = [f"--- {plain(title(self.old))}", f"+++ {plain(title(self.new))}"]
        if self.same:
            return "\n".join([*lines, "no difference"])
        for part, heading in PARTS.items():
            if not (changes := self.of(part)):
                continue
            lines += ["", heading]
            for change in changes:
                about = f": {change.how}" if change.how else ""
                lines.append(f"  {MARKS[change.kind]} {plain(change.name)} {change.kind}{plain(about)}")
                if change.kind in ("changed", "renamed"):
                    lines += [f"      {plain(line)}" for line in unified(change.old, change.new)]
        return "\n".join(lines)

    def to_script_text(self) -> str:
        """Write the unified diff of both flows' whole text (`as_script`) for a terminal."""
        lines = unified(as_script(self.old), as_script(self.new))
        heads = [f"--- {title(self.old)}", f"+++ {title(self.new)}"]
        return "\n".join(plain(line) for line in [*heads, *(lines or ["no difference"])])

    def __str__(self) -> str:
        return self.to_text()


def compare(old: Flow, new: Flow) -> FlowDiff:
    """Compare two flows, or two versions of one, by what they mean."""
    changes = [
        *_about(old, new),
        *_parameters(old, new),
        *_steps(old.steps, new.steps),
        *_outputs(old, new),
        *_closure(old.closure, new.closure),
    ]
    if not changes and old.digest != new.digest:  # something that has no part of its own
        changes = [Change("flow", "cells", "changed", "another order or kind of cells")]
    return FlowDiff(old, new, (*changes, *_requirements(old, new)))


def title(flow: Flow) -> str:
    """Return how a flow is called where it is compared: its location, where it is stored."""
    return flow.location or f"{flow.name}@{flow.version}"


def _about(old: Flow, new: Flow) -> Iterator[Change]:
    if old.name != new.name:
        yield Change("flow", old.name, "renamed", new.name)
    if old.description != new.description:
        yield Change("flow", "description", "changed", "", old.description, new.description)
    if old.language != new.language:
        yield Change("flow", "language", "changed", _arrow(old.language, new.language))
    texts = _texts(old), _texts(new)
    if texts[0] != texts[1]:
        yield Change("flow", "text between the cells", "changed", counts_text(*texts), *texts)


def _texts(flow: Flow) -> str:
    """Return the cells that are not code, of a flow that was taken from a notebook whole."""
    cells: Sequence[Mapping[str, Any]] = flow.notebook["cells"] if flow.notebook is not None else ()
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] != "code")


def _parameters(old: Flow, new: Flow) -> Iterator[Change]:
    if old.parameters == new.parameters:
        return
    secret = secrets_of(old) | secrets_of(new)
    found = _matched(old.parameters, new.parameters, key=_name_of)
    for kind, before, after in found:
        now = after or before
        assert now is not None
        hidden = now.name in secret
        if before is None or after is None:
            yield Change("parameter", now.name, kind, _declaration(now, hidden=hidden))
        elif kind == "moved":
            yield Change("parameter", now.name, kind, "to another place in the order")
        if before is not None and after is not None and before != after:
            facts = list(_facts(before, after, hidden=hidden))
            yield Change("parameter", now.name, "changed", ", ".join(facts))


def _facts(before: Parameter, after: Parameter, *, hidden: bool) -> Iterator[str]:
    if before.annotation != after.annotation:
        yield f"type {_arrow(before.annotation or 'none', after.annotation or 'none')}"
    if before.default != after.default:
        if hidden:
            yield "default"
        else:
            texts = ["required" if p.default is None else p.default for p in (before, after)]
            yield f"default {_arrow(*texts)}"
    if before.help != after.help:
        yield f"help {_arrow(before.help or 'none', after.help or 'none')}"


def _declaration(parameter: Parameter, *, hidden: bool) -> str:
    text = f"{parameter.name}: {parameter.annotation}" if parameter.annotation else parameter.name
    if parameter.default is None:
        return f"{text}, required"
    return f"{text} = {_HIDDEN if hidden else _short(parameter.default)}"


def _steps(old: Sequence[Step], new: Sequence[Step]) -> Iterator[Change]:
    found = [*_matched(old, new, key=_name_of)]
    # by their places: two steps may be equal
    removed = {
        at: before for at, (_, before, after) in enumerate(found) if before is not None and after is None
    }
    added = {at: after for at, (_, before, after) in enumerate(found) if before is None and after is not None}
    renamed = dict(_renamed(removed, added, alone=len(old) == len(new) == 1))
    for at, (kind, before, after) in enumerate(found):
        if before is None and after is not None:
            if at not in renamed.values():
                yield Change("step", after.name, kind, _size(after.source), new=after.source)
        elif before is not None and after is None:
            if at not in renamed:
                yield Change("step", before.name, kind, _size(before.source), old=before.source)
            else:
                now = added[renamed[at]]
                facts = [now.name, *_step_facts(before, now)]
                yield Change("step", before.name, "renamed", ", ".join(facts), before.source, now.source)
        elif before is not None and after is not None:
            if kind == "moved":
                yield Change("step", after.name, kind, "to another place in the order")
            if facts := list(_step_facts(before, after)):
                yield Change("step", after.name, "changed", ", ".join(facts), before.source, after.source)


def _renamed(
    removed: Mapping[int, Step], added: Mapping[int, Step], *, alone: bool
) -> Iterator[tuple[int, int]]:
    """Pair the places of steps that have only another name now: the same source, or the only one of each."""
    left = dict(added)
    for at, before in removed.items():
        for to, after in left.items():
            if before.source == after.source or alone:
                yield at, to
                del left[to]
                break


def _step_facts(before: Step, after: Step) -> Iterator[str]:
    if before.source != after.source:
        yield counts_text(before.source, after.source)
    if before.outputs != after.outputs:
        yield f"gives {_arrow(', '.join(before.outputs) or 'none', ', '.join(after.outputs) or 'none')}"
    if before.result != after.result:
        yield "its last expression is the output `result`" + ("" if after.result else " no more")


def _outputs(old: Flow, new: Flow) -> Iterator[Change]:
    for name in old.outputs:
        if name not in new.outputs:
            yield Change("output", name, "removed")
    for name in new.outputs:
        if name not in old.outputs:
            yield Change("output", name, "added")


def _closure(old: Sequence[Carried], new: Sequence[Carried]) -> Iterator[Change]:
    for kind, before, after in _matched(old, new, key=lambda entry: (entry.step, entry.bound)):
        entry = after or before
        assert entry is not None
        name = ", ".join(entry.bound) + (f" (for step {entry.step})" if entry.step else "")
        if before is None or after is None:
            yield Change("carried", name, kind, _carried_words(entry))
        elif before.how != after.how or before.content != after.content:
            reads = not {"pickle", "frozen"} & {before.how, after.how}
            sources = (before.source, after.source) if reads else ("", "")
            yield Change("carried", name, "changed", _carried_change(before, after), *sources)


def _carried_words(entry: Carried) -> str:
    if entry.how in ("import", "module", "literal", "statement") and "\n" not in entry.source.strip():
        return _short(entry.source)
    return f"{entry.how}, {entry.type}" if entry.type and entry.type != entry.how else entry.how


def _carried_change(before: Carried, after: Carried) -> str:
    facts = [_arrow(before.how, after.how)] if before.how != after.how else []
    lines = "\n" in before.source.strip() or "\n" in after.source.strip()
    if {"pickle", "frozen"} & {before.how, after.how}:
        sizes = [f"{entry.type or entry.how}, {entry.size} bytes" for entry in (before, after)]
        facts.append(_arrow(*sizes) if sizes[0] != sizes[1] else f"{sizes[0]}, other content")
    elif before.source == after.source:
        facts.append("other content")
    elif lines or before.how == "definition":
        facts.append(counts_text(before.source, after.source))
    else:
        facts.append(_arrow(before.source, after.source))
    return ", ".join(facts)


def _requirements(old: Flow, new: Flow) -> Iterator[Change]:
    before, after = old.requirements, new.requirements
    pairs: list[tuple[str, str, str]] = [
        ("Python", before.python, after.python),
        ("kernel", old.kernel, new.kernel),
    ]
    pairs += _items(environment_options(old), environment_options(new))
    pairs += _items(before.distributions, after.distributions)
    modules = [{f"{name}.py": text[:12] for name, text in r.modules.items()} for r in (before, after)]
    pairs += _items(*modules)
    for name, was, now in pairs:
        if was != now:
            kind: Kind = "added" if not was else "removed" if not now else "changed"
            yield Change("requirement", name, kind, _arrow(was, now) if kind == "changed" else was or now)


def environment_options(flow: Flow) -> dict[str, str]:
    """Return what a flow keeps of its environment, in words: its name, its kind, the options that are set."""
    kept = flow.environment or {}
    told = {"environment": str(kept.get("named", "")), "environment kind": str(kept.get("type", ""))}
    about = ("named", "named_in", "type", "schema")
    told |= {f"environment {key}": _option(value) for key, value in kept.items() if key not in about}
    return {name: text for name, text in told.items() if text}


def _option(value: object) -> str:
    """Return an option in words; nothing for one that says nothing."""
    if isinstance(value, Mapping):
        callback = value.get("callback", value.get("name") if "pickle" in value else None)
        options = value.get("options") if callback else value
        inner = ", ".join(f"{key}={_option(item)}" for key, item in dict(options or {}).items())
        return (f"{callback}({inner})" if inner else f"{callback}") if callback else inner
    if isinstance(value, list | tuple):
        return ", ".join(map(_option, value))
    return "" if value is None else str(value)


def _items(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str, str]]:
    def told(found: Mapping[str, str], name: str) -> str:
        return found[name] or "any version" if name in found else ""

    return [(name, told(old, name), told(new, name)) for name in sorted({*old, *new})]


def _matched(
    old: Sequence[T], new: Sequence[T], *, key: Callable[[T], Hashable]
) -> Iterator[tuple[Kind, T | None, T | None]]:
    """Pair the items of equal keys; yield the new ones in their order, and then what was removed.

    A pair is "moved" where it stands in another order among the pairs than before, else "changed",
    whether it did or not. Of several items with one key the first is paired with the first, and so on.
    """
    before, after = _keyed(old, key), _keyed(new, key)
    kept_before = [name for name in before if name in after]
    kept_after = [name for name in after if name in before]
    matcher = SequenceMatcher(None, kept_before, kept_after, autojunk=False)
    stayed = {name for at, _, size in matcher.get_matching_blocks() for name in kept_before[at : at + size]}
    for name, item in after.items():
        if name not in before:
            yield "added", None, item
        else:
            yield ("changed" if name in stayed else "moved"), before[name], item
    for name, item in before.items():
        if name not in after:
            yield "removed", item, None


def _name_of(item: Parameter | Step) -> str:
    return item.name


def _keyed(items: Iterable[T], key: Callable[[T], Hashable]) -> dict[tuple[Hashable, int], T]:
    found: dict[tuple[Hashable, int], T] = {}
    for item in items:
        number = 0
        while (key(item), number) in found:
            number += 1
        found[key(item), number] = item
    return found


def _size(source: str) -> str:
    count = len(source.split("\n"))
    return f"{count} line{'' if count == 1 else 's'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def _arrow(old: str, new: str) -> str:
    """Write `old → new`, long texts from a little before they part, so that the difference shows."""
    before, after = " ".join(old.split()), " ".join(new.split())
    if max(len(before), len(after)) > _SHORT:
        same = next(
            (at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
            min(len(before), len(after)),
        )
        cut = max(same - _SHORT // 4, 0)
        before, after = (("…" if cut else "") + text[cut:] for text in (before, after))
    return f"{_short(before)} → {_short(after)}"
