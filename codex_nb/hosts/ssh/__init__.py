"""Another machine as a host, reached by SSH. Only who has one imports it: asyncssh is heavy."""
