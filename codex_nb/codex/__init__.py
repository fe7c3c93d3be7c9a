"""What we know of the codex program: where it is, its set-up, what it may do, how to talk to it."""
