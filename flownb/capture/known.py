"""What calls of well-known libraries do to objects and to the libraries' own state: tables, and one reading.

What stands in no table is judged by how it is written: a call whose value is thrown away changes its object.
A statement too many in a flow costs time, one too few makes another value; so the tables only list what is
known to be harmless, or known to change something although its value is used.
"""

from __future__ import annotations

import sys
from typing import Final


def words(text: str) -> frozenset[str]:
    """Return the words of a text, for tables."""
    return frozenset(text.split())


# -- methods, by their names alone -------------------------------------------------------------------------

#: change their object and keep what they are given in it, wherever they stand
KEEPING: Final = words(
    """append appendleft add insert extend extendleft update setdefault put put_nowait push register
    intersection_update difference_update symmetric_difference_update add_argument __setitem__ __iadd__
    enter_context enter_async_context"""
)
#: change their object, wherever they stand; what they return may come out of it
TAKING: Final = words(
    """pop popleft popitem get_nowait setdefault send throw __next__ read readline readlines read1 readinto
    fetchone fetchmany fetchall
    random integers normal standard_normal uniform choice choices randint randrange permutation permuted gauss
    poisson binomial exponential betavariate gammavariate lognormvariate normalvariate triangular rand randn
    random_sample bytes standard_cauchy multivariate_normal geometric gamma beta laplace rvs spawn getrandbits
    shuffle sample_from next_batch subtract add_subplot add_axes twinx twiny"""
)
#: change their object, wherever they stand
CHANGING: Final = words(
    """sort reverse clear remove discard rotate fill resize itemset setflags partition heapify move_to_end
    seek truncate writelines close acquire release wait notify set_index_inplace __delitem__ seed
    partial_fit fit_transform fit fit_predict train_on_batch step zero_grad backward load_state_dict
    set_params manual_seed jumpahead setstate __enter__ __exit__ cache_clear"""
)
MUTATORS: Final = KEEPING | TAKING | CHANGING

#: give something new in which nothing of their object is shared
FRESH: Final = words(
    """mean sum std var median min max argmin argmax idxmin idxmax count nunique quantile corr cov skew kurt
    sem mad prod cumsum cumprod cummax cummin all any round abs dot matmul nonzero searchsorted trace
    astype dropna fillna ffill bfill interpolate isna isnull notna notnull isin between clip where mask
    groupby agg aggregate transform pivot pivot_table melt merge join concat stack unstack explode
    sort_values sort_index reset_index set_index reindex rename rename_axis drop drop_duplicates duplicated
    query eval assign pipe value_counts nlargest nsmallest rank diff pct_change shift rolling expanding ewm
    resample asfreq tz_localize tz_convert to_period to_timestamp select_dtypes filter get_dummies crosstab
    to_numpy to_list tolist to_dict to_frame to_records to_datetime to_numeric to_string to_markdown
    apply applymap map combine combine_first compare equals describe head tail sample info memory_usage
    add_prefix add_suffix nunique cat str dt isocalendar strftime floor ceil first last nth size
    mode memory_usage infer_objects convert_dtypes replace xs items_copy swaplevel droplevel truncate_copy
    upper lower strip lstrip rstrip split rsplit splitlines partition_text join startswith endswith
    removeprefix removesuffix title capitalize swapcase center ljust rjust zfill encode decode find rfind
    index_of casefold isdigit isalpha isalnum isspace isupper islower isnumeric isdecimal isidentifier format
    format_map translate maketrans expandtabs hex fromhex as_integer_ratio bit_length conjugate
    union intersection difference symmetric_difference issubset issuperset isdisjoint
    total_seconds isoformat timestamp date time weekday isoweekday ctime toordinal utcoffset
    group groups groupdict span start end findall sub subn match fullmatch search
    predict predict_proba predict_log_proba score decision_function inverse_transform get_params
    kneighbors score_samples summary evaluate conf_int get_prediction get_forecast forecast
    exists is_file is_dir stat read_text read_bytes resolve absolute with_suffix with_name relative_to
    nodes edges neighbors degree has_edge has_node number_of_nodes number_of_edges
    subs simplify expand factor diff_symbolic integrate evalf doit lambdify solve series limit
    getvalue getsize most_common elements total deepcopy json text status_code raise_for_status"""
)
#: give their object again, or a way to look into it
LOOKING: Final = words(
    """values items keys reshape ravel view transpose swapaxes squeeze diagonal flatten_view get __getitem__
    __iter__ memoryview getbuffer cast"""
)
#: give a container of their own, with the same things in it
COPYING: Final = words("copy __copy__ union __or__")
#: things that are used up by being read
STREAMING: Final = words(
    """iterrows itertuples iter_content iter_lines iterdir rglob glob finditer __iter__ __reversed__ cursor
    stream scandir walk open makefile execute executemany scan batches iter_batches split_iter"""
)
#: of loggers, whose handlers may be the notebook's own
LOGGING: Final = words("debug info warning error exception critical log")
#: draw on their object, a figure or its axes, and give a part of it
DRAWING: Final = words(
    """plot scatter bar barh hist hist2d boxplot violinplot pie imshow matshow pcolor pcolormesh contour
    contourf tricontour tricontourf quiver streamplot barbs errorbar fill fill_between fill_betweenx
    stackplot step stem stairs loglog semilogx semilogy axhline axvline axline axhspan axvspan hlines vlines
    text annotate table legend colorbar arrow grid hexbin eventplot specgram psd spy tripcolor triplot
    set_title set_xlabel set_ylabel set_zlabel set_xlim set_ylim set_zlim set_xticks set_yticks
    set_xticklabels set_yticklabels set_xscale set_yscale set_aspect set_axis_off set_axis_on set_facecolor
    set_visible set_color set_linewidth set_label set_size_inches set_dpi tick_params invert_xaxis
    invert_yaxis margins autoscale twinx twiny secondary_xaxis secondary_yaxis inset_axes add_patch add_line
    add_artist add_collection add_subplot add_axes add_gridspec add_trace add_scatter add_bar add_hline
    add_vline add_shape add_annotation update_layout update_traces update_xaxes update_yaxes tight_layout
    subplots_adjust suptitle supxlabel supylabel autofmt_xdate set axis autolabel bar_label clabel
    subplots gca minorticks_on minorticks_off plot_surface plot_wireframe scatter3D plot3D"""
)
#: only show, log, save or send: nothing that a later statement reads comes of them
SHOWING: Final = words(
    """show display print pprint head tail sample describe info summary help render savefig
    debug warning error exception critical log flush start_span end_span assert_called
    assertEqual assertTrue close_figure draw draw_idle pause canvas plot_model"""
)
_SAVING: Final = (
    *("to_", "save", "dump", "export", "upload", "publish", "notify", "send", "post", "print", "display"),
    *("show", "plot_", "draw_", "log_", "report", "imwrite", "write_", "savetxt", "savez"),
)
_SAVING_WORDS: Final = words(
    """sendmail quit download urlretrieve imsave put_object delete_object mkdir makedirs rmdir unlink rmtree
    copyfile copytree move touch write_text write_bytes chmod symlink commit rollback push_to_hub starttls
    login logout patch delete"""
)


#: those of the keeping ones that keep what is in their arguments
SHARING: Final = words("extend extendleft update intersection_update")
#: those of the fresh ones whose value still asks its object, and those that call what they are given
LAZY: Final = words("groupby rolling resample expanding ewm str dt cat pipe nodes edges")
CALLING: Final = words("apply map pipe agg aggregate transform applymap filter assign")
#: methods by which tables draw
_PLOTTING: Final = words("plot hist boxplot bar barh scatter pie box area line hexbin kde density")


def method_kind(name: str) -> str:
    """Return what a method does, as far as its name alone tells: "keeping", "fresh", ... or "unknown"."""
    kinds = (
        (_PLOTTING, "plotting"),
        (KEEPING, "keeping"),
        (TAKING, "taking"),
        (CHANGING, "changing"),
        (LOOKING, "looking"),
        (COPYING, "copying"),
        (FRESH, "fresh"),
        (STREAMING, "streaming"),
        (DRAWING, "drawing"),
    )
    found = next((kind for names, kind in kinds if name in names), "")
    return found or ("showing" if shows_or_saves(name) else "unknown")


def shows_or_saves(name: str) -> bool:
    """Whether a method or function of this name is known to show, plot, save or send something only."""
    return name in SHOWING or name in _SAVING_WORDS or name.startswith(_SAVING) or name.endswith("plot")


#: attributes that are numbers, texts or other things that nobody can change
PLAIN_ATTRIBUTES: Final = words(
    "shape size ndim dtype dtypes itemsize nbytes name __name__ __qualname__ __doc__ real imag year month day"
)

# -- functions, by their full names ------------------------------------------------------------------------

#: builtins that give a number, a text or nothing; of what they are given they change nothing
PLAIN_BUILTINS: Final = words(
    """len int float complex str repr bool round ord chr hash id isinstance issubclass callable hex oct bin
    format ascii input print range slice divmod pow type object property_value breakpoint hasattr dir help
    bytes display quit exit abs"""
)
#: builtins that go through what they are given, and hand its items on
GOING_THROUGH: Final = words("list tuple set frozenset dict sorted bytearray sum min max any all")
#: builtins whose value is used up by being read
STREAMS: Final = words("iter enumerate zip reversed map filter open aiter")

#: functions that change their first argument, wherever they stand
FIRST_CHANGED: Final = words(
    """random.shuffle heapq.heappush heapq.heappop heapq.heapify heapq.heapreplace heapq.heappushpop
    bisect.insort bisect.insort_left bisect.insort_right operator.setitem operator.delitem operator.iadd
    operator.isub operator.imul operator.ior operator.iand operator.ixor operator.iconcat
    numpy.random.shuffle numpy.put numpy.place numpy.copyto numpy.fill_diagonal numpy.put_along_axis
    numpy.putmask numpy.ndarray.sort functools.update_wrapper collections.deque.append torch.nn.init.xavier_
    random.Random.shuffle"""
)
#: functions of NumPy on two arrays, or one, whose last argument by place is where the result goes
_ON_TWO: Final = words(
    """add subtract multiply divide true_divide floor_divide power float_power mod remainder fmod maximum
    minimum fmax fmin logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor left_shift
    right_shift arctan2 hypot equal not_equal less less_equal greater greater_equal copysign matmul dot"""
)
_ON_ONE: Final = words(
    """negative positive absolute fabs rint sign square sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos
    tan arcsin arccos arctan sinh cosh tanh floor ceil trunc invert logical_not reciprocal conjugate"""
)


def out_at(path: str) -> int:
    """Return the place of the argument that a function puts its result into: far behind where it has none."""
    library, _, name = path.partition(".")
    return 99 if library != "numpy" else 2 if name in _ON_TWO else 1 if name in _ON_ONE else 99


#: functions that give their argument itself, or a look into it
ALIASES: Final = words(
    """numpy.asarray numpy.asanyarray numpy.ascontiguousarray numpy.ravel numpy.reshape numpy.squeeze
    numpy.transpose numpy.swapaxes numpy.moveaxis numpy.rollaxis numpy.expand_dims numpy.atleast_1d
    numpy.atleast_2d numpy.atleast_3d numpy.broadcast_to numpy.broadcast_arrays numpy.flip numpy.fliplr
    numpy.flipud numpy.rot90 numpy.split numpy.array_split numpy.hsplit numpy.vsplit numpy.diagonal
    numpy.real numpy.imag numpy.nditer numpy.frombuffer numpy.lib.stride_tricks.as_strided
    numpy.lib.stride_tricks.sliding_window_view torch.from_numpy torch.as_tensor typing.cast operator.getitem
    copy.replace contextlib.nullcontext random.choice operator.attrgetter operator.itemgetter"""
)
#: functions that give a container or object of their own with the same things in it
SHALLOW: Final = words("copy.copy dataclasses.replace collections.OrderedDict collections.Counter")
#: functions that give something new in which nothing is shared
NEW: Final = words("dataclasses.asdict dataclasses.astuple pickle.loads json.loads")
#: functions that hand the decorated function on as it is
DECORATORS: Final = words(
    """functools.lru_cache functools.cache functools.wraps functools.total_ordering functools.singledispatch
    functools.cached_property functools.singledispatchmethod contextlib.contextmanager
    contextlib.asynccontextmanager dataclasses.dataclass abc.abstractmethod typing.overload typing.final
    typing.runtime_checkable typing.no_type_check enum.unique enum.verify enum.member enum.nonmember
    numba.jit numba.njit numba.vectorize pydantic.validator pydantic.field_validator
    pydantic.model_validator pydantic.root_validator pydantic.computed_field pydantic.field_serializer
    pydantic.dataclasses.dataclass attr.s attrs.define attr.attrs attrs.frozen staticmethod classmethod
    property warnings.deprecated typing_extensions.deprecated ipywidgets.interact"""
)

#: libraries whose functions give something new, and leave what they are given as it is
PURE_LIBRARIES: Final = words(
    """math cmath statistics json re datetime decimal fractions string textwrap itertools time calendar
    uuid hashlib base64 glob fnmatch pathlib struct zlib difflib unicodedata html urllib csv platform
    inspect ast typing collections operator bisect os sys shutil secrets io functools types numbers enum abc
    pandas numpy scipy sklearn statsmodels seaborn plotly sympy networkx requests bs4 lxml matplotlib PIL
    skimage nltk yaml patsy pydataset altair bokeh plotnine geopandas shapely polars pyarrow xarray joblib
    pickle copy random tqdm lifelines missingno wordcloud folium tabulate dateutil pytz pingouin
    subprocess IPython ipywidgets gc timeit threading concurrent asyncio traceback tempfile sqlite3 duckdb
    sqlalchemy logging warnings argparse contextlib dataclasses weakref heapq queue locale"""
)


#: functions that connect to a database
CONNECTING: Final = words(
    "sqlite3.connect duckdb.connect sqlalchemy.create_engine sqlalchemy.engine.create_engine"
)
_ASKING_SQL: Final = words("select with pragma explain show describe values from")


def is_in_memory(address: str) -> bool:
    """Whether a database of this address lives in the process only."""
    return address in ("", "sqlite://", "duckdb://") or ":memory:" in address


def only_asks(sql: str) -> bool:
    """Whether a text in SQL is a question, and changes nothing."""
    return sql.split(None, 1)[:1] != [] and sql.split(None, 1)[0].lower().lstrip("(") in _ASKING_SQL


def is_pure(path: str) -> bool:
    """Whether a function of a library leaves what it is given as it is, and gives something of its own."""
    return path.partition(".")[0] in PURE_LIBRARIES and path not in ALIASES


#: what is called like this sets nothing, in any library that is not Python's own
HARMLESS: Final = words(
    """sleep collect empty_cache clear_session testmod main run check_output call Popen get request imread
    imshow waitKey destroyAllWindows assert_allclose assert_array_equal assert_frame_equal
    assert_series_equal assert_equal assert_almost_equal assert_array_almost_equal assert_index_equal
    read_csv array zeros ones linspace arange embed display clear_output publish_display_data
    Image HTML Markdown YouTubeVideo IFrame Video Audio view render tabulate interact interactive
    interactive_output close figure subplots title finish tree setp set_node_attributes
    set_edge_attributes"""
)
#: how the names of functions begin that change what they are given, although they stand at a cell's end
_CHANGING_WORDS: Final = ("set_", "add_", "remove_", "relabel", "update", "fill", "put", "del")


def changes_given(path: str, *, displayed: bool) -> bool:
    """Whether a library's function, called for nothing, may change what it is given."""
    library, name = path.partition(".")[0], path.rpartition(".")[2]
    if library in sys.stdlib_module_names or name[:1].isupper():
        return False
    if displayed and library in PURE_LIBRARIES:
        return name.startswith(_CHANGING_WORDS)
    return not (shows_or_saves(name) or name in HARMLESS) or name.startswith(_CHANGING_WORDS)


_GIVING_NEW: Final = words(
    """math cmath statistics json re datetime decimal fractions string textwrap time calendar uuid hashlib
    base64 glob fnmatch struct zlib difflib unicodedata html urllib pandas numpy scipy sklearn statsmodels
    seaborn requests skimage nltk yaml dateutil pytz random os sys io platform inspect tempfile subprocess"""
)


def gives_new(path: str) -> bool:
    """Whether a function of a library gives something in which nothing of what it is given is held."""
    return path.partition(".")[0] in _GIVING_NEW and path not in ALIASES
