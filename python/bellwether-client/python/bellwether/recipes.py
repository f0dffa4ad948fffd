"""Recipes: locks, elections and whatever else processes agree on through a few nodes.

The names are those of `bellwether_client::recipes` in Rust. `AsyncLock` and so on are the same for
an `AsyncClient`: every method that waits gives a future, and one that begins something can be
awaited or entered with `async with`. What all have in common:

- They go on after a lost connection, and end with the session: `SessionExpiredError`.
- What is held, joined or followed ends with its `with` block, by its method for that, or when it is
  collected. `check()` and `is_held` say at any moment, without asking a server, whether it is held
  for certain. The fencing token is an int that grows from holder to holder.
- Where a method has a `timeout`, it is seconds, and `TimeoutError` says that they have passed;
  what is given up, also by a cancelled future, leaves nothing behind in the line. `try_…` methods
  give None if it was not to be had.
- In a forked child everything raises `ForkedClientError`.

Keeps true: one implementation, in Rust, whose classes are made by the import of this module.
"""

import sys as _sys

from . import _native

_native.add_recipes(_sys.modules[__name__])
