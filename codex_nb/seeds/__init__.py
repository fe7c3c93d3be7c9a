"""Seeds: logins of Codex that are kept, leased, verified and refreshed."""
