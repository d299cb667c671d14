"""The journal's tables, as numbered migrations. A migration that has shipped is never edited; a change is a new one.

Paths are BLOBs: a file name on Linux is bytes. Times are seconds since the epoch, UTC, for records only; order comes
from the integer keys.
"""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE deployment (
        seq INTEGER PRIMARY KEY,
        deployment_id TEXT NOT NULL UNIQUE,
        group_id TEXT NOT NULL,
        group_name TEXT NOT NULL,
        application TEXT NOT NULL,
        revision TEXT NOT NULL,              -- JSON, see agent.journal.rows
        options TEXT NOT NULL,               -- JSON: creator, type, AppSpec name, file_exists_behavior, events
        folder TEXT NOT NULL,
        state TEXT NOT NULL,
        pid INTEGER NOT NULL,                -- the worker: a pid means something only beside its start time
        pid_started REAL NOT NULL,
        created_at REAL NOT NULL,
        ended_at REAL,
        bundle TEXT                          -- JSON: type, size_bytes, sha256, etag, version as downloaded
    );
    CREATE INDEX deployment_by_group ON deployment (group_id, seq);

    CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        deployment_id TEXT NOT NULL REFERENCES deployment (deployment_id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        duration_s REAL,
        code INTEGER,
        script TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        hint TEXT NOT NULL DEFAULT '',
        log_tail TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX event_by_deployment ON event (deployment_id, seq);

    CREATE TABLE script (
        seq INTEGER PRIMARY KEY,
        event_seq INTEGER NOT NULL REFERENCES event (seq) ON DELETE CASCADE,
        location TEXT NOT NULL,
        runas TEXT,
        timeout_s INTEGER NOT NULL,
        pid INTEGER NOT NULL,                -- of the script itself; means something only beside its start time
        pid_started REAL,
        started_at REAL NOT NULL,
        duration_s REAL,                     -- NULL while it runs, and for ever when its worker died meanwhile
        exit_code INTEGER
    );
    CREATE INDEX script_by_event ON script (event_seq);

    CREATE TABLE hook (                      -- what the revision's AppSpec asks for, written when it is unpacked
        deployment_id TEXT NOT NULL REFERENCES deployment (deployment_id) ON DELETE CASCADE,
        event TEXT NOT NULL,
        position INTEGER NOT NULL,
        location TEXT NOT NULL,
        timeout_s INTEGER NOT NULL,
        runas TEXT,
        sudo INTEGER NOT NULL,
        PRIMARY KEY (deployment_id, event, position)
    ) WITHOUT ROWID;

    CREATE TABLE archive_file (              -- digests from unpacking, good while ino, ctime and size still hold
        deployment_id TEXT NOT NULL REFERENCES deployment (deployment_id) ON DELETE CASCADE,
        path BLOB NOT NULL,                  -- below the archive's root
        size INTEGER NOT NULL,
        ino INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        PRIMARY KEY (deployment_id, path)
    ) WITHOUT ROWID;

    CREATE TABLE install (                   -- one Install transaction
        seq INTEGER PRIMARY KEY,
        deployment_id TEXT NOT NULL,
        group_id TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,          -- part of every hidden name of this transaction
        state TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL
    );

    CREATE TABLE install_folder (            -- folders that may hold names of ours while the transaction is open
        install_seq INTEGER NOT NULL REFERENCES install (seq) ON DELETE CASCADE,
        path BLOB NOT NULL,
        PRIMARY KEY (install_seq, path)
    ) WITHOUT ROWID;

    CREATE TABLE install_step (              -- what commit does, in order; written between staging and commit
        install_seq INTEGER NOT NULL REFERENCES install (seq) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        kind TEXT NOT NULL,
        path BLOB NOT NULL,
        temp BLOB NOT NULL,                  -- hidden name in the folder of path
        staged INTEGER NOT NULL,             -- inode number of the new content, 0 for none
        old_kind TEXT,                       -- what holds path before: kind, inode number, size, mtime
        old_ino INTEGER,
        old_size INTEGER,
        old_mtime_ns INTEGER,
        attributes TEXT,                     -- JSON [old, new] of an attributes step
        PRIMARY KEY (install_seq, position)
    ) WITHOUT ROWID;

    CREATE TABLE installed (                 -- every path a deployment group has put on this host, and what
        path BLOB PRIMARY KEY,
        group_id TEXT NOT NULL,
        deployment_id TEXT NOT NULL,
        kind TEXT NOT NULL,                  -- file, symlink, directory
        mode INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        gid INTEGER NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ino INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        sha256 BLOB,                         -- of a file's content or a symlink's target; NULL for a directory
        acl TEXT,                            -- canonical text when the AppSpec set one
        context TEXT                         -- SELinux label when the AppSpec set one
    ) WITHOUT ROWID;

    CREATE TABLE file_change (               -- what an Install changes: the ownership table's next rows, then history
        deployment_id TEXT NOT NULL REFERENCES deployment (deployment_id) ON DELETE CASCADE,
        path BLOB NOT NULL,
        change TEXT NOT NULL,                -- created, replaced, attributes, kept, removed, forgotten
        kind TEXT NOT NULL,
        sha256 BLOB,
        acl TEXT,
        context TEXT,
        PRIMARY KEY (deployment_id, path)
    ) WITHOUT ROWID;

    CREATE TABLE group_state (
        group_id TEXT PRIMARY KEY,
        last_good_deployment_id TEXT,        -- every event succeeded
        taken_over_at REAL                   -- when the official agent's files were read, once
    ) WITHOUT ROWID;
    """,
)
