"""Moving runs: copied from one catalog into another, packed into a folder, and unpacked again."""

from databroker_like.transfer._copy import copy
from databroker_like.transfer._pack import pack
from databroker_like.transfer._report import TransferReport
from databroker_like.transfer._unpack import unpack

__all__ = ["TransferReport", "copy", "pack", "unpack"]
