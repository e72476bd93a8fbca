"""Text that a notebook and an interactive Python show as it is."""


class Text(str):
    """A string whose repr is the text itself: what summary() and show_config() return."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
