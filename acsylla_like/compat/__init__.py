"""acsylla's names over this package: `import acsylla_like.compat as acsylla` runs code that was written for acsylla 1.2.0.

What acsylla gets wrong is right here; docs/migrate_from_acsylla.md has the list.
"""

from acsylla_like.compat import base as base
from acsylla_like.compat import errors
from acsylla_like.compat import factories as factories
from acsylla_like.compat import version as version
from acsylla_like.compat.base import *  # noqa: F403
from acsylla_like.compat.base import __all__ as _classes
from acsylla_like.compat.factories import *  # noqa: F403
from acsylla_like.compat.factories import __all__ as _functions

__all__ = ["errors", *_classes, *_functions]
