"""The one error a user may see without a traceback."""


class UserError(Exception):
    """A mistake the user can mend; the message is one sentence: what, where, how to mend.

    Source: ours, because bad input should never end in a traceback.
    """

    def _render_traceback_(self):
        """Jupyter's hook: the lines a notebook shows in place of a traceback."""
        return [str(self)]


class DamagedError(UserError):
    """A file of a run that cannot be used as it is; the message names the notebook that makes it."""
