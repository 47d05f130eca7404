"""How a command can end other than well: the exception, with one line for a person."""


class CannotSay(Exception):
    """Something that is needed for an answer is missing or unreadable. Exit code 2."""
