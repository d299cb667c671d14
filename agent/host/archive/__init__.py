"""Unpacks bundles: one bounded, confined extractor for tar (plain, gz, zst, bz2, xz) and zip. Fetches nothing.

What is named here is the interface; the modules beside this one are its parts.
"""

from agent.host.archive.detect import content_type, detect_type
from agent.host.archive.folder import copy_folder
from agent.host.archive.model import ArchiveFile, BytesProgress, UnpackOptions
from agent.host.archive.unpack import remove_tree, unpack

__all__ = [
    "ArchiveFile",
    "BytesProgress",
    "UnpackOptions",
    "content_type",
    "copy_folder",
    "detect_type",
    "remove_tree",
    "unpack",
]
