"""One run of codex: the session host that owns it and the clients that look at it."""
