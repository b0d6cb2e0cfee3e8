"""Names that become a folder: one component of a path, never a way out of its parent."""

LONGEST = 100  # characters; a hidden folder with a longer name lies beside it for a while


def check_name(name: str) -> str:
    """The name as it is.

    Raises:
        ValueError: it is empty, too long, begins with a sign, or holds a separator or a control
            character.
    """
    is_plain = name.isprintable() and not set(name) & {"/", "\\"}
    if not is_plain or not 1 <= len(name) <= LONGEST or not (name[0].isalnum() or name[0] == "_"):
        raise ValueError(
            f"name must be one folder name of at most {LONGEST} characters that begins with a "
            f"letter or digit, got {name[: LONGEST + 1]!r}"
        )
    return name
