"""Where every command starts and ends: the single catch of errors, and the exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys

INTERNAL_ERROR = 70
INTERRUPTED = 130
SELDOM = 200_000
"""So many more objects than before make Python look for garbage; 700 where nobody says it. Imports make fewer."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def main() -> int:
    """Run the command line; returns the exit code. No traceback and no password reaches the terminal."""
    from dbtune.cli.stopping import stoppable

    # Importing, and reading rows, makes many objects and hardly any garbage: a tenth of the time went into looking.
    gc.set_threshold(SELDOM)
    # Python would search everything for garbage once more, an eighth of what a short command takes.
    atexit.register(gc.freeze)
    # pydantic would read the metadata of all that is installed, and run whatever says there that it is a plugin.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _replace_closed()
    try:
        with stoppable():
            code = _run()
    except KeyboardInterrupt:
        _complain("interrupted", None)
        code = INTERRUPTED
    _flush()
    return code


def _replace_closed() -> None:
    """Standard streams that were closed by whoever started us (`>&-`): the next connection would get their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r"))


def _run() -> int:
    import typer

    from dbtune.cli.main import app
    from dbtune.core.errors import DbtuneError, Misused

    try:
        # Outside of standalone mode Typer returns what a command returned, or the code of its Exit.
        answer = app(prog_name="dbtune", standalone_mode=False)
    except DbtuneError as error:
        _trace()
        _complain(error.message, error.hint)
        return error.exit_code
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        _complain(error.format_message(), f"{context.command_path} --help" if context else "dbtune --help")
        return error.exit_code
    except typer.Abort:
        _complain("aborted", None)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except SystemExit as leaving:
        # Typer leaves so when the reader of its help went away, which is no failure.
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets a sentence, not a traceback
        _trace()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            # Typer writes its help itself, past what words the errors of results.
            _complain(f"output cannot be written: {error.strerror}", "make room, or write to another disk")
            return Misused.exit_code
        _complain(f"dbtune failed unexpectedly: {type(error).__name__}: {error}", "run with --debug for the traceback")
        return INTERNAL_ERROR
    return answer if isinstance(answer, int) else 0


def _complain(message: str, hint: str | None) -> None:
    from dbtune.core.secrets import mask_password

    text = f"error: {message}" if hint is None else f"error: {message}\nhint: {hint}"
    print(mask_password(text), file=sys.stderr)  # noqa: T201


def _trace() -> None:
    """With --debug: where it happened."""
    if "--debug" not in sys.argv[1:]:
        return
    import traceback

    from dbtune.core.secrets import mask_password

    print(mask_password(traceback.format_exc()), file=sys.stderr)  # noqa: T201


def _flush() -> None:
    """Write what is left; a reader that went away (`dbtune … | head`) is no error."""
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes once more when it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
