"""How many workers a run has, what each of them gets, and where they are placed."""

from __future__ import annotations

import dataclasses

from isozoo.errors import unknown

#: Where workers are placed: Ray's name for each way.
PLACEMENTS = {
    "pack": "PACK",  # on as few hosts as will do
    "spread": "SPREAD",  # on as many hosts as there are
    "apart": "STRICT_SPREAD",  # each on a host of its own, or not at all
}


@dataclasses.dataclass(frozen=True)
class Workers:
    """The workers of a run: processes that train together.

    Args:
        count: How many there are, at least 1; the batch is split among them.
        cpus: Processor cores that are reserved for each, more than 0.
        gpus: GPUs that are reserved for each, all of which it uses; 0 for none.
        placement: `"pack"` on few hosts, `"spread"` over many, `"apart"`: one on each host.

    Raises:
        UnknownNameError: `placement` is none of `PLACEMENTS`.
        ValueError: A number is too small.

    Example:
        >>> Workers(8, cpus=16, gpus=4, placement="apart").resources
        {'CPU': 16, 'GPU': 4}
    """

    count: int
    cpus: float = 1
    gpus: int = 0
    placement: str = "pack"

    def __post_init__(self) -> None:
        """Refuse what no cluster could place."""
        if self.count < 1 or not self.cpus > 0 or self.gpus < 0:
            raise ValueError(
                f"there must be at least 1 worker, with cpus above 0 and gpus not below: got "
                f"count={self.count}, cpus={self.cpus}, gpus={self.gpus}"
            )
        if self.placement not in PLACEMENTS:
            raise unknown("placement", self.placement, PLACEMENTS)

    @property
    def resources(self) -> dict[str, float]:
        """What each worker reserves, in Ray's names."""
        return {"CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}
