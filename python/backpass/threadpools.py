"""The threads of the native backend as threadpoolctl sees them, so that `threadpool_limits(1)` holds them, too."""

import sys
from operator import index

_registered = False


def register() -> None:
    """Make backpass known to threadpoolctl, if that is loaded; nothing is imported for it."""
    global _registered
    module = sys.modules.get("threadpoolctl")
    if _registered or not hasattr(module, "register"):
        return
    from threadpoolctl import LibController

    class BackpassController(LibController):  # type: ignore[misc,unused-ignore]
        """What threadpoolctl needs: names of the module's file, its symbols, and three functions."""

        user_api = internal_api = "backpass"
        filename_prefixes = ("_core",)
        check_symbols = ("backpass_get_num_threads", "backpass_set_num_threads")

        def get_num_threads(self) -> int | None:
            """The most threads of a model that does not say how many."""
            get = self._get_symbol("backpass_get_num_threads")
            return None if get is None else int(get())

        def set_num_threads(self, num_threads: int) -> None:
            """The same, from now on; TypeError for what is no integer, whose address ctypes might hand over."""
            from .threads import MOST

            if (set_ := self._get_symbol("backpass_set_num_threads")) is not None:
                set_(max(1, min(index(num_threads), MOST)))

        def get_version(self) -> str:
            """The version of the package: the module has none of its own."""
            from . import __version__

            return __version__

    module.register(BackpassController)  # type: ignore[union-attr]
    _registered = True
