"""bp.show_config: what runs here, as text and in a notebook."""

import backpass as bp


def test_show_config() -> None:
    text = bp.show_config()
    assert repr(text) == str(text), "a notebook shows the table"
    assert bp.__version__ in text
