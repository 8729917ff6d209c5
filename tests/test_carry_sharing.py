"""Whatever names share, they share where they arrive: random webs of containers, carried and executed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flownb.capture.carry import Surroundings, carry
from flownb.capture.fingerprint import fingerprint
from flownb.capture.sources import Sources

ATOMS = [None, 1, "a", 2.5, (1, 2), (), frozenset(), frozenset({3})]


class Box:
    """An object that has no literal."""

    def __init__(self) -> None:
        self.held: list[Any] = []


@st.composite
def webs(draw: st.DrawFn) -> dict[str, Any]:
    """Containers that hold one another and atoms, in any way, some of them bound to names."""
    kinds = draw(st.lists(st.sampled_from([list, dict, Box, tuple]), min_size=1, max_size=7))
    made: list[Any] = []
    for kind in kinds:
        inner = draw(st.lists(st.sampled_from([*ATOMS, *made]), max_size=3))
        if kind is list:
            made.append(inner)
        elif kind is dict:
            made.append(dict(enumerate(inner)))
        elif kind is tuple:
            made.append(tuple(inner))
        else:
            box = Box()
            box.held = inner
            made.append(box)
    for target in [item for item in made if type(item) is list]:
        if draw(st.booleans()):
            target.append(draw(st.sampled_from(made)))  # circles too
    count = draw(st.integers(1, 4))
    return {name: draw(st.sampled_from(made)) for name in "abcd"[:count]}


@settings(max_examples=250, deadline=None)
@given(webs())
def test_what_is_one_object_stays_one_and_what_is_two_stays_two(namespace: dict[str, Any]) -> None:
    entries = carry(namespace, Surroundings(namespace, Sources()), where="x")
    arrived: dict[str, Any] = {}
    for entry in entries:
        exec(entry.source, arrived)
    names = sorted(namespace)
    assert fingerprint([arrived[name] for name in names]) == fingerprint([namespace[name] for name in names])


@settings(max_examples=100, deadline=None)
@given(webs())
def test_a_web_is_carried_in_the_same_way_whatever_the_order_of_the_namespace(
    namespace: dict[str, Any],
) -> None:
    backwards = dict(reversed(namespace.items()))
    forth = carry(namespace, Surroundings(namespace, Sources()), where="x")
    back = carry(backwards, Surroundings(backwards, Sources()), where="x")
    assert [(e.name, e.source, e.identity) for e in forth] == [(e.name, e.source, e.identity) for e in back]
