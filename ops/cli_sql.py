"""`headwater sql` and `headwater shell`: statements from the command line, a file or a person."""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.ops.cli_context import Run, examples, only_one, run_of
from headwater.ops.exits import CommandError, Exit

if TYPE_CHECKING:
    from headwater.ops.api import Database

_EXAMPLES = examples(
    'sql -c "SELECT * FROM orders"',
    "sql -f schema.sql",
    'sql -c "SELECT * FROM orders WHERE id = :id" -p id=7 --format json',
    "sql - < nightly.sql",
)


def add_to(app: typer.Typer) -> None:
    """Give the commands to an application."""
    app.command("sql", epilog=_EXAMPLES)(sql)
    app.command("shell", epilog=examples("shell", "--dir shop shell", "shell --read-only"))(shell)


def sql(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(help="A single - reads the statements from stdin.")
    ] = None,
    *,
    command: Annotated[
        list[str] | None, typer.Option("--command", "-c", help="Statements, with ; between them.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A file of statements.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="A value for a bind: name=value for :name."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse to write, whatever the statements say.")
    ] = False,
) -> None:
    """Run SQL statements. Rows go to stdout, what was done to stderr; the first error ends it.

    Statements that only read also work while another process has the store open.
    """
    run = run_of(context)
    text = _text(source, command or (), file)
    binds = _binds(param or ())
    from headwater.ops.sql_run import Runner, pointed
    from headwater.sql.errors import Error

    try:
        with _opened(run, text, read_only=read_only) as db:
            runner = Runner(db.sql, run.output, at_most=sys.maxsize)
            try:
                runner.run(text, binds)
            finally:
                runner.close()
    except Error as error:
        if error.place is not None and not run.output.machine:
            run.output.fail(pointed(text, error.place))
        raise


def shell(
    context: typer.Context,
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Open for reading, beside a writer.")
    ] = False,
) -> None:
    """Type SQL and see what it gives: completion, history, .help for the rest."""
    run = run_of(context)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError(
            "E_USAGE", "the shell needs a terminal: headwater sql - reads a pipe", Exit.USAGE
        )
    from headwater.ops.shell import Shell

    with _for_shell(run, read_only=read_only) as db:
        Shell(db, run.output, run.store).talk()


@contextmanager
def _for_shell(run: Run, *, read_only: bool) -> "Generator[Database]":
    """The store for writing, else beside its writer; a new one where there is none."""
    from headwater.log_store.errors import DirectoryInUse

    if read_only:
        with run.reading() as db:
            yield db
        return
    try:
        opened = run.writing(create=True)
        db = opened.__enter__()
    except DirectoryInUse as busy:
        run.output.say(f"{busy}; opened for reading")
        with run.reading() as db:
            yield db
        return
    try:
        yield db
    finally:
        opened.__exit__(None, None, None)


@contextmanager
def _opened(run: Run, text: str, *, read_only: bool) -> "Generator[Database]":
    """The store as these statements need it: for reading, for writing, or made by them."""
    from headwater.sql.execute import writes
    from headwater.sql.parse import parse
    from headwater.sql.statements import CreateSchema, CreateTable

    writing = [one for one in parse(text) if writes(one)]
    if read_only or not writing:
        with run.reading() as db:
            yield db
        return
    creates = isinstance(writing[0], CreateTable | CreateSchema)
    with run.writing(create=creates) as db:
        yield db


def _text(source: str | None, command: Sequence[str], file: Path | None) -> str:
    given = {"-c": bool(command), "-f": file is not None, "-": source is not None}
    only_one([name for name, there in given.items() if there], "source of statements")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise CommandError("E_FILE_NOT_FOUND", f"{file} is no file", Exit.NOT_FOUND) from None
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                "E_FILE_UNREADABLE", f"{file} cannot be read: {error}", Exit.USAGE
            ) from error
    if source is not None:
        if source != "-":
            raise CommandError(
                "E_USAGE",
                f"give statements with -c, a file with -f, or -, not {source}",
                Exit.USAGE,
            )
        return sys.stdin.read()
    if not command:
        raise CommandError("E_USAGE", "give statements: -c TEXT, -f FILE or -", Exit.USAGE)
    return ";\n".join(command)


def _binds(params: Sequence[str]) -> Mapping[str, object]:
    """Binds by name; values are texts, which columns take as they take any text."""
    found: dict[str, object] = {}
    for one in params:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise CommandError("E_USAGE", f"--param {one}: write name=value", Exit.USAGE)
        found[name.strip()] = value
    return found
