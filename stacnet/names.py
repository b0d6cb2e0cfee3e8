"""Names that become a folder: one component of a path, never a way out of its parent."""

LONGEST = 100  # characters; a hidden folder with a longer name lies beside it for a while
RULE = f"1 to {LONGEST} printable characters without / and \\, the first a letter, digit or _"


def is_name(text: str) -> bool:
    """Whether it keeps `RULE`."""
    is_plain = text.isprintable() and not {*text} & {*"/\\"}
    return is_plain and 1 <= len(text) <= LONGEST and (text[0].isalnum() or text[0] == "_")


def check_name(name: str) -> str:
    """The name as it is.

    Raises:
        ValueError: it breaks `RULE`.
    """
    if not is_name(name):
        raise ValueError(f"name must be {RULE}, got {name[: LONGEST + 1]!r}")
    return name
