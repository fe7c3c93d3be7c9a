"""The bridge between browsers and session hosts, as an extension of jupyter_server."""
