"""Parameters that remember which of them were read."""

from types import SimpleNamespace


class Watched(SimpleNamespace):
    """`Watched(p)` has the values of `p`; `names_read` are those that were asked for."""

    def __init__(self, p):
        super().__init__(**vars(p))
        vars(self)["_read"] = set()

    def __getattribute__(self, name):
        values = super().__getattribute__("__dict__")
        if name in values:
            values["_read"].add(name)
        return super().__getattribute__(name)


def names_read(p):
    """Names of the parameters that were read of a `Watched`."""
    return vars(p)["_read"] - {"_read"}
