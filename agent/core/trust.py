"""Where systems keep the authorities they trust. Names only."""

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Amazon Linux, RHEL, Fedora
    "/etc/ssl/ca-bundle.pem",  # SUSE
)
"""One PEM file with every authority, by distribution; the first that exists is used."""
