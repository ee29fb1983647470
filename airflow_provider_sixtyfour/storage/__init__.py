"""Object stores and file systems: atomic writes and multipart uploads. Free of the Sixtyfour API."""
