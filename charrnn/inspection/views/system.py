"""The view ``system``: what charrnn runs on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from charrnn.inspection.blocks import Block, Facts
from charrnn.inspection.view import View
from charrnn.inspection.wording import plural, size

if TYPE_CHECKING:
    from charrnn.inspection.inspected import InspectedCheckpoint
    from charrnn.inspection.system import System


class SystemView(View["System"]):
    """Versions, machine, threads, cache and environment."""

    name = "system"
    about = "versions, processor, threads and cache"

    def compute(self, checkpoint: "InspectedCheckpoint") -> "System":
        """Ask the operating system and the installed packages."""
        from charrnn.inspection.system import examine_system

        options = checkpoint.options
        return examine_system(options.processors, options.threads)

    def blocks(self, data: "System") -> Iterator[Block]:
        """Show facts."""
        yield Facts(list(_facts(data)))


VIEW = SystemView()


def _facts(data: "System") -> Iterator[tuple[str, str]]:
    """Label what charrnn runs on."""
    for name, version in data.versions.items():
        yield name, version or "missing"
    yield "platform", data.platform
    yield "processor", data.processor
    yield "vectors", " ".join(data.vectors) or "none known"
    allowed = f"{data.processors_allowed} of {data.processors} allowed"
    yield "processors", f"{allowed}, {plural(data.threads, 'thread')} used"
    yield "threading", data.threading_layer
    cache = data.cache
    yield "cache", cache.directory or "none: no home directory"
    yield "", f"{plural(cache.files, 'file')}, {size(cache.bytes)}"
    for name, value in data.environment.items():
        yield name, value or "''"
