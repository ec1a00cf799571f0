"""Marks for cases. A case is a function `case_…` in a file under `cases/`; it prints what it sees."""


def since(major, minor):
    """The case needs at least this Python, whose behaviour it shows."""
    return lambda function: function


def until(major, minor):
    """The case is for Pythons before this one."""
    return lambda function: function
