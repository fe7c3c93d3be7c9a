"""The app-server protocol of codex, without I/O."""
