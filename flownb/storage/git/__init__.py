"""Git as a storage: flows on a branch of their own, each version a commit.

`command` calls git, `repository` finds one, `objects` reads, `writing` commits, `revisions` understands
what stands behind an @, `index` knows the last change of each flow, `signatures` whose they are.
"""

from __future__ import annotations

from flownb.storage.git.storage import GitStorage

__all__ = ["GitStorage"]
