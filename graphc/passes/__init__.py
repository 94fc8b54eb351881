"""The verbs: one pass a file; the pipeline is a tuple of them."""

from graphc.passes.differentiate import differentiate
from graphc.passes.eliminate_common import eliminate_common
from graphc.passes.eliminate_dead import eliminate_dead

DEFAULT = (
    eliminate_common,
    eliminate_dead,
)

__all__ = ["DEFAULT", "differentiate", "eliminate_common", "eliminate_dead"]
