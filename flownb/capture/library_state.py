"""The state of libraries and of the process: what sets it, what notices it, what draws from generators."""

from __future__ import annotations

import sys
from typing import Final

from flownb.capture.known import HARMLESS, MUTATORS, PURE_LIBRARIES, shows_or_saves, words

#: functions of Python's own library that set something for later; others of it are called for what they give
_SETTING: Final = words(
    """warnings.filterwarnings warnings.simplefilter os.chdir os.putenv os.unsetenv os.umask
    signal.signal gc.freeze mimetypes.add_type csv.field_size_limit copyreg.pickle tracemalloc.start
    threading.stack_size importlib.reload importlib.invalidate_caches time.tzset logging.basicConfig
    logging.captureWarnings logging.addLevelName logging.config.dictConfig logging.config.fileConfig
    random.seed functools.singledispatch builtins.setattr"""
)
_SETTING_PATHS: Final = ("sys.path.", "os.environ.", "sys.modules.", "logging.root.")
#: how the names of functions begin that set something, in any library
_SETTING_WORDS: Final = (
    *("set", "reset", "register", "unregister", "enable", "disable", "install", "use", "init", "config"),
    *("activate", "patch", "monkey", "go_o", "autolog", "load_dotenv", "switch_", "rc"),
)
#: whole names of such functions, and parts of the way to them
_SETTING_NAMES: Final = words(
    "apply extension output_notebook pandas ion ioff xkcd connect seed_everything manual_seed seed"
)
_SETTING_PLACES: Final = words(
    """config conf options option settings style themes templates renderers registry rcParams rcsetup
    fontManager defaults data_transformers path"""
)
#: classes of libraries that set something by being made
_SETTING_CLASSES: Final = words("Config Options Settings Theme Style")


def sets(path: str, *, displayed: bool = False) -> bool:
    """Whether a call of a library's function for nothing sets something that later statements may notice.

    Where its value is `displayed`, that may be all that it is called for.
    """
    library, _, rest = path.partition(".")
    *places, name = rest.split(".")
    if path in _SETTING:
        return True
    if library in sys.stdlib_module_names:
        return name.startswith(_SETTING_WORDS) or path.startswith(_SETTING_PATHS)
    if name[:1].isupper() or name in HARMLESS:
        return name in _SETTING_CLASSES
    if name.startswith(_SETTING_WORDS) or name in _SETTING_NAMES:
        return True
    if not _SETTING_PLACES.isdisjoint(places) and (name in MUTATORS or "use" in name):
        return True
    return not (displayed or library in PURE_LIBRARIES or shows_or_saves(name))


#: how the names of functions begin that set something and give what was set before
_GIVING_FORMER: Final = (
    "set_",
    "seterr",
    "setbuf",
    "reset_",
    "register_",
    "unregister_",
    "enable_",
    "disable_",
)


def sets_anyway(path: str) -> bool:
    """Whether a call of a library's function sets something though its value is taken."""
    library, _, rest = path.partition(".")
    *places, name = rest.split(".")
    if path in _SETTING:
        return True
    if path.startswith(_SETTING_PATHS) or not _SETTING_PLACES.isdisjoint(places):
        return name in MUTATORS or name == "use"
    if name in HARMLESS or any(place[:1].isupper() for place in places):
        return False
    return name.startswith(_SETTING_WORDS if library in sys.stdlib_module_names else _GIVING_FORMER)


#: context managers after which what was set in them is as it was before
_PUTTING_BACK: Final = (
    *("catch_warnings", "rc_context", "option_context", "errstate", "printoptions", "localcontext", "chdir"),
    *("axes_style", "plotting_context", "context", "config_context", "assume_finite", "no_grad"),
)


def puts_back(path: str) -> bool:
    """Whether a library's context manager puts back in the end what is set in it."""
    return path.rpartition(".")[2] in _PUTTING_BACK


#: what is set under one name and noticed under others, too
_REACHES: Final = {
    "seaborn": ("matplotlib",),
    "tqdm": ("pandas",),
    "swifter": ("pandas",),
    "pandarallel": ("pandas",),
    "nest_asyncio": ("asyncio",),
    "mplhep": ("matplotlib",),
    "scienceplots": ("matplotlib",),
    "qbstyles": ("matplotlib",),
    "jupyterthemes": ("matplotlib",),
    "dotenv": ("environ",),
    "mpl_toolkits": ("matplotlib",),
    "sklearnex": ("sklearn",),
    "tensorflow": ("keras",),
    "keras": ("tensorflow",),
    "pylab": ("matplotlib", "numpy"),
}
#: the parts of Python's own library whose state is a thing of its own
_STATES: Final = {
    "sys.path": "sys.path",
    "os.chdir": "cwd",
    "contextlib.chdir": "cwd",
    "os.environ": "environ",
    "os.putenv": "environ",
    "os.unsetenv": "environ",
    "sys.setrecursionlimit": "recursion",
    "random": "random",
    "numpy.random": "numpy.random",
}


def states_set(path: str) -> tuple[str, ...]:
    """Return what of the process a call or assignment under `path` sets: libraries, `sys.path`, `cwd`..."""
    for begin, state in _STATES.items():
        if path == begin or path.startswith(f"{begin}."):
            return (state,)
    library = path.partition(".")[0]
    return (library, *_REACHES.get(library, ()))


#: which libraries draw figures or tables by others', and so notice what is set there
_USES: Final = {
    "pandas": words("numpy matplotlib plotly"),
    "seaborn": words("numpy pandas matplotlib scipy"),
    "scipy": words("numpy"),
    "sklearn": words("numpy scipy pandas matplotlib joblib"),
    "statsmodels": words("numpy scipy pandas matplotlib patsy"),
    "networkx": words("numpy matplotlib scipy"),
    "sympy": words("mpmath matplotlib"),
    "matplotlib": words("numpy"),
    "polars": words("numpy pyarrow"),
    "xarray": words("numpy pandas matplotlib dask"),
    "plotly": words("numpy pandas"),
    "altair": words("pandas"),
    "geopandas": words("pandas numpy matplotlib shapely"),
    "requests": words("urllib3"),
    "numpy": frozenset[str](),
    "pydantic": frozenset[str](),
    "yaml": frozenset[str](),
    "bs4": frozenset[str](),
    "flownb": frozenset[str](),
}
#: noticed by whatever is not Python's own
_EVERYWHERE: Final = words("sys.path cwd environ warnings logging recursion socket copyreg IPython")
#: noticed by every flow: they hold for all statements
_ALWAYS: Final = words("recursion sys builtins codecs locale cwd __future__ IPython")
_STDLIB_USES: Final = {
    **dict.fromkeys(
        words("os pathlib io glob shutil csv json sqlite3 subprocess open tempfile"), ("cwd", "environ")
    ),
    "os": ("cwd", "environ", "os"),
    "importlib": ("sys.path", "cwd"),
    "runpy": ("sys.path", "cwd"),
    "sys": ("sys.path",),
    **dict.fromkeys(words("copy pickle shelve multiprocessing"), ("copyreg",)),
    **dict.fromkeys(words("urllib http ftplib smtplib imaplib xmlrpc ssl"), ("socket",)),
    "time": ("time",),
    "datetime": ("time",),
}


def notices(used: frozenset[str], state: str) -> bool:
    """Whether a flow that uses these libraries may notice that something was set in `state`."""
    if state in used or state in _ALWAYS:
        return True
    foreign = [library for library in used if library not in sys.stdlib_module_names]
    if state in _EVERYWHERE and foreign:
        return True
    if any(state in _STDLIB_USES.get(library, ()) for library in used):
        return True
    if state in sys.stdlib_module_names and state != "random":
        return False
    return any(library not in _USES or state in _USES[library] for library in foreign)


#: generators of a process, and what sets them anew
SEEDS: Final = {
    "random.seed": "random",
    "numpy.random.seed": "numpy.random",
    "numpy.random.set_state": "numpy.random",
    "random.setstate": "random",
    "torch.manual_seed": "torch.random",
    "tensorflow.random.set_seed": "tensorflow.random",
    "tensorflow.set_random_seed": "tensorflow.random",
    "keras.utils.set_random_seed": "tensorflow.random",
}
GENERATORS: Final = ("random", "numpy.random", "torch.random", "tensorflow.random")
#: libraries that never draw from a process's generators by themselves
_NOT_DRAWING: Final = words(
    """numpy pandas matplotlib plotly polars pyarrow requests bs4 yaml json IPython ipywidgets sympy pydantic
    tqdm PIL altair bokeh joblib dateutil flownb"""
)
_ONLY_SAVING: Final = ("save", "export", "dump", "write", "print", "display", "show_")
_DRAWN_METHODS: Final = words(
    "sample choice shuffle permutation rvs fit fit_transform fit_predict resample bootstrap simulate"
)


def draws(path: str, keywords: frozenset[str]) -> tuple[str, ...]:
    """Return the generators of the process that a library's function may draw from."""
    if keywords & {"random_state", "seed", "rng", "random_seed"}:
        return ()
    library, _, rest = path.partition(".")
    if rest.rpartition(".")[2].startswith(_ONLY_SAVING):
        return ()
    if library == "random":
        return () if rest in ("Random", "SystemRandom") else ("random",)
    if path.startswith("numpy.random."):
        own = ("default_rng", "RandomState", "Generator", "SeedSequence", "PCG64", "MT19937", "Philox")
        return () if path.rpartition(".")[2] in own else ("numpy.random",)
    if library in sys.stdlib_module_names or library in _NOT_DRAWING:
        return ()
    if library in ("torch", "torchvision"):
        return ("torch.random",)
    if library in ("tensorflow", "keras"):
        return ("tensorflow.random", "numpy.random")
    return ("numpy.random", "random")


def method_draws(name: str, keywords: frozenset[str]) -> bool:
    """Whether a method of this name may draw from a process's generators."""
    return name in _DRAWN_METHODS and not keywords & {"random_state", "seed", "rng"}
