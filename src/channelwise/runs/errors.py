"""The one error this room raises for a user's mistake."""


class UsageError(Exception):
    """Something the user can put right; the message is a sentence with the remedy.

    The command line prints it on stderr and ends with exit code 2, without a traceback.
    """
