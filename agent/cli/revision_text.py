"""A revision, as the journal keeps it (JSON), in the words of the command line."""

import json


def revision_text(recorded: str) -> str:
    """Return where a revision came from: a path, an s3:// or https:// address, or OWNER/REPOSITORY@COMMIT."""
    fields = json.loads(recorded)
    match fields.get("kind"):
        case "S3":
            version = f"?versionId={fields['version']}" if fields.get("version") else ""
            return f"s3://{fields['bucket']}/{fields['key']}{version}"
        case "GitHub":
            return f"https://github.com/{fields['account']}/{fields['repository']}@{fields['commit']}"
        case "Https":
            return str(fields["url"])
        case _:
            return str(fields.get("path", recorded))
