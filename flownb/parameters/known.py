"""The types that a declaration may mean: an allow-list, by the path under which each is found.

Only what is named here is ever imported or called on behalf of a declaration.
"""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: path -> how people call it
PLAIN: Final[Mapping[str, str]] = {
    "builtins.None": "none",
    "builtins.bool": "yes or no",
    "builtins.int": "whole number",
    "builtins.float": "number",
    "builtins.complex": "complex number",
    "builtins.str": "text",
    "builtins.bytes": "bytes",
    "datetime.date": "date",
    "datetime.datetime": "date and time",
    "datetime.time": "time of day",
    "datetime.timedelta": "duration",
    "decimal.Decimal": "decimal number",
    "fractions.Fraction": "fraction",
    "pathlib.Path": "path",
    "pathlib.PurePath": "path",
    "pathlib.PurePosixPath": "path",
    "pathlib.PureWindowsPath": "path",
    "uuid.UUID": "UUID",
    "re.Pattern": "regular expression",
    "ipaddress.IPv4Address": "IPv4 address",
    "ipaddress.IPv6Address": "IPv6 address",
    "ipaddress.IPv4Interface": "IPv4 interface",
    "ipaddress.IPv6Interface": "IPv6 interface",
    "ipaddress.IPv4Network": "IPv4 network",
    "ipaddress.IPv6Network": "IPv6 network",
    "flownb.Secret": "secret text",
    "pydantic.SecretStr": "secret text",
    "pydantic.SecretBytes": "secret bytes",
    "pydantic.EmailStr": "mail address",
    "pydantic.AnyUrl": "URL",
    "pydantic.AnyHttpUrl": "URL (http or https)",
    "pydantic.HttpUrl": "URL (http or https)",
    "pydantic.FileUrl": "URL of a file",
    "pydantic.FilePath": "path of a file that exists",
    "pydantic.DirectoryPath": "path of a folder that exists",
    "pydantic.NewPath": "path of a file that does not exist yet",
    "pydantic.ByteSize": "size in bytes, such as 2MiB",
    "pydantic.Json": "JSON",
    "pydantic.UUID1": "UUID",
    "pydantic.UUID3": "UUID",
    "pydantic.UUID4": "UUID",
    "pydantic.UUID5": "UUID",
    "pydantic.PastDate": "date in the past",
    "pydantic.FutureDate": "date in the future",
    "pydantic.PastDatetime": "date and time in the past",
    "pydantic.FutureDatetime": "date and time in the future",
    "pydantic.AwareDatetime": "date and time with a time zone",
    "pydantic.NaiveDatetime": "date and time without a time zone",
    "pydantic.IPvAnyAddress": "IP address",
    "pydantic.IPvAnyInterface": "IP interface",
    "pydantic.IPvAnyNetwork": "IP network",
}

#: those that the run judges, as they ask for something where it runs
THERE: Final = frozenset({"pydantic.FilePath", "pydantic.DirectoryPath", "pydantic.NewPath"})

ANYTHING: Final = frozenset({"typing.Any", "builtins.object", "typing.Final"})

#: collections, and how many types they have inside
COLLECTIONS: Final[Mapping[str, int]] = {
    "builtins.list": 1,
    "builtins.set": 1,
    "builtins.frozenset": 1,
    "builtins.tuple": 1,
    "builtins.dict": 2,
    "collections.deque": 1,
    "collections.OrderedDict": 2,
    "collections.Counter": 1,
    "typing.Sequence": 1,
    "typing.Mapping": 2,
}
MAPPINGS: Final = frozenset(
    {"builtins.dict", "collections.OrderedDict", "collections.Counter", "typing.Mapping"}
)

#: other paths of the same things
ALIASES: Final[Mapping[str, str]] = {
    **{f"typing_extensions.{n}": f"typing.{n}" for n in ("Any", "Literal", "Annotated", "Optional", "Union")},
    **{f"typing_extensions.{n}": f"typing.{n}" for n in ("Final", "ClassVar", "NewType")},
    **{f"{m}.List": "builtins.list" for m in ("typing", "typing_extensions")},
    **{f"{m}.Dict": "builtins.dict" for m in ("typing", "typing_extensions")},
    **{f"{m}.Set": "builtins.set" for m in ("typing", "typing_extensions")},
    **{f"{m}.FrozenSet": "builtins.frozenset" for m in ("typing", "typing_extensions")},
    **{f"{m}.Tuple": "builtins.tuple" for m in ("typing", "typing_extensions")},
    **{f"{m}.Deque": "collections.deque" for m in ("typing", "typing_extensions")},
    **{f"{m}.OrderedDict": "collections.OrderedDict" for m in ("typing", "typing_extensions")},
    **{f"{m}.Counter": "collections.Counter" for m in ("typing", "typing_extensions")},
    **{f"{m}.Pattern": "re.Pattern" for m in ("typing", "typing_extensions")},
    **{f"{m}.Text": "builtins.str" for m in ("typing", "typing_extensions")},
    # what pydantic makes of an Iterable is a generator, which no notebook could be given
    **{
        f"{m}.{n}": "typing.Sequence"
        for m in ("typing", "typing_extensions", "collections.abc")
        for n in ("Sequence", "MutableSequence", "Iterable", "Collection")
    },
    **{
        f"{m}.{n}": "typing.Mapping"
        for m in ("typing", "typing_extensions", "collections.abc")
        for n in ("Mapping", "MutableMapping")
    },
    **{f"collections.abc.{n}": "builtins.set" for n in ("Set", "MutableSet")},
    "typing.AbstractSet": "builtins.set",
    "typing.MutableSet": "builtins.set",
    "pathlib.PosixPath": "pathlib.Path",
    "pathlib.WindowsPath": "pathlib.Path",
    "flownb.parameters.Secret": "flownb.Secret",
    "flownb.parameters.secret.Secret": "flownb.Secret",
}

BUILTINS: Final = frozenset(
    path.removeprefix("builtins.")
    for path in (*PLAIN, *ANYTHING, *COLLECTIONS)
    if path.startswith("builtins.") and path != "builtins.None"
)

_INT, _FLOAT = "builtins.int", "builtins.float"
#: pydantic's ready-made constrained types
BOUNDED: Final[Mapping[str, tuple[str, tuple[tuple[str, Any], ...]]]] = {
    "pydantic.PositiveInt": (_INT, (("gt", 0),)),
    "pydantic.NonNegativeInt": (_INT, (("ge", 0),)),
    "pydantic.NegativeInt": (_INT, (("lt", 0),)),
    "pydantic.NonPositiveInt": (_INT, (("le", 0),)),
    "pydantic.PositiveFloat": (_FLOAT, (("gt", 0),)),
    "pydantic.NonNegativeFloat": (_FLOAT, (("ge", 0),)),
    "pydantic.NegativeFloat": (_FLOAT, (("lt", 0),)),
    "pydantic.NonPositiveFloat": (_FLOAT, (("le", 0),)),
    "pydantic.FiniteFloat": (_FLOAT, (("allow_inf_nan", False),)),
    "pydantic.StrictInt": (_INT, (("strict", True),)),
    "pydantic.StrictFloat": (_FLOAT, (("strict", True),)),
    "pydantic.StrictStr": ("builtins.str", (("strict", True),)),
    "pydantic.StrictBool": ("builtins.bool", (("strict", True),)),
    "pydantic.StrictBytes": ("builtins.bytes", (("strict", True),)),
}

#: pydantic's functions that make constrained types, and of what
CONSTRAINED: Final[Mapping[str, str]] = {
    "pydantic.conint": _INT,
    "pydantic.confloat": _FLOAT,
    "pydantic.constr": "builtins.str",
    "pydantic.conbytes": "builtins.bytes",
    "pydantic.condecimal": "decimal.Decimal",
    "pydantic.condate": "datetime.date",
    "pydantic.conlist": "builtins.list",
    "pydantic.conset": "builtins.set",
    "pydantic.confrozenset": "builtins.frozenset",
}

#: constraints that are understood; the last three are for text only
LIMITS: Final = frozenset(
    {"gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "strict", "allow_inf_nan"}
    | {"max_digits", "decimal_places", "strip_whitespace", "to_lower", "to_upper"}
)
TEXT_LIMITS: Final = frozenset({"strip_whitespace", "to_lower", "to_upper"})

#: what `Field` tells beside constraints: none of it says which values are right
NOTES: Final = frozenset(
    {"title", "description", "examples", "default", "default_factory", "alias", "validation_alias"}
    | {
        "serialization_alias",
        "alias_priority",
        "json_schema_extra",
        "deprecated",
        "repr",
        "exclude",
        "frozen",
    }
)
#: calls whose keywords are constraints, by their names
FIELDS: Final = frozenset({"pydantic.Field", "pydantic.StringConstraints", "annotated_types.Interval"})
#: marks that look at a value when the type before them has judged it
AFTER: Final = frozenset(
    {"pydantic.AfterValidator", "pydantic.functional_validators.AfterValidator", "annotated_types.Predicate"}
)

#: marks of `annotated_types`, and which constraints their arguments are
MARKS: Final[Mapping[str, tuple[str, ...]]] = {
    "annotated_types.Gt": ("gt",),
    "annotated_types.Ge": ("ge",),
    "annotated_types.Lt": ("lt",),
    "annotated_types.Le": ("le",),
    "annotated_types.MultipleOf": ("multiple_of",),
    "annotated_types.MinLen": ("min_length",),
    "annotated_types.MaxLen": ("max_length",),
    "annotated_types.Len": ("min_length", "max_length"),
}

_TYPING: Final = (
    *("Any", "Literal", "Optional", "Union", "Annotated", "Final", "List", "Dict", "Set", "FrozenSet"),
    *("Tuple", "Sequence", "Mapping", "Iterable"),
)
#: names that mean one thing where nothing imports them, and the line that does
IMPORTS: Final[Mapping[str, str]] = {
    **{name: f"from typing import {name}" for name in _TYPING},
    **{name: f"from datetime import {name}" for name in ("date", "datetime", "timedelta")},
    "Decimal": "from decimal import Decimal",
    "Fraction": "from fractions import Fraction",
    "Path": "from pathlib import Path",
    "UUID": "from uuid import UUID",
    "Secret": "from flownb import Secret",
    **{
        path.removeprefix("pydantic."): f"from pydantic import {path.removeprefix('pydantic.')}"
        for path in (*BOUNDED, *CONSTRAINED, *PLAIN)
        if path.startswith("pydantic.")
    },
}

_MAKERS: Final[Mapping[str, Callable[..., Any]]] = {
    "datetime.date": dt.date,
    "datetime.datetime": dt.datetime,
    "datetime.time": dt.time,
    "datetime.timedelta": dt.timedelta,
    "decimal.Decimal": decimal.Decimal,
}


def construct(path: str | None, arguments: Sequence[Any]) -> Any:
    """Return the date, time, duration or Decimal that a constraint names; None where it is none."""
    maker = _MAKERS.get(path or "")
    try:
        return maker(*arguments) if maker is not None else None
    except (TypeError, ValueError, ArithmeticError):
        return None
