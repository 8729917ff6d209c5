"""Values written as Python: the expression evaluates to an equal value of the same type."""

# ruff: noqa: DTZ001  # times without a zone are among the values that people give
from __future__ import annotations

import collections
import datetime as dt
import enum
import ipaddress
import math
import re
import uuid
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from http import HTTPStatus
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parameter_flows import flow_of, flow_with

from flownb.errors import ParameterError
from flownb.flow import Carried, Flow, Parameter
from flownb.parameters import (
    Secret,
    bindings,
    render,
    render_assignments,
    render_secrets,
    retold,
    validate,
)

PARIS = ZoneInfo("Europe/Paris")

#: values, and how they are written where nothing is imported
WRITTEN: list[tuple[Any, str]] = [
    (None, "None"),
    (True, "True"),
    (False, "False"),
    (..., "..."),
    (0, "0"),
    (-5, "-5"),
    (10**40, str(10**40)),
    (0.1, "0.1"),
    (-0.0, "-0.0"),
    (1e300, "1e+300"),
    (math.inf, "float('inf')"),
    (-math.inf, "float('-inf')"),
    (math.nan, "float('nan')"),
    (1 + 2j, "complex(1.0, 2.0)"),
    (complex(-0.0, math.nan), "complex(-0.0, float('nan'))"),
    ("", "''"),
    ("it's", '"it\'s"'),
    ("both ' and \"", "'both \\' and \"'"),
    ("a\nb\tc\\d", "'a\\nb\\tc\\\\d'"),
    ("a\x00b\x1b[31m", "'a\\x00b\\x1b[31m'"),
    ("größe 名 😀", "'größe 名 😀'"),
    ("\ud800", "'\\ud800'"),
    ("\u202e", "'\\u202e'"),
    ("\r\u2028", "'\\r\\u2028'"),
    ("{x} %s $y", "'{x} %s $y'"),
    ("'''", "\"'''\""),
    (b"", "b''"),
    (b"\x00\xff'", 'b"\\x00\\xff\'"'),
    (bytearray(b"a"), "bytearray(b'a')"),
    ([], "[]"),
    ([1, [2, "a"]], "[1, [2, 'a']]"),
    ((), "()"),
    ((1,), "(1,)"),
    ((1, 2), "(1, 2)"),
    (set(), "set()"),
    ({2, 1}, "{1, 2}"),
    ({"b", "a"}, "{'a', 'b'}"),
    (frozenset(), "frozenset()"),
    (frozenset({1}), "frozenset({1})"),
    ({frozenset({1})}, "{frozenset({1})}"),
    ({}, "{}"),
    ({"a": 1, 2: (3,), None: [], (1, 2): {}}, "{'a': 1, 2: (3,), None: [], (1, 2): {}}"),
    (OrderedDict(a=1), "__import__(\"collections\").OrderedDict([('a', 1)])"),
    (OrderedDict(), '__import__("collections").OrderedDict()'),
    (deque([1], 3), '__import__("collections").deque([1], 3)'),
    (deque(), '__import__("collections").deque([])'),
    (Counter("aab"), "__import__(\"collections\").Counter({'a': 2, 'b': 1})"),
    (range(3), "range(0, 3)"),
    (range(1, 10, 2), "range(1, 10, 2)"),
    (slice(None, 3), "slice(None, 3, None)"),
    (dt.date(1990, 1, 31), '__import__("datetime").date(1990, 1, 31)'),
    (dt.datetime(1990, 1, 31), '__import__("datetime").datetime(1990, 1, 31, 0, 0)'),
    (dt.datetime(1990, 1, 31, 1, 2, 3, 4), '__import__("datetime").datetime(1990, 1, 31, 1, 2, 3, 4)'),
    (dt.time(1, 2), '__import__("datetime").time(1, 2)'),
    (dt.time(1, 2, 0, 5), '__import__("datetime").time(1, 2, 0, 5)'),
    (dt.timedelta(), '__import__("datetime").timedelta()'),
    (dt.timedelta(days=-1, microseconds=5), '__import__("datetime").timedelta(days=-1, microseconds=5)'),
    (dt.UTC, '__import__("datetime").timezone.utc'),
    (dt.timezone(dt.timedelta(hours=2)), None),
    (dt.timezone(dt.timedelta(hours=-2), "X'"), None),
    (PARIS, "__import__(\"zoneinfo\").ZoneInfo('Europe/Paris')"),
    (dt.datetime(1990, 1, 31, tzinfo=dt.UTC), None),
    (dt.datetime(1990, 1, 31, tzinfo=dt.timezone(dt.timedelta(seconds=3601, microseconds=1))), None),
    (dt.datetime(2020, 10, 25, 2, 30, tzinfo=PARIS, fold=1), None),
    (dt.time(1, 2, tzinfo=dt.UTC, fold=1), None),
    (Decimal("1.10"), "__import__(\"decimal\").Decimal('1.10')"),
    (Decimal("NaN"), "__import__(\"decimal\").Decimal('NaN')"),
    (Decimal("-Infinity"), "__import__(\"decimal\").Decimal('-Infinity')"),
    (Decimal("-0"), None),
    (Decimal("1e-999999"), None),
    (Fraction(1, 3), '__import__("fractions").Fraction(1, 3)'),
    (Path("a b/'c'"), None),
    (Path(), "__import__(\"pathlib\").Path('.')"),
    (PurePosixPath("/a"), "__import__(\"pathlib\").PurePosixPath('/a')"),
    (PureWindowsPath("C:\\a"), "__import__(\"pathlib\").PureWindowsPath('C:\\\\a')"),
    (uuid.UUID(int=5), "__import__(\"uuid\").UUID('00000000-0000-0000-0000-000000000005')"),
    (ipaddress.ip_address("10.0.0.1"), "__import__(\"ipaddress\").IPv4Address('10.0.0.1')"),
    (ipaddress.ip_address("fe80::1%eth0"), None),
    (ipaddress.ip_network("10.0.0.0/8"), None),
    (ipaddress.ip_network("fe80::/64"), None),
    (ipaddress.ip_interface("10.0.0.1/8"), None),
    (ipaddress.ip_interface("fe80::1/64"), None),
    (re.compile("a'+"), None),
    (re.compile(b"a+", re.IGNORECASE), None),
    (re.compile("a", re.ASCII | re.MULTILINE), None),
    (HTTPStatus.OK, '__import__("http", fromlist=["*"]).HTTPStatus.OK'.replace(', fromlist=["*"]', "")),
    (re.IGNORECASE | re.MULTILINE, None),
]


def same(left: Any, right: Any) -> bool:
    """Equal, of the same type, all the way down; NaN is itself, and zeros have signs."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (left == right and str(left) == str(right))
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, Decimal):
        return str(left) == str(right)
    if isinstance(left, list | tuple | deque):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set | frozenset):
        return len(left) == len(right) and {repr(item) for item in left} == {repr(item) for item in right}
    if isinstance(left, dt.datetime | dt.time):
        return left == right and left.fold == right.fold and same(left.tzinfo, right.tzinfo)
    return bool(left == right)


# numbered, as the text of a set is not the same in every process
IDS = [f"{number}-{type(value).__name__}" for number, (value, _) in enumerate(WRITTEN)]


@pytest.mark.parametrize(("value", "written"), WRITTEN, ids=IDS)
def test_what_is_written_evaluates_to_the_same(value: Any, written: str | None) -> None:
    source = render(value)
    if written is not None:
        assert source == written
    assert "\n" not in source
    assert same(eval(source, {}), value)


BOUND: list[tuple[Any, dict[str, str], str]] = [
    (dt.date(1990, 1, 1), {"datetime.date": "date"}, "date(1990, 1, 1)"),
    (dt.date(1990, 1, 1), {"datetime.date": "day"}, "day(1990, 1, 1)"),
    (dt.date(1990, 1, 1), {"datetime": "dt"}, "dt.date(1990, 1, 1)"),
    (dt.date(1990, 1, 1), {"datetime": "dt", "datetime.date": "date"}, "date(1990, 1, 1)"),
    ([dt.date(1990, 1, 1)], {"datetime.date": "date"}, "[date(1990, 1, 1)]"),
    (dt.time(1, 2, tzinfo=dt.UTC), {"datetime": "dt"}, "dt.time(1, 2, tzinfo=dt.timezone.utc)"),
    (Path("x"), {"pathlib.Path": "Path"}, "Path('x')"),
    (math.inf, {"builtins.float": "real"}, "real('inf')"),
    (HTTPStatus.OK, {"http.HTTPStatus": "HTTPStatus"}, "HTTPStatus.OK"),
    (HTTPStatus.OK, {"http": "h"}, "h.HTTPStatus.OK"),
]


@pytest.mark.parametrize(("value", "bound", "written"), BOUND)
def test_what_the_notebook_imports_is_written_by_its_name(
    value: Any, bound: dict[str, str], written: str
) -> None:
    assert render(value, bound) == written


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "evil()"

    __str__ = __repr__


class Number(int):
    def __repr__(self) -> str:
        return "evil()"

    __int__ = __index__ = lambda _: 666


@pytest.mark.parametrize(
    ("value", "written"),
    [(Text("a"), "'a'"), (Number(5), "5"), ([Text("a")], "['a']"), ({Text("a"): 1}, "{'a': 1}")],
)
def test_subclasses_are_written_as_their_base_whatever_they_show(value: Any, written: str) -> None:
    assert render(value) == written


Row = collections.namedtuple("Row", "a b")  # noqa: PYI024  # one of the values that are refused
LOOP: list[Any] = []
LOOP.append({"a": LOOP})


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class Local(enum.Enum):
    A = 1


REFUSED: list[tuple[Any, str]] = [
    (object(), "an object cannot be given to a run in another process"),
    ([object()], "an object cannot be given"),
    (open, "a builtin_function_or_method cannot be given"),
    (int, "a type cannot be given"),
    (Row(1, 2), "a Row cannot be given"),
    (collections.defaultdict(list), "a defaultdict cannot be given"),
    (lambda: 1, "a function cannot be given"),
    (memoryview(b"a"), "a memoryview cannot be given"),
    (LOOP, "contains itself"),
    (_nested(100), "nested more than"),
    (Secret("hunter2"), "a secret is not written down"),
    ([{"a": Secret("hunter2")}], "a secret is not written down"),
    ([[1] * 1000] * 2000, "too many"),
    (enum.Enum("Color", "RED").RED, "flow knows that class"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_what_cannot_be_written_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        render(value)
    assert "hunter2" not in str(caught.value)


def test_a_table_is_refused_with_what_to_do() -> None:
    import pandas as pd

    with pytest.raises(ParameterError) as caught:
        render(pd.DataFrame())
    assert str(caught.value) == (
        "a DataFrame cannot be given to a run in another process; "
        "write it to a file and give its path, or call flow.run(...)"
    )


@pytest.mark.parametrize("depth", [1, 30, 58])
@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: OrderedDict(a=v), lambda v: deque([v])]
)
def test_what_is_written_of_deep_values_can_be_read(depth: int, wrap: Any) -> None:
    value: Any = dt.datetime(1990, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "x"))
    for _ in range(depth):
        value = wrap(value)
    assert eval(render(value), {}) == value


def test_long_integers_are_written_whole() -> None:
    value = 7**20_000
    assert eval(render(value), {}) == value
    assert eval(render(-value), {}) == -value


def test_numpy_scalars_are_written_as_numbers() -> None:
    import numpy as np

    cases = [
        (np.int64(5), "5"),
        (np.uint8(5), "5"),
        (np.float64(0.5), "0.5"),
        (np.float32(0.5), "0.5"),
        (np.float64("nan"), "float('nan')"),
        (np.longdouble(0.5), "0.5"),
        (np.bool_(True), "True"),
        (np.str_("a"), "'a'"),
        (np.bytes_(b"a"), "b'a'"),
        (np.complex64(1 + 2j), "complex(1.0, 2.0)"),
        (np.clongdouble(1 + 2j), "complex(1.0, 2.0)"),
        ([np.int8(1)], "[1]"),
    ]
    assert [render(value) for value, _ in cases] == [written for _, written in cases]
    for value in (np.datetime64("1990-01-31"), np.datetime64("1990-01-31T01:02:03.000000004")):
        assert eval(render(value), {}) == value
    for value in (np.timedelta64(5, "D"), np.timedelta64(5, "ns"), np.datetime64("NaT", "D")):
        assert str(eval(render(value), {})) == str(value)
    with pytest.raises(ParameterError, match="an ndarray cannot"):
        render(np.array([1]))


def test_pandas_times_are_written_with_their_zone_and_nanoseconds() -> None:
    import pandas as pd

    stamp = pd.Timestamp("1990-01-31 01:02:03.000000004")
    assert render(pd.Timestamp("1990-01-31"), {"pandas": "pd"}) == "pd.Timestamp('1990-01-31T00:00:00')"
    ambiguous = pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert("Europe/Paris")
    for value in (stamp, stamp.tz_localize("Europe/Paris"), ambiguous, stamp.tz_localize("UTC")):
        found = eval(render(value), {})
        assert (found, str(found), str(found.tz)) == (value, str(value), str(value.tz))
    assert eval(render(pd.Timedelta("1 days 00:00:00.000000005")), {}).value == 86400000000005
    assert eval(render(pd.NaT), {}) is pd.NaT


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.timezones() | st.just(dt.UTC), allow_imaginary=False),
    st.times(timezones=st.none() | st.just(dt.UTC)),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.ip_addresses(),
    st.sampled_from([Path("a"), PurePosixPath("/b c"), HTTPStatus.OK, range(2), PARIS]),
)
_KEYS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.binary(), st.dates(), st.tuples(st.integers())
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.lists(inside, max_size=4).map(tuple),
        st.lists(inside, max_size=4).map(deque),
        st.dictionaries(_KEYS, inside, max_size=4),
        st.dictionaries(_KEYS, inside, max_size=4).map(OrderedDict),
        st.sets(_KEYS, max_size=4),
        st.frozensets(_KEYS, max_size=4),
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_VALUES)
def test_any_value_written_and_evaluated_is_the_same_again(value: Any) -> None:
    source = render(value)
    assert "\n" not in source
    assert same(eval(source, {}), value)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_VALUES)
def test_the_same_with_the_names_that_a_notebook_imports(value: Any) -> None:
    scope: dict[str, Any] = {"dt": dt, "D": Decimal, "float": None}
    bound = {"datetime": "dt", "decimal.Decimal": "D", "builtins.float": '__import__("builtins").float'}
    assert same(eval(render(value, bound), scope), value)


# -- the cell --------------------------------------------------------------------------------------------


def test_the_cell_has_a_line_for_each_value_in_declared_order() -> None:
    flow = flow_of("since: date = date(1958, 1, 1)\nname: str = ''\ncolor: Color = Color.RED\nn: int = 1")
    values = validate(flow, {"color": "DARK_BLUE", "name": "it's", "since": "1990-01-31"}, text=True)
    assert (
        render_assignments(values, flow)
        == 'since = date(1990, 1, 31)\nname = "it\'s"\ncolor = Color.DARK_BLUE'
    )
    assert render_assignments({}, flow) == ""


def test_members_of_the_notebooks_classes_mean_the_notebooks_own_class() -> None:
    flow = flow_of(
        "color: Color\nsize: list[Size]\naccess: Access\nkind: Kind | None\nn: int\nregion: Region"
    )
    given_values = {"color": "red", "size": "LARGE,1", "access": "BOTH", "kind": "a"}
    source = render_assignments(validate(flow, {**given_values, "n": "1", "region": "EU"}, text=True), flow)
    assert source.splitlines()[:4] == [
        "color = Color.RED",
        "size = [Size.LARGE, Size.SMALL]",
        "access = Access.BOTH",
        "kind = Kind.A",
    ]
    namespace: dict[str, Any] = {}
    exec("\n".join(entry.source for entry in flow.closure), namespace)
    exec(source, namespace)
    assert namespace["color"] is namespace["Color"].RED
    assert namespace["size"][1] is namespace["Size"].SMALL
    assert namespace["access"] is namespace["Access"].BOTH
    found = retold(validate(flow, {**given_values, "n": "1", "region": "EU"}, text=True), flow)
    assert found == "\n".join(source.splitlines()[:4])


def test_a_parameter_that_takes_the_name_of_a_class_does_not_break_the_next_line() -> None:
    flow = flow_of("date: dt.date = None\nsince: dt.date = None\nfloat: int = 1\nx: typing.Any = 1")
    source = render_assignments(
        {"date": dt.date(1990, 1, 1), "since": dt.date(1991, 1, 1), "float": 3, "x": math.inf}, flow
    )
    namespace: dict[str, Any] = {}
    exec("\n".join(entry.source for entry in flow.closure[:16]), namespace)
    exec(source, namespace)
    assert namespace["since"] == dt.date(1991, 1, 1)
    assert namespace["x"] == math.inf


def test_names_bound_twice_are_not_relied_on() -> None:
    closure = (
        Carried("date", "import", "from datetime import date"),
        Carried("date", "definition", "def date(): ..."),
        Carried("dt", "import", "import datetime as dt", step="later"),
        Carried("Path", "import", "from pathlib import Path"),
    )
    assert bindings(flow_with(Parameter("x", "Path"), closure=closure)) == {"pathlib.Path": "Path"}


def test_secret_parameters_are_a_comment_and_come_by_another_way() -> None:
    flow = flow_of("user: str\npassword: Secret\ntoken: str\nkeys: list[Secret] = []")
    values = {"user": "me", "password": Secret("hunter2"), "token": "tok", "keys": [Secret("k'1")]}
    shown = render_assignments(values, flow, hidden={"token"})
    assert shown.splitlines() == [
        "user = 'me'",
        "# password: given, not written",
        "# token: given, not written",
        "# keys: given, not written",
    ]
    namespace: dict[str, Any] = {}
    exec("from flownb import Secret\n" + render_secrets(values, flow, hidden={"token"}), namespace)
    assert namespace["password"] == "hunter2"
    assert isinstance(namespace["password"], Secret)
    assert isinstance(namespace["keys"][0], Secret)
    assert (namespace["token"], namespace["keys"][0]) == ("tok", "k'1")
    assert "user" not in namespace


HOSTILE_NAMES = [
    "x = 1; import os",
    "x\nimport os",
    "",
    " ",
    "1x",
    "a b",
    "a.b",
    "a[0]",
    "class",
    "None",
    "__debug__",
    "x#",
    "x\x00",
    "x\u202ey",
    "*x",
    "__import__('os').system('touch x')",
    "a" * 200 + " ",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_hostile_names_never_become_code(name: str) -> None:
    flow = Flow("sales", parameters=(Parameter(name, "str"),))
    for write in (render_assignments, render_secrets):
        with pytest.raises(ParameterError) as caught:
            write({name: "x"}, flow)
        assert "cannot be a parameter's name" in str(caught.value)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300


def test_a_name_that_the_flow_does_not_declare_is_refused() -> None:
    with pytest.raises(ParameterError, match="no parameter `y`"):
        render_assignments({"y": 1}, flow_of("x: int"))


def test_a_value_that_cannot_be_written_names_its_parameter() -> None:
    with pytest.raises(ParameterError, match="parameter `x` of flow `sales`: an object cannot be given"):
        render_assignments({"x": object()}, flow_of("x: Any"))


@given(st.text())
def test_text_from_outside_is_text_in_the_cell(text: str) -> None:
    namespace: dict[str, Any] = {}
    exec(render_assignments({"x": text}, Flow("f", parameters=(Parameter("x", "str"),))), {}, namespace)
    assert namespace == {"x": text}
