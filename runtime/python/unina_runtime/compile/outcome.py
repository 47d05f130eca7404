"""How a run can end other than well: the two exceptions, each with its exit code and one line for a person."""


class Refused(Exception):
    """The answer is no: a bundle that may not be used, or a compilation that failed. Exit code 1."""


class DlaRefused(Refused):
    """trtexec itself said no to this network on the DLA; `fallback` may know another way."""


class CannotSay(Exception):
    """Something that is needed to give an answer is missing or unreadable. Exit code 2."""


class CannotWrite(CannotSay):
    """The state directory is read-only, or its disk is."""
