"""Puts back what a process keeps beside its names, so that a flow finds only what it sets itself."""

from __future__ import annotations

import calendar
import contextlib
import copy
import copyreg
import csv
import decimal
import gc
import importlib
import logging
import os
import random
import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def process_state(files: Iterable[str]) -> Iterator[None]:
    """Put back, afterwards, what a notebook may set in its process; its modules (`files`) are forgotten."""
    gc.freeze()  # a shell collects garbage when it ends, which takes long beside pandas and matplotlib
    restores = [_process(), _python(), *_libraries()]
    _forget_modules(files)
    _reseed()
    try:
        yield
    finally:
        for restore in restores:
            restore()
        gc.unfreeze()
        _forget_modules(files)


def _process() -> Callable[[], object]:
    path, main, environ = list(sys.path), sys.modules["__main__"], dict(os.environ)
    limit, folder = sys.getrecursionlimit(), os.getcwd()

    def restore() -> None:
        sys.path[:] = path
        sys.modules["__main__"] = main
        os.environ.clear()
        os.environ.update(environ)
        sys.setrecursionlimit(limit)
        os.chdir(folder)

    return restore


def _python() -> Callable[[], object]:
    filters, day, dialects = list(warnings.filters), calendar.firstweekday(), csv.list_dialects()
    context, default = decimal.getcontext().copy(), decimal.DefaultContext.copy()
    loggers = {name: _logger_state(logger) for name, logger in _loggers()}
    disabled = logging.root.manager.disable
    copied = dict(copyreg.dispatch_table)

    def restore() -> None:
        copyreg.dispatch_table.clear()
        copyreg.dispatch_table.update(copied)
        warnings.filters[:] = filters  # type: ignore[index]  # a list, whatever typeshed says
        calendar.setfirstweekday(day)
        for name in {*csv.list_dialects()} - {*dialects}:
            csv.unregister_dialect(name)
        decimal.setcontext(context)
        decimal.DefaultContext.prec, decimal.DefaultContext.rounding = default.prec, default.rounding
        logging.disable(disabled)
        for name, logger in _loggers():
            logger.level, logger.propagate, handlers = loggers.get(name, (logging.NOTSET, True, []))
            logger.handlers[:] = handlers
        logging.root.manager._clear_cache()  # type: ignore[attr-defined]

    return restore


def _loggers() -> list[tuple[str, logging.Logger]]:
    known = logging.root.manager.loggerDict.items()
    return [("", logging.root), *((n, one) for n, one in known if isinstance(one, logging.Logger))]


def _logger_state(logger: logging.Logger) -> tuple[int, bool, list[logging.Handler]]:
    return logger.level, logger.propagate, list(logger.handlers)


def _libraries() -> Iterator[Callable[[], object]]:
    modules = sys.modules
    if (matplotlib := modules.get("matplotlib")) is not None:
        parameters = dict(matplotlib.rcParams.copy())
        yield lambda: dict.update(matplotlib.rcParams, parameters)
    if (numpy := modules.get("numpy")) is not None:
        printed, errors = numpy.get_printoptions(), numpy.geterr()
        yield lambda: (numpy.set_printoptions(**printed), numpy.seterr(**errors))
    if (pandas := modules.get("pandas")) is not None:
        options = copy.deepcopy(pandas._config.config._global_config)
        yield lambda: pandas._config.config._global_config.update(options)
        yield from (_attributes(kind) for kind in (pandas.DataFrame, pandas.Series, pandas.Index))
    if (polars := modules.get("polars")) is not None:
        yield polars.Config.restore_defaults


def _attributes(kind: type) -> Callable[[], object]:
    """Return what takes methods and accessors away that were set on a class."""
    accessors = set(kind._accessors)  # type: ignore[attr-defined]  # pandas has it
    there = {name: value for name, value in vars(kind).items() if not name.startswith("__")}

    def restore() -> None:
        for name, value in [*vars(kind).items()]:
            if name not in there and not name.startswith("__"):
                delattr(kind, name)
            elif name in there and value is not there[name]:
                setattr(kind, name, there[name])
        kind._accessors.intersection_update(accessors)  # type: ignore[attr-defined]  # see above

    return restore


def _reseed() -> None:
    """Let generators begin elsewhere each time: whoever needs a seed has to set it."""
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()


def _forget_modules(files: Iterable[str]) -> None:
    for name in files:
        parts = name.removesuffix(".py").split("/")
        for top in {parts[0], parts[-1]}:  # a folder of modules may have been put on `sys.path`
            for module in [m for m in sys.modules if m == top or m.startswith(f"{top}.")]:
                del sys.modules[module]
    importlib.invalidate_caches()
