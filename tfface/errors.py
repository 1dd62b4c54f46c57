"""The one exception that means: something the user gave is wrong."""


class InputError(ValueError):
    """A file, option or recipe that the user gave can't be used.

    The message is all that a tool prints (no traceback, exit code 2), so it names what is wrong and
    what would be right. Several mistakes of one file are several lines, one each.
    """


def shown(text: str) -> str:
    """Returns text that a file holds, for a message: on one line, of at most 200 characters, and
    without what a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])
