"""Unpacks bundles: one bounded, confined extractor for tar (plain, gz, zst, bz2, xz) and zip. Fetches nothing.

`detect_type` and `unpack` are the whole interface; the modules beside this one are its parts.
"""

from agent.host.archive.detect import detect_type
from agent.host.archive.model import ArchiveFile, BytesProgress, UnpackOptions
from agent.host.archive.unpack import unpack

__all__ = ["ArchiveFile", "BytesProgress", "UnpackOptions", "detect_type", "unpack"]
