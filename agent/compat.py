"""What Python 3.10 lacks and 3.11 has. Delete when 3.10 is no longer supported."""

import sys

if sys.version_info >= (3, 11):
    from enum import StrEnum
    from typing import assert_never
else:
    from enum import Enum
    from typing import NoReturn

    class StrEnum(str, Enum):
        """Members are their text, also when formatted."""

        __str__ = str.__str__

    def assert_never(value: NoReturn) -> NoReturn:
        """Tell the type checker that no case is left, and fail loudly if one is."""
        raise AssertionError(f"unhandled case: {value!r}")


__all__ = ["StrEnum", "assert_never"]
