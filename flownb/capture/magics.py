"""What IPython's magics and shell lines set, and the code in them."""

from __future__ import annotations

import ast
import itertools

from flownb.capture.known import words
from flownb.names import to_python
from flownb.names.calls import without_options

#: execute the code that they are given, and how their options are written
_RUNNING = {"time": "", "prun": "DlsT", "capture": "", "memit": "rti", "timeit": "nrpv"}
#: what a line magic sets, of a library or of the process
_SETTING = {
    "matplotlib": ("matplotlib",),
    "pylab": ("matplotlib", "numpy"),
    "env": ("environ",),
    "set_env": ("environ",),
    "cd": ("cwd",),
    "pushd": ("cwd",),
    "popd": ("cwd",),
    "precision": ("IPython",),
    "pprint": ("IPython",),
    "xmode": (),
    "load_ext": ("magics",),
    "reload_ext": ("magics",),
    "autoreload": (),
    "alias": ("magics",),
    "alias_magic": ("magics",),
    "store": (),
}
#: bring names that nobody sees
HIDING = frozenset({"run", "pylab", "load", "macro", "rerun", "recall", "rep", "store"})
#: belong to IPython itself; any other needs the extension that brought it
_IPYTHONS = words(
    """alias autoawait autocall automagic bookmark cd code_wrap colors conda config debug dhist dirs
    doctest_mode edit env gui hist history killbgscripts ls lsmagic load logoff logon logstart logstate
    logstop macro magic mamba matplotlib micromamba mkdir more notebook page pastebin pdb pdef pdoc
    pfile pinfo pinfo2 pip popd pprint precision prun psearch psource pushd pwd pycat pylab qtconsole
    quickref recall rehashx reload_ext rep rerun reset reset_selective run save sc set_env store sx
    system tb time timeit unalias unload_ext uv who who_ls whos xdel xmode capture bash sh script html
    HTML javascript js latex markdown svg SVG perl ruby python python2 python3 pypy writefile file
    load_ext autoreload flow flownb subshell clear cp mv rm cat man ll lk lf ldir lx less rmdir
    connect_info"""
)


def given_code(name: str, line: str) -> str | None:
    """Return the code that a line magic executes; None where it executes none of the notebook's."""
    return without_options(line, _RUNNING[name]) if name in _RUNNING else None


def states_set(name: str, line: str) -> tuple[str, ...]:
    """Return what a line magic sets."""
    if name == "config":
        owner = line.partition(".")[0].strip()
        return ("matplotlib",) if owner == "InlineBackend" else ("IPython",) if "=" in line else ()
    if name == "load_ext" and line.strip() in ("flownb", "autoreload"):
        return ()
    return _SETTING.get(name, ())


def fails(node: ast.stmt) -> bool:
    """Whether a statement is a magic without a name, `% matplotlib`: IPython ends the cell there."""
    match node:
        case ast.Expr(ast.Call(ast.Attribute(attr="run_line_magic"), [ast.Constant(""), *_])):
            return True
    return False


def script_of(line: str) -> tuple[str, bool] | None:
    """Return the file that `%run` executes, and whether it has the notebook's names; None for a module."""
    words_given = line.split()
    options = list(itertools.takewhile(lambda word: word.startswith("-"), words_given))
    rest = words_given[len(options) :]
    if not rest or "-m" in options:
        return None
    file = rest[0].strip("\"'")
    return (file if file.endswith((".py", ".ipy", ".ipynb")) else f"{file}.py"), "-i" in options


def needs(name: str) -> str:
    """Return what of the notebook's state a magic needs: the extension that brought it, or nothing."""
    return "" if name in _IPYTHONS else "magics"


def parsed(text: str) -> list[ast.stmt]:
    """Return the statements of code that is given to a magic; none where it is not Python."""
    try:
        return ast.parse(to_python(text)).body
    except (SyntaxError, ValueError):
        return []
