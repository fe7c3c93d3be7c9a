"""Where processes run: a protocol for hosts, and the local machine as one."""
