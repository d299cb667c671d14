"""Digests of unpacked archives, so that Install need not read again what was read while unpacking."""

from collections.abc import Iterable, Mapping

from agent.core.deployment import DeploymentId
from agent.journal.journal import Journal

ArchiveDigest = tuple[int, int, int, bytes]
"""size, ino, ctime_ns, sha256: the digest holds while the first three do."""


def record_archive(
    journal: Journal, deployment_id: DeploymentId, files: Iterable[tuple[bytes, int, int, int, bytes]]
) -> None:
    """Replace what is known of a deployment's archive by `files`: path, size, ino, ctime_ns, sha256."""
    with journal.transaction() as connection:
        connection.execute("DELETE FROM archive_file WHERE deployment_id = ?", (deployment_id,))
        connection.executemany(
            "INSERT INTO archive_file (deployment_id, path, size, ino, ctime_ns, sha256) VALUES (?,?,?,?,?,?)",
            ((deployment_id, *file) for file in files),
        )


def archive_digests(journal: Journal, deployment_id: DeploymentId) -> Mapping[bytes, ArchiveDigest]:
    """What `record_archive` wrote, by path below the archive's root."""
    rows = journal.connection.execute(
        "SELECT path, size, ino, ctime_ns, sha256 FROM archive_file WHERE deployment_id = ?", (deployment_id,)
    )
    return {path: (size, ino, ctime_ns, sha256) for path, size, ino, ctime_ns, sha256 in rows}


def forget_archive(journal: Journal, deployment_id: DeploymentId) -> None:
    """Drop the digests of an archive that retention has deleted."""
    with journal.transaction() as connection:
        connection.execute("DELETE FROM archive_file WHERE deployment_id = ?", (deployment_id,))
