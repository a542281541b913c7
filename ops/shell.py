"""`headwater shell`: a prompt for statements, with completion, history and a few commands."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from headwater.consumers.registration import name_of
from headwater.log_store.catalog import Catalog, Namespace
from headwater.ops.exits import sentence
from headwater.ops.output import Format, Output
from headwater.ops.shell_words import Names, complete, suggestions
from headwater.ops.sql_run import Runner, pointed
from headwater.sql.errors import Error

if TYPE_CHECKING:
    from headwater.ops.api import Database

_WELCOME: Final = "End a statement with ;  .help lists commands, Ctrl-D leaves."
_ROWS: Final = 1_000
_HELP: Final[Mapping[str, str]] = {
    ".help": "this list",
    ".tables": "tables and views",
    ".streams": "streams and where they stand",
    ".consumers": "consumers and how far behind they are",
    ".schema": "the statements that made all objects, or NAME's alone",
    ".mode": "how rows are shown: table, json, jsonl, csv, tsv, md",
    ".vertical": "wide rows one below the other: on, off or auto",
    ".timer": "how long each statement took: on or off",
    ".rows": "how many rows a table shows at most",
    ".read": "run a FILE of statements",
    ".quit": "leave",
}
_METADATA: Final = ("METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID")


class Shell:
    """One conversation. Statements run in the database's SQL session."""

    def __init__(self, db: "Database", output: Output, store: str) -> None:
        self._db, self._output, self._store = db, output, store
        self._runner = Runner(db.sql, output, at_most=_ROWS)
        self._runner.vertical = None
        self._names = _CatalogNames(db)

    def talk(self) -> None:
        """Ask and answer until the person leaves; an open transaction is given up then."""
        prompt: PromptSession[str] = PromptSession(
            history=_history(),
            completer=_SqlCompleter(self._names),
            complete_while_typing=False,
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            prompt_continuation=lambda width, number, wrapped: " " * max(0, width - 4) + "..> ",
            key_bindings=_keys(),
        )
        self._output.say(f"{self._store}. {_WELCOME}")
        while True:
            try:
                text = prompt.prompt(self._prompt)
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            if not self.answer(text):
                break
        if self._db.sql.in_transaction:
            self._output.say("the open transaction was rolled back")
        self._db.sql.rollback()
        self._runner.close()

    def _prompt(self) -> str:
        """The prompt: a star stands for an open transaction."""
        mark = "*" if self._db.sql.in_transaction else ""
        reading = " (reading)" if self._db.sql.store.read_only else ""
        return f"headwater{reading}{mark}> "

    def answer(self, text: str) -> bool:
        """Do what was typed; whether to go on. Errors are told, and end nothing."""
        plain = text.strip()
        if not plain:
            return True
        try:
            if plain.startswith("."):
                return self._command(plain)
            self._runner.run(text)
        except KeyboardInterrupt:
            self._output.fail("cancelled; the statement undid itself")
        except Error as error:
            if error.place is not None:
                self._output.fail(pointed(text, error.place))
            self._output.fail(sentence(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours ends a statement, not the shell
            self._output.fail(sentence(error))
        return True

    # -- commands ------------------------------------------------------------------------------

    def _command(self, text: str) -> bool:
        word, _, rest = text.rstrip(";").strip().partition(" ")
        argument = rest.strip()
        if word in (".quit", ".exit", ".q"):
            return False
        do = self._commands().get(word)
        if do is None:
            self._output.fail(f"error: there is no command {word}; .help lists them [E_USAGE]")
        else:
            do(argument)
        return True

    def _commands(self) -> Mapping[str, Callable[[str], None]]:
        return {
            ".help": self._help,
            ".tables": lambda _: self._runner.run(
                "SELECT table_schema, table_name, table_type, row_count, version "
                "FROM information_schema.tables ORDER BY 1, 2"
            ),
            ".streams": lambda _: self._runner.run(
                "SELECT stream_schema, stream_name, table_name, type, consumers, base, watermark, "
                "head, has_data, stale FROM information_schema.streams ORDER BY 1, 2"
            ),
            ".consumers": lambda _: self._runner.run(
                "SELECT stream_name, consumer_name, kind, watermark, head, lag_versions, "
                "lag_changes, lag_seconds FROM information_schema.stream_consumers ORDER BY 1, 2"
            ),
            ".schema": self._schema,
            ".mode": self._mode,
            ".vertical": self._vertical,
            ".timer": self._timer,
            ".rows": self._rows,
            ".read": self._read,
        }

    def _help(self, argument: str) -> None:
        width = max(map(len, _HELP))
        for name, about in _HELP.items():
            self._output.text(f"{name:<{width}}  {about}")

    def _schema(self, argument: str) -> None:
        catalog = self._names.catalog()
        kinds = ("TABLE", "VIEW", "STREAM")
        if not argument:
            asked = ["SELECT GET_DDL('DATABASE', '')"]
        else:
            name = argument.replace("'", "''")
            known = [kind for kind in kinds if _there(catalog, kind.lower(), argument)]
            asked = [f"SELECT GET_DDL('{kind}', '{name}')" for kind in known or ["TABLE"]]
        for text in asked:
            (result,) = self._db.sql.execute(text)
            for row in result.table().to_pylist():
                self._output.text(str(next(iter(row.values()))))

    def _mode(self, argument: str) -> None:
        if argument in [one.value for one in Format]:
            self._output.format = Format(argument)
        elif argument:
            self._output.fail(f"error: there is no mode {argument} [E_USAGE]")
        self._output.say(f"mode {self._output.format.value}")

    def _vertical(self, argument: str) -> None:
        said = {"on": True, "off": False, "auto": None, "": None}
        if argument in said:
            self._runner.vertical = said[argument]
        shown = {True: "on", False: "off", None: "auto"}[self._runner.vertical]
        self._output.say(f"vertical {shown}")

    def _timer(self, argument: str) -> None:
        self._runner.timed = argument == "on" or (not argument and not self._runner.timed)
        self._output.say(f"timer {'on' if self._runner.timed else 'off'}")

    def _rows(self, argument: str) -> None:
        if argument.isdigit() and int(argument) > 0:
            self._runner.at_most = int(argument)
        self._output.say(f"at most {self._runner.at_most} rows")

    def _read(self, argument: str) -> None:
        try:
            text = Path(argument).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self._output.fail(f"error: {argument or 'a FILE'} cannot be read: {error} [E_USAGE]")
            return
        try:
            self._runner.run(text)
        except Error as error:
            if error.place is not None:
                self._output.fail(pointed(text, error.place))
            raise


def _there(catalog: Catalog, kind: str, name: str) -> bool:
    schemas = (one for one in catalog.all("schema") if isinstance(one, Namespace))
    plain = name.rpartition(".")[2]
    return any(catalog.find(kind, schema.id, plain) is not None for schema in schemas)


# -- the prompt --------------------------------------------------------------------------------


class _CatalogNames:
    """The names that exist, read again when the store has moved on."""

    def __init__(self, db: "Database") -> None:
        self._db = db
        self._at = -1
        self._names = Names(commands=tuple(_HELP))
        self._seen = 0.0

    def catalog(self) -> Catalog:
        """What exists now."""
        with self._db.sql.store.log.view() as view:
            return view.catalog

    def __call__(self) -> Names:
        catalog = self.catalog()
        # The clock: another transaction of this session may have changed names unseen.
        if catalog.sequence != self._at or time.monotonic() - self._seen > 1:
            self._names, self._at, self._seen = _names(catalog), catalog.sequence, time.monotonic()
        return self._names


def _names(catalog: Catalog) -> Names:
    tables = {one.name: one.schema.names for one in catalog.tables()}
    views = {one.name: [column.name for column in one.columns] for one in catalog.views()}
    streams: dict[str, list[str]] = {}
    consumers: dict[str, None] = {}
    for stream in catalog.streams():
        of = catalog.table(stream.table).schema.names
        if stream.view is not None:
            of = [column.name for column in catalog.view(stream.view).columns]
        streams[stream.name] = [*of, *_METADATA]
        for consumer in catalog.consumers(stream.id):
            consumers[name_of(catalog, consumer)] = None
    schemas = [
        one.name
        for one in catalog.all("schema")
        if isinstance(one, Namespace) and one.dropped_at is None
    ]
    return Names(tables, views, streams, tuple(consumers), schemas, tuple(_HELP))


class _SqlCompleter(Completer):
    """Completion by what the catalog holds."""

    def __init__(self, names: Callable[[], Names]) -> None:
        self._names = names

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """What could come next at the cursor."""
        for one in suggestions(document.text_before_cursor, self._names()):
            yield Completion(one.word, start_position=-one.length, display_meta=one.kind)


def _keys() -> KeyBindings:
    """Enter runs what is complete and begins a new line else; Alt-Enter always a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        at_end = not buffer.document.text_after_cursor.strip()
        if at_end and complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


def _history() -> History:
    """Statements of earlier conversations, readable by their owner only."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    path = Path(home) / "headwater" / "shell_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
